//! Answers with the content of a file: all of it, parts of it, or word that the client has it.
//!
//! Reads: a request and an open file. Gives: 200, 206, 304, 412 or 416.

use std::ops::Range;
use std::path::Path;

use endwell::{Body, Cause, Trailers};
use endwell_core::TrailerRoom;
use endwell_core::fields::{Digest, DigestAlgorithm, WantDigest};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RANGE, TRAILER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::known::Key;
use super::parts;
use super::reading::Hashing;
use super::settings::Settings;
use crate::accept::{self, Coding};
use crate::conditions::{self, Condition, list, single};
use crate::multipart::Multipart;
use crate::range::{self, Asked};
use crate::source::file::Opened;
use crate::validators::Validators;
use crate::{disposition, reply};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

/// A file up to this is hashed before its head leaves: it takes less than the way to the client.
const HASHED_BEFORE: u64 = 32 * 1024;

/// What represents the file that was asked for.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) opened: Opened,
    pub(super) version: Validators,
    pub(super) coding: Option<Coding>,
    /// The fields of a request that another representation depends on.
    pub(super) vary: Option<&'static str>,
    /// The file as it was asked for: a link's own name says what it holds.
    pub(super) names: &'a Path,
    pub(super) download: bool,
}

/// Answers a GET or HEAD of a file. Blocks.
pub(super) fn respond(request: &Parts, settings: &Settings, found: Found<'_>) -> Response<Body> {
    let (path, octets) = (request.uri.path(), found.opened.octets());
    match conditions::evaluate(&request.headers, &found.version) {
        Condition::Failed => return reply::status(StatusCode::PRECONDITION_FAILED, path),
        Condition::NotModified => {
            let mut response = Body::full("").into_http();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            describe(response.headers_mut(), &found, settings);
            return response;
        }
        Condition::Met => {}
    }
    let mut described = HeaderMap::new();
    describe(&mut described, &found, settings);
    label(&mut described, &found, settings);
    let answered = match asked(request, &found.version, octets) {
        Asked::Unsatisfiable => return reply::range_not_satisfiable(path, octets),
        Asked::Whole => whole(request, settings, found),
        Asked::Parts(parts) => partial(request, settings, found, parts),
    };
    match answered {
        Ok(mut response) => {
            // What a multipart says of itself stays.
            described.extend(std::mem::take(response.headers_mut()));
            *response.headers_mut() = described;
            response
        }
        Err(cause) => reply::failed(cause),
    }
}

/// What the request wants of a file: `Range` is for GET only (RFC 9110 section 14.2).
fn asked(request: &Parts, version: &Validators, octets: u64) -> Asked {
    let headers = &request.headers;
    match single(headers, &RANGE) {
        Some(value)
            if request.method == Method::GET && conditions::allow_range(headers, version) =>
        {
            range::parse(value, octets)
        }
        Some(_) | None => Asked::Whole,
    }
}

/// Says which version it is, also in a 304 (RFC 9110 section 15.4.5).
fn describe(headers: &mut HeaderMap, found: &Found<'_>, settings: &Settings) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::try_from(found.version.tag()) {
        headers.insert(ETAG, tag);
    }
    let date = found.version.last_modified().map(HeaderValue::try_from);
    if let Some(Ok(date)) = date {
        headers.insert(LAST_MODIFIED, date);
    }
    if let Some(vary) = found.vary {
        headers.insert(VARY, HeaderValue::from_static(vary));
    }
    if let Some(control) = &settings.cache_control {
        headers.insert(CACHE_CONTROL, control.clone());
    }
}

/// Says what the octets are.
fn label(headers: &mut HeaderMap, found: &Found<'_>, settings: &Settings) {
    headers.insert(CONTENT_TYPE, settings.media_type(found.names));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(coding) = found.coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
    if let (true, Some(name)) = (found.download, found.names.file_name()) {
        headers.insert(CONTENT_DISPOSITION, disposition::attachment(name));
    }
}

/// Whether a digest is wanted: to know it takes more than a look.
pub(super) fn wants_digest(headers: &HeaderMap) -> bool {
    wanted(headers).is_some()
}

/// The algorithm of the digest that is wanted, RFC 9530 section 4.
fn wanted(headers: &HeaderMap) -> Option<DigestAlgorithm> {
    WantDigest::parse(list(headers, &WANT_REPR_DIGEST)?.as_bytes())?.most()
}

