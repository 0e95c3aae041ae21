//! Writes an archive in one pass.
//!
//! Reads: members in the order of the listing, and their octets. Gives: octets to send, and at
//! the end the central directory. Never: writes that directory unless told to, so what was left
//! unfinished is no archive to any reader.

use super::blocks;
use super::deflate::Deflate;
use super::layout::READ_FIRST;
use super::member::{Member, Packing, Sums};
use super::records::{self, Directory};

/// An archive on its way.
#[derive(Debug)]
pub(super) struct Writer {
    level: u32,
    deflate: Option<Deflate>,
    /// How many octets it has so far.
    at: u64,
    /// What is in the archive of each member; in order, 16 octets each.
    written: Vec<Written>,
    /// The member that is open.
    open: Option<Open>,
}

/// What the central directory must tell, beside what the listing does.
#[derive(Debug, Clone, Copy)]
struct Written {
    packed: u64,
    crc: u32,
    /// `None` for a member that was left out.
    packing: Option<Packing>,
}

#[derive(Debug)]
struct Open {
    packing: Packing,
    size: u64,
    taken: u64,
    packed: u64,
    crc: crc32fast::Hasher,
}

impl Writer {
    /// `level` 0 stores, 1 to 9 deflate.
    pub(super) fn new(level: u32) -> Self {
        Self {
            level,
            deflate: (level > 0).then(|| Deflate::new(level)),
            at: 0,
            written: Vec::new(),
            open: None,
        }
    }

    /// Whether all octets of a member are needed before the first of them is written.
    pub(super) fn reads_first(member: &Member<'_>) -> bool {
        member.size <= READ_FIRST
    }

    /// Octets of the archive so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Writes a whole member.
    pub(super) fn whole(&mut self, member: &Member<'_>, octets: &[u8], out: &mut Vec<u8>) {
        let crc = crc32fast::hash(octets);
        let size = octets.len() as u64;
        let stored = Sums {
            crc,
            packed: size,
            size,
        };
        let start = out.len();
        let (mut packing, mut sums) = (Packing::Stored, stored);
        if let Some(deflate) = self.deflate.as_mut().filter(|_| size > 0) {
            packing = Packing::DeflatedFirst;
            // Its own length first: the header is as long whatever it says.
            records::local(member, packing, &stored, out);
            let header = out.len();
            deflate.begin();
            deflate.put(octets, out);
            deflate.finish(out);
            sums.packed = (out.len() - header) as u64;
            if sums.packed < size {
                let mut known = Vec::with_capacity(header - start);
                records::local(member, packing, &sums, &mut known);
                out[start..header].copy_from_slice(&known);
            } else {
                out.truncate(start);
                (packing, sums) = (Packing::Stored, stored);
            }
        }
        if packing == Packing::Stored {
            records::local(member, packing, &sums, out);
            out.extend(octets);
        }
        self.at += (out.len() - start) as u64;
        self.note(Some(packing), &sums);
    }

    /// Begins a member whose octets follow.
    pub(super) fn begin(&mut self, member: &Member<'_>, out: &mut Vec<u8>) {
        let packing = Packing::streamed(self.level);
        let start = out.len();
        records::local(member, packing, &Sums::default(), out);
        self.at += (out.len() - start) as u64;
        if let Some(deflate) = &mut self.deflate {
            deflate.begin();
        }
        self.open = Some(Open {
            packing,
            size: member.size,
            taken: 0,
            packed: 0,
            crc: crc32fast::Hasher::new(),
        });
    }

    /// Writes octets of the member that is open: no more than its size.
    pub(super) fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        let start = out.len();
        open.crc.update(octets);
        match &mut self.deflate {
            Some(deflate) => deflate.put(octets, out),
            None => {
                let mut rest = octets;
                let mut at = open.taken;
                while !rest.is_empty() {
                    if let Some(header) = blocks::header(at, open.size) {
                        out.extend(header);
                    }
                    let length = blocks::left(at).min(rest.len() as u64) as usize;
                    out.extend(&rest[..length]);
                    rest = &rest[length..];
                    at += length as u64;
                }
            }
        }
        open.taken += octets.len() as u64;
        open.packed += (out.len() - start) as u64;
        self.at += (out.len() - start) as u64;
    }

    /// Ends the member that is open, which is proven.
    pub(super) fn finish(&mut self, member: &Member<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        let start = out.len();
        match &mut self.deflate {
            Some(deflate) => deflate.finish(out),
            None => out.extend(blocks::LAST),
        }
        let sums = Sums {
            crc: open.crc.finalize(),
            packed: open.packed + (out.len() - start) as u64,
            size: open.taken,
        };
        records::descriptor(member, open.packing, &sums, out);
        self.at += (out.len() - start) as u64;
        self.note(Some(open.packing), &sums);
    }

    /// Leaves a member out.
    pub(super) fn leave_out(&mut self) {
        self.note(None, &Sums::default());
    }

    fn note(&mut self, packing: Option<Packing>, sums: &Sums) {
        self.written.push(Written {
            packed: sums.packed,
            crc: sums.crc,
            packing,
        });
    }

    /// Begins the central directory.
    pub(super) fn directory(self) -> Central {
        Central {
            begin: self.at,
            at: self.at,
            offset: 0,
            entries: 0,
            written: self.written.into_iter(),
        }
    }
}

/// A central directory on its way.
#[derive(Debug)]
pub(super) struct Central {
    begin: u64,
    at: u64,
    /// Where the next member begins.
    offset: u64,
    entries: u64,
    written: std::vec::IntoIter<Written>,
}

impl Central {
    /// Writes what it says of a member; of all of them, in the order in which they were written.
    pub(super) fn add(&mut self, member: &Member<'_>, out: &mut Vec<u8>) {
        let Some(written) = self.written.next() else {
            return;
        };
        let Some(packing) = written.packing else {
            return;
        };
        let start = out.len();
        let sums = Sums {
            crc: written.crc,
            packed: written.packed,
            size: member.size,
        };
        records::central(member, packing, &sums, self.offset, out);
        self.at += (out.len() - start) as u64;
        self.entries += 1;
        self.offset += records::local_length(member, packing)
            + written.packed
            + records::descriptor_length(member, packing);
    }

    /// Ends the archive.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        let directory = Directory {
            entries: self.entries,
            offset: self.begin,
            octets: self.at - self.begin,
        };
        directory.end(out);
    }
}
