//! A range of a file on its way, one frame at a time.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use endwell::{Abort, Cause, ClientGone, Finished, Producer};

use super::super::blocking::{blocking, still_waits};
use super::super::os::{self, Disk};
use super::open::{Open, frame_of};

/// Sends a range, and ends as complete only if the file stayed what it was.
pub(super) async fn send(
    mut producer: Producer,
    mut open: Open,
    octets: Range<u64>,
) -> Result<Finished, Abort> {
    open.in_memory = os::is_in_memory(&open.file);
    let mut sending = Sending {
        open: Arc::new(Mutex::new(open)),
        rest: octets.clone(),
    };
    let Err(cause) = sending.send(&mut producer).await? else {
        return Ok(producer.finish());
    };
    // Before the first octet it is a real 5xx.
    if sending.rest.start > octets.start && sending.is_only_cut().await? {
        // Whatever comes now, the first cause is the one to tell.
        let _ = sending.send(&mut producer).await?;
    }
    Ok(producer.fail(cause))
}

/// A file on its way.
struct Sending {
    /// Shared with the blocking pool, never at the same time.
    open: Arc<Mutex<Open>>,
    rest: Range<u64>,
}

impl Sending {
    /// Sends the rest in frames as large as the connection advises, one at a time, and looks at
    /// the file once more when they are through. Gives why it could not.
    async fn send(&mut self, producer: &mut Producer) -> Result<Result<(), Cause>, ClientGone> {
        while !self.rest.is_empty() {
            let at = self.rest.start;
            let octets = frame_of(producer.frame_size(), self.rest.end - at);
            let read = self.at_once_or_later(move |open, disk| open.read(at, octets, disk));
            match read.await {
                Ok(frame) => {
                    self.rest.start += frame.len() as u64;
                    producer.send(frame).await?;
                }
                Err(cause) => return Ok(Err(cause)),
            }
        }
        // The wire still holds the octet that fulfils the promise: a change until now counts.
        let proof = self.at_once_or_later(|open, disk| {
            let proven = open.prove_the_end(disk)?;
            Ok(proven.then_some(()))
        });
        Ok(proof.await)
    }

    /// Does what the page cache allows at once: to hand it to another thread costs more than to
    /// read it. What it does not hold is read on the blocking pool.
    async fn at_once_or_later<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Open, Disk) -> Result<Option<T>, Cause> + Send + 'static,
    ) -> Result<T, Cause> {
        {
            let mut open = lock(&self.open);
            if let Some(done) = work(&mut open, Disk::Cached)? {
                return Ok(done);
            }
        }
        let open = Arc::clone(&self.open);
        let done = blocking(move || work(&mut lock(&open), Disk::Any)).await?;
        done.ok_or_else(still_waits)
    }

    /// Whether nothing is known to have happened to the file but that its end was cut off.
    ///
    /// From here on it is compared with what it is now: what stayed is sent, unless something else
    /// happens to it.
    async fn is_only_cut(&mut self) -> Result<bool, Cause> {
        let open = Arc::clone(&self.open);
        let size = blocking(move || Ok(lock(&open).take_as_cut())).await?;
        if let Some(size) = size {
            self.rest.end = self.rest.end.min(size);
        }
        Ok(size.is_some())
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
