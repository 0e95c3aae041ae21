//! How long a stored archive will be, from the listing alone.

use super::blocks;
use super::member::{Member, Members, Packing};
use super::records::{self, Directory};
use crate::archive::tree::Tree;

/// Files up to this are read before anything of them is sent.
///
/// So length and CRC stand before their octets, which every reader takes; and one that fails
/// leaves nothing in the archive.
pub(super) const READ_FIRST: u64 = 64 * 1024;

/// A length beyond this has no reader, and nothing is added to it that could overflow.
const LONGEST: u64 = 1 << 62;

/// The octets of the archive of a tree of which nothing is compressed or left out; `None` if it
/// would be absurdly long (sparse files can be).
pub(in crate::archive) fn length(tree: &Tree) -> Option<u64> {
    let mut members = Members::default();
    let mut layout = Layout::default();
    for at in 0..tree.len() {
        layout.add(&members.of(tree, at))?;
    }
    Some(layout.length(&records::comment(tree)))
}

/// Adds up a stored archive, entry by entry.
#[derive(Debug, Default)]
pub(super) struct Layout {
    entries: u64,
    /// Where the next entry begins.
    at: u64,
    directory: u64,
}

impl Layout {
    /// Adds an entry; `None` if the archive would be too long with it.
    pub(super) fn add(&mut self, member: &Member<'_>) -> Option<()> {
        let (packing, packed) = match member.size <= READ_FIRST {
            true => (Packing::Stored, member.size),
            false => (Packing::Blocks, blocks::length(member.size)?),
        };
        self.entries += 1;
        self.directory += records::central_length(member, packed, self.at);
        self.at += records::local_length(member, packing);
        self.at += records::descriptor_length(member, packing);
        self.at = self.at.checked_add(packed)?;
        (self.at <= LONGEST).then_some(())
    }

    pub(super) fn length(&self, comment: &[u8]) -> u64 {
        let directory = Directory {
            entries: self.entries,
            offset: self.at,
            octets: self.directory,
            comment,
        };
        directory.offset + directory.octets + directory.end_length()
    }
}
