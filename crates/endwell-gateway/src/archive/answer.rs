//! Answers with an archive: all of it, parts of it, or word that the client has it.
//!
//! Reads: what is wanted. Gives: 200, 206, 304, 412 or 416; where there can be no archive, why.
//! Everything that can be known before the first octet is: what cannot be listed or read is a 4xx
//! or 5xx.

use std::ffi::OsString;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use endwell::{Abort, Body, Cause, Finished, Producer};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::encode::Coding;
use super::kept::{KEPT, Kept, Key, Listing};
use super::layout::Stands;
use super::pack::{From, OnError, Packer};
use super::send::{Ended, body, compressed, pass, say};
use super::tar::Tar;
use super::walk::{Options, Waiting, WalkError, walk};
use super::wanted::{ArchiveOnError, Form, Wanted};
use super::zip::Zip;
use crate::conditions::{self, Condition};
use crate::multipart::Multipart;
use crate::range::{self, Asked};
use crate::source::blocking::blocking;
use crate::source::file::Growing;
use crate::source::place::OpenError;
use crate::validators::Validators;
use crate::{disposition, reply};

/// What all archives of a service share.
#[derive(Debug)]
pub(crate) struct State {
    kept: Arc<Kept>,
    /// As many walks at once as there are processors: the work is theirs, and more at once would
    /// only hold up those who download.
    walking: Semaphore,
}

impl Default for State {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            kept: Arc::default(),
            walking: Semaphore::new(processors),
        }
    }
}

impl State {
    /// The right to walk, if nobody must be waited for.
    pub(super) fn turn_at_once(&self) -> Option<SemaphorePermit<'_>> {
        self.walking.try_acquire().ok()
    }
}

/// Makes the response to a GET or HEAD of an archive. A walk under way stops when the future is
/// dropped.
pub(crate) async fn respond(wanted: Wanted) -> Response<Body> {
    match list(&wanted).await {
        Ok(listing) => match wanted.form {
            Form::Tar if wanted.on_error == ArchiveOnError::Fail => plain(&wanted, listing),
            Form::Tar => streamed(&wanted, listing, tar(None)),
            Form::TarGz => streamed(&wanted, listing, tar(Some(Coding::Gzip))),
            Form::TarZst => streamed(&wanted, listing, tar(Some(Coding::Zstd))),
            Form::Zip => zip(&wanted, listing),
        },
        Err(error) => refused(&wanted.path, error),
    }
}

/// Why there is no archive.
enum Refused {
    Walk(WalkError),
    Cause(Cause),
}

/// The listing of the folder: a new one, unless the request only goes on with what another began.
async fn list(wanted: &Wanted) -> Result<Arc<Listing>, Refused> {
    let options = Options::of(wanted.on_error, wanted.hidden);
    let key = Key::new(wanted.place.path(), &wanted.name, options);
    let kept = &wanted.state.kept;
    let goes_on = goes_on(&wanted.headers);
    if goes_on && let Some(listing) = kept.get(&key, Instant::now()) {
        return Ok(listing);
    }
    // Nobody closes the semaphore.
    let _turn = wanted.state.walking.acquire().await;
    if goes_on && let Some(listing) = kept.get(&key, Instant::now()) {
        return Ok(listing);
    }
    let waiting = Waiting::default();
    let (abandoned, place, name) = (
        waiting.abandoned(),
        wanted.place.clone(),
        wanted.name.clone(),
    );
    let form = wanted.form;
    let walked = blocking(move || {
        Ok(walk(&place, &name, options, &abandoned).map(|tree| {
            let listing = Listing::new(tree, SystemTime::now());
            match form {
                Form::Tar => drop(listing.layout()),
                Form::Zip => drop(listing.zip_length()),
                Form::TarGz | Form::TarZst => {}
            }
            Arc::new(listing)
        }))
    });
    let listing = walked
        .await
        .map_err(Refused::Cause)?
        .map_err(Refused::Walk)?;
    drop(waiting);
    kept.put(key, &listing, Instant::now());
    let kept = Arc::downgrade(kept);
    tokio::spawn(async move {
        tokio::time::sleep(KEPT).await;
        if let Some(kept) = kept.upgrade() {
            kept.expire(Instant::now());
        }
    });
    Ok(listing)
}

/// Whether a request wants a range and does not ask whether something has changed.
fn goes_on(headers: &HeaderMap) -> bool {
    const ASKING: [HeaderName; 5] = [
        IF_RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ];
    headers.contains_key(RANGE) && !ASKING.iter().any(|name| headers.contains_key(name))
}

