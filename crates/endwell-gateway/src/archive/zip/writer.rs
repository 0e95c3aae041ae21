//! A tree as a ZIP file, written in one pass.
//!
//! Reads: a [`Tree`], and the content of its files. Gives: octets to send, and at the end the
//! central directory. Never: writes that directory before all is packed; what was broken off has
//! none, and is no archive to any reader.

use super::blocks;
use super::deflate::Deflate;
use super::layout::READ_FIRST;
use super::member::{Member, Members, Packing, Sums};
use super::records::{self, Directory};
use crate::archive::format::{Follows, Format, Manner};
use crate::archive::notes::{INCOMPLETE, MISSING, incomplete};
use crate::archive::tree::{Is, Named, Tree};

/// Octets of the central directory that are written at a time.
const PIECE: usize = 16 * 1024;
/// So many octets more than follow are promised of a seal: no reader takes what is there for all.
const BEYOND: u64 = 64 * 1024;

/// A ZIP file on its way.
#[derive(Debug)]
pub(in crate::archive) struct Zip {
    packer: Packer,
    members: Members,
    /// What is in the archive of each entry, in their order, and of a note behind them.
    written: Vec<Written>,
    /// The content that is on its way.
    open: Option<Open>,
    central: Option<Central>,
}

/// What the central directory must tell, beside what the listing does.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    packed: u64,
    crc: u32,
    /// `None` for an entry that was left out.
    packing: Option<Packing>,
}

/// A content that is written as it is read.
#[derive(Debug)]
struct Open {
    crc: crc32fast::Hasher,
    size: u64,
    packed: u64,
}

/// A central directory on its way.
#[derive(Debug, Default)]
struct Central {
    /// The entry it tells of next.
    at: usize,
    /// Where that one begins.
    offset: u64,
    entries: u64,
    octets: u64,
    /// The octets of the note of what is missing.
    note: u64,
}

impl Zip {
    /// `level` 0 stores, 1 to 9 deflate.
    pub(in crate::archive) fn new(level: u32) -> Self {
        Self {
            packer: Packer((level > 0).then(|| Deflate::new(level))),
            members: Members::default(),
            written: Vec::new(),
            open: None,
            central: None,
        }
    }
}

impl Format for Zip {
    fn begin(&mut self, tree: &Tree, _: &mut Vec<u8>) {
        self.written.reserve_exact(tree.len());
    }

    fn manner(&self, tree: &Tree, at: usize) -> Manner {
        match self.packer.0 {
            _ if tree.entry(at).octets <= READ_FIRST => Manner::Whole,
            None => Manner::Plain,
            Some(_) => Manner::Transformed,
        }
    }

    fn whole(&mut self, tree: &Tree, at: usize, content: &[u8], into: &mut Vec<u8>) {
        let member = self.members.of(tree, at);
        let written = self.packer.whole(&member, content, into);
        note(&mut self.written, at, written);
    }

    fn head(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        let entry = tree.entry(at);
        // One that was left out may not have been ended.
        self.open = None;
        if entry.is != Is::File {
            return self.whole(tree, at, entry.target, into);
        }
        let packing = self.packer.begin();
        let member = self.members.of(tree, at);
        records::local(&member, packing, &Sums::default(), into);
        self.open = Some(Open {
            crc: crc32fast::Hasher::new(),
            size: 0,
            packed: 0,
        });
    }

    fn stretch(&mut self, tree: &Tree, at: usize, octet: u64, into: &mut Vec<u8>) -> u64 {
        if let (Some(header), Some(open)) =
            (blocks::header(octet, tree.entry(at).octets), &mut self.open)
        {
            into.extend(header);
            open.packed += blocks::HEADER;
        }
        blocks::left(octet)
    }

    fn look(&mut self, octets: &[u8]) {
        let Some(open) = &mut self.open else { return };
        open.crc.update(octets);
        open.size += octets.len() as u64;
        if self.packer.0.is_none() {
            open.packed += octets.len() as u64;
        }
    }

    fn transform(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        let before = into.len();
        if let Some(deflate) = &mut self.packer.0 {
            deflate.put(octets, into);
        }
        if let Some(open) = &mut self.open {
            open.packed += (into.len() - before) as u64;
        }
    }

    fn flush(&mut self, into: &mut Vec<u8>) {
        if let Some(deflate) = &mut self.packer.0 {
            deflate.flush(into);
        }
    }

    fn tail(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let before = into.len();
        let packing = self.packer.finish(into);
        let sums = Sums {
            crc: open.crc.finalize(),
            packed: open.packed + (into.len() - before) as u64,
            size: open.size,
        };
        let member = self.members.of(tree, at);
        records::descriptor(&member, packing, &sums, into);
        note(&mut self.written, at, Written::of(packing, &sums));
    }

