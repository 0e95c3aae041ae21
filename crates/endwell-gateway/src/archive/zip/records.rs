//! The records of a ZIP file: before an entry, behind it, and at the end.
//!
//! Gives: octets, and how many they are before they are written. The sections are those of the
//! format's specification, APPNOTE 6.3.10.

use super::member::{LARGE, Member, Packing, Sums};
use super::octets::{put16, put32, put64};
use super::time;
use crate::archive::notes;
use crate::archive::tree::Tree;

/// What begins a local header.
pub(super) const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LARGE_END: u32 = 0x0606_4b50;
const LOCATOR: u32 = 0x0706_4b50;

/// Made on Unix, by version 6.3 of the specification.
const MADE_BY: u16 = 0x033f;
/// Folders and deflated files, section 4.4.3.
const NEEDS: u16 = 20;
/// Fields of 64 bits.
const NEEDS_LARGE: u16 = 45;

/// Length and CRC stand behind the octets.
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;

/// The extra field of sizes and offsets of 64 bits, section 4.5.3.
const LARGE_FIELD: u16 = 0x0001;
/// The extra field by which libarchive tells the mode also to who reads as it goes; all other
/// readers find modes and links in the central directory alone.
const MODE_FIELD: u16 = 0x6c78;
/// Octets of that field.
const MODE_FIELD_LENGTH: u64 = 4 + 7;

/// Octets of a local header.
pub(super) fn local_length(member: &Member<'_>, packing: Packing) -> u64 {
    let large = match packing.is_large(member.size) {
        true => 4 + 16,
        false => 0,
    };
    30 + member.name.len() as u64 + large + time::length(member.modified) + MODE_FIELD_LENGTH
}

/// Writes what stands before the octets of an entry (section 4.3.7). `sums` counts only where
/// the packing has them there.
pub(super) fn local(member: &Member<'_>, packing: Packing, sums: &Sums, out: &mut Vec<u8>) {
    let is_large = packing.is_large(member.size);
    put32(LOCAL, out);
    put16(if is_large { NEEDS_LARGE } else { NEEDS }, out);
    put_common(member, packing, out);
    let behind = packing.has_descriptor();
    let known = if behind { Sums::default() } else { *sums };
    put32(known.crc, out);
    if is_large {
        put32(u32::MAX, out);
        put32(u32::MAX, out);
    } else {
        put32(field(known.packed), out);
        put32(field(known.size), out);
    }
    put16(short(member.name.len()), out);
    let fixed = 30 + member.name.len() as u64;
    put16(short((local_length(member, packing) - fixed) as usize), out);
    out.extend(member.name);
    if is_large {
        put16(LARGE_FIELD, out);
        put16(16, out);
        put64(0, out);
        put64(0, out);
    }
    time::put(member.modified, out);
    put16(MODE_FIELD, out);
    put16(7, out);
    // "Made by" and the attributes follow.
    out.push(0b101);
    put16(MADE_BY, out);
    put32(attributes(member), out);
}

/// Octets of a data descriptor.
pub(super) fn descriptor_length(member: &Member<'_>, packing: Packing) -> u64 {
    match (packing.has_descriptor(), packing.is_large(member.size)) {
        (false, _) => 0,
        (true, false) => 16,
        (true, true) => 24,
    }
}

/// Writes what stands behind the octets of an entry, section 4.3.9.
pub(super) fn descriptor(member: &Member<'_>, packing: Packing, sums: &Sums, out: &mut Vec<u8>) {
    put32(DESCRIPTOR, out);
    put32(sums.crc, out);
    if packing.is_large(member.size) {
        put64(sums.packed, out);
        put64(sums.size, out);
    } else {
        put32(field(sums.packed), out);
        put32(field(sums.size), out);
    }
}

/// Octets of an entry of the central directory.
pub(super) fn central_length(member: &Member<'_>, packed: u64, offset: u64) -> u64 {
    let extra = large_length([member.size, packed, offset]) + time::length(member.modified);
    46 + member.name.len() as u64 + extra
}

