//! What a client would like: codings, pages, trailers, digests, and what it says in a query.

use endwell_core::fields::{Digest, DigestAlgorithm, WantDigest};
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, TE};

use crate::accept::{self, Coding};
use crate::query::Query;

/// `Accept-Encoding`, `Accept`, `TE`: nothing comes that is excluded or that nobody named.
///
/// The input: the lines of a field.
pub fn accept(input: &[u8]) {
    let mut lines = Vec::new();
    for line in input.split(|octet| *octet == b'\n').take(16) {
        lines.extend(HeaderValue::from_bytes(line));
    }
    let with = |name: &HeaderName, first: &'static str, last: &'static str| {
        let fixed =
            |value: &'static str| (!value.is_empty()).then(|| HeaderValue::from_static(value));
        let lines = fixed(first)
            .into_iter()
            .chain(lines.clone())
            .chain(fixed(last));
        lines
            .map(|line| (name.clone(), line))
            .collect::<HeaderMap>()
    };
    let text: Vec<_> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase())
        .collect();
    let text = text.join(",");
    check_codings(&text, |first, last| {
        accept::codings(&with(&ACCEPT_ENCODING, first, last))
    });

    if accept::wants_page(&with(&ACCEPT, "", "")) {
        assert!(text.contains("text/html"));
    }
    assert!(accept::wants_page(&with(&ACCEPT, "text/html", "")));
    if accept::takes_trailers(&with(&TE, "", "")) {
        assert!(text.contains("trailers"));
    }
    assert!(accept::takes_trailers(&with(&TE, "trailers", "")));
}

/// `offered` tells the codings for the field with one more line before and one after it.
fn check_codings(text: &str, offered: impl Fn(&'static str, &'static str) -> Vec<Option<Coding>>) {
    let codings = offered("", "");
    for (at, coding) in codings.iter().enumerate() {
        assert!(!codings[at + 1..].contains(coding), "twice");
        if let Some(coding) = coding {
            assert!(text.contains(coding.as_str()) || text.contains('*'));
        }
    }
    if !text.contains("identity") && !text.contains('*') {
        assert!(codings.contains(&None), "nobody excluded it");
    }
    let name = |coding: Option<Coding>| coding.map_or("identity", Coding::as_str);
    let members: Vec<_> = text
        .split(',')
        .map(|member| member.trim().split_once(';').unwrap_or((member.trim(), "")))
        .collect();
    for coding in codings {
        let weights = members.iter().filter(|(of, _)| *of == name(coding));
        let weights: Vec<_> = weights.map(|(_, weight)| *weight).collect();
        let only_excluded = weights.iter().all(|weight| *weight == "q=0");
        assert!(weights.is_empty() || !only_excluded, "excluded by name");
    }
    // Of members with the same name, the first counts.
    for (first, coding) in [
        ("br;q=0", Some(Coding::Brotli)),
        ("Zstd;Q=0.000", Some(Coding::Zstandard)),
        ("gzip ; q=0.0", Some(Coding::Gzip)),
        ("identity;q=0", None),
    ] {
        assert!(!offered(first, "").contains(&coding), "{first}");
    }
    assert_eq!(offered("identity;q=0,br;q=0,zstd;q=0,gzip;q=0", ""), []);
    assert_eq!(offered("br", "").first(), Some(&Some(Coding::Brotli)));
    // Of `*` the last counts: it excludes what is not named.
    for coding in offered("", "*;q=0") {
        assert!(text.contains(name(coding)), "excluded by the rest");
    }
}

/// `Want-Repr-Digest` and `Repr-Digest`: what is wanted was named, what is written is read.
///
/// The input: the value of a field; also the octets of a digest.
pub fn digest(input: &[u8]) {
    let contains = |name: &str| {
        input
            .windows(name.len())
            .any(|part| part == name.as_bytes())
    };
    if let Some(want) = WantDigest::parse(input) {
        if let Some(most) = want.most() {
            assert!(contains(most.as_str()), "nobody named it");
        }
        let with = |more: &str| {
            let comma: &[u8] = if input.iter().all(|octet| *octet == b' ') {
                b""
            } else {
                b", "
            };
            let value = [input, comma, more.as_bytes()].concat();
            let want = WantDigest::parse(&value).expect("one member more");
            want.most()
        };
        // Of members with the same name, the last counts (RFC 9651 section 4.2.2).
        assert_eq!(with("sha-256=0, sha-512=0"), None);
        for (more, algorithm) in DigestAlgorithm::ALL.map(|all| (format!("{all}=10"), all)) {
            let most = with(&more).expect("it is wanted");
            assert!(most == algorithm || contains(most.as_str()));
        }
        let only = with("sha-256=0, sha-512=1");
        assert_eq!(only, Some(DigestAlgorithm::Sha512));
    }
    let mut digests = Digest::parse(input).unwrap_or_default();
    for digest in &digests {
        assert!(contains(digest.algorithm().as_str()), "nobody named it");
    }
    for algorithm in DigestAlgorithm::ALL {
        let octets = input.get(..algorithm.octets());
        digests.extend(octets.and_then(|octets| Digest::new(algorithm, octets)));
    }
    for digest in digests {
        let octets = digest.octets();
        assert_eq!(octets.len(), digest.algorithm().octets());
        let hex = digest.to_hex();
        assert_eq!(hex.len(), 2 * octets.len());
        for (at, octet) in octets.iter().enumerate() {
            assert_eq!(u8::from_str_radix(&hex[2 * at..][..2], 16), Ok(*octet));
        }
        let field = digest.to_field();
        assert_eq!(Digest::parse(field.as_bytes()), Some(vec![digest]));
    }
}

/// The query: every member is read by itself, and nothing is wanted that is not named.
///
/// The input: a query; a line feed may part it into two.
pub fn query(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let [first, second] = [one, other].map(Query::parse);
    for (query, text) in [(first, one), (second, other)] {
        assert!(!query.download || text.contains("download"));
        assert!(query.hash.is_none() || text.contains("hash"));
    }
    let both = Query::parse(&format!("{one}&{other}"));
    assert_eq!(both.download, first.download || second.download);
    assert_eq!(both.hash, second.hash.or(first.hash));
    for algorithm in DigestAlgorithm::ALL {
        let more = Query::parse(&format!("{one}&hash={algorithm}&download"));
        assert_eq!((more.hash, more.download), (Some(algorithm), true));
    }
}
