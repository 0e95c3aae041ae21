//! Archives of folders, as others read them.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::layout::Layout;
use super::member::Member;
use super::{Zip, length};
use crate::archive::pack::{OnError, Packer, Then};
use crate::archive::tree::Tree;
use crate::archive::walk::{Abandoned, Options, Unreadable, walk};
use crate::source::file::Growing;
use crate::source::place::Place;

const TIME: u64 = 1_700_000_001;

/// Makes a file of the year 2023.
fn file(folder: &TempDir, name: &str, mode: u32, octets: &[u8]) {
    let path = folder.path().join(name);
    fs::write(&path, octets).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
    set_time(&path, TIME);
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::open(path).expect("a file");
    file.set_modified(time).expect("a time");
}

fn listed(folder: &TempDir) -> Tree {
    let place = Place::find(folder.path(), Path::new("")).expect("a place");
    let options = Options {
        hidden: true,
        unreadable: Unreadable::Fail,
    };
    set_time(folder.path(), TIME);
    walk(&place, b"top", options, &Abandoned::default()).expect("a tree")
}

/// Packs a whole archive, in frames of so many octets.
fn packed(tree: &Arc<Tree>, level: u32, frame: usize) -> Vec<u8> {
    let (tree, zip) = (Arc::clone(tree), Zip::new(level));
    let promised = (level == 0).then(|| length(&tree).expect("a length"));
    let mut packer = Packer::whole(tree, zip, Growing::Fail, OnError::Seal, promised);
    let mut archive = Vec::new();
    loop {
        let filled = match packer.fill_cached(frame) {
            Some(filled) => filled,
            None => packer.fill(frame),
        };
        archive.extend_from_slice(&filled.octets);
        match filled.then {
            Then::More => {}
            Then::End(None) => return archive,
            Then::End(Some(cause)) | Then::Failed(cause) => panic!("{cause}"),
        }
    }
}

/// Octets that can be compressed a little, and are others at every place.
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
    let folder = tempfile::tempdir().expect("a folder");
    file(&folder, "a.txt", 0o640, b"abc");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).expect("a mode");
    let expected = [
        // Local header of the folder.
        &b"PK\x03\x04\x14\0\0\0\0\0\xaa\xb1\x6e\x57\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\x14\0top/"[..],
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        b"xl\x07\0\x05\x3f\x03\x10\0\xe8\x41",
        // Local header of the file, at octet 54.
        b"PK\x03\x04\x14\0\0\0\0\0\xaa\xb1\x6e\x57\xc2\x41\x24\x35\x03\0\0\0\x03\0\0\0\x09\0\x14\0top/a.txt",
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        b"xl\x07\0\x05\x3f\x03\0\0\xa0\x81",
        b"abc",
        // Central directory, at octet 116.
        b"PK\x01\x02\x3f\x03\x14\0\0\0\0\0\xaa\xb1\x6e\x57\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\x09\0\0\0\0\0\0\0",
        b"\x10\0\xe8\x41\0\0\0\0top/",
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        b"PK\x01\x02\x3f\x03\x14\0\0\0\0\0\xaa\xb1\x6e\x57\xc2\x41\x24\x35\x03\0\0\0\x03\0\0\0\x09\0\x09\0\0\0\0\0\0\0",
        b"\0\0\xa0\x81\x36\0\0\0top/a.txt",
        b"UT\x05\0\x01\x01\xf1\x53\x65",
        // Its end: 2 entries, 123 octets.
        b"PK\x05\x06\0\0\0\0\x02\0\x02\0\x7b\0\0\0\x74\0\0\0\0\0",
    ]
    .concat();
    let tree = Arc::new(listed(&folder));
    for frame in [1, 7, 4096] {
        assert_eq!(packed(&tree, 0, frame), expected);
    }
}

