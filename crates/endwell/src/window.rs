//! A part of a file that the kernel sends by itself.
//!
//! Reads: a file and a range. Gives: a *hole*, octets that stand for the part on their way through
//! the HTTP implementation, and that the transport replaces by the part ([`WireIo`](crate::WireIo)).
//!
//! hyper counts and queues what a body gives, and cannot be handed a file. So it is handed a slice
//! of memory that nothing else uses: the transport knows it by its address. That holds only where
//! hyper passes slices on as they are, which its HTTP/1 does when the transport writes vectored
//! (hyper 1.12, `WriteStrategy::Queue`), and where no body in between looks at octets: windows are
//! passed only by a body that is directly below the wire. Should a hole ever be copied, its part is
//! still waiting when everything was written: then the connection is killed before the last octet.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

/// The largest part: it costs no memory, but its end is when the file is looked at again.
const LARGEST: usize = 1024 * 1024;

/// Memory that is never touched: the kernel gives it no pages.
static HOLE: LazyLock<&'static [u8]> = LazyLock::new(|| Box::leak(vec![0; LARGEST].into()));

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) file: Arc<File>,
    pub(crate) octets: Range<u64>,
}

impl Window {
    /// At most so much of the range as one part has.
    pub(crate) fn new(file: Arc<File>, octets: Range<u64>) -> Self {
        let end = octets.end.min(octets.start.saturating_add(LARGEST as u64));
        let octets = octets.start..end;
        Self { file, octets }
    }

    /// The octets that stand for it.
    pub(crate) fn hole(&self) -> Bytes {
        let length = self.octets.end - self.octets.start;
        Bytes::from_static(&HOLE[..usize::try_from(length).unwrap_or(LARGEST).min(LARGEST)])
    }
}

/// Whether these octets are a hole.
pub(crate) fn is_hole(octets: &[u8]) -> bool {
    HOLE.as_ptr_range().contains(&octets.as_ptr())
}
