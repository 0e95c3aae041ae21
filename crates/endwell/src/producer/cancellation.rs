//! Tells work that is done for a response that nobody reads it any more.

use std::fmt;
use std::sync::Arc;

use super::slot::Slot;

/// Tells spawned work that nobody reads the response any more.
///
/// Clone it into tasks and threads. It is about the body, not about its ending: it is cancelled when
/// the client leaves, when the server stops or the response is replaced, and also when the
/// response has ended as it should, so that nothing that waits for it waits for ever. How it
/// ended, [`Producer::ended`](super::Producer::ended) tells.
///
/// It costs nothing until somebody waits: the producer and its body know it anyway.
///
/// # Examples
/// ```
/// # async fn query() -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn kill_query() {}
/// let body = endwell::stream(|mut producer| async move {
///     let cancellation = producer.cancellation();
///     let rows = tokio::spawn(async move {
///         tokio::select! {
///             rows = query() => rows,
///             () = cancellation.cancelled() => {
///                 kill_query().await;
///                 Err(std::io::ErrorKind::BrokenPipe.into())
///             }
///         }
///     });
///     producer.send(rows.await??).await?;
///     Ok(producer.finish())
/// });
/// ```
#[derive(Clone)]
pub struct Cancellation {
    slot: Arc<Slot>,
}

impl Cancellation {
    pub(super) fn new(slot: &Arc<Slot>) -> Self {
        Self {
            slot: Arc::clone(slot),
        }
    }

    /// Whether nobody reads the response any more; for threads that look now and then.
    pub fn is_cancelled(&self) -> bool {
        self.slot.is_abandoned()
    }

    /// Waits until nobody reads the response any more.
    ///
    /// # Cancel safety
    /// It may be dropped and called again.
    pub async fn cancelled(&self) {
        loop {
            // Made before the look: from here on no wake is missed.
            let changed = self.slot.changed.notified();
            if self.is_cancelled() {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
