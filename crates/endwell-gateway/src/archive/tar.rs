//! TAR: the octets around the content of entries.
//!
//! Reads: a [`Tree`]. Gives: headers in the format of ustar (POSIX.1-1988), with a pax header
//! (POSIX.1-2001) before those that it cannot hold. Never: owner, group or their names, which
//! would tell of the server's accounts; every entry belongs to 0.
//!
//! | what | how |
//! |---|---|
//! | a path of up to 100 octets, or up to 256 that a slash divides | ustar |
//! | a longer one | pax `path` |
//! | one that is UTF-8 beyond ASCII | pax `path`, and ustar as far as it fits |
//! | one that is no UTF-8 | its octets in ustar; where they do not fit pax `path` with `hdrcharset=BINARY` |
//! | what a link leads to | in the same way: up to 100 octets, else `linkpath` |
//! | a file of 8 GiB and more | pax `size`, and the binary form of GNU in ustar |
//! | a time before 1970 or after 2242 | pax `mtime` |
//! | fractions of seconds | left out, as other TAR programs do by default |

use std::str;

use super::notes::{INCOMPLETE, MISSING, incomplete, left_out};
use super::pack::{Follows, Format};
use super::tree::{Entry, Is, Named, Paths, Tree};

/// What everything in a TAR is a multiple of.
pub(super) const BLOCK: usize = 512;
/// The end of an archive: two blocks of zeros.
pub(super) const END: usize = 2 * BLOCK;
/// The largest number in eleven octal digits.
const LARGEST: u64 = 0o77_777_777_777;

/// The octets that fill the last block of so many.
pub(super) fn padding(octets: u64) -> usize {
    // Less than a block.
    (octets.wrapping_neg() % BLOCK as u64) as usize
}

/// Writes the header of an entry; gives nothing else to know.
#[derive(Debug, Default)]
pub(super) struct Headers {
    paths: Paths,
    path: Vec<u8>,
    pax: Vec<u8>,
}

impl Headers {
    /// Appends what stands before the first entry: a note of what was left out, if anything was.
    pub(super) fn begin(&mut self, tree: &Tree, into: &mut Vec<u8>) {
        if tree.skipped.count == 0 {
            return;
        }
        self.pax.clear();
        record(
            b"comment",
            left_out(&tree.skipped).as_bytes(),
            &mut self.pax,
        );
        extended(b'g', &self.pax, into);
    }

    /// Appends the header of an entry.
    pub(super) fn head(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        let entry = tree.entry(at);
        self.path.clear();
        self.paths.write(tree, at, &mut self.path);
        if entry.is == Is::Folder {
            self.path.push(b'/');
        }
        self.entry(&entry, into);
    }

    /// The length of the header of an entry.
    pub(super) fn length(&mut self, tree: &Tree, at: usize) -> usize {
        let entry = tree.entry(at);
        self.path.clear();
        self.paths.write(tree, at, &mut self.path);
        if entry.is == Is::Folder {
            self.path.push(b'/');
        }
        self.extend(&entry);
        if self.pax.is_empty() {
            return BLOCK;
        }
        2 * BLOCK + self.pax.len() + padding(self.pax.len() as u64)
    }

    fn entry(&mut self, entry: &Entry<'_>, into: &mut Vec<u8>) {
        self.extend(entry);
        if !self.pax.is_empty() {
            extended(b'x', &self.pax, into);
        }
        let mut block = [0; BLOCK];
        let (prefix, name) =
            divided(&self.path).unwrap_or_else(|| ([].as_slice(), cut(&self.path, 100)));
        put(&mut block, 0, name);
        put(&mut block, 345, prefix);
        put(&mut block, 157, cut(entry.target, 100));
        let kind = match entry.is {
            Is::File => b'0',
            Is::Link => b'2',
            Is::Folder => b'5',
        };
        fill(
            &mut block,
            kind,
            entry.mode,
            entry.octets,
            ustar_time(entry.modified.0).unwrap_or(0),
        );
        into.extend_from_slice(&block);
    }

    /// Collects the pax records that an entry needs.
    fn extend(&mut self, entry: &Entry<'_>) {
        let pax = &mut self.pax;
        pax.clear();
        let path = needs_record(&self.path, divided(&self.path).is_some());
        let target = needs_record(entry.target, entry.target.len() <= 100);
        if path == Record::Binary || target == Record::Binary {
            record(b"hdrcharset", b"BINARY", pax);
        }
        if path != Record::None {
            record(b"path", &self.path, pax);
        }
        if target != Record::None {
            record(b"linkpath", entry.target, pax);
        }
        if entry.octets > LARGEST {
            record(b"size", entry.octets.to_string().as_bytes(), pax);
        }
        if ustar_time(entry.modified.0).is_none() {
            record(b"mtime", entry.modified.0.to_string().as_bytes(), pax);
        }
    }
}

/// Appends a file that is on no disk: its header and its octets. `octets` may be more than follow.
pub(super) fn file(name: &str, octets: u64, modified: i64, text: &[u8], into: &mut Vec<u8>) {
    let mut block = [0; BLOCK];
    put(&mut block, 0, cut(name.as_bytes(), 100));
    fill(
        &mut block,
        b'0',
        0o644,
        octets,
        ustar_time(modified).unwrap_or(0),
    );
    into.extend_from_slice(&block);
    into.extend_from_slice(text);
}

