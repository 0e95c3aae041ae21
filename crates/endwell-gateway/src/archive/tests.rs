//! A tree as TAR, packed in frames: parts of it, and what becomes of it when the tree changes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::layout::{Layout, Stands};
use super::pack::{From, OnError, Packer, Then};
use super::tar::Tar;
use super::tree::Tree;
use super::walk::{Abandoned, Options, Unreadable, walk};
use crate::source::file::Growing;
use crate::source::place::Place;

fn tree(folder: &TempDir) -> Arc<Tree> {
    let place = Place::find(folder.path(), Path::new("")).expect("a place");
    let options = Options {
        hidden: true,
        unreadable: Unreadable::Fail,
    };
    Arc::new(walk(&place, b"top", options, &Abandoned::default()).expect("a tree"))
}

/// A tree of files of these sizes, some of them in folders with long names.
fn folder(sizes: &[(u8, usize)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (at, (depth, octets)) in sizes.iter().enumerate() {
        let mut path = folder.path().to_owned();
        for level in 0..depth % 4 {
            path.push(format!("{level}").repeat(usize::from(*depth)));
        }
        fs::create_dir_all(&path).expect("a folder");
        let content: Vec<u8> = (0..*octets).map(|octet| (octet % 251) as u8).collect();
        fs::write(path.join(format!("f{at}")), content).expect("a file");
    }
    folder
}

fn drained(mut packer: Packer<Tar>, most: usize) -> (Vec<u8>, Then) {
    let mut octets = Vec::new();
    loop {
        let filled = packer
            .fill_cached(most)
            .unwrap_or_else(|| packer.fill(most));
        assert!(filled.octets.len() <= most || !matches!(filled.then, Then::More));
        octets.extend_from_slice(&filled.octets);
        if !matches!(filled.then, Then::More) {
            return (octets, filled.then);
        }
    }
}

fn whole(tree: &Arc<Tree>, most: usize) -> Vec<u8> {
    let length = Layout::of(tree).expect("a layout").length();
    let tree = Arc::clone(tree);
    let packer = Packer::whole(
        tree,
        Tar::default(),
        Growing::Fail,
        OnError::Seal,
        Some(length),
    );
    let (octets, then) = drained(packer, most);
    assert!(matches!(then, Then::End(None)), "{then:?}");
    octets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The layout is that of the octets, in frames of any size, and any part is the slice.
    #[test]
    fn every_part_is_the_slice_of_the_whole(
        sizes in proptest::collection::vec((0_u8..80, prop_oneof![Just(0_usize), 1_usize..2000, 500_usize..514, 20_000_usize..40_000]), 0..12),
        most in 1_usize..9000,
        cuts in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 12),
    ) {
        let folder = folder(&sizes);
        let tree = tree(&folder);
        let layout = Layout::of(&tree).expect("a layout");
        let expected = whole(&tree, 256 * 1024);
        prop_assert_eq!(expected.len() as u64, layout.length());
        prop_assert!(whole(&tree, most) == expected);
        for (start, length) in cuts {
            let start = (start * expected.len() as f64) as u64;
            let length = (1.0 + length * (expected.len() as u64 - start - 1) as f64) as u64;
            let (from, begin) = match layout.find(&tree, start) {
                Stands::Before => (From::Begin, 0),
                Stands::In(entry, begin) => (From::Entry(entry), begin),
                Stands::Behind(begin) => (From::End, begin),
            };
            let packer = Packer::part(
                Arc::clone(&tree), Tar::default(), Growing::Fail, from, start - begin, length,
            );
            let (octets, then) = drained(packer, most.max(500));
            prop_assert!(matches!(then, Then::End(None)));
            prop_assert!(octets == expected[start as usize..(start + length) as usize]);
        }
    }
}

/// What comes out when the tree is changed after so many octets have left.
fn broken(
    folder: &TempDir,
    on_error: OnError,
    after: usize,
    change: impl FnOnce(&Path),
) -> (Vec<u8>, Vec<u8>, Then) {
    let tree = tree(folder);
    let good = whole(&tree, 64 * 1024);
    let length = (on_error == OnError::Seal).then_some(good.len() as u64);
    let mut packer = Packer::whole(tree, Tar::default(), Growing::Fail, on_error, length);
    let mut octets = Vec::new();
    while octets.len() < after {
        let filled = packer.fill(512);
        assert!(matches!(filled.then, Then::More));
        octets.extend_from_slice(&filled.octets);
    }
    change(folder.path());
    let (rest, then) = drained(packer, 64 * 1024);
    octets.extend_from_slice(&rest);
    (octets, good, then)
}

fn prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

#[test]
fn between_two_entries_a_seal_is_added() {
    let folder = folder(&[(0, 512), (0, 512)]);
    // The headers of the folder and the first file, and its content.
    let (octets, good, then) = broken(&folder, OnError::Seal, 3 * 512, |path| {
        fs::remove_file(path.join("f1")).expect("removed");
    });
    assert!(
        matches!(then, Then::Failed(cause) if cause.message.ends_with("f1 has gone since the folder was listed"))
    );
    assert_eq!(prefix(&octets, &good), 3 * 512);
    assert!(octets[3 * 512..].starts_with(b"ENDWELL-INCOMPLETE.txt\0"));
    assert!(octets.len() > 4 * 512 && octets.len() < good.len());
}

#[test]
fn inside_an_entry_nothing_is_added() {
    let folder = folder(&[(0, 100_000)]);
    let (octets, good, then) = broken(&folder, OnError::Seal, 4 * 512, |path| {
        fs::write(path.join("f0"), "short").expect("written");
    });
    assert!(
        matches!(then, Then::Failed(cause) if cause.message.contains("f0 shrank from 100000 to 5 octets"))
    );
    assert_eq!((prefix(&octets, &good), octets.len()), (4 * 512, 4 * 512));
}

#[test]
fn what_may_be_left_out_is_named_at_the_end() {
    let folder = folder(&[(0, 512), (0, 512), (0, 512)]);
    let (octets, _, then) = broken(&folder, OnError::LeaveOut, 3 * 512, |path| {
        fs::remove_file(path.join("f1")).expect("removed");
    });
    assert!(matches!(then, Then::End(Some(_))), "{then:?}");
    assert!(octets[3 * 512..].starts_with(b"top/f2\0"));
    assert!(octets[5 * 512..].starts_with(b"ENDWELL-MISSING.txt\0"));
    assert!(octets[6 * 512..].starts_with(b"Not in this archive: 1\n\ntop/f1 has gone since"));
    assert!(octets.ends_with(&[0; 1024]));
}

#[test]
fn a_file_that_was_replaced_is_another_one() {
    let folder = folder(&[(0, 512), (0, 512)]);
    let (_, _, then) = broken(&folder, OnError::Seal, 512, |path| {
        let is = path.join("f1").metadata().expect("a file");
        fs::write(path.join("new"), vec![7; 512]).expect("a file");
        let new = fs::File::options()
            .write(true)
            .open(path.join("new"))
            .expect("a file");
        new.set_modified(is.modified().expect("a time"))
            .expect("a time");
        fs::rename(path.join("new"), path.join("f1")).expect("renamed");
    });
    assert!(
        matches!(then, Then::Failed(cause) if cause.message.contains("f1 was replaced, or its status changed"))
    );
}
