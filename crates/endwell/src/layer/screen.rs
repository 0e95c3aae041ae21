//! Requests that no application may see: hyper lets them pass, RFC 9112 does not.
//!
//! Reads: a request's head and the limits. Gives: the status to refuse it with.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};

use crate::limits::Limits;

/// Why a request is refused before the application sees it, if it is.
pub(super) fn refusal<R>(request: &Request<R>, limits: Option<&Arc<Limits>>) -> Option<StatusCode> {
    let headers = request.headers();
    let authority = request.uri().authority();
    // RFC 9110 section 4.2.4, RFC 9113 section 8.3.1: no user, and no password, in a target.
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return Some(StatusCode::BAD_REQUEST);
    }
    if request.version() <= Version::HTTP_11 {
        if !has_good_host(headers, request.version()) {
            return Some(StatusCode::BAD_REQUEST);
        }
        if let Some(status) = refused_coding(headers) {
            return Some(status);
        }
    } else if !agrees_with_authority(headers, authority) {
        return Some(StatusCode::BAD_REQUEST);
    }
    let limits = limits?;
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > limits.target) {
        return Some(StatusCode::URI_TOO_LONG);
    }
    if octets(headers) > limits.head {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let content = limits.content?;
    (announced(headers)? > content).then_some(StatusCode::PAYLOAD_TOO_LARGE)
}

/// One Host with a valid value, which only HTTP/1.0 may leave out (RFC 9112 section 3.2).
fn has_good_host(headers: &HeaderMap, version: Version) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
        (Some(host), None) => host.is_empty() || is_host(host.as_bytes()),
    }
}

/// A Host beside `:authority` must be the same (RFC 9113 section 8.3.1).
fn agrees_with_authority(headers: &HeaderMap, target: Option<&Authority>) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), target) {
        (None, ..) => true,
        (Some(_), Some(_), _) => false,
        (Some(host), None, Some(target)) => host
            .as_bytes()
            .eq_ignore_ascii_case(target.as_str().as_bytes()),
        (Some(host), None, None) => is_host(host.as_bytes()),
    }
}

/// `uri-host [ ":" port ]`: an authority without user (RFC 9110 section 7.2).
fn is_host(value: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(value) else {
        return false;
    };
    let host = authority.host();
    // What http does not look at: the port's digits.
    authority.as_str().strip_prefix(host).is_some_and(|port| {
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| port.bytes().all(|octet| octet.is_ascii_digit()))
    })
}

/// 400 for a coding that is applied twice, 501 for one that nobody here decodes (RFC 9112
/// sections 6.1 and 7). hyper sees to it that `chunked` is the last.
fn refused_coding(headers: &HeaderMap) -> Option<StatusCode> {
    let mut codings = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        let members = value.as_bytes().split(|octet| *octet == b',');
        for coding in members.map(<[u8]>::trim_ascii) {
            codings += usize::from(!coding.is_empty());
            if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"chunked") {
                return Some(StatusCode::NOT_IMPLEMENTED);
            }
        }
    }
    (codings > 1).then_some(StatusCode::BAD_REQUEST)
}

/// Octets of the field lines.
fn octets(headers: &HeaderMap) -> usize {
    let lines = headers.iter();
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    lines.map(line).sum()
}

/// Whether content follows the head of an HTTP/1 request (RFC 9112 section 6).
pub(super) fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || announced(headers).is_some_and(|octets| octets > 0)
}

/// The length that the content will have, where it is told.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(version: Version, fields: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::get("http://a.test/file").version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let limits = Arc::new(Limits {
            content: Some(100),
            ..Limits::default()
        });
        let request = request.body(()).unwrap();
        refusal(&request, Some(&limits)).map(|status| status.as_u16())
    }

    #[test]
    fn http1_needs_one_good_host() {
        let h1 = |fields: &[_]| refused(Version::HTTP_11, fields);
        assert_eq!(h1(&[("host", "a.test:80")]), None);
        assert_eq!(h1(&[("host", "[::1]:80")]), None);
        assert_eq!(h1(&[("host", "")]), None);
        assert_eq!(h1(&[]), Some(400));
        assert_eq!(refused(Version::HTTP_10, &[]), None);
        assert_eq!(h1(&[("host", "a.test"), ("host", "a.test")]), Some(400));
        for bad in ["a b", "a/b", "user@a", "[::1", "a:port", "a#b", "é"] {
            assert_eq!(h1(&[("host", bad)]), Some(400), "{bad}");
        }
    }

    #[test]
    fn http2_needs_no_host_and_no_other() {
        let h2 = |fields: &[_]| refused(Version::HTTP_2, fields);
        assert_eq!(h2(&[]), None);
        assert_eq!(h2(&[("host", "A.test")]), None);
        assert_eq!(h2(&[("host", "b.test")]), Some(400));
    }

    #[test]
    fn one_transfer_coding_is_known() {
        let coded = |value| {
            refused(
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", value)],
            )
        };
        assert_eq!(coded("Chunked"), None);
        assert_eq!(coded("chunked, chunked"), Some(400));
        assert_eq!(coded("gzip, chunked"), Some(501));
    }

    #[test]
    fn announced_content_has_a_limit() {
        let long = |value| {
            refused(
                Version::HTTP_11,
                &[("host", "a"), ("content-length", value)],
            )
        };
        assert_eq!((long("100"), long("101")), (None, Some(413)));
    }
}
