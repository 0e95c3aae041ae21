//! Preconditions of a request, RFC 9110 section 13.2.2.
//!
//! Reads: the fields of a GET or HEAD and the [`Validators`] of what it asks for. Gives: whether
//! to send it.

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

use crate::validators::Validators;

/// What the preconditions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Send it.
    Met,
    /// The client has this version: 304.
    NotModified,
    /// The client wanted another version: 412.
    Failed,
}

/// Evaluates the preconditions in the order of the RFC.
pub(crate) fn evaluate(headers: &HeaderMap, version: &Validators) -> Condition {
    if let Some(list) = list(headers, &IF_MATCH) {
        if !version.is_in_strongly(&list) {
            return Condition::Failed;
        }
    } else if let Some(date) = single(headers, &IF_UNMODIFIED_SINCE)
        && version.is_modified_since(date) == Some(true)
    {
        return Condition::Failed;
    }
    let has_it = match list(headers, &IF_NONE_MATCH) {
        Some(list) => version.is_in_weakly(&list),
        None => single(headers, &IF_MODIFIED_SINCE)
            .is_some_and(|date| version.is_modified_since(date) == Some(false)),
    };
    if has_it {
        Condition::NotModified
    } else {
        Condition::Met
    }
}

/// Whether `If-Range` lets a range of this version be sent.
pub(crate) fn allow_range(headers: &HeaderMap, version: &Validators) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(_) => single(headers, &IF_RANGE).is_some_and(|value| version.is_exactly(value)),
    }
}

/// All lines of a field as one list.
pub(crate) fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let first = lines.next()?;
    Some(lines.fold(first, |list, line| list + "," + &line))
}

/// The value of a field that came once.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderValue;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const TAG: &str = "\"1f40-ae1b981bc490a00\"";

    fn evaluated(fields: &[(HeaderName, &'static str)]) -> Condition {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let now = modified + Duration::from_secs(10);
        let version = Validators::of(8000, Some(modified), now);
        let fields = fields.iter().cloned();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        evaluate(&headers, &version)
    }

    #[test]
    fn each_condition_alone() {
        for (name, value, expected) in [
            (IF_MATCH, TAG, Condition::Met),
            (IF_MATCH, "*", Condition::Met),
            (IF_MATCH, "\"x\"", Condition::Failed),
            (IF_UNMODIFIED_SINCE, DATE, Condition::Met),
            (IF_UNMODIFIED_SINCE, EARLIER, Condition::Failed),
            (IF_UNMODIFIED_SINCE, "x", Condition::Met),
            (IF_NONE_MATCH, TAG, Condition::NotModified),
            (IF_NONE_MATCH, "*", Condition::NotModified),
            (IF_NONE_MATCH, "\"x\"", Condition::Met),
            (IF_MODIFIED_SINCE, DATE, Condition::NotModified),
            (IF_MODIFIED_SINCE, LATER, Condition::NotModified),
            (IF_MODIFIED_SINCE, EARLIER, Condition::Met),
            (IF_MODIFIED_SINCE, "x", Condition::Met),
        ] {
            assert_eq!(
                evaluated(&[(name.clone(), value)]),
                expected,
                "{name}: {value}"
            );
        }
    }

    /// The steps of RFC 9110 section 13.2.2, two and more fields at a time.
    #[test]
    fn conditions_have_an_order() {
        const OTHER: &str = "\"x\"";
        let (met, unmodified, failed) = (Condition::Met, Condition::NotModified, Condition::Failed);
        for (fields, expected) in [
            // Step 1 replaces step 2: a date does not count beside a tag.
            (vec![(IF_MATCH, TAG), (IF_UNMODIFIED_SINCE, EARLIER)], met),
            (
                vec![(IF_MATCH, OTHER), (IF_UNMODIFIED_SINCE, LATER)],
                failed,
            ),
            // Step 3 replaces step 4.
            (vec![(IF_NONE_MATCH, OTHER), (IF_MODIFIED_SINCE, DATE)], met),
            (
                vec![(IF_NONE_MATCH, TAG), (IF_MODIFIED_SINCE, EARLIER)],
                unmodified,
            ),
            // Steps 1 and 2 come before 3 and 4.
            (vec![(IF_MATCH, TAG), (IF_NONE_MATCH, TAG)], unmodified),
            (vec![(IF_MATCH, OTHER), (IF_NONE_MATCH, TAG)], failed),
            (vec![(IF_MATCH, TAG), (IF_NONE_MATCH, OTHER)], met),
            (vec![(IF_MATCH, OTHER), (IF_MODIFIED_SINCE, DATE)], failed),
            (vec![(IF_MATCH, "*"), (IF_NONE_MATCH, "*")], unmodified),
            (
                vec![(IF_UNMODIFIED_SINCE, DATE), (IF_MODIFIED_SINCE, DATE)],
                unmodified,
            ),
            (
                vec![(IF_UNMODIFIED_SINCE, EARLIER), (IF_MODIFIED_SINCE, DATE)],
                failed,
            ),
            (
                vec![(IF_UNMODIFIED_SINCE, EARLIER), (IF_NONE_MATCH, TAG)],
                failed,
            ),
            (
                vec![(IF_UNMODIFIED_SINCE, DATE), (IF_NONE_MATCH, OTHER)],
                met,
            ),
            // What is no date is no field.
            (
                vec![(IF_UNMODIFIED_SINCE, "x"), (IF_MODIFIED_SINCE, DATE)],
                unmodified,
            ),
            (
                vec![(IF_UNMODIFIED_SINCE, DATE), (IF_MODIFIED_SINCE, "x")],
                met,
            ),
            // Of a field that came twice, tags are one list, dates count as none.
            (
                vec![(IF_NONE_MATCH, OTHER), (IF_NONE_MATCH, TAG)],
                unmodified,
            ),
            (vec![(IF_MATCH, OTHER), (IF_MATCH, TAG)], met),
            (
                vec![(IF_MODIFIED_SINCE, DATE), (IF_MODIFIED_SINCE, DATE)],
                met,
            ),
            (
                vec![
                    (IF_MATCH, TAG),
                    (IF_UNMODIFIED_SINCE, EARLIER),
                    (IF_NONE_MATCH, OTHER),
                    (IF_MODIFIED_SINCE, LATER),
                ],
                met,
            ),
        ] {
            assert_eq!(evaluated(&fields), expected, "{fields:?}");
        }
        assert_eq!(evaluated(&[]), met);
    }
}