/// So many octets more than follow are promised of a seal: no reader takes what is there for all.
const BEYOND: u64 = 64 * 1024;

/// Plain TAR.
#[derive(Debug, Default)]
pub(super) struct Tar {
    headers: Headers,
}

impl Format for Tar {
    fn begin(&mut self, tree: &Tree, into: &mut Vec<u8>) {
        self.headers.begin(tree, into);
    }

    fn head(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        self.headers.head(tree, at, into);
    }

    fn look(&mut self, _: &[u8]) {}

    fn tail(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        into.resize(into.len() + padding(tree.entry(at).octets), 0);
    }

    fn end(&mut self, tree: &Tree, missing: &Named, into: &mut Vec<u8>) -> Follows {
        if missing.count > 0 {
            let text = missing.text();
            let octets = text.len() as u64;
            file(MISSING, octets, tree.latest().0, text.as_bytes(), into);
            into.resize(into.len() + padding(octets), 0);
        }
        into.resize(into.len() + END, 0);
        Follows::Nothing
    }

    fn seal(&mut self, reason: &str, room: u64, into: &mut Vec<u8>) {
        let Some(room) = room.checked_sub(BLOCK as u64) else {
            return;
        };
        let text = incomplete(reason);
        // Cut where there is less room: an end of a text that is there says more than none.
        let most = usize::try_from(room).map_or(text.len(), |room| room.min(text.len()));
        let octets = text.len() as u64 + BEYOND;
        file(INCOMPLETE, octets, 0, &text.as_bytes()[..most], into);
    }
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// In ustar alone.
    None,
    /// As UTF-8, which is what pax says that it is.
    Text,
    /// As octets of no known meaning.
    Binary,
}

fn needs_record(text: &[u8], fits: bool) -> Record {
    match (text.is_ascii(), str::from_utf8(text).is_ok(), fits) {
        (true, _, true) | (false, false, true) => Record::None,
        (_, true, _) => Record::Text,
        (_, false, false) => Record::Binary,
    }
}

/// The time as ustar holds it, if it does.
fn ustar_time(seconds: i64) -> Option<u64> {
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= LARGEST)
}

/// Divides a path into prefix and name of ustar, if it fits.
fn divided(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((&[], path));
    }
    if path.len() > 256 {
        return None;
    }
    // The name has up to 100 octets and is not empty; the slash between them is in neither.
    let first = path.len() - 101;
    let last = 155.min(path.len() - 2);
    let slash = path
        .get(first..=last)?
        .iter()
        .position(|octet| *octet == b'/')?;
    let (prefix, name) = path.split_at(first + slash);
    (!prefix.is_empty()).then_some((prefix, &name[1..]))
}

fn cut(text: &[u8], most: usize) -> &[u8] {
    &text[..text.len().min(most)]
}

/// Appends a record: its own length in digits, a space, `key=value`, a line feed.
fn record(key: &[u8], value: &[u8], into: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    into.extend_from_slice(length.to_string().as_bytes());
    into.push(b' ');
    into.extend_from_slice(key);
    into.push(b'=');
    into.extend_from_slice(value);
    into.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends a pax header: for the next entry (`x`), or for all that follow (`g`).
fn extended(kind: u8, records: &[u8], into: &mut Vec<u8>) {
    let mut block = [0; BLOCK];
    put(&mut block, 0, b"././@PaxHeader");
    fill(&mut block, kind, 0o644, records.len() as u64, 0);
    into.extend_from_slice(&block);
    into.extend_from_slice(records);
    into.resize(into.len() + padding(records.len() as u64), 0);
}

fn put(block: &mut [u8; BLOCK], at: usize, octets: &[u8]) {
    block[at..at + octets.len()].copy_from_slice(octets);
}

/// Fills in what every header has, and its checksum.
fn fill(block: &mut [u8; BLOCK], kind: u8, mode: u16, octets: u64, seconds: u64) {
    octal(&mut block[100..107], mode.into());
    octal(&mut block[108..115], 0);
    octal(&mut block[116..123], 0);
    if octets <= LARGEST {
        octal(&mut block[124..135], octets);
    } else {
        // As GNU tar writes it: programs that do not know pax know this.
        block[124] = 0x80;
        block[128..136].copy_from_slice(&octets.to_be_bytes());
    }
    octal(&mut block[136..147], seconds);
    block[148..156].fill(b' ');
    block[156] = kind;
    put(block, 257, b"ustar\x0000");
    octal(&mut block[329..336], 0);
    octal(&mut block[337..344], 0);
    let sum: u32 = block.iter().map(|octet| u32::from(*octet)).sum();
    octal(&mut block[148..154], sum.into());
    block[154] = 0;
}

/// Octal digits with zeros in front.
fn octal(field: &mut [u8], mut number: u64) {
    for digit in field.iter_mut().rev() {
        // Three bits.
        *digit = b'0' + (number & 7) as u8;
        number >>= 3;
    }
}
