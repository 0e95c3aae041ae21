//! What the format needs to know of an entry, and how its octets are packed.

use super::{blocks, deflate};
use crate::archive::tree::{Is, Paths, Tree};

/// Sizes and offsets from here on stand in fields of 64 bits (zip64).
pub(super) const LARGE: u64 = u32::MAX as u64;

/// What the format needs to know of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// At most 65 535 octets; a folder's ends with a slash.
    pub(super) name: &'a [u8],
    /// With the bits that tell file, folder and link apart.
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: i64,
    /// Octets of a file or of a link's target; none of a folder.
    pub(super) size: u64,
}

impl Member<'_> {
    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }
}

/// Makes members of a tree's entries.
#[derive(Debug, Default)]
pub(super) struct Members {
    paths: Paths,
    name: Vec<u8>,
}

impl Members {
    /// The member of the entry at a place.
    pub(super) fn of(&mut self, tree: &Tree, at: usize) -> Member<'_> {
        let entry = tree.entry(at);
        self.name.clear();
        self.paths.write(tree, at, &mut self.name);
        let (kind, size) = match entry.is {
            Is::Folder => (0o040_000, 0),
            Is::File => (0o100_000, entry.octets),
            Is::Link => (0o120_000, entry.target.len() as u64),
        };
        // Windows and most readers know a folder by its slash alone.
        if entry.is == Is::Folder {
            self.name.push(b'/');
        }
        // Links have no permissions of their own; Linux and most readers show all of them.
        let mode = match entry.is {
            Is::Link => 0o777,
            Is::Folder | Is::File => entry.mode,
        };
        Member {
            name: &self.name,
            mode: kind | u32::from(mode),
            modified: entry.modified.0,
            size,
        }
    }
}

/// How the octets of an entry are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are. They were all read first, so that what stands before them holds their length
    /// and CRC: every reader can take that.
    Stored,
    /// Deflated, and all read first.
    DeflatedFirst,
    /// In stored blocks ([`blocks`]); length and CRC stand behind.
    Blocks,
    /// Deflated as they go; length and CRC stand behind.
    Deflated,
}

impl Packing {
    pub(super) fn method(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::DeflatedFirst | Self::Blocks | Self::Deflated => 8,
        }
    }

    /// Whether length and CRC stand behind the octets, in a data descriptor.
    pub(super) fn has_descriptor(self) -> bool {
        match self {
            Self::Stored | Self::DeflatedFirst => false,
            Self::Blocks | Self::Deflated => true,
        }
    }

    /// Whether the descriptor of a file of this size has fields of 64 bits.
    ///
    /// That must be said before the octets. Readers that go by the size they found
    /// (`java.util.zip.ZipInputStream`) agree, unless the file is just below 4 GiB and deflated.
    pub(super) fn is_large(self, size: u64) -> bool {
        let packed = match self {
            Self::Stored | Self::DeflatedFirst => return false,
            Self::Blocks => blocks::length(size),
            Self::Deflated => deflate::most(size),
        };
        packed.is_none_or(|packed| packed >= LARGE)
    }
}

/// What is known of an entry's octets when they are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) crc: u32,
    /// Octets as they are packed.
    pub(super) packed: u64,
    pub(super) size: u64,
}
