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

use super::format::{Follows, Format};
use super::notes::{INCOMPLETE, MISSING, incomplete, left_out};
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

/// So many octets more than can follow are promised of a seal: no reader takes what is there for all.
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
        // Also more than what is left of a promised length: a client that asks for the rest after all
        // appends what would have stood here, and no reader may find another entry or an end in it.
        let left = if room > i64::MAX as u64 { 0 } else { room };
        let octets = left.max(text.len() as u64) + BEYOND;
        file(INCOMPLETE, octets, 0, &text.as_bytes()[..most], into);
        // GNU tar writes nothing of a block that is not whole.
        let rest = usize::try_from(room).map_or(0, |room| room - most);
        let rest = rest.min(padding(most as u64));
        into.resize(into.len() + rest, b' ');
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The header of a file with this path, as it would be written for an entry of a tree.
    fn header(path: &[u8], is: Is, target: &[u8], octets: u64, seconds: i64) -> Vec<u8> {
        let mut headers = Headers {
            path: path.to_vec(),
            ..Headers::default()
        };
        let entry = Entry {
            name: path,
            is,
            mode: 0o640,
            octets,
            modified: (seconds, 999_999_999),
            target,
        };
        let mut header = Vec::new();
        headers.entry(&entry, &mut header);
        header
    }

    fn file(path: &[u8]) -> Vec<u8> {
        header(path, Is::File, b"", 5, 1_700_000_000)
    }

    fn text(header: &[u8], field: std::ops::Range<usize>) -> String {
        let field = &header[field];
        let end = field.iter().position(|octet| *octet == 0);
        String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
    }

    #[test]
    fn a_header_is_that_of_posix() {
        let header = file(b"top/file");
        assert_eq!(header.len(), 512);
        assert_eq!(text(&header, 0..100), "top/file");
        assert_eq!(text(&header, 100..108), "0000640");
        assert_eq!(text(&header, 108..116), "0000000");
        assert_eq!(text(&header, 124..136), "00000000005");
        assert_eq!(text(&header, 136..148), "14524770400");
        assert_eq!(&header[257..265], b"ustar\x0000");
        assert_eq!(header[156], b'0');
        let sum: u32 = header
            .iter()
            .enumerate()
            .map(|(at, octet)| {
                u32::from(if (148..156).contains(&at) {
                    b' '
                } else {
                    *octet
                })
            })
            .sum();
        assert_eq!(text(&header, 148..156), format!("{sum:06o}"));
    }

    #[test]
    fn paths_that_a_slash_divides_need_no_more() {
        let path = |prefix: usize, name: usize| {
            [vec![b'p'; prefix], vec![b'/'], vec![b'n'; name]].concat()
        };
        for (prefix, name, blocks) in [
            (10, 89, 1),
            (1, 100, 1),
            (155, 100, 1),
            (155, 1, 1),
            (100, 101, 3),
            (156, 99, 3),
            (156, 100, 3),
        ] {
            let header = file(&path(prefix, name));
            assert_eq!(header.len(), blocks * 512, "{prefix}/{name}");
        }
        let header = file(&path(155, 100));
        assert_eq!(text(&header, 345..500), "p".repeat(155));
        assert_eq!(text(&header, 0..100), "n".repeat(100));
        assert_eq!(file(&[b'n'; 101]).len(), 3 * 512);
        // The slash behind a folder divides nothing.
        let folder = [vec![b'n'; 101], vec![b'/']].concat();
        assert_eq!(header_of_folder(&folder).len(), 3 * 512);
    }

    fn header_of_folder(path: &[u8]) -> Vec<u8> {
        header(path, Is::Folder, b"", 0, 0)
    }

    #[test]
    fn what_ustar_cannot_hold_stands_in_records() {
        let records = |header: &[u8]| {
            assert_eq!((header[156], header.len() > 1024), (b'x', true));
            text(header, 512..1024)
        };
        assert_eq!(records(&file("é".as_bytes())), "11 path=é\n");
        let long = header(b"l", Is::Link, &[b't'; 101], 0, 0);
        assert_eq!(
            records(&long),
            format!("115 linkpath={}\n", "t".repeat(101))
        );
        let binary = file(&[0xff; 101]);
        assert!(binary[512..].starts_with(b"21 hdrcharset=BINARY\n111 path=\xff\xff"));
        assert_eq!(file(b"caf\xe9").len(), 512);
        let large = header(b"f", Is::File, b"", 1 << 33, 0);
        assert_eq!(records(&large), "19 size=8589934592\n");
        assert_eq!(
            large[1024 + 124..1024 + 136],
            [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]
        );
        assert_eq!(header(b"f", Is::File, b"", (1 << 33) - 1, 0).len(), 512);
        assert_eq!(
            records(&header(b"f", Is::File, b"", 0, -5)),
            "12 mtime=-5\n"
        );
    }

    #[test]
    fn a_seal_promises_more_than_follows() {
        for room in [0, 511, 512, 513, 600, 10_000] {
            let mut seal = Vec::new();
            Tar::default().seal("top/file has gone", room, &mut seal);
            assert!(seal.len() as u64 <= room, "{room}");
            assert_eq!(seal.is_empty(), room < 512, "{room}");
            if room >= 512 {
                assert_eq!(text(&seal, 0..100), "ENDWELL-INCOMPLETE.txt");
                let octets = u64::from_str_radix(&text(&seal, 124..136), 8).expect("octal");
                assert!(octets > seal.len() as u64 + 60_000);
            }
            if room == 10_000 {
                assert!(text(&seal, 512..seal.len()).contains("top/file has gone."));
                assert_eq!(seal.len() % 512, 0, "a block that is not whole is lost");
            }
        }
    }

    proptest! {
        /// A record says how long it is, its own digits among it.
        #[test]
        fn records_tell_their_length(length in 0_usize..12_000) {
            let mut written = Vec::new();
            record(b"path", &vec![b'x'; length], &mut written);
            let digits = written.split(|octet| *octet == b' ').next().expect("digits");
            let told: usize = std::str::from_utf8(digits).expect("text").parse().expect("a number");
            prop_assert_eq!(told, written.len());
        }
    }
}
