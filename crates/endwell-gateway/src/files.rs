//! A service over a folder: files, ranges, and a page for each folder.
//!
//! Reads: a request. Gives: a response whose body fails when its file changes under it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use endwell::{Body, Cause};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::conditions::{self, Condition, single};
use crate::range::{self, Asked};
use crate::source::file::{Growing, Opened, blocking};
use crate::source::place::{OpenError, Place};
use crate::target::Target;
use crate::validators::Validators;
use crate::{listing, media, reply};

/// The page that is sent for its folder.
const INDEX: &str = "index.html";

/// Serves the files of a folder.
///
/// Knows `GET`, `HEAD` and `OPTIONS`; conditional requests; a single range. A folder is answered
/// with its `index.html`, else with a listing of its entries: a page, or JSON if the query says
/// `list=json` or `Accept` prefers it. Names that begin with a dot, and symbolic links that lead
/// out of the folder, are not found.
///
/// # On the wire
/// A file that shrinks or is rewritten while it is sent ends as failed
/// ([`source::file`](crate::source::file) says how that is found out), an open file that is only
/// renamed or unlinked does not. The promised length is never fulfilled by a file that changed:
/// over HTTP/1 the body is short, over HTTP/2 the stream is reset.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use endwell_gateway::{Files, Growing};
/// let files = Files::new("logs")?.growing(Growing::Allow);
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// endwell::serve(endwell::listen(tcp), files).await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Files {
    root: Arc<PathBuf>,
    growing: Growing,
    listing: bool,
}

impl Files {
    /// Serves a folder. It may be a symbolic link that is set anew while the service runs.
    ///
    /// # Errors
    /// It does not exist, is no folder, or cannot be reached.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        if !root.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            root: Arc::new(root),
            growing: Growing::default(),
            listing: true,
        })
    }

    /// What to do about files that only grow while they are sent.
    #[must_use]
    pub fn growing(mut self, growing: Growing) -> Self {
        self.growing = growing;
        self
    }

    /// Whether a folder without an `index.html` is answered with a listing; it is unless this is
    /// switched off. Then such a folder is not found (404).
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Self {
        self.listing = listing;
        self
    }

    /// The folder, as an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the response to a GET or HEAD; blocks.
    fn respond(&self, request: &Parts) -> Response<Body> {
        let path = request.uri.path();
        match self.look(request, path) {
            Ok(response) => response,
            Err(OpenError::NotFound) => reply::status(StatusCode::NOT_FOUND, path),
            Err(OpenError::Forbidden) => reply::status(StatusCode::FORBIDDEN, path),
            Err(OpenError::Failed { path, source }) => {
                let message = format!("cannot open {}: {source}", path.display());
                reply::failed(Cause::producer(message))
            }
        }
    }

    fn look(&self, request: &Parts, path: &str) -> Result<Response<Body>, OpenError> {
        let target = Target::parse(path).ok_or(OpenError::NotFound)?;
        let place = Place::find(&self.root, target.names())?;
        match (place.is_folder(), target.is_folder()) {
            (true, true) => self.folder(request, &place, target.names()),
            (true, false) => Ok(reply::add_slash(path, request.uri.query())),
            (false, true) => Err(OpenError::NotFound),
            (false, false) => self.file(request, &place, target.names()),
        }
    }

    fn folder(
        &self,
        request: &Parts,
        place: &Place,
        names: &Path,
    ) -> Result<Response<Body>, OpenError> {
        let index = names.join(INDEX);
        match Place::find(&self.root, &index) {
            Ok(page) if page.is_file() => return self.file(request, &page, &index),
            Ok(_) | Err(OpenError::NotFound) => {}
            Err(error) => return Err(error),
        }
        if !self.listing {
            return Err(OpenError::NotFound);
        }
        listing::respond(request, place, false)
    }

    /// `names` is the file as it was asked for: a link's own name says what it holds.
    fn file(
        &self,
        request: &Parts,
        place: &Place,
        names: &Path,
    ) -> Result<Response<Body>, OpenError> {
        let opened = Opened::open(place, self.growing)?;
        let (path, octets) = (request.uri.path(), opened.octets());
        let version = Validators::of(octets, opened.modified(), SystemTime::now());
        let mut response = match conditions::evaluate(&request.headers, &version) {
            Condition::Failed => return Ok(reply::status(StatusCode::PRECONDITION_FAILED, path)),
            Condition::NotModified => {
                let mut response = Body::full("").into_http();
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            Condition::Met => match asked(request, &version, octets) {
                Asked::Unsatisfiable => return Ok(reply::range_not_satisfiable(path, octets)),
                Asked::Whole => content(request, opened, None),
                Asked::Part(part) => content(request, opened, Some(part)),
            },
        };
        if response.status().is_server_error() {
            return Ok(response);
        }
        let headers = response.headers_mut();
        describe(headers, &version);
        if !headers.contains_key(CONTENT_LENGTH) {
            return Ok(response);
        }
        let media_type = HeaderValue::from_static(media::media_type(names));
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
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

/// 200 or 206 with its octets, or 500 if not even the first of them can be had.
fn content(request: &Parts, opened: Opened, part: Option<std::ops::Range<u64>>) -> Response<Body> {
    let octets = opened.octets();
    let range = part.clone().unwrap_or(0..octets);
    let length = range.end - range.start;
    let body = if request.method == Method::HEAD {
        Body::full("")
    } else {
        match opened.body(range) {
            Ok(body) => body,
            Err(cause) => return reply::failed(cause),
        }
    };
    let mut response = body.into_http();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{octets}", part.start, part.end - 1);
        if let Ok(range) = HeaderValue::try_from(range) {
            headers.insert(CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// Says which version it is, also in a 304 (RFC 9110 section 15.4.5).
fn describe(headers: &mut HeaderMap, version: &Validators) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::try_from(version.tag()) {
        headers.insert(ETAG, tag);
    }
    let date = version.last_modified().map(HeaderValue::try_from);
    if let Some(Ok(date)) = date {
        headers.insert(LAST_MODIFIED, date);
    }
}

impl<B> Service<Request<B>> for Files {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Responding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Responding {
        let (request, _) = request.into_parts();
        if request.method == Method::OPTIONS {
            return Responding::ready(reply::options());
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            return Responding::ready(reply::method_not_allowed(request.uri.path()));
        }
        let files = self.clone();
        Responding(Box::pin(async move {
            let responded = blocking(move || Ok(files.respond(&request))).await;
            responded.unwrap_or_else(reply::failed)
        }))
    }
}

/// The future of [`Files`].
pub struct Responding(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl Responding {
    fn ready(response: Response<Body>) -> Self {
        Self(Box::pin(std::future::ready(response)))
    }
}

impl Future for Responding {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for Responding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responding")
    }
}
