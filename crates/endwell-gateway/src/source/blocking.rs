//! What may wait for a disk, where it holds up no connection.

use endwell::{Cause, Kind};

/// Runs what may wait for a disk where it holds up no connection.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(Cause::new(
            Kind::ProducerPanicked,
            "reading a source panicked",
        )),
        Err(_) => Err(Cause::new(
            Kind::ServerShutdown,
            "the server stopped while a source was read",
        )),
    }
}

/// What a blocking read never answers.
pub(crate) fn still_waits() -> Cause {
    Cause::producer("a disk that was waited for still waits")
}
