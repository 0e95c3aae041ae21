//! List-valued fields (RFC 9110 section 5.6.1).

use http::{HeaderMap, HeaderName};

/// Whether a list-valued field has this member.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    members(headers, name).any(|value| value.eq_ignore_ascii_case(member))
}

/// The members of a list-valued field.
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