/// Everything: 200. With its digest before or behind it, if that is wanted and can be had.
fn whole(request: &Parts, settings: &Settings, found: Found<'_>) -> Result<Response<Body>, Cause> {
    let octets = found.opened.octets();
    let is_head = request.method == Method::HEAD;
    let Some(algorithm) = wanted(&request.headers) else {
        return plain(found.opened, is_head);
    };
    let hashing = Hashing::new(found.opened, algorithm, &found.version, &settings.known);
    if let Some(digest) = hashing.known() {
        let mut response = plain(hashing.into_opened(), is_head)?;
        response.headers_mut().extend(digest_field(&digest));
        return Ok(response);
    }
    if octets <= HASHED_BEFORE {
        let (octets, digest) = hashing.at_once()?;
        let length = HeaderValue::from(octets.len());
        let body = if is_head {
            Body::full("")
        } else {
            Body::full(octets)
        };
        let mut response = body.into_http();
        response.headers_mut().insert(CONTENT_LENGTH, length);
        response.headers_mut().extend(digest_field(&digest));
        return Ok(response);
    }
    let te_trailers = accept::takes_trailers(&request.headers);
    let room = endwell::protocol(request.version).trailers(te_trailers);
    Ok(match (is_head, room) {
        (true, _) | (false, TrailerRoom::Never) => plain(hashing.into_opened(), is_head)?,
        (false, TrailerRoom::Chunked) => with_trailer(hashing, None),
        (false, TrailerRoom::Always) => with_trailer(hashing, Some(octets)),
    })
}

/// All octets under a promised length.
fn plain(opened: Opened, is_head: bool) -> Result<Response<Body>, Cause> {
    let octets = opened.octets();
    let body = if is_head {
        Body::full("")
    } else {
        opened.body(0..octets)?
    };
    let mut response = body.into_http();
    let length = HeaderValue::from(octets);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    Ok(response)
}

/// All octets, and behind them, once the end is proven, their digest.
fn with_trailer(hashing: Hashing, promised: Option<u64>) -> Response<Body> {
    let mut body = endwell::stream(move |mut producer| async move {
        let digest = hashing.send(&mut producer).await?;
        producer.trailers(Trailers::new().repr_digest(&digest));
        Ok(producer.finish())
    });
    if let Some(octets) = promised {
        body = body.promise(octets);
    }
    let mut response = body.into_http();
    let headers = response.headers_mut();
    headers.insert(TRAILER, HeaderValue::from_static("Repr-Digest"));
    if let Some(octets) = promised {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(octets));
    }
    response
}

/// Some of it: 206; or all of it, where that is less than the parts with what stands between them.
fn partial(
    request: &Parts,
    settings: &Settings,
    found: Found<'_>,
    parts: Vec<Range<u64>>,
) -> Result<Response<Body>, Cause> {
    let octets = found.opened.octets();
    let digest = known(request, settings, &found);
    let mut response = if let [part] = parts.as_slice() {
        let range = format!("bytes {}-{}/{octets}", part.start, part.end - 1);
        let length = part.end - part.start;
        let mut response = found.opened.body(part.clone())?.into_http();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.extend(field(CONTENT_RANGE, range));
        response
    } else {
        let parts = Multipart::new(parts, octets, settings.media_type(found.names));
        let length = parts.length();
        if length >= octets {
            return whole(request, settings, found);
        }
        let content_type = parts.content_type();
        let mut response = parts::body(parts, found.opened).into_http();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.extend(field(CONTENT_TYPE, content_type));
        response
    };
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let digest = digest.iter().flat_map(digest_field);
    response.headers_mut().extend(digest);
    Ok(response)
}

/// The digest of the whole, if it is wanted and was computed before.
fn known(request: &Parts, settings: &Settings, found: &Found<'_>) -> Option<Digest> {
    let algorithm = wanted(&request.headers)?;
    let key = Key::of(&found.opened, &found.version)?;
    settings.known.get(&key, algorithm)
}

fn digest_field(digest: &Digest) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    field(REPR_DIGEST, digest.to_field())
}

/// A field with this value; none if it cannot be one.
fn field(name: HeaderName, value: String) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let value = HeaderValue::try_from(value).ok();
    value.map(|value| (name, value)).into_iter()
}
