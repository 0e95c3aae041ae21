//! Deflated octets, RFC 1951.
//!
//! Never: ends by being dropped. What was not finished has no last block, and no reader takes it
//! for whole.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Room that is made for output at a time, in octets.
const ROOM: usize = 16 * 1024;

/// How many octets this many can become at most; `None` beyond 16 EiB.
///
/// What cannot be compressed goes into stored blocks of 16 KiB or more, with 5 octets for each and
/// for the end.
pub(super) fn most(size: u64) -> Option<u64> {
    size.checked_add(size / 2048)?.checked_add(64)
}

/// Deflates octets as they come.
#[derive(Debug)]
pub(super) struct Deflate(Compress);

impl Deflate {
    /// With a level from 1, the fastest, to 9, the smallest.
    pub(super) fn new(level: u32) -> Self {
        Self(Compress::new(Compression::new(level.clamp(1, 9)), false))
    }

    /// Forgets what was put, for the next entry.
    pub(super) fn begin(&mut self) {
        self.0.reset();
    }

    /// Takes octets; what is ready of the output goes to `out`.
    pub(super) fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while !rest.is_empty() {
            let taken = self.step(rest, FlushCompress::None, out).0;
            rest = &rest[taken..];
        }
    }

    /// All the rest, and the mark that nothing follows.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        while !self.step(&[], FlushCompress::Finish, out).1 {}
    }

    /// What is held back of what was put, so that a reader gets all of it.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        loop {
            out.reserve(ROOM);
            let room = out.capacity() - out.len();
            let before = out.len();
            self.step(&[], FlushCompress::Sync, out);
            // Where it left room, it had no more to give.
            if out.len() - before < room {
                return;
            }
        }
    }

    /// How much was taken, and whether it is the end.
    fn step(&mut self, octets: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> (usize, bool) {
        out.reserve(ROOM);
        let before = self.0.total_in();
        let status = self.0.compress_vec(octets, out, flush);
        let status = status.expect("a compressor that was not finished takes octets");
        let taken = self.0.total_in() - before;
        let taken = usize::try_from(taken).expect("no more is taken than was there");
        (taken, status == Status::StreamEnd)
    }
}
