//! The configuration file.

use std::path::Path;

use crate::config::{self, Fault, Given, Loaded, Origin};

/// In this folder, so that what is relative stays as it is.
const FILE: &str = "endwell.toml";
/// How many faults are told; the limit of [`config::parse`].
const TOLD: usize = 100;

/// The configuration: values, or faults that lie in the text; and what is shown of the values is
/// a configuration that says the same.
///
/// The input: a file.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let given = match config::parse(text, Path::new(FILE)) {
        Ok(given) => given,
        Err(faults) => {
            assert!((1..=TOLD).contains(&faults.len()), "{}", faults.len());
            faults.iter().for_each(|fault| check_fault(fault, text));
            return;
        }
    };
    for (at, entry) in given.iter().enumerate() {
        let rest = check_place(&entry.origin, text);
        let (name, quoted) = (entry.key.name(), rest.starts_with(['"', '\'']));
        assert!(quoted || rest.starts_with(name), "{name} stands elsewhere");
        let again = given[at + 1..].iter().any(|other| other.key.name() == name);
        assert!(!again, "{name} twice");
        assert!(entry.values.len() == 1 || entry.key.is_many());
    }
    let more = format!("{text}\n# A comment changes nothing.\n");
    let again = config::parse(&more, Path::new(FILE)).expect("one comment more");
    assert_eq!(told(&again), told(&given));
    match Loaded::of(&[given]) {
        Ok(loaded) => check_shown(&loaded),
        Err(faults) => faults.0.iter().for_each(|fault| check_fault(fault, text)),
    }
}

fn check_shown(loaded: &Loaded) {
    let shown = loaded.to_string();
    let given = config::parse(&shown, Path::new(FILE)).expect("what is shown can be read");
    let again = Loaded::of(&[given]).expect("what is shown is right");
    let changed = again.changed(loaded);
    assert!(changed.is_empty(), "{changed:?} changed");
}

fn check_fault(fault: &Fault, text: &str) {
    assert!(!fault.message.is_empty());
    assert!(!fault.to_string().chars().any(char::is_control), "one line");
    check_place(&fault.origin, text);
}

/// What stands in its line from there on.
fn check_place<'a>(origin: &Origin, text: &'a str) -> &'a str {
    let Origin::File { path, line, column } = origin else {
        panic!("{origin:?} is no place in the file");
    };
    assert_eq!(path, FILE);
    let line = text.split('\n').nth(*line - 1).expect("a line of the text");
    let mut columns = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    &line[columns.nth(*column - 1).expect("a column of the line")..]
}

/// Names and values.
fn told(given: &[Given]) -> Vec<(&str, &[std::ffi::OsString])> {
    let told = given
        .iter()
        .map(|given| (given.key.name(), &given.values[..]));
    told.collect()
}
