//! Data flows one way: a module uses only modules that stand above it, a crate only crates before it.
//!
//! The order of the `mod` lines in each `lib.rs` and `mod.rs` is the order of the data. This test
//! reads the sources and finds every arrow that points back.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate, and the crates of ours that it may depend on.
const CRATES: [(&str, &[&str]); 5] = [
    ("endwell-core", &[]),
    ("endwell", &["endwell-core"]),
    ("endwell-lab", &["endwell-core"]),
    ("endwell-gateway", &["endwell-core", "endwell"]),
    (
        "endwell-cli",
        &["endwell-core", "endwell", "endwell-gateway"],
    ),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The `mod` lines of a facade, in order.
fn modules(facade: &str) -> Vec<String> {
    facade
        .lines()
        .filter_map(|line| {
            let line = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            line.strip_prefix("mod ")?
                .strip_suffix(';')
                .map(str::to_owned)
        })
        .collect()
}

/// What a facade re-exports, by the module it comes from.
fn exports(facade: &str) -> HashMap<String, String> {
    let mut exports = HashMap::new();
    for statement in facade.split("pub use ").skip(1) {
        let statement = statement.split(';').next().unwrap_or("");
        let Some((module, names)) = statement.split_once("::") else {
            continue;
        };
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if !name.is_empty() {
                exports.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    exports
}

/// The Rust files of a module, with how deep each lies below the facade's folder.
fn files(folder: &Path, module: &str) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    let file = folder.join(format!("{module}.rs"));
    if file.exists() {
        found.push((file, 1));
    }
    let mut folders = vec![(folder.join(module), 1)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push((path, depth + 1));
            } else if path.ends_with("mod.rs") {
                found.push((path, depth));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path, depth + 1));
            }
        }
    }
    found
}

/// The first names after `prefix` in code, also inside braces.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let inner = rest.strip_prefix('{');
        let list = inner.map_or(rest, |inner| inner.split('}').next().unwrap_or(""));
        let many = if inner.is_some() { usize::MAX } else { 1 };
        for part in list.split(',').take(many) {
            let name: String = part
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            names.push(name);
        }
    }
    names
}

/// Code without comments: a link in a doc comment is no arrow.
fn code(path: &Path) -> String {
    read(path)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn check(facade_file: &Path, path_from_root: &str, wrong: &mut Vec<String>) {
    let facade = read(facade_file);
    let order = modules(&facade);
    let exports = exports(&facade);
    let folder = facade_file.parent().expect("a file lies in a folder");
    for (place, module) in order.iter().enumerate() {
        for (file, depth) in files(folder, module) {
            let code = code(&file);
            let mut used = names_after(&code, &format!("crate::{path_from_root}"));
            used.extend(names_after(&code, &"super::".repeat(depth)));
            for name in used {
                // A module's own name is that module, also where a path of another has the same in it.
                let target = match order.contains(&name) {
                    true => &name,
                    false => exports.get(&name).unwrap_or(&name),
                };
                let other = order.iter().position(|module| module == target);
                if other.is_some_and(|other| other > place) {
                    let file = file.display();
                    wrong.push(format!("{file}: `{module}` uses `{target}` below it"));
                }
            }
        }
        let inner = folder.join(module).join("mod.rs");
        if inner.exists() {
            check(&inner, &format!("{path_from_root}{module}::"), wrong);
        }
    }
}

#[test]
fn modules_use_only_modules_above_them() {
    let mut wrong = Vec::new();
    for (name, _) in CRATES {
        let lib = crates().join(name).join("src").join("lib.rs");
        if lib.exists() {
            check(&lib, "", &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_depend_only_on_crates_before_them() {
    for (name, allowed) in CRATES {
        let manifest = read(&crates().join(name).join("Cargo.toml"));
        let dependencies = manifest
            .split("[dependencies]")
            .nth(1)
            .and_then(|rest| rest.split("\n[").next())
            .unwrap_or("");
        for (other, _) in CRATES {
            let depends = dependencies
                .lines()
                .any(|line| line.split([' ', '=', '.']).next() == Some(other));
            assert!(
                !depends || allowed.contains(&other),
                "{name} depends on {other}, which does not stand before it"
            );
        }
    }
}

#[test]
fn every_crate_has_its_row() {
    for entry in fs::read_dir(crates())
        .expect("the workspace has crates")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = CRATES.iter().any(|(known, _)| *known == name);
        assert!(known, "{name} has no row in CRATES");
    }
}

#[test]
fn an_arrow_that_points_back_is_found() {
    let facade = "mod a;\n\npub(crate) mod b;\npub use b::{Thing, other};\n";
    assert_eq!(modules(facade), ["a", "b"]);
    assert_eq!(exports(facade).get("Thing").map(String::as_str), Some("b"));
    assert_eq!(
        names_after("use crate::{Thing, x::Y};", "crate::"),
        ["Thing", "x"]
    );
    assert_eq!(names_after("use super::b::Z;", "super::"), ["b"]);
    assert_eq!(
        names_after("let x = crate::wire::io;", "crate::wire::"),
        ["io"]
    );
}

#[test]
fn the_readme_shows_the_table_that_decides() {
    let readme = read(&crates().join("..").join("README.md"));
    assert!(readme.contains(&endwell_core::table()));
}
