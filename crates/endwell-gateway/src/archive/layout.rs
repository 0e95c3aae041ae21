//! Where each entry stands in the TAR of a tree.
//!
//! Reads: a [`Tree`]. Gives: the length of its archive, the entry that holds any octet of it, and a
//! hash that only another archive has otherwise. Never: reads a file.

use sha2::{Digest, Sha256};

use super::tar::{END, Headers, padding};
use super::tree::{Is, Tree};

/// The place of one entry in so many is kept: the others are counted from there.
const STEP: usize = 64;

/// A length beyond this has no reader, and nothing is added to it that could overflow.
const LONGEST: u64 = 1 << 62;

/// The layout of a TAR.
#[derive(Debug)]
pub(super) struct Layout {
    /// The octets before the first entry.
    begin: u64,
    /// Where each `STEP`th entry begins.
    starts: Vec<u64>,
    length: u64,
}

/// Where an octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Before the first entry.
    Before,
    /// In an entry, or in what fills its last block; the octet at which the entry begins.
    In(usize, u64),
    /// Behind the last entry, which ends at this octet.
    Behind(u64),
}

impl Layout {
    /// Lays out the archive; `None` if it would be absurdly long (sparse files can be).
    pub(super) fn of(tree: &Tree) -> Option<Self> {
        let mut headers = Headers::default();
        let mut begin = Vec::new();
        headers.begin(tree, &mut begin);
        let begin = begin.len() as u64;
        let mut starts = Vec::with_capacity(tree.len().div_ceil(STEP));
        let mut at = begin;
        for entry in 0..tree.len() {
            if entry % STEP == 0 {
                starts.push(at);
            }
            at += length_of(tree, &mut headers, entry);
            if at > LONGEST {
                return None;
            }
        }
        Some(Self {
            begin,
            starts,
            length: at + END as u64,
        })
    }

    /// The length of the archive in octets.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where an octet stands.
    pub(super) fn find(&self, tree: &Tree, octet: u64) -> Stands {
        if octet < self.begin {
            return Stands::Before;
        }
        let step = self.starts.partition_point(|start| *start <= octet);
        let step = step.saturating_sub(1);
        let mut headers = Headers::default();
        let mut start = self.starts.get(step).copied().unwrap_or(self.begin);
        for entry in step * STEP..tree.len() {
            let end = start + length_of(tree, &mut headers, entry);
            if octet < end {
                return Stands::In(entry, start);
            }
            start = end;
        }
        Stands::Behind(start)
    }

    pub(super) fn weight(&self) -> usize {
        self.starts.capacity() * size_of::<u64>()
    }
}

/// The octets of an entry: header, content, and what fills its last block.
fn length_of(tree: &Tree, headers: &mut Headers, at: usize) -> u64 {
    let octets = tree.entry(at).octets;
    let header = headers.length(tree, at) as u64;
    header
        .saturating_add(octets)
        .saturating_add(padding(octets) as u64)
}

/// A hash of all that the headers of any archive of a tree are made of, and of the fractions of
/// its times: a file that is written anew within the same second is another one.
pub(super) fn hash(tree: &Tree) -> String {
    /// Another one for every change of what an archive looks like.
    const VERSION: u8 = 1;
    let mut hasher = Sha256::new();
    hasher.update([VERSION]);
    let mut facts = Vec::with_capacity(16 * 1024);
    for at in 0..tree.len() {
        let entry = tree.entry(at);
        facts.push(match entry.is {
            Is::Folder => b'd',
            Is::File => b'f',
            Is::Link => b'l',
        });
        facts.extend((tree.parent(at) as u64).to_le_bytes());
        facts.extend(entry.mode.to_le_bytes());
        facts.extend(entry.octets.to_le_bytes());
        facts.extend(entry.modified.0.to_le_bytes());
        facts.extend(entry.modified.1.to_le_bytes());
        for text in [entry.name, entry.target] {
            facts.extend((text.len() as u64).to_le_bytes());
            facts.extend_from_slice(text);
        }
        if facts.len() > 15 * 1024 {
            hasher.update(&facts);
            facts.clear();
        }
    }
    hasher.update(&facts);
    for (path, why) in &tree.skipped.first {
        hasher.update((path.len() as u64).to_le_bytes());
        hasher.update(path);
        hasher.update(why);
    }
    hasher.update((tree.skipped.count as u64).to_le_bytes());
    let hash = hasher.finalize();
    hash.iter()
        .take(16)
        .map(|octet| format!("{octet:02x}"))
        .collect()
}
