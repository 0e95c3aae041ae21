use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const WHOLE: Options = Options {
    hidden: false,
    unreadable: Unreadable::Fail,
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn walked(folder: &TempDir, options: Options, limits: Limits) -> Result<Tree, WalkError> {
    let place = Place::find(folder.path(), Path::new("")).expect("a place");
    walk_within(&place, b"top", options, &Abandoned::default(), limits)
}

fn paths(tree: &Tree) -> Vec<String> {
    let text = |at| String::from_utf8_lossy(&tree.path(at)).into_owned();
    (0..tree.len()).map(text).collect()
}

fn make(folder: &TempDir, names: &[&str]) {
    for name in names {
        let path = folder.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).expect("a folder");
        } else {
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, name).expect("a file");
        }
    }
}

#[test]
fn folders_stand_before_what_is_in_them_and_after_files() {
    let folder = folder();
    make(
        &folder,
        &[
            "b/z", "b/a/x", "a", "c", "B", "b/empty/", "a-b/", ".git/x", "d/.e",
        ],
    );
    let tree = walked(&folder, WHOLE, LIMITS).expect("a tree");
    let expected = [
        "top",
        "top/B",
        "top/a",
        "top/c",
        "top/a-b",
        "top/b",
        "top/b/z",
        "top/b/a",
        "top/b/a/x",
        "top/b/empty",
        "top/d",
    ];
    assert_eq!(paths(&tree), expected);
    let hidden = Options {
        hidden: true,
        ..WHOLE
    };
    let tree = walked(&folder, hidden, LIMITS).expect("a tree");
    assert_eq!(tree.len(), expected.len() + 3);
    assert!(paths(&tree).contains(&"top/.git/x".to_owned()));
}

#[test]
fn links_are_kept_and_never_followed() {
    let folder = folder();
    make(&folder, &["sub/file"]);
    let link = |to: &str, name: &str| symlink(to, folder.path().join(name)).expect("a link");
    link("..", "sub/up");
    link("/etc", "out");
    link("loop", "loop");
    link("sub", "to-folder");
    link("nothing", "dangling");
    let tree = walked(&folder, WHOLE, LIMITS).expect("a tree");
    let links: Vec<_> = (0..tree.len())
        .filter(|at| tree.entry(*at).is == Is::Link)
        .map(|at| (paths(&tree)[at].clone(), tree.entry(at).target.to_vec()))
        .collect();
    let expected = [
        ("top/dangling", "nothing"),
        ("top/loop", "loop"),
        ("top/out", "/etc"),
        ("top/to-folder", "sub"),
        ("top/sub/up", ".."),
    ];
    let expected: Vec<_> = expected
        .map(|(name, target)| (name.to_owned(), target.as_bytes().to_vec()))
        .into();
    assert_eq!(links, expected);
    assert_eq!(tree.len(), 8);
}

#[test]
fn what_is_no_file_is_left_out_and_named() {
    let folder = folder();
    make(&folder, &["file"]);
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    let socket = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    let tree = walked(&folder, WHOLE, LIMITS).expect("a tree");
    assert_eq!(paths(&tree), ["top", "top/file"]);
    let mut skipped = tree.skipped.first;
    skipped.sort();
    let expected = [("top/pipe", "a pipe"), ("top/socket", "a socket")];
    let expected = expected.map(|(path, why)| (path.as_bytes().to_vec(), why.to_owned()));
    assert_eq!((skipped, tree.skipped.count), (expected.to_vec(), 2));
}

#[test]
fn facts_are_those_of_the_file_system() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = folder();
    make(&folder, &["file"]);
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\n"));
    fs::write(&path, vec![0; 1000]).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6741)).expect("a mode");
    let tree = walked(&folder, WHOLE, LIMITS).expect("a tree");
    let entry = tree.entry(2);
    let is = path.metadata().expect("a file");
    assert_eq!(
        (entry.name, entry.is, entry.octets),
        (&b"\xff\n"[..], Is::File, 1000)
    );
    assert_eq!((entry.mode, entry.modified.0), (0o741, is.mtime()));
    assert_eq!(i64::from(entry.modified.1), is.mtime_nsec());
    assert_eq!(tree.path_on_disk(2), path.canonicalize().expect("a path"));
}

#[test]
fn every_limit_is_kept() {
    let folder = folder();
    make(&folder, &["a/b/c/d", "a/b/e"]);
    let within = |limits| walked(&folder, WHOLE, limits);
    let limits = Limits {
        entries: 6,
        names: 8,
        depth: 3,
        path: 12,
    };
    assert_eq!(within(limits).expect("a tree").len(), 6);
    let too_many = within(Limits {
        entries: 5,
        ..limits
    });
    assert!(matches!(too_many, Err(WalkError::TooMany { most: 5 })));
    let too_much = within(Limits { names: 7, ..limits });
    assert!(matches!(too_much, Err(WalkError::TooMuch { most: 7 })));
    let too_deep = within(Limits { depth: 2, ..limits });
    assert!(matches!(too_deep, Err(WalkError::TooDeep { .. })));
    let too_long = within(Limits { path: 11, ..limits });
    assert!(matches!(too_long, Err(WalkError::TooLong { .. })));
}

#[test]
fn a_tree_deeper_than_the_folders_that_are_kept_is_walked() {
    let folder = folder();
    let deep = "d/".repeat(100);
    make(
        &folder,
        &[&format!("{deep}end/x"), &format!("{deep}zzz/y"), "z/file"],
    );
    let tree = walked(&folder, WHOLE, LIMITS).expect("a tree");
    assert_eq!(tree.len(), 107);
    assert_eq!(paths(&tree)[106], "top/z/file");
}

#[test]
fn a_walk_that_nobody_waits_for_stops() {
    let folder = folder();
    for file in 0..LOOK_EVERY {
        fs::write(folder.path().join(file.to_string()), "").expect("a file");
    }
    let place = Place::find(folder.path(), Path::new("")).expect("a place");
    let waiting = Waiting::default();
    let abandoned = waiting.abandoned();
    assert!(walk(&place, b"top", WHOLE, &abandoned).is_ok());
    drop(waiting);
    let stopped = walk(&place, b"top", WHOLE, &abandoned);
    assert!(matches!(stopped, Err(WalkError::Abandoned)));
}
