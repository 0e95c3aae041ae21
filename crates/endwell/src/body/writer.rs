//! A body written by code that blocks.

use endwell_core::{Cause, Kind};

use super::Body;
use crate::producer::{Abort, Finished, Producer, Room, Writer, panicked};

/// Streams a body from code that blocks: `csv`, `serde_json`, Arrow, a database without async.
///
/// The closure runs on tokio's blocking threads, from the moment the body is first read, and must
/// say how it ended, as that of [`stream`](crate::stream). `?` on any error aborts the response, a
/// panic in it too. When the client leaves, its next write fails and one that waits is woken.
///
/// The threads are those of `tokio::task::spawn_blocking` (512 by default), one for each such
/// response until it has ended: a response that finds none free waits for its turn.
///
/// # On the wire
/// As [`stream`](crate::stream): every octet that was written arrives, then the failure is told.
///
/// # Examples
/// ```
/// let body = endwell::writer(|mut out| {
///     serde_json::to_writer(&mut out, &["some", "large", "thing"])?;
///     Ok(out.finish())
/// });
/// # let _ = body.content_type("application/json");
/// ```
/// With `csv`, whose writer gathers octets itself: `Ok(csv.into_inner()?.finish())`.
pub fn writer<F>(work: F) -> Body
where
    F: FnOnce(Writer) -> Result<Finished, Abort> + Send + 'static,
{
    let (producer, witness) = Producer::new(Room::Several);
    let out = producer.answered_for().into_writer();
    let work = async move {
        // The writer of a thread that fails is dropped first: what counts is what the thread gives.
        let returned = tokio::task::spawn_blocking(move || work(out)).await;
        returned.unwrap_or_else(|error| Err(of_thread(error)))
    };
    Body::of_closure(witness, Box::pin(work))
}

/// Why a thread gave nothing.
fn of_thread(error: tokio::task::JoinError) -> Abort {
    match error.try_into_panic() {
        Ok(panic) => panicked(&*panic).into(),
        Err(_) => {
            let message = "the runtime stopped before the writer could run";
            Cause::new(Kind::ServerShutdown, message).into()
        }
    }
}
