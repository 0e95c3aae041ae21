//! The `Range` field, RFC 9110 section 14.
//!
//! Reads: its value and the size of what is asked for. Gives: what to send.

use std::ops::Range;

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everything: the field is malformed, has another unit or several ranges, and is ignored.
    Whole,
    /// These octets: 206.
    Part(Range<u64>),
    /// Octets that do not exist: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for something of so many octets.
pub(crate) fn parse(value: &str, octets: u64) -> Asked {
    parse_single(value, octets).unwrap_or(Asked::Whole)
}

/// `None` for what is not a single range of octets.
fn parse_single(value: &str, octets: u64) -> Option<Asked> {
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let part = match (first, last) {
        (None, None) => return None,
        (None, Some(0)) => return Some(Asked::Unsatisfiable),
        // Nothing of nothing can be asked for, but not be said in a Content-Range.
        (None, Some(_)) if octets == 0 => return Some(Asked::Whole),
        (None, Some(suffix)) => octets.saturating_sub(suffix)..octets,
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), _) if first >= octets => return Some(Asked::Unsatisfiable),
        (Some(first), Some(last)) => first..last.saturating_add(1).min(octets),
        (Some(first), None) => first..octets,
    };
    Some(Asked::Part(part))
}

/// A number, or the absence of one; more than 64 bits are as good as infinity.
fn number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number = || digits.parse().unwrap_or(u64::MAX);
    Some((!digits.is_empty()).then(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_octets() {
        for (value, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-5", Asked::Part(2..6)),
            ("BYTES=2-5", Asked::Part(2..6)),
            ("bytes=2-", Asked::Part(2..10)),
            ("bytes=0-99", Asked::Part(0..10)),
            ("bytes=9-9", Asked::Part(9..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..10)),
            ("bytes=0-18446744073709551615", Asked::Part(0..10)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=10-12", Asked::Unsatisfiable),
            ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-2", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes=1-2,4-5", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1-2-3", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("", Asked::Whole),
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
    }
}
