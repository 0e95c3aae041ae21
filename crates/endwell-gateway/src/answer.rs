//! Answers a request with what a source has.
//!
//! Reads: a request and a [`Source`]. Gives: 200, 206, 304, 412, 416, or why there is nothing.
//! Never: begins the content for a request that does not want its octets.

use std::ops::Range;
use std::time::Duration;

use endwell::Body;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    RANGE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::conditions::{self, Condition, single};
use crate::range::{self, Asked};
use crate::reply;
use crate::source::{About, Content, Length, Refusal, Source};

/// Answers a GET or HEAD.
pub(crate) async fn answer(request: &Parts, source: &dyn Source) -> Response<Body> {
    match source.open().await {
        Ok(content) => respond(request, content).await,
        Err(refusal) => refused(refusal, request.uri.path()),
    }
}

/// Answers a GET or HEAD with content that was opened.
pub(crate) async fn respond(request: &Parts, content: Box<dyn Content>) -> Response<Body> {
    let path = request.uri.path();
    let (fields, length) = (fields(content.about()), content.about().length);
    if let Some(version) = &content.about().version {
        match conditions::evaluate(&request.headers, version) {
            Condition::Failed => return reply::status(StatusCode::PRECONDITION_FAILED, path),
            Condition::NotModified => return not_modified(fields),
            Condition::Met => {}
        }
    }
    let part = match asked(request, content.about()) {
        Asked::Unsatisfiable => {
            let octets = length.promised().unwrap_or_default();
            return reply::range_not_satisfiable(path, octets);
        }
        Asked::Whole => None,
        // Several parts are more than a client may count on (RFC 9110 section 14.2): one or all.
        Asked::Parts(mut parts) => parts.pop().filter(|_| parts.is_empty()),
    };
    let mut response = if request.method == Method::HEAD {
        nothing().into_http()
    } else {
        match content.begin(part.clone()).await {
            Ok(body) => body.into_http(),
            Err(refusal) => return refused(refusal, path),
        }
    };
    let headers = response.headers_mut();
    headers.extend(fields);
    describe(headers, length, part.as_ref());
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// What the request wants: `Range` is for GET only (RFC 9110 section 14.2).
fn asked(request: &Parts, about: &About) -> Asked {
    let Length::Ranges(octets) = about.length else {
        return Asked::Whole;
    };
    let allowed = match &about.version {
        Some(version) => conditions::allow_range(&request.headers, version),
        None => !request.headers.contains_key(http::header::IF_RANGE),
    };
    match single(&request.headers, &RANGE) {
        Some(value) if request.method == Method::GET && allowed => range::parse(value, octets),
        Some(_) | None => Asked::Whole,
    }
}

/// The fields that do not depend on the request.
fn fields(about: &About) -> HeaderMap {
    let mut fields = about.fields.clone();
    fields.insert(CONTENT_TYPE, about.media_type.clone());
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(version) = &about.version {
        let tag = HeaderValue::try_from(version.tag());
        fields.extend(tag.map(|tag| (ETAG, tag)));
        let modified = version.last_modified().map(HeaderValue::try_from);
        fields.extend(modified.and_then(Result::ok).map(|it| (LAST_MODIFIED, it)));
    }
    fields
}

/// How long it is, and which part of it this is.
fn describe(headers: &mut HeaderMap, length: Length, part: Option<&Range<u64>>) {
    let ranges = match length {
        Length::Ranges(_) => "bytes",
        Length::Promised(_) | Length::Unknown => "none",
    };
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static(ranges));
    let Some(octets) = length.promised() else {
        return;
    };
    let Some(part) = part else {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(octets));
        return;
    };
    let length = HeaderValue::from(part.end - part.start);
    headers.insert(CONTENT_LENGTH, length);
    let range = format!("bytes {}-{}/{octets}", part.start, part.end - 1);
    headers.extend(HeaderValue::try_from(range).map(|range| (CONTENT_RANGE, range)));
}

/// 304, with what a stored response takes over (RFC 9110 section 15.4.5).
fn not_modified(mut fields: HeaderMap) -> Response<Body> {
    fields.remove(CONTENT_TYPE);
    let mut response = Body::full("").into_http();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = fields;
    response
}

/// A body of which no length is known, for a response that has none.
fn nothing() -> Body {
    endwell::stream(|producer| async move { Ok(producer.finish()) })
}

/// Why there is nothing, as a response.
fn refused(refusal: Refusal, path: &str) -> Response<Body> {
    match refusal {
        Refusal::NotFound => reply::status(StatusCode::NOT_FOUND, path),
        Refusal::Forbidden => reply::status(StatusCode::FORBIDDEN, path),
        Refusal::Busy(wait) => busy(wait, path),
        Refusal::Failed(cause) => reply::failed(cause),
    }
}

fn busy(wait: Duration, path: &str) -> Response<Body> {
    let mut response = reply::status(StatusCode::SERVICE_UNAVAILABLE, path);
    let headers = response.headers_mut();
    let seconds = wait.as_secs().max(1);
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
