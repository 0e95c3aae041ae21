//! Compresses an archive on its way: gzip (RFC 1952), Zstandard (RFC 8878).
//!
//! Reads: octets. Gives: one member or frame, in pieces. Never: its end mark, unless
//! [`Encoder::finish`] was called: what was broken off is refused by every decoder, and all that was
//! [flushed](Encoder::flush) is decoded all the same.

use std::num::NonZero;
use std::sync::{Arc, LazyLock};

use endwell::Cause;
use flate2::{Compress, Compression, Crc, FlushCompress};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zstd::stream::raw::{CParameter, Encoder as RawZstd, InBuffer, Operation, OutBuffer};

/// What gzip and zstd do by default.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Octets that one processor compresses at a time. By itself zstd would take 8 MiB, and nothing
/// would leave before; a failure is told after as much has been compressed, not before.
const JOB: u32 = 1024 * 1024;

/// Room that is made for output at a time.
const ROOM: usize = 64 * 1024;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

/// An encoder at work.
pub(super) enum Encoder {
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

/// gzip: its header, deflated octets, and at the end their checksum.
pub(super) struct Gzip {
    deflate: Compress,
    checksum: Crc,
    begun: bool,
}

/// A Zstandard frame.
pub(super) struct Zstd {
    frame: RawZstd<'static>,
    /// The right to work on all processors.
    _permit: Option<OwnedSemaphorePermit>,
}

/// So many archives at once are compressed by all processors; further ones each by one, which
/// takes less memory and does not slow the others down more.
static PARALLEL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

impl Encoder {
    /// An encoder that has written nothing yet.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(coding: Coding) -> Result<Self, Cause> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(Gzip {
                deflate: Compress::new(Compression::new(GZIP_LEVEL), false),
                checksum: Crc::new(),
                begun: false,
            })),
            Coding::Zstd => {
                let mut frame = RawZstd::new(ZSTD_LEVEL).map_err(failed)?;
                let checked = CParameter::ChecksumFlag(true);
                frame.set_parameter(checked).map_err(failed)?;
                let permit = Arc::clone(&PARALLEL).try_acquire_owned().ok();
                let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
                if permit.is_some() && workers > 1 {
                    let workers = u32::try_from(workers).unwrap_or(1);
                    let parallel = CParameter::NbWorkers(workers);
                    frame.set_parameter(parallel).map_err(failed)?;
                    let job = CParameter::JobSize(JOB);
                    frame.set_parameter(job).map_err(failed)?;
                }
                Self::Zstd(Box::new(Zstd {
                    frame,
                    _permit: permit,
                }))
            }
        })
    }

    /// Takes octets, and appends what they give so far: often nothing.
    pub(super) fn encode(&mut self, octets: &[u8], into: &mut Vec<u8>) -> Result<(), Cause> {
        match self {
            Self::Gzip(gzip) => {
                gzip.checksum.update(octets);
                gzip.deflate(octets, FlushCompress::None, into)
            }
            Self::Zstd(zstd) => {
                let mut input = InBuffer::around(octets);
                while input.pos() < octets.len() {
                    into.reserve(ROOM);
                    let end = into.len();
                    let mut output = OutBuffer::around_pos(into, end);
                    zstd.frame.run(&mut input, &mut output).map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// Appends all that was taken, so that a decoder gives it back, and no end mark.
    pub(super) fn flush(&mut self, into: &mut Vec<u8>) -> Result<(), Cause> {
        match self {
            Self::Gzip(gzip) => gzip.deflate(&[], FlushCompress::Sync, into),
            Self::Zstd(zstd) => zstd.drain(into, |frame, output| frame.flush(output)),
        }
    }

    /// Appends all that was taken, and the end mark: only when all of it is right.
    pub(super) fn finish(mut self, into: &mut Vec<u8>) -> Result<(), Cause> {
        match &mut self {
            Self::Gzip(gzip) => {
                gzip.deflate(&[], FlushCompress::Finish, into)?;
                into.extend_from_slice(&gzip.checksum.sum().to_le_bytes());
                into.extend_from_slice(&gzip.checksum.amount().to_le_bytes());
                Ok(())
            }
            Self::Zstd(zstd) => zstd.drain(into, |frame, output| frame.finish(output, true)),
        }
    }
}

impl Gzip {
    fn deflate(
        &mut self,
        octets: &[u8],
        flush: FlushCompress,
        into: &mut Vec<u8>,
    ) -> Result<(), Cause> {
        if !self.begun {
            self.begun = true;
            // Deflate, no flags, no time, no further word, made on Unix.
            into.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        }
        let start = self.deflate.total_in();
        loop {
            into.reserve(ROOM);
            let room = into.capacity() - into.len();
            let before = into.len();
            // No more than was given.
            let taken = (self.deflate.total_in() - start) as usize;
            let deflated = self.deflate.compress_vec(&octets[taken..], into, flush);
            deflated.map_err(failed)?;
            // Where it left room, it had no more to give.
            if into.len() - before < room {
                return Ok(());
            }
        }
    }
}

impl Zstd {
    /// Lets it write until nothing is left of what it holds.
    fn drain(
        &mut self,
        into: &mut Vec<u8>,
        mut write: impl FnMut(
            &mut RawZstd<'static>,
            &mut OutBuffer<'_, Vec<u8>>,
        ) -> std::io::Result<usize>,
    ) -> Result<(), Cause> {
        loop {
            into.reserve(ROOM);
            let end = into.len();
            let mut output = OutBuffer::around_pos(into, end);
            if write(&mut self.frame, &mut output).map_err(failed)? == 0 {
                return Ok(());
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Cause {
    Cause::producer(format!("cannot compress the archive: {error}"))
}