fn refused(path: &str, error: Refused) -> Response<Body> {
    let forbidden = |why: &str| reply::because(StatusCode::FORBIDDEN, path, why);
    match error {
        Refused::Cause(cause) => reply::failed(cause),
        Refused::Walk(error) => match error {
            WalkError::Folder(OpenError::NotFound) => reply::status(StatusCode::NOT_FOUND, path),
            WalkError::Folder(OpenError::Forbidden) => reply::status(StatusCode::FORBIDDEN, path),
            WalkError::Folder(error @ (OpenError::Waits | OpenError::Failed { .. })) => {
                reply::failed(Cause::producer(format!("cannot archive a folder: {error}")))
            }
            // Its name stands on the page of its folder, too.
            WalkError::Unreadable { error: ref why, .. }
                if why.kind() == io::ErrorKind::PermissionDenied =>
            {
                forbidden(&error.to_string())
            }
            error @ (WalkError::Unreadable { .. } | WalkError::Abandoned) => {
                reply::failed(Cause::producer(error.to_string()))
            }
            error @ (WalkError::TooMany { .. }
            | WalkError::TooMuch { .. }
            | WalkError::TooDeep { .. }
            | WalkError::TooLong { .. }) => forbidden(&error.to_string()),
        },
    }
}

/// Makes the body of a TAR.
fn tar(coding: Option<Coding>) -> impl FnOnce(&Wanted, &Listing, OnError) -> Body {
    move |wanted, listing, on_error| {
        let tree = Arc::clone(&listing.tree);
        let packer = Packer::whole(tree, Tar::default(), wanted.growing, on_error, None);
        match coding {
            Some(coding) => compressed(packer, coding),
            None => body(packer),
        }
    }
}

/// A ZIP. Its length is known if nothing is compressed and nothing may be left out; its octets are
/// not, before all files were read, so there are no ranges.
fn zip(wanted: &Wanted, listing: Arc<Listing>) -> Response<Body> {
    let promised = match (wanted.zip_level, wanted.on_error) {
        (0, ArchiveOnError::Fail) => match listing.zip_length() {
            Some(octets) => Some(octets),
            None => return too_long(wanted),
        },
        _ => None,
    };
    let made = |wanted: &Wanted, listing: &Listing, on_error| {
        let (tree, zip) = (Arc::clone(&listing.tree), Zip::new(wanted.zip_level));
        let body = body(Packer::whole(tree, zip, wanted.growing, on_error, promised));
        match promised {
            Some(octets) => body.promise(octets),
            None => body,
        }
    };
    let mut response = streamed(wanted, listing, made);
    if let (StatusCode::OK, Some(octets)) = (response.status(), promised) {
        let length = HeaderValue::from(octets);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response
}

/// Nobody has so much room.
fn too_long(wanted: &Wanted) -> Response<Body> {
    let why = "the archive would be longer than any client could read";
    reply::because(StatusCode::FORBIDDEN, &wanted.path, why)
}

/// An archive without ranges.
fn streamed(
    wanted: &Wanted,
    listing: Arc<Listing>,
    made: impl FnOnce(&Wanted, &Listing, OnError) -> Body,
) -> Response<Body> {
    let mut described = label(wanted);
    described.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    let on_error = match wanted.on_error {
        ArchiveOnError::Fail => {
            // The same folder may give other octets: another version of the encoder.
            let version = Validators::named(
                format!("{}-{}", listing.hash, wanted.form.extension()),
                true,
            );
            if let Some(response) = conditional(wanted, &version) {
                return response;
            }
            described.extend(tag(&version));
            OnError::Seal
        }
        ArchiveOnError::Degrade => OnError::LeaveOut,
    };
    // Of the answer to HEAD the body is never asked for a frame, and promises no length.
    let mut response = made(wanted, &listing, on_error).into_http();
    response.headers_mut().extend(described);
    response
}

/// A TAR, whose octets are all known beforehand.
fn plain(wanted: &Wanted, listing: Arc<Listing>) -> Response<Body> {
    let Some(layout) = listing.layout() else {
        return too_long(wanted);
    };
    let octets = layout.length();
    let version = Validators::named(listing.hash.clone(), listing.is_young);
    if let Some(response) = conditional(wanted, &version) {
        return response;
    }
    let mut described = label(wanted);
    described.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    described.extend(tag(&version));
    let mut response = match asked(wanted, &version, octets) {
        Asked::Unsatisfiable => return reply::range_not_satisfiable(&wanted.path, octets),
        Asked::Whole => whole(wanted, &listing, octets),
        Asked::Parts(parts) => partial(wanted, listing, octets, parts),
    };
    // What a multipart says of itself stays.
    described.extend(std::mem::take(response.headers_mut()));
    *response.headers_mut() = described;
    response
}

/// The answer where a precondition decides.
fn conditional(wanted: &Wanted, version: &Validators) -> Option<Response<Body>> {
    match conditions::evaluate(&wanted.headers, version) {
        Condition::Met => None,
        Condition::Failed => Some(reply::status(StatusCode::PRECONDITION_FAILED, &wanted.path)),
        Condition::NotModified => {
            let mut response = Body::full("").into_http();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().extend(tag(version));
            let control = HeaderValue::from_static("no-cache");
            response.headers_mut().insert(CACHE_CONTROL, control);
            Some(response)
        }
    }
}

fn tag(version: &Validators) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let tag = HeaderValue::try_from(version.tag()).ok();
    tag.map(|tag| (ETAG, tag)).into_iter()
}

