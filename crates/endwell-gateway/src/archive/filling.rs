//! A frame that is being filled.

use bytes::Bytes;

use crate::source::frames::Frame;

/// A frame that is being filled.
pub(super) struct Filling {
    pub(super) frame: Frame,
    /// Octets of it that are filled.
    pub(super) filled: usize,
    most: usize,
}

impl Filling {
    pub(super) fn new(most: usize) -> Self {
        Self {
            frame: Frame::new(most),
            filled: 0,
            most,
        }
    }

    pub(super) fn room(&self) -> usize {
        self.most - self.filled
    }

    pub(super) fn into_bytes(self) -> Bytes {
        let filled = self.filled;
        let mut frame = self.frame;
        frame.truncate(filled);
        frame.into_bytes()
    }
}
