//! The `Range` field, RFC 9110 section 14.
//!
//! Reads: its value and the size of what is asked for. Gives: what to send, each octet once.

use std::ops::Range;

/// A field with more ranges is ignored. Tools that fetch what has changed in a large file (zsync,
/// zchunk) ask for up to some hundred at once and fall back to fewer; a field of a megabyte that
/// names every octet is an attack (RFC 9110 section 14.2).
const MOST_RANGES: usize = 200;

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everything: the field is malformed, has another unit or too many ranges, and is ignored.
    Whole,
    /// These octets: 206. At least one part, none empty; no two of them touch, and they stand in
    /// the order in which they were asked for.
    Parts(Vec<Range<u64>>),
    /// Octets that do not exist: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for something of so many octets.
pub(crate) fn parse(value: &str, octets: u64) -> Asked {
    parse_set(value, octets).unwrap_or(Asked::Whole)
}

/// `None` for what is not a set of ranges of octets.
fn parse_set(value: &str, octets: u64) -> Option<Asked> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let (mut named, mut of_nothing) = (0, false);
    for range in set.split(',').map(|range| range.trim_matches([' ', '\t'])) {
        // RFC 9110 section 5.6.1.2: empty members of a list are no members.
        if range.is_empty() {
            continue;
        }
        named += 1;
        if named > MOST_RANGES {
            return None;
        }
        match parse_range(range, octets)? {
            Some(part) if part.is_empty() => of_nothing = true,
            Some(part) => parts.push(part),
            None => {}
        }
    }
    match (named, parts.is_empty()) {
        (0, _) => None,
        // The end of nothing can be asked for, but not be said in a Content-Range.
        (_, true) if of_nothing => None,
        (_, true) => Some(Asked::Unsatisfiable),
        (_, false) => Some(Asked::Parts(coalesced(parts))),
    }
}

/// One range: `Some(None)` if it names no octet that exists, `None` if it is none.
fn parse_range(range: &str, octets: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = range.split_once('-')?;
    Some(match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(0)) => None,
        (None, Some(suffix)) => Some(octets.saturating_sub(suffix)..octets),
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), _) if first >= octets => None,
        (Some(first), Some(last)) => Some(first..last.saturating_add(1).min(octets)),
        (Some(first), None) => Some(first..octets),
    })
}

/// A number, or the absence of one; more than 64 bits are as good as infinity.
fn number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number = || digits.parse().unwrap_or(u64::MAX);
    Some((!digits.is_empty()).then(number))
}