/// Says what the octets are.
fn label(wanted: &Wanted) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut name = wanted.name.clone();
    name.push(b'.');
    name.extend_from_slice(wanted.form.extension().as_bytes());
    let name = disposition::attachment(&OsString::from_vec(name));
    headers.insert(CONTENT_DISPOSITION, name);
    for (name, value) in [
        (CONTENT_TYPE, wanted.form.media_type()),
        // What is in the folder is to be asked for anew, as its page is.
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

/// What the request wants: `Range` is for GET only (RFC 9110 section 14.2).
fn asked(wanted: &Wanted, version: &Validators, octets: u64) -> Asked {
    let headers = &wanted.headers;
    match conditions::single(headers, &RANGE) {
        Some(value)
            if wanted.method == Method::GET && conditions::allow_range(headers, version) =>
        {
            range::parse(value, octets)
        }
        Some(_) | None => Asked::Whole,
    }
}

fn whole(wanted: &Wanted, listing: &Listing, octets: u64) -> Response<Body> {
    let body = if wanted.method == Method::HEAD {
        Body::full("")
    } else {
        let tree = Arc::clone(&listing.tree);
        let tar = Tar::default();
        let packer = Packer::whole(tree, tar, wanted.growing, OnError::Seal, Some(octets));
        body(packer).promise(octets)
    };
    let mut response = body.into_http();
    let length = HeaderValue::from(octets);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Some of it: 206; or all of it, where that is less than the parts with what stands between them.
fn partial(
    wanted: &Wanted,
    listing: Arc<Listing>,
    octets: u64,
    parts: Vec<Range<u64>>,
) -> Response<Body> {
    let growing = wanted.growing;
    let (length, made, field) = if let [part] = parts.as_slice() {
        let length = part.end - part.start;
        let range = format!("bytes {}-{}/{octets}", part.start, part.end - 1);
        let made = body(Part { listing, growing }.of(part));
        (length, made, (CONTENT_RANGE, range))
    } else {
        let media_type = HeaderValue::from_static(wanted.form.media_type());
        let parts = Multipart::new(parts, octets, media_type);
        let length = parts.length();
        if length >= octets {
            return whole(wanted, &listing, octets);
        }
        let content_type = parts.content_type();
        let of = Part { listing, growing };
        let made = endwell::stream(move |producer| send_parts(producer, of, parts));
        (length, made, (CONTENT_TYPE, content_type))
    };
    let mut response = made.promise(length).into_http();
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Ok(value) = HeaderValue::try_from(field.1) {
        headers.insert(field.0, value);
    }
    response
}

/// Of what parts are sent.
struct Part {
    listing: Arc<Listing>,
    growing: Growing,
}

impl Part {
    fn of(&self, octets: &Range<u64>) -> Packer<Tar> {
        let tree = Arc::clone(&self.listing.tree);
        let stands = self
            .listing
            .layout()
            .map(|layout| layout.find(&tree, octets.start));
        let (from, start) = match stands {
            Some(Stands::Before) | None => (From::Begin, 0),
            Some(Stands::In(entry, start)) => (From::Entry(entry), start),
            Some(Stands::Behind(start)) => (From::End, start),
        };
        let skip = octets.start - start;
        let length = octets.end - octets.start;
        Packer::part(tree, Tar::default(), self.growing, from, skip, length)
    }
}

/// Sends several parts, each after what stands before it.
async fn send_parts(mut producer: Producer, of: Part, parts: Multipart) -> Result<Finished, Abort> {
    let mut sent = false;
    for (at, part) in parts.parts().iter().enumerate() {
        let before = parts.head(at, part);
        match pass(&mut producer, of.of(part), before, &mut sent).await? {
            Ended::Complete => {}
            ended @ (Ended::Degraded(_) | Ended::Failed(_)) => return Ok(say(producer, ended)),
        }
    }
    let tail: Bytes = parts.tail();
    producer.send(tail).await?;
    Ok(producer.finish())
}