/// Writes an entry of the central directory, section 4.3.12.
pub(super) fn central(
    member: &Member<'_>,
    packing: Packing,
    sums: &Sums,
    offset: u64,
    out: &mut Vec<u8>,
) {
    let is_large = packing.is_large(member.size) || offset >= LARGE;
    put32(CENTRAL, out);
    put16(MADE_BY, out);
    put16(if is_large { NEEDS_LARGE } else { NEEDS }, out);
    put_common(member, packing, out);
    put32(sums.crc, out);
    put32(field(sums.packed), out);
    put32(field(sums.size), out);
    put16(short(member.name.len()), out);
    let large = [sums.size, sums.packed, offset];
    let extra = large_length(large) + time::length(member.modified);
    put16(short(extra as usize), out);
    // No comment, the first disk, not known to be text.
    put16(0, out);
    put16(0, out);
    put16(0, out);
    put32(attributes(member), out);
    put32(field(offset), out);
    out.extend(member.name);
    if large_length(large) > 0 {
        put16(LARGE_FIELD, out);
        put16(short(large_length(large) as usize - 4), out);
        for number in large.into_iter().filter(|number| *number >= LARGE) {
            put64(number, out);
        }
    }
    time::put(member.modified, out);
}

/// Where the central directory is, and of how many entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    pub(super) entries: u64,
    pub(super) offset: u64,
    pub(super) octets: u64,
    /// Of the archive.
    pub(super) comment: &'a [u8],
}

impl Directory<'_> {
    fn is_large(&self) -> bool {
        self.entries >= u64::from(u16::MAX) || self.octets >= LARGE || self.offset >= LARGE
    }

    /// Octets of [`Directory::end`].
    pub(super) fn end_length(&self) -> u64 {
        let fixed = if self.is_large() { 56 + 20 + 22 } else { 22 };
        fixed + self.comment.len() as u64
    }

    /// Writes what ends the file, sections 4.3.14 to 4.3.16.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        if self.is_large() {
            put32(LARGE_END, out);
            put64(44, out);
            put16(MADE_BY, out);
            put16(NEEDS_LARGE, out);
            put32(0, out);
            put32(0, out);
            put64(self.entries, out);
            put64(self.entries, out);
            put64(self.octets, out);
            put64(self.offset, out);
            put32(LOCATOR, out);
            put32(0, out);
            put64(self.offset + self.octets, out);
            put32(1, out);
        }
        put32(END, out);
        put16(0, out);
        put16(0, out);
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        put16(entries, out);
        put16(entries, out);
        put32(field(self.octets), out);
        put32(field(self.offset), out);
        put16(short(self.comment.len()), out);
        out.extend(self.comment);
    }
}

/// The comment of an archive names what is not in it because no archive can hold it.
///
/// Names in it are made harmless: the octets that end an archive are searched for from behind, and
/// nobody shall plant them there.
pub(super) fn comment(tree: &Tree) -> Vec<u8> {
    /// As much as the smallest reader keeps, and more than a person reads.
    const MOST: usize = 16 * 1024;
    if tree.skipped.count == 0 {
        return Vec::new();
    }
    let text = notes::left_out(&tree.skipped);
    let mut comment = String::new();
    for c in text.chars() {
        if comment.len() + c.len_utf8() > MOST {
            break;
        }
        comment.push(if c.is_control() { '?' } else { c });
    }
    comment.into_bytes()
}

/// What local header and central directory have in common.
fn put_common(member: &Member<'_>, packing: Packing, out: &mut Vec<u8>) {
    let mut flags = 0;
    if packing.has_descriptor() {
        flags |= HAS_DESCRIPTOR;
    }
    // A name that is not UTF-8 goes out as it is: Unix readers give the same octets back.
    if !member.name.is_ascii() && std::str::from_utf8(member.name).is_ok() {
        flags |= UTF8;
    }
    put16(flags, out);
    put16(packing.method(), out);
    let (time, date) = time::of_header(member.modified);
    put16(time, out);
    put16(date, out);
}

/// The mode, and for readers that know only those of DOS: folder, and read-only.
fn attributes(member: &Member<'_>) -> u32 {
    let mut attributes = member.mode << 16;
    if member.is_folder() {
        attributes |= 1 << 4;
    }
    if member.mode & 0o222 == 0 {
        attributes |= 1;
    }
    attributes
}

/// Octets of the extra field that holds those numbers that are too large elsewhere.
fn large_length(numbers: [u64; 3]) -> u64 {
    match numbers.iter().filter(|number| **number >= LARGE).count() {
        0 => 0,
        count => 4 + 8 * count as u64,
    }
}

/// A number in a field of 32 bits; all ones say that it stands in the extra field.
fn field(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A length in a field of 16 bits, which is large enough for all that is put there.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
