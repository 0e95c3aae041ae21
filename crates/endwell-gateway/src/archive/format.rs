//! How an archive is written around the octets of its files.
//!
//! Reads: a tree, and octets of its files as they pass. Gives: what stands before, between and behind them.
//! Never: reads a file.

use super::tree::{Named, Tree};

/// How an archive is written around the octets of its files.
pub(super) trait Format: Send + 'static {
    /// Appends what stands before the first entry.
    fn begin(&mut self, tree: &Tree, into: &mut Vec<u8>);

    /// Appends what stands before the octets of an entry. It may be called for an entry that is
    /// left out after all: only [`Format::tail`] says that it is in.
    fn head(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>);

    /// How the content of a file stands in the archive.
    fn manner(&self, _: &Tree, _: usize) -> Manner {
        Manner::Plain
    }

    /// Of a plain entry: appends what stands before the octet `at` of its content, and gives how
    /// many octets of it follow without anything between them.
    fn stretch(&mut self, _: &Tree, _: usize, _: u64, _: &mut Vec<u8>) -> u64 {
        u64::MAX
    }

    /// Looks at octets of the entry's content, in their order.
    fn look(&mut self, octets: &[u8]);

    /// Appends an entry whose content was read first and is proven: its head, content and tail.
    fn whole(&mut self, _: &Tree, _: usize, _: &[u8], _: &mut Vec<u8>) {}

    /// Appends what octets of the entry's content become. They were looked at.
    fn transform(&mut self, _: &[u8], _: &mut Vec<u8>) {}

    /// Appends what it holds back of the content of an entry that has no tail.
    fn flush(&mut self, _: &mut Vec<u8>) {}

    /// Appends what stands behind the octets of an entry, when it is proven that they are right.
    fn tail(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>);

    /// Appends a piece of what stands behind the last entry, and says whether more of it follows.
    fn end(&mut self, tree: &Tree, missing: &Named, into: &mut Vec<u8>) -> Follows;

    /// Appends what makes every reader refuse an archive that stops between two entries, in up to
    /// so many octets, and tells why it stops.
    fn seal(&mut self, reason: &str, room: u64, into: &mut Vec<u8>);
}

/// How the content of a file stands in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it is, in one stretch or several.
    Plain,
    /// As it is or not, and all of it must be known before its head is written.
    Whole,
    /// As what [`Format::transform`] makes of it.
    Transformed,
}

/// Whether more of the same follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    More,
    Nothing,
}