/// Makes one part of those that overlap or adjoin. Each stays where its first piece was asked for
/// (RFC 9110 section 15.3.7.2).
fn coalesced(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut by_start: Vec<_> = parts.into_iter().enumerate().collect();
    by_start.sort_by_key(|(_, part)| part.start);
    let mut parts: Vec<(usize, Range<u64>)> = Vec::with_capacity(by_start.len());
    for (place, part) in by_start {
        match parts.last_mut() {
            Some((first, before)) if part.start <= before.end => {
                before.end = before.end.max(part.end);
                *first = place.min(*first);
            }
            Some(_) | None => parts.push((place, part)),
        }
    }
    parts.sort_by_key(|(place, _)| *place);
    parts.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(parts: &[(u64, u64)]) -> Asked {
        Asked::Parts(parts.iter().map(|(start, end)| *start..*end).collect())
    }

    #[test]
    fn ranges_of_ten_octets() {
        for (value, expected) in [
            ("bytes=0-0", parts(&[(0, 1)])),
            ("bytes=2-5", parts(&[(2, 6)])),
            ("BYTES=2-5", parts(&[(2, 6)])),
            ("bytes=2-", parts(&[(2, 10)])),
            ("bytes=0-99", parts(&[(0, 10)])),
            ("bytes=9-9", parts(&[(9, 10)])),
            ("bytes=-3", parts(&[(7, 10)])),
            ("bytes=-99", parts(&[(0, 10)])),
            ("bytes=0-99999999999999999999999", parts(&[(0, 10)])),
            ("bytes=0-18446744073709551615", parts(&[(0, 10)])),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=10-12", Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-2", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1-2-3", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=\u{661}-", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(parse(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn sets_of_ranges_of_ten_octets() {
        for (value, expected) in [
            ("bytes=1-2,4-5", parts(&[(1, 3), (4, 6)])),
            ("bytes= 1-2 ,\t4-5", parts(&[(1, 3), (4, 6)])),
            ("bytes=,1-2,,4-5,", parts(&[(1, 3), (4, 6)])),
            ("bytes=4-5,1-2", parts(&[(4, 6), (1, 3)])),
            ("bytes=0-0,-1", parts(&[(0, 1), (9, 10)])),
            ("bytes=1-2,3-4", parts(&[(1, 5)])),
            ("bytes=3-4,1-2", parts(&[(1, 5)])),
            ("bytes=1-5,2-3", parts(&[(1, 6)])),
            ("bytes=8-8,0-3,5-6,2-4", parts(&[(8, 9), (0, 7)])),
            ("bytes=0-,0-,0-", parts(&[(0, 10)])),
            ("bytes=1-2,20-30", parts(&[(1, 3)])),
            ("bytes=20-30,-0", Asked::Unsatisfiable),
            ("bytes=1-2,5-4", Asked::Whole),
            ("bytes=1-2,x", Asked::Whole),
            ("bytes=1-2 4-5", Asked::Whole),
            ("bytes=,,", Asked::Whole),
        ] {
            assert_eq!(parse(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn ranges_of_nothing() {
        assert_eq!(parse("bytes=0-", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=0-0", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=-0", 0), Asked::Unsatisfiable);
        assert_eq!(parse("bytes=-5", 0), Asked::Whole);
        assert_eq!(parse("bytes=0-0,-5", 0), Asked::Whole);
    }

    #[test]
    fn too_many_ranges_are_none() {
        let field = |count: usize| {
            let ranges: Vec<_> = (0..count)
                .map(|at| format!("{}-{}", at * 2, at * 2))
                .collect();
            format!("bytes={}", ranges.join(","))
        };
        let asked = parse(&field(MOST_RANGES), 10_000);
        assert!(matches!(asked, Asked::Parts(parts) if parts.len() == MOST_RANGES));
        assert_eq!(parse(&field(MOST_RANGES + 1), 10_000), Asked::Whole);
        assert_eq!(parse(&field(100_000), 10_000), Asked::Whole);
    }

    fn spec() -> impl Strategy<Value = String> {
        let number = 0..120_u64;
        prop_oneof![
            (number.clone(), number.clone()).prop_map(|(a, b)| format!(
                "{}-{}",
                a.min(b),
                a.max(b)
            )),
            number.clone().prop_map(|a| format!("{a}-")),
            number.prop_map(|a| format!("-{a}")),
        ]
    }

    proptest! {
        /// Octet by octet: what any of the ranges names is in exactly one part.
        #[test]
        fn parts_hold_what_is_asked_for_once(
            specs in proptest::collection::vec(spec(), 1..12),
            octets in 1..100_u64,
        ) {
            let single = |spec: &String| match parse(&format!("bytes={spec}"), octets) {
                Asked::Parts(parts) => parts[0].clone(),
                _ => 0..0,
            };
            let singles: Vec<_> = specs.iter().map(single).collect();
            let parts = match parse(&format!("bytes={}", specs.join(",")), octets) {
                Asked::Parts(parts) => parts,
                Asked::Unsatisfiable => Vec::new(),
                Asked::Whole => return Err(TestCaseError::fail("ignored")),
            };
            for octet in 0..octets + 20 {
                let asked = singles.iter().any(|part| part.contains(&octet));
                let given = parts.iter().filter(|part| part.contains(&octet)).count();
                prop_assert_eq!(given, usize::from(asked), "octet {}", octet);
            }
            for (at, part) in parts.iter().enumerate() {
                prop_assert!(!part.is_empty() && part.end <= octets);
                let apart = |other: &Range<u64>| part.end < other.start || other.end < part.start;
                prop_assert!(parts[at + 1..].iter().all(apart));
            }
        }

        #[test]
        fn no_value_breaks_it(value in "(bytes=)?[-0-9, a=]{0,60}", octets: u64) {
            if let Asked::Parts(parts) = parse(&value, octets) {
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= octets));
            }
        }
    }
}