/// What Python's `zipfile` says of an archive: a line for each entry, with its CRC checked.
fn read_by_python(archive: &[u8]) -> Vec<String> {
    const SCRIPT: &str = "
import sys, io, zipfile, zlib
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
for i in z.infolist():
    d = z.read(i)
    print(ascii(i.filename), oct(i.external_attr >> 16), len(d), zlib.crc32(d))
print(ascii(z.comment))
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
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    let large = octets(300_001);
    file(&folder, "edge", 0o644, &large[..65_536]);
    file(&folder, "large", 0o600, &large);
    symlink("none", folder.path().join("link")).expect("a link");
    file(&folder, "none", 0o644, b"");
    file(&folder, "over", 0o644, &large[..65_537]);
    file(&folder, "été", 0o755, &large[..1000]);
    let expected = [
        "'top/' 0o40755 0 0".to_owned(),
        format!(
            "'top/edge' 0o100644 65536 {}",
            crc32fast::hash(&large[..65_536])
        ),
        format!("'top/large' 0o100600 300001 {}", crc32fast::hash(&large)),
        format!("'top/link' 0o120777 4 {}", crc32fast::hash(b"none")),
        "'top/none' 0o100644 0 0".to_owned(),
        format!(
            "'top/over' 0o100644 65537 {}",
            crc32fast::hash(&large[..65_537])
        ),
        format!(
            "'top/\\xe9t\\xe9' 0o100755 1000 {}",
            crc32fast::hash(&large[..1000])
        ),
        "b''".to_owned(),
    ];
    let tree = Arc::new(listed(&folder));
    let mut lengths = BTreeMap::new();
    for level in [0, 1, 6, 9] {
        let whole = packed(&tree, level, 1 << 20);
        assert_eq!(read_by_python(&whole), expected, "level {level}");
        for frame in [777, 61_440, 100_000] {
            assert!(packed(&tree, level, frame) == whole, "frames of {frame}");
        }
        lengths.insert(level, whole.len() as u64);
    }
    assert_eq!(length(&tree), Some(lengths[&0]));
    assert!(lengths[&9] < lengths[&0] && lengths[&1] < lengths[&0]);
}

#[test]
fn more_entries_than_sixteen_bits_count_are_read_by_python() {
    let folder = tempfile::tempdir().expect("a folder");
    symlink("there", folder.path().join("link")).expect("a link");
    let mut tree = listed(&folder);
    let link = tree.entries[1];
    tree.entries.resize(70_000, link);
    let tree = Arc::new(tree);
    let archive = packed(&tree, 0, 1 << 20);
    assert_eq!(length(&tree), Some(archive.len() as u64));
    let read = read_by_python(&archive);
    assert_eq!(read.len(), 70_001);
    assert!(read[69_999].starts_with("'top/link' 0o120777 5 "));
}

#[test]
fn a_comment_names_what_was_left_out_and_ends_no_archive() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tree = listed(&folder);
    // The octets that begin the end of an archive.
    tree.skipped.add(b"top/PK\x05\x06\xff".to_vec(), "a pipe");
    for at in 0..100 {
        tree.skipped
            .add(format!("{at}{}", "€".repeat(100)).into_bytes(), "a pipe");
    }
    let tree = Arc::new(tree);
    let archive = packed(&tree, 0, 100);
    assert_eq!(length(&tree), Some(archive.len() as u64));
    let read = read_by_python(&archive);
    let comment = "left out, since an archive cannot hold it (101): top/PK??";
    assert!(
        read[1].starts_with(&format!("b'{comment}")),
        "{}",
        &read[1][..80]
    );
    assert!((16_380..=16_384).contains(&(archive.len() - 54 - 59 - 22)));
}

#[test]
fn numbers_beyond_four_gibibytes_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let sparse = File::create(folder.path().join("sparse")).expect("a file");
    sparse.set_len(5 << 30).expect("a sparse file");
    let tree = listed(&folder);
    // A block every 61 440 octets and one at the end; fields of 64 bits where they are needed.
    let blocks = 5 * (87_382 + 1);
    let local = 54 + (30 + 10 + 20 + 20) + blocks + (5 << 30) + 24;
    let central = (46 + 4 + 9) + (46 + 10 + 20 + 9);
    assert_eq!(length(&tree), Some(local + central + 98));
}

#[test]
fn lengths_that_no_reader_takes_are_none() {
    let sparse = Member {
        name: b"sparse",
        mode: 0o100_644,
        modified: 0,
        size: 1 << 61,
    };
    let mut layout = Layout::default();
    assert_eq!(layout.add(&sparse), Some(()));
    assert_eq!(layout.add(&sparse), None);
    let longest = Member {
        size: u64::MAX,
        ..sparse
    };
    assert_eq!(Layout::default().add(&longest), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_archive_is_as_long_as_its_listing_promises(
        sizes in prop::collection::vec(prop_oneof![0usize..100, 65_000usize..200_000], 0..6),
        names in prop::collection::hash_set("[a-zé]{1,40}", 6),
        time in 0u64..10_000_000_000,
        frame in 1usize..100_000,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let content = octets(200_000);
        for (name, size) in names.iter().zip(&sizes) {
            file(&folder, name, 0o644, &content[..*size]);
            set_time(&folder.path().join(name), time);
        }
        let tree = Arc::new(listed(&folder));
        let archive = packed(&tree, 0, frame.max(100));
        prop_assert_eq!(length(&tree), Some(archive.len() as u64));
    }
}
