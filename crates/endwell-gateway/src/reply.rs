//! Responses other than the content itself.
//!
//! Reads: a status, and what a person should read. Gives: a response with a short plain text.

use endwell::{Body, Cause};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

/// The methods that a file knows.
pub(crate) const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A status with a line that names it and the path.
pub(crate) fn status(status: StatusCode, path: &str) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = format!("{} {reason}: {}\n", status.as_u16(), escaped(path));
    let mut response = Body::full(text).into_http();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A status with a line that names it and the path, and why.
pub(crate) fn because(code: StatusCode, path: &str, why: &str) -> Response<Body> {
    let reason = code.canonical_reason().unwrap_or("Error");
    let (path, why) = (escaped(path), escaped(why));
    let text = format!("{} {reason}: {path}: {why}\n", code.as_u16());
    let (head, _) = status(code, "").into_parts();
    Response::from_parts(head, Body::full(text))
}

/// 405: only these methods.
pub(crate) fn method_not_allowed(path: &str) -> Response<Body> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED, path);
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

/// 204: these methods.
pub(crate) fn options() -> Response<Body> {
    let mut response = Body::full("").into_http();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

/// 416: it has so many octets.
pub(crate) fn range_not_satisfiable(path: &str, octets: u64) -> Response<Body> {
    let mut response = status(StatusCode::RANGE_NOT_SATISFIABLE, path);
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{octets}")) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

/// 301 to the same path with a slash, so that relative links in the folder's page work.
///
/// The reference is relative and begins with a dot: no name can make it another host
/// (`//evil`) or scheme (`javascript:`).
pub(crate) fn add_slash(path: &str, query: Option<&str>) -> Response<Body> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let Ok(location) = HeaderValue::try_from(format!("./{name}/{query}")) else {
        return status(StatusCode::NOT_FOUND, path);
    };
    let mut response = status(StatusCode::MOVED_PERMANENTLY, path);
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    // The folder may be a file tomorrow.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// 500, with the cause for the record only.
pub(crate) fn failed(cause: Cause) -> Response<Body> {
    let body = endwell::stream(move |producer| async move { Ok(producer.fail(cause)) });
    let mut response = body.into_http();
    // Where no body follows (HEAD) the status is all that tells.
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The path as it came, without what a terminal could act upon.
fn escaped(path: &str) -> String {
    path.chars().flat_map(visible).collect()
}

fn visible(c: char) -> Vec<char> {
    if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}') {
        return c.escape_default().collect();
    }
    vec![c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_to_another_host_or_scheme() {
        let location = |path, query| {
            let response = add_slash(path, query);
            response.headers()[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(location("/a/b", None), "./b/");
        assert_eq!(location("/b", Some("x=1")), "./b/?x=1");
        assert_eq!(location("//evil", None), "./evil/");
        let script = location("/javascript:alert(1)", None);
        assert_eq!(script, "./javascript:alert(1)/");
    }

    #[test]
    fn text_holds_nothing_that_acts() {
        assert_eq!(escaped("/a\u{1b}[2J\u{202e}b"), "/a\\u{1b}[2J\\u{202e}b");
    }
}
