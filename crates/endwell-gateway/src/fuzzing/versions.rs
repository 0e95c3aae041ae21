//! Preconditions, entity tags and dates.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use super::number;
use crate::conditions::{self, Condition};
use crate::validators::Validators;

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
