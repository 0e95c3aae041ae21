//! How long an archive will be, from the listing alone.

use super::blocks;
use super::member::{Member, Packing};
use super::records::{self, Directory};

/// Files up to this are read before anything of them is sent.
///
/// So length and CRC stand before their octets, which every reader takes; and one that fails
/// leaves nothing in the archive.
pub(super) const READ_FIRST: u64 = 64 * 1024;

/// Adds up a stored archive, entry by entry.
#[derive(Debug, Default)]
pub(super) struct Layout {
    entries: u64,
    /// Where the next entry begins; `None` beyond 16 EiB.
    at: Option<u64>,
    directory: Option<u64>,
}

impl Layout {
    pub(super) fn new() -> Self {
        Self {
            entries: 0,
            at: Some(0),
            directory: Some(0),
        }
    }

    pub(super) fn add(&mut self, member: &Member<'_>) {
        let Some(offset) = self.at else { return };
        let packing = match member.size <= READ_FIRST {
            true => Packing::Stored,
            false => Packing::Blocks,
        };
        let packed = match packing {
            Packing::Stored | Packing::DeflatedFirst | Packing::Deflated => Some(member.size),
            Packing::Blocks => blocks::length(member.size),
        };
        self.entries += 1;
        self.at = packed.and_then(|packed| {
            let central = records::central_length(member, packed, offset);
            self.directory = self.directory?.checked_add(central);
            offset
                .checked_add(records::local_length(member, packing))?
                .checked_add(packed)?
                .checked_add(records::descriptor_length(member, packing))
        });
    }

    /// All octets; `None` if that is no number.
    pub(super) fn length(&self) -> Option<u64> {
        let directory = Directory {
            entries: self.entries,
            offset: self.at?,
            octets: self.directory?,
        };
        directory
            .offset
            .checked_add(directory.octets)?
            .checked_add(directory.end_length())
    }
}
