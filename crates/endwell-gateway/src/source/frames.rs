//! Buffers for octets of files, used again.
//!
//! A buffer of 256 KiB that is new each time costs about as much as reading into it: the kernel
//! must find and clear its pages. So those that were sent come back here, a few of each size.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The sizes that are kept, in octets.
const SIZES: [usize; 5] = [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10];
/// So many of each: at most 8 MiB together, enough for two dozen busy downloads.
const KEPT: usize = 17;

static FREE: [Mutex<Vec<Vec<u8>>>; SIZES.len()] = [const { Mutex::new(Vec::new()) }; SIZES.len()];

/// A buffer to read into.
#[derive(Debug)]
pub(crate) struct Frame {
    octets: Vec<u8>,
    length: usize,
}

impl Frame {
    /// A buffer of so many octets, whatever they are.
    pub(crate) fn new(length: usize) -> Self {
        let octets = match size_of(length) {
            Some(at) => free(at).pop().unwrap_or_else(|| vec![0; SIZES[at]]),
            None => vec![0; length],
        };
        Self { octets, length }
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.octets[..self.length]
    }

    /// The first octets, where no more were read.
    pub(super) fn into_first(mut self, octets: usize) -> Bytes {
        self.length = octets.min(self.length);
        self.into_bytes()
    }

    /// Keeps only the first octets, if there are more.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// What was read; the buffer comes back when the last of it is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let Some(at) = SIZES.iter().position(|size| *size == self.octets.len()) else {
            return;
        };
        let mut free = free(at);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.octets));
        }
    }
}

/// The smallest kept size that is not much too large.
fn size_of(length: usize) -> Option<usize> {
    let at = SIZES.iter().position(|size| *size >= length)?;
    (length > SIZES[0] / 2).then_some(at)
}

fn free(at: usize) -> MutexGuard<'static, Vec<Vec<u8>>> {
    FREE[at].lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_length_that_was_asked_for() {
        for length in [
            0,
            1,
            16 << 10,
            20_000,
            32 << 10,
            100_000,
            256 << 10,
            300_000,
        ] {
            let mut frame = Frame::new(length);
            frame.as_mut().fill(7);
            let octets = frame.into_bytes();
            assert!(octets.len() == length && octets.iter().all(|octet| *octet == 7));
            assert_eq!(Frame::new(length).into_first(100).len(), length.min(100));
        }
    }
}