    fn end(&mut self, tree: &Tree, missing: &Named, into: &mut Vec<u8>) -> Follows {
        let mut central = self.central.take().unwrap_or_default();
        if central.at == 0 && missing.count > 0 {
            let text = missing.text();
            central.note = text.len() as u64;
            let member = note_of_missing(tree, central.note);
            let written = self.packer.whole(&member, text.as_bytes(), into);
            note(&mut self.written, tree.len(), written);
        }
        let start = into.len();
        while into.len() - start < PIECE {
            let Some(written) = self.written.get(central.at) else {
                central.end(&records::comment(tree), into);
                return Follows::Nothing;
            };
            let member = match central.at < tree.len() {
                true => self.members.of(tree, central.at),
                false => note_of_missing(tree, central.note),
            };
            central.add(&member, written, into);
        }
        self.central = Some(central);
        Follows::More
    }

    fn seal(&mut self, reason: &str, room: u64, into: &mut Vec<u8>) {
        let text = incomplete(reason);
        let promised = text.len() as u64 + BEYOND;
        let member = Member {
            name: INCOMPLETE.as_bytes(),
            mode: 0o100_644,
            modified: 0,
            size: promised,
        };
        let Some(room) = room.checked_sub(records::local_length(&member, Packing::Stored)) else {
            return;
        };
        let sums = Sums {
            crc: crc32fast::hash(text.as_bytes()),
            packed: promised,
            size: promised,
        };
        records::local(&member, Packing::Stored, &sums, into);
        let most = usize::try_from(room).map_or(text.len(), |room| room.min(text.len()));
        into.extend(&text.as_bytes()[..most]);
    }
}

/// The file that says what is missing.
fn note_of_missing(tree: &Tree, octets: u64) -> Member<'static> {
    Member {
        name: MISSING.as_bytes(),
        mode: 0o100_644,
        modified: tree.latest().0,
        size: octets,
    }
}

/// Notes what was written of the entry at a place; those before it that have no note were left out.
fn note(notes: &mut Vec<Written>, at: usize, written: Written) {
    notes.resize(at, Written::default());
    notes.push(written);
}

impl Written {
    fn of(packing: Packing, sums: &Sums) -> Self {
        Self {
            packed: sums.packed,
            crc: sums.crc,
            packing: Some(packing),
        }
    }
}

impl Central {
    /// Writes what the directory says of an entry.
    fn add(&mut self, member: &Member<'_>, written: &Written, into: &mut Vec<u8>) {
        self.at += 1;
        let Some(packing) = written.packing else {
            return;
        };
        let sums = Sums {
            crc: written.crc,
            packed: written.packed,
            size: member.size,
        };
        let before = into.len();
        records::central(member, packing, &sums, self.offset, into);
        self.octets += (into.len() - before) as u64;
        self.entries += 1;
        self.offset += records::local_length(member, packing)
            + written.packed
            + records::descriptor_length(member, packing);
    }

    /// Ends the archive.
    fn end(&self, comment: &[u8], into: &mut Vec<u8>) {
        let directory = Directory {
            entries: self.entries,
            // Behind the last entry.
            offset: self.offset,
            octets: self.octets,
            comment,
        };
        directory.end(into);
    }
}

/// Packs contents: with a compressor, or as they are.
#[derive(Debug)]
struct Packer(Option<Deflate>);

impl Packer {
    /// Writes a whole member.
    fn whole(&mut self, member: &Member<'_>, octets: &[u8], into: &mut Vec<u8>) -> Written {
        let stored = Sums {
            crc: crc32fast::hash(octets),
            packed: octets.len() as u64,
            size: octets.len() as u64,
        };
        let deflate = self.0.as_mut().filter(|_| !octets.is_empty());
        if let Some(deflated) = deflate.and_then(|it| deflated(it, member, &stored, octets, into)) {
            return deflated;
        }
        records::local(member, Packing::Stored, &stored, into);
        into.extend(octets);
        Written::of(Packing::Stored, &stored)
    }

    /// Begins a member whose octets follow.
    fn begin(&mut self) -> Packing {
        match &mut self.0 {
            Some(deflate) => {
                deflate.begin();
                Packing::Deflated
            }
            None => Packing::Blocks,
        }
    }

    /// Writes what ends the octets of a member.
    fn finish(&mut self, into: &mut Vec<u8>) -> Packing {
        match &mut self.0 {
            Some(deflate) => {
                deflate.finish(into);
                Packing::Deflated
            }
            None => {
                into.extend(blocks::LAST);
                Packing::Blocks
            }
        }
    }
}

/// Writes a whole member deflated; or nothing, if it would be no smaller.
fn deflated(
    deflate: &mut Deflate,
    member: &Member<'_>,
    stored: &Sums,
    octets: &[u8],
    into: &mut Vec<u8>,
) -> Option<Written> {
    let packing = Packing::DeflatedFirst;
    let start = into.len();
    // As long as the right one, which is not known yet.
    records::local(member, packing, stored, into);
    let content = into.len();
    deflate.begin();
    deflate.put(octets, into);
    deflate.finish(into);
    let packed = (into.len() - content) as u64;
    if packed >= stored.size {
        into.truncate(start);
        return None;
    }
    let sums = Sums { packed, ..*stored };
    let mut header = Vec::with_capacity(content - start);
    records::local(member, packing, &sums, &mut header);
    into[start..content].copy_from_slice(&header);
    Some(Written::of(packing, &sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_sixteen_octets_until_the_end() {
        assert_eq!(size_of::<Written>(), 16);
    }
}
