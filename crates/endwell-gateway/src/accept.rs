//! What a client accepts, and how gladly: `Accept-Encoding` and `Accept`.
//!
//! Reads: the field, its lines as one list. Gives: content codings in the order of preference
//! (RFC 9110 section 12.5.3), whether a page is wanted (section 12.5.1), whether trailers are taken.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, TE};

use crate::conditions::list;

/// A content coding that a file beside the file may have, in the order in which equals are
/// preferred: for text, made once with care, the first is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstandard,
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The extension of a file that has it.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zst",
            Self::Gzip => "gz",
        }
    }

    /// Whether a file of this extension already has one.
    pub(crate) fn is_extension(extension: &str) -> bool {
        Self::ALL
            .into_iter()
            .any(|coding| coding.extension().eq_ignore_ascii_case(extension))
    }
}

/// Weights count in thousandths (RFC 9110 section 12.4.2).
const CERTAIN: u16 = 1000;

/// The codings that a request accepts, best first; `None` is the file as it is.
///
/// What is named comes before what is only not excluded, and of equals the smaller. Empty if the
/// client excludes the file as it is and names nothing else that is known here.
pub(crate) fn codings(headers: &HeaderMap) -> Vec<Option<Coding>> {
    let Some(list) = list(headers, &ACCEPT_ENCODING) else {
        return vec![None];
    };
    let (mut others, mut named) = (None, Vec::new());
    for (name, weight) in members(&list) {
        match name {
            "*" => others = Some(weight),
            _ => named.push((name, weight)),
        }
    }
    let named = |name: &str| {
        let mut named = named.iter();
        let found = named.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(found.1)
    };
    let weight = |coding: Option<Coding>| match coding {
        Some(Coding::Gzip) => named("gzip").or_else(|| named("x-gzip")),
        Some(coding) => named(coding.as_str()),
        None => named("identity"),
    };
    let mut accepted: Vec<_> = Coding::ALL
        .into_iter()
        .map(Some)
        .chain([None])
        .filter_map(|coding| match (weight(coding), others, coding) {
            (Some(weight), ..) => Some((coding, weight, true)),
            (None, Some(weight), _) => Some((coding, weight, false)),
            // Unless excluded it is always accepted, if less gladly than what is named.
            (None, None, None) => Some((None, 1, false)),
            (None, None, Some(_)) => None,
        })
        .filter(|(_, weight, _)| *weight > 0)
        .collect();
    accepted.sort_by_key(|(coding, weight, is_named)| {
        // Whoever takes anything takes the file as it is with the least trouble.
        let trouble = !is_named && coding.is_some();
        (CERTAIN.saturating_sub(*weight), !is_named, trouble)
    });
    accepted.into_iter().map(|(coding, ..)| coding).collect()
}

/// Whether the client asks for a page by name, as browsers do for what they navigate to.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    list(headers, &ACCEPT).is_some_and(|list| {
        members(&list).any(|(name, weight)| name.eq_ignore_ascii_case("text/html") && weight > 0)
    })
}

/// Whether the client said `TE: trailers` (RFC 9110 section 10.1.4).
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    let list = list(headers, &TE);
    list.is_some_and(|list| members(&list).any(|(name, _)| name.eq_ignore_ascii_case("trailers")))
}

/// The members of a list, with their weights; those with a malformed weight are left out.
fn members(list: &str) -> impl Iterator<Item = (&str, u16)> {
    list.split(',').filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut weights = parts.filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim_end()
                .eq_ignore_ascii_case("q")
                .then(|| weight(value.trim_start()))
        });
        // The weight stands last.
        let weight = weights.next_back().unwrap_or(Some(CERTAIN))?;
        Some((name, weight))
    })
}

/// `0`, `1`, or either with up to three digits after a point.
fn weight(value: &str) -> Option<u16> {
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if !matches!(whole, "0" | "1") || rest.len() > 3 || !rest.bytes().all(|d| d.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{whole}{rest:0<3}").parse().ok()?;
    (thousandths <= CERTAIN).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn accepted(value: &str) -> String {
        let value = HeaderValue::from_str(value).expect("a value");
        let codings = codings(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]));
        let names = codings
            .into_iter()
            .map(|c| c.map_or("identity", Coding::as_str));
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn codings_are_ordered_by_weight() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", "br zstd gzip identity"),
            ("gzip", "gzip identity"),
            ("GZIP", "gzip identity"),
            ("x-gzip", "gzip identity"),
            ("gzip;q=0.5, br;q=0.1", "gzip br identity"),
            ("gzip;q=0.5,br;Q=0.501", "br gzip identity"),
            ("gzip ; q=1.000 , br ; q = 0.9", "gzip br identity"),
            ("gzip;q=0", "identity"),
            ("gzip;q=0.000, br", "br identity"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("identity;q=0", ""),
            ("*;q=0", ""),
            ("*;q=0, gzip", "gzip"),
            ("*;q=0, identity", "identity"),
            ("identity, gzip", "gzip identity"),
            ("identity, gzip;q=0.9", "identity gzip"),
            ("*", "identity br zstd gzip"),
            ("gzip, *", "gzip identity br zstd"),
            ("gzip;q=0.5, *;q=0.7", "identity br zstd gzip"),
            ("gzip;q=0, *", "identity br zstd"),
            ("deflate", "identity"),
            ("", "identity"),
            (" , ,", "identity"),
            ("gzip;q=2", "identity"),
            ("gzip;q=0.1234", "identity"),
            ("gzip;q=-1", "identity"),
            ("gzip;q=", "identity"),
            ("gzip;q=1.001", "identity"),
            ("gzip;level=9", "gzip identity"),
        ] {
            assert_eq!(accepted(value), expected, "{value}");
        }
        assert_eq!(codings(&HeaderMap::new()), [None]);
    }

    #[test]
    fn a_page_is_wanted_by_name() {
        for (value, expected) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("application/json, text/html;q=0.1", true),
            ("TEXT/HTML", true),
            ("text/html;level=1;q=0.3", true),
            ("text/html;q=0", false),
            ("*/*", false),
            ("text/*", false),
            ("image/png", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(ACCEPT, value.clone())]);
            assert_eq!(wants_page(&headers), expected, "{value:?}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn no_coding_stands_twice(value in "[a-z*;=q0-9., ]{0,60}") {
            let value = HeaderValue::from_str(&value).expect("a value");
            let codings = codings(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]));
            for (at, coding) in codings.iter().enumerate() {
                prop_assert!(!codings[at + 1..].contains(coding));
            }
        }
    }
}
