//! Which fields may stand in a trailer section.
//!
//! Reads: the name of a field. Gives: whether its definition lets a sender put it there.

/// Fields of the field's own that must not be trailers, by what they are for (RFC 9110 section
/// 6.5.1): framing, routing, modifiers of the request, authentication, control of the response,
/// and how the content is to be processed. Caches must not take them from there either (RFC 9111
/// section 3.1).
const NEVER: &[&str] = &[
    // Framing and the connection.
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Routing.
    "forwarded",
    "host",
    "max-forwards",
    "via",
    // Modifiers of the request.
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    // Authentication and state.
    "authorization",
    "clear-site-data",
    "cookie",
    "set-cookie",
    "www-authenticate",
    // Control of the response.
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "date",
    "expires",
    "last-modified",
    "link",
    "location",
    "pragma",
    "refresh",
    "retry-after",
    "server",
    "strict-transport-security",
    "vary",
    "warning",
];

/// Beginnings of names that say what the content is, what a proxy is to do, or who may read it;
/// of these [`ALLOWED`] are excepted.
const NEVER_BEGIN: &[&str] = &[
    "access-control-",
    "content-",
    "proxy-",
    "sec-",
    "x-forwarded-",
];

/// What such a beginning would hit although its definition allows it (RFC 9530 section 2, RFC
/// 9209 section 2, RFC 9110 section 11.7.3).
const ALLOWED: &[&str] = &[
    "content-digest",
    "proxy-authentication-info",
    "proxy-status",
];

/// Whether a sender may put a field of this name, in small letters, into a trailer section.
///
/// A field may only where its definition allows it (RFC 9110 section 6.5.1). Of the names that
/// are not known here, the author has the definition.
///
/// # Examples
/// ```
/// use endwell_core::fields::may_be_trailer;
/// assert!(may_be_trailer("repr-digest"));
/// assert!(may_be_trailer("x-row-count"));
/// assert!(!may_be_trailer("retry-after"));
/// assert!(!may_be_trailer("content-length"));
/// ```
pub fn may_be_trailer(name: &str) -> bool {
    let begins = |start: &&str| name.starts_with(start);
    ALLOWED.contains(&name) || !(NEVER.contains(&name) || NEVER_BEGIN.iter().any(|it| begins(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_whose_definition_does_not_allow_it_are_refused() {
        for name in [
            "cache-control",
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "content-range",
            "expires",
            "host",
            "location",
            "proxy-authenticate",
            "refresh",
            "retry-after",
            "set-cookie",
            "te",
            "trailer",
            "transfer-encoding",
            "vary",
            "www-authenticate",
            "access-control-allow-origin",
            "authorization",
        ] {
            assert!(!may_be_trailer(name), "{name}");
        }
        for name in [
            "accept-ranges",
            "authentication-info",
            "content-digest",
            "ending",
            "etag",
            "grpc-message",
            "grpc-status",
            "odata-error",
            "proxy-status",
            "repr-digest",
            "server-timing",
            "signature",
            "signature-input",
            "x-stream-error",
        ] {
            assert!(may_be_trailer(name), "{name}");
        }
    }
}
