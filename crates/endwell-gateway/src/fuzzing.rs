//! What must hold of the parsers for any octets: one function a fuzz target.
//!
//! Reads: octets that a fuzzer chose. Gives: nothing; a property that does not hold panics.
//! Never: in an ordinary build. The parsers are private, so what is said of them stands beside
//! them; `fuzz/` only calls in, with `--cfg fuzzing`. The tests run every function over its seeds
//! in `fuzz/seeds`, so none of this can rot unseen.

use std::path::{Component, Path};
use std::time::{Duration, UNIX_EPOCH};

use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::conditions::{self, Condition};
use crate::range::{self, Asked};
use crate::target::Target;
use crate::validators::Validators;

/// A property and the name of its fuzz target.
pub type Property = (&'static str, fn(&[u8]));

/// Every property, by the name of its target.
pub const ALL: [Property; 4] = [
    ("range", range),
    ("conditions", conditions),
    ("target", target),
    ("tags", tags),
];

/// `Range`: what is sent lies within the file, and says itself again.
///
/// The input: eight octets of size, then the field value.
pub fn range(input: &[u8]) {
    let Some((size, value)) = number(input) else {
        return;
    };
    let Ok(value) = std::str::from_utf8(value) else {
        return;
    };
    match range::parse(value, size) {
        Asked::Part(part) => {
            assert!(part.start < part.end, "an empty part");
            assert!(part.end <= size, "a part beyond the end");
            let canonical = format!("bytes={}-{}", part.start, part.end - 1);
            assert_eq!(range::parse(&canonical, size), Asked::Part(part));
        }
        // RFC 9110 section 14.1.2: only a well-formed range can be unsatisfiable, and in a file
        // that is longer than any number in it, it is satisfiable, unless it asks for nothing.
        Asked::Unsatisfiable => {
            assert!(value.contains('-') && value.contains('='));
            let nothing = value
                .split_once('-')
                .is_some_and(|(_, last)| last.trim().bytes().all(|octet| octet == b'0'));
            if !nothing {
                let larger = range::parse(value, u64::MAX);
                assert_ne!(larger, Asked::Whole, "malformed in a larger file");
            }
        }
        Asked::Whole => {
            if size > 0 {
                let other = range::parse(value, size ^ 1);
                assert!(
                    other == Asked::Whole || size == 1,
                    "malformed depends on size"
                );
            }
        }
    }
}

/// Preconditions: the answers of RFC 9110 section 13.2.2 that no other field can change.
///
/// The input: eight octets of time, then lines; the first octet of each chooses the field, the
/// rest is its value.
pub fn conditions(input: &[u8]) {
    let Some((seconds, lines)) = number(input) else {
        return;
    };
    let version = version(seconds);
    let mut headers = HeaderMap::new();
    for line in lines.split(|octet| *octet == b'\n').take(16) {
        if let Some((name, value)) = field(line) {
            headers.append(name, value);
        }
    }
    let condition = conditions::evaluate(&headers, &version);
    let has = |name: HeaderName| headers.contains_key(name);
    if !has(IF_MATCH) && !has(IF_UNMODIFIED_SINCE) {
        assert_ne!(condition, Condition::Failed, "nothing could fail");
    }
    if !has(IF_NONE_MATCH) && !has(IF_MODIFIED_SINCE) {
        assert_ne!(condition, Condition::NotModified, "nothing was compared");
    }
    let tag = HeaderValue::from_str(&version.tag()).expect("a tag is a field value");
    let mut mine = headers.clone();
    mine.insert(IF_NONE_MATCH, tag.clone());
    assert_ne!(conditions::evaluate(&mine, &version), Condition::Met);
    mine.remove(IF_MATCH);
    mine.remove(IF_UNMODIFIED_SINCE);
    assert_eq!(
        conditions::evaluate(&mine, &version),
        Condition::NotModified
    );
    mine.insert(IF_MATCH, HeaderValue::from_static("*"));
    assert_eq!(
        conditions::evaluate(&mine, &version),
        Condition::NotModified
    );
    if conditions::allow_range(&headers, &version) && has(IF_RANGE) {
        let value = conditions::single(&headers, &IF_RANGE).expect("it came once");
        assert!(version.is_exactly(value));
        assert!(
            !version.tag().starts_with("W/"),
            "a weak version is never exact"
        );
    }
}

/// The path of a request: names below a folder, and one address for each file.
pub fn target(input: &[u8]) {
    let Ok(path) = std::str::from_utf8(input) else {
        return;
    };
    let Some(target) = Target::parse(path) else {
        return;
    };
    let mut canonical = String::new();
    for component in target.names().components() {
        let Component::Normal(name) = component else {
            panic!("{component:?} is no plain name");
        };
        let name = name.as_encoded_bytes();
        assert!(!name.starts_with(b"."), "a hidden name");
        assert!(!name.contains(&0) && !name.contains(&b'\\') && !name.contains(&b'/'));
        canonical.push('/');
        canonical.extend(percent_encode(name, NON_ALPHANUMERIC));
    }
    assert!(Path::new("/srv").join(target.names()).starts_with("/srv"));
    let segments = path.matches('/').count() - usize::from(target.is_folder());
    let names = target.names().components().count();
    assert_eq!(names, segments, "a segment was lost or won");
    if target.is_folder() {
        canonical.push('/');
    }
    assert_eq!(Target::parse(&canonical).as_ref(), Some(&target));
}

/// Entity tags and dates: what one comparison says binds the other.
///
/// The input: eight octets of time, then a list of tags or a date.
pub fn tags(input: &[u8]) {
    let Some((seconds, list)) = number(input) else {
        return;
    };
    let Ok(list) = std::str::from_utf8(list) else {
        return;
    };
    let version = version(seconds);
    let tag = version.tag();
    if version.is_in_strongly(list) {
        assert!(version.is_in_weakly(list), "strong, but not weak");
    }
    assert!(version.is_in_weakly(&format!("{tag},{list}")));
    assert!(version.is_in_weakly(&format!("{tag} , {list}")));
    let weak = tag.starts_with("W/");
    let trimmed = list.trim();
    if trimmed != "*" && !list.contains(tag.trim_start_matches("W/")) {
        assert!(
            !version.is_in_weakly(list),
            "another tag was taken for ours"
        );
    }
    assert_eq!(version.is_exactly(&tag), !weak);
    if version.is_exactly(list) {
        assert!(!weak);
        assert!(trimmed == tag || version.is_modified_since(list) == Some(false));
    }
    if let Some(date) = version.last_modified() {
        assert_eq!(version.is_modified_since(&date), Some(false));
        assert_eq!(version.is_exactly(&date), !weak);
    }
}

/// A file of some size that was modified then; young or old by the lowest bit.
fn version(seconds: u64) -> Validators {
    // Up to the year 71 000: past what a field can say.
    let modified = UNIX_EPOCH + Duration::from_secs(seconds >> 23);
    let age = if seconds & 1 == 0 { 10 } else { 1 };
    Validators::of(8000, Some(modified), modified + Duration::from_secs(age))
}

/// The first eight octets, and what follows.
fn number(input: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = input.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*first), rest))
}

/// A line of the input as a conditional field.
fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (first, value) = line.split_first()?;
    let names = [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
    ];
    let name = names[usize::from(*first) % names.len()].clone();
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_property_holds_for_its_seeds() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, property) in ALL {
            let folder = seeds.join(name);
            let entries = fs::read_dir(&folder).expect("every target has a folder of seeds");
            let mut count = 0;
            for entry in entries {
                let path = entry.expect("the folder can be read").path();
                property(&fs::read(path).expect("a seed can be read"));
                count += 1;
            }
            assert!(count > 0, "{name} has no seed");
        }
    }
}
