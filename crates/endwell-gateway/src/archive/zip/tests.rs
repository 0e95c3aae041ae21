//! What is written, read by others.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::layout::{Layout, READ_FIRST};
use super::member::Member;
use super::writer::Writer;

const TIME: i64 = 1_700_000_001;

fn member(name: &str, mode: u32, size: usize) -> Member<'_> {
    Member {
        name: name.as_bytes(),
        mode,
        modified: TIME,
        size: size as u64,
    }
}

/// Writes an archive, a large file in pieces of so many octets.
fn archive(level: u32, members: &[(Member<'_>, &[u8])], piece: usize) -> Vec<u8> {
    let mut writer = Writer::new(level);
    let mut out = Vec::new();
    for (member, octets) in members {
        if Writer::reads_first(member) {
            writer.whole(member, octets, &mut out);
        } else {
            writer.begin(member, &mut out);
            for octets in octets.chunks(piece) {
                writer.put(octets, &mut out);
            }
            writer.finish(member, &mut out);
        }
        assert_eq!(writer.at(), out.len() as u64);
    }
    let mut central = writer.directory();
    for (member, _) in members {
        central.add(member, &mut out);
    }
    central.end(&mut out);
    out
}

fn layout(members: &[(Member<'_>, &[u8])]) -> Option<u64> {
    let mut layout = Layout::new();
    for (member, _) in members {
        layout.add(member);
    }
    layout.length()
}

/// Octets that do not compress well, and are others at every place.
fn octets(size: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 & 0x3f
    };
    (0..size).map(next).collect()
}

#[test]
fn a_small_archive_has_the_octets_of_the_specification() {
    let members = [(member("a.txt", 0o100_640, 3), &b"abc"[..])];
    let expected = [
        // Local header.
        &b"PK\x03\x04\x14\0\0\0\0\0\xaa\xb1\x6e\x57\xc2\x41\x24\x35\x03\0\0\0\x03\0\0\0\x05\0\x14\0a.txt"[..],
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        b"xl\x07\0\x05\x3f\x03\0\0\xa0\x81",
        b"abc",
        // Central directory.
        b"PK\x01\x02\x3f\x03\x14\0\0\0\0\0\xaa\xb1\x6e\x57\xc2\x41\x24\x35\x03\0\0\0\x03\0\0\0\x05\0\x09\0\0\0\0\0\0\0",
        b"\0\0\xa0\x81\0\0\0\0a.txt",
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x3c\0\0\0\x3a\0\0\0\0\0",
    ]
    .concat();
    assert_eq!(archive(0, &members, 1), expected);
}

/// What Python's `zipfile` says of an archive: a line for each entry, with its CRC checked.
fn read_by_python(archive: &[u8]) -> Vec<String> {
    const SCRIPT: &str = "
import sys, io, zipfile, zlib
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
for i in z.infolist():
    d = z.read(i)
    print(ascii(i.filename), oct(i.external_attr >> 16), len(d), zlib.crc32(d))
";
    let python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = python.expect("Python, which the tests need");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(archive).expect("a reader");
    drop(stdin);
    let output = python.wait_with_output().expect("an end");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_packing_is_read_by_python() {
    let large = octets(300_001);
    let (edge, small) = (&large[..READ_FIRST as usize], &large[..1000]);
    let members = [
        (member("top/", 0o040_755, 0), &b""[..]),
        (member("top/none", 0o100_644, 0), b""),
        (member("top/large", 0o100_600, large.len()), &large),
        (member("top/été", 0o100_755, small.len()), small),
        (member("top/edge", 0o100_644, edge.len()), edge),
        (
            member("top/over", 0o100_644, edge.len() + 1),
            &large[..edge.len() + 1],
        ),
        (member("top/link", 0o120_777, 4), b"none"),
    ];
    let expected: Vec<_> = members
        .iter()
        .map(|(member, octets)| {
            let name = std::str::from_utf8(member.name).expect("text");
            let name = name.replace('é', "\\xe9");
            let (mode, size) = (member.mode, octets.len());
            format!("'{name}' 0o{mode:o} {size} {}", crc32fast::hash(octets))
        })
        .collect();
    let mut lengths = Vec::new();
    for level in [0, 1, 6, 9] {
        for piece in [777, 61_440, 100_000] {
            let archive = archive(level, &members, piece);
            assert_eq!(read_by_python(&archive), expected, "level {level}");
            lengths.push((level, archive.len() as u64));
        }
    }
    let stored = lengths.iter().filter(|(level, _)| *level == 0);
    assert!(stored.clone().count() == 3);
    for (_, length) in stored {
        assert_eq!(Some(*length), layout(&members));
    }
    assert!(lengths[3].1 < lengths[0].1, "deflated is smaller");
}

#[test]
fn more_entries_than_sixteen_bits_count_are_read_by_python() {
    let names: Vec<_> = (0..70_000).map(|at| format!("{at}")).collect();
    let members = names
        .iter()
        .map(|name| (member(name, 0o100_644, 1), &b"x"[..]));
    let members: Vec<_> = members.collect();
    let archive = archive(0, &members, 1);
    assert_eq!(layout(&members), Some(archive.len() as u64));
    let read = read_by_python(&archive);
    assert_eq!(read.len(), 70_000);
    assert!(read[69_999].starts_with("'69999' "));
}

#[test]
fn lengths_beyond_what_can_be_counted_are_none() {
    let mut layout = Layout::new();
    layout.add(&Member {
        size: 1 << 63,
        ..member("a", 0o100_644, 0)
    });
    assert!(layout.length().is_some());
    layout.add(&Member {
        size: 1 << 63,
        ..member("b", 0o100_644, 0)
    });
    layout.add(&member("c", 0o100_644, 0));
    assert_eq!(layout.length(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_layout_is_as_long_as_what_is_written(
        members in prop::collection::vec(
            ("[a-zé/]{1,40}", 0u32..0o200_000, any::<i64>(), prop_oneof![0usize..100, 65_000usize..200_000]),
            0..8,
        ),
        piece in 1usize..100_000,
    ) {
        let content = octets(200_000);
        let members: Vec<_> = members
            .iter()
            .map(|(name, mode, modified, size)| {
                let mut member = member(name, *mode, *size);
                member.modified = *modified;
                (member, &content[..*size])
            })
            .collect();
        let archive = archive(0, &members, piece);
        prop_assert_eq!(layout(&members), Some(archive.len() as u64));
    }
}

#[test]
#[ignore = "writes files to look at by hand"]
fn files_to_look_at() {
    let large = octets(300_001);
    let folder = std::env::var("ENDWELL_DESK").expect("a folder");
    let names: Vec<_> = (0..70_000).map(|at| format!("many/{at}")).collect();
    let many = names
        .iter()
        .map(|name| (member(name, 0o100_644, 1), &b"x"[..]));
    let many: Vec<_> = many.collect();
    let members = [
        (member("top/", 0o040_755, 0), &b""[..]),
        (member("top/none", 0o100_444, 0), b""),
        (member("top/large", 0o100_600, large.len()), &large),
        (member("top/été", 0o100_755, 1000), &large[..1000]),
        (member("top/over", 0o100_644, 70_000), &large[..70_000]),
        (member("top/link", 0o120_777, 4), b"none"),
        (
            Member {
                modified: 4_102_444_800,
                ..member("top/late", 0o100_644, 4)
            },
            b"late",
        ),
        (
            Member {
                modified: -86_400,
                ..member("top/early", 0o100_644, 5)
            },
            b"early",
        ),
        (member("top/sub/", 0o040_700, 0), b""),
    ];
    for level in [0, 1, 6, 9] {
        let path = format!("{folder}/r{level}.zip");
        std::fs::write(path, archive(level, &members, 10_000)).expect("written");
        let path = format!("{folder}/many{level}.zip");
        std::fs::write(path, archive(level, &many, 10_000)).expect("written");
    }
}
