//! What of a head stays when another response takes its place.
//!
//! Reads: the head that the application made before its body failed. Gives: to the 5xx those of its fields that are
//! about the client, not about the content. Without them a page of another origin may not even read the status.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ALT_SVC, HeaderName, SET_COOKIE, STRICT_TRANSPORT_SECURITY, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Set by middleware around the handler, for any response.
const KEPT: [HeaderName; 10] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("timing-allow-origin"),
    HeaderName::from_static("x-request-id"),
    STRICT_TRANSPORT_SECURITY,
    ALT_SVC,
    // A session that was renewed on the way is renewed.
    SET_COOKIE,
    VARY,
];

/// Carries what stays from one head to the other.
pub(super) fn carry(from: &HeaderMap<HeaderValue>, to: &mut HeaderMap<HeaderValue>) {
    for name in KEPT {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_about_the_client_stay_and_fields_about_the_content_go() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("access-control-allow-origin", "*"),
            ("content-encoding", "gzip"),
            ("content-length", "7"),
            ("content-disposition", "attachment"),
            ("cache-control", "max-age=60"),
            ("etag", "\"1\""),
            ("trailer", "repr-digest"),
        ] {
            from.append(name, HeaderValue::from_static(value));
        }
        let mut to = HeaderMap::new();
        carry(&from, &mut to);
        let kept: Vec<_> = to.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            kept,
            ["access-control-allow-origin", "set-cookie", "set-cookie"]
        );
    }
}
