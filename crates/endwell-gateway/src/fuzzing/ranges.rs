//! Ranges of octets.

use std::ops::Range;

use super::number;
use crate::range::{self, Asked};

/// More ranges than these are ignored; the limit of [`range`](crate::range).
const MOST_RANGES: usize = 200;

/// `Range`: what is sent lies within the file, no octet comes twice, each that any of the ranges
/// names comes, in the order in which they were asked for.
///
/// The input: eight octets of size, then the field value.
pub fn range(input: &[u8]) {
    let Some((size, value)) = number(input) else {
        return;
    };
    let Ok(value) = std::str::from_utf8(value) else {
        return;
    };
    let asked = range::parse(value, size);
    if let Asked::Parts(parts) = &asked {
        check_parts(parts, size);
        let specs: Vec<_> = parts
            .iter()
            .map(|part| format!("{}-{}", part.start, part.end - 1))
            .collect();
        let canonical = format!("bytes={}", specs.join(", "));
        assert_eq!(range::parse(&canonical, size), asked);
    }
    match value.split_once('=') {
        Some((unit, set)) if unit.trim().eq_ignore_ascii_case("bytes") => {
            // The end of nothing can be asked for, but not be sent: it is ignored.
            if size > 0 {
                check_against_singles(&asked, set, size);
            }
        }
        _ => assert_eq!(asked, Asked::Whole, "another unit"),
    }
}

fn check_parts(parts: &[Range<u64>], size: u64) {
    assert!(!parts.is_empty() && parts.len() <= MOST_RANGES);
    let mut sorted = parts.to_vec();
    sorted.sort_by_key(|part| part.start);
    for part in &sorted {
        assert!(part.start < part.end, "an empty part");
        assert!(part.end <= size, "a part beyond the end");
    }
    let touch = |two: &[Range<u64>]| two[0].end >= two[1].start;
    assert!(!sorted.windows(2).any(touch), "parts that touch");
}

/// Compares the answer to a set with the answers to each of its ranges alone.
fn check_against_singles(asked: &Asked, set: &str, size: u64) {
    let (mut named, mut malformed, mut singles) = (0, false, Vec::new());
    for spec in set
        .split(',')
        .filter(|spec| !spec.trim_matches([' ', '\t']).is_empty())
    {
        named += 1;
        match range::parse(&format!("bytes={spec}"), size) {
            Asked::Parts(parts) => {
                assert_eq!(parts.len(), 1, "one range is one part");
                singles.extend(parts);
            }
            Asked::Unsatisfiable => {}
            Asked::Whole => malformed = true,
        }
    }
    let ignored = malformed || named == 0 || named > MOST_RANGES;
    let parts = match asked {
        Asked::Whole => return assert!(ignored, "a set of well-formed ranges was ignored"),
        Asked::Unsatisfiable => {
            assert!(!ignored && singles.is_empty(), "one of them exists");
            return;
        }
        Asked::Parts(parts) => parts,
    };
    assert!(!ignored, "one of them is malformed, or they are too many");
    let mut places = Vec::new();
    for single in &singles {
        let inside = |part: &Range<u64>| part.start <= single.start && single.end <= part.end;
        let place = parts.iter().position(inside);
        places.push(place.expect("each range lies in a part"));
    }
    let covered: u64 = parts.iter().map(|part| part.end - part.start).sum();
    assert_eq!(covered, union(singles), "octets that nobody asked for");
    let mut firsts = Vec::new();
    for place in places {
        if !firsts.contains(&place) {
            firsts.push(place);
        }
    }
    assert!(firsts.is_sorted(), "not in the order that was asked for");
}

/// How many octets lie in any of these.
fn union(mut ranges: Vec<Range<u64>>) -> u64 {
    ranges.sort_by_key(|range| range.start);
    let (mut octets, mut end) = (0, 0);
    for range in ranges {
        octets += range.end.saturating_sub(range.start.max(end));
        end = end.max(range.end);
    }
    octets
}
