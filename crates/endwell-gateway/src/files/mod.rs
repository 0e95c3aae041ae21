//! A service over a folder: files, ranges, and a page for each folder.
//!
//! Reads: a request. Gives: a response whose body fails when its file changes under it.

mod known;

mod settings;

mod choose;

mod reading;

mod parts;

mod checksum;

mod content;

mod look;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use endwell::{Body, Cause};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use self::look::Answer;
use self::settings::Settings;
use crate::archive::{self, ArchiveOnError, Archives};
use crate::reply;
use crate::source::Disk;
use crate::source::blocking::{blocking, still_waits};
use crate::source::file::Growing;
use crate::source::place::{OpenError, Root};

/// Serves the files of a folder.
///
/// Knows `GET`, `HEAD` and `OPTIONS`; conditional requests; ranges. A folder is answered with its
/// `index.html`, else with a page of its entries. Names that begin with a dot (but
/// `/.well-known`), and symbolic links that lead out of the folder, are not found.
///
/// # On the wire
/// A file that shrinks or is rewritten while it is sent ends as failed
/// ([`source::file`](crate::source::file) says how that is found out), an open file that is only
/// renamed or unlinked does not. The promised length is never fulfilled by a file that changed:
/// over HTTP/1 the body is short, over HTTP/2 the stream is reset.
///
/// Asked for by `Want-Repr-Digest` (RFC 9530), the digest of a file stands in the head if it is
/// known, else behind the body: over HTTP/2 always, over HTTP/1.1 if the client said
/// `TE: trailers`, and then without a promised length; over HTTP/1.0 never. A body that failed
/// has none.
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
    settings: Arc<Settings>,
}

impl Files {
    /// Serves a folder. It may be a symbolic link that is set anew while the service runs.
    ///
    /// # Errors
    /// It does not exist, is no folder, cannot be reached, or may not be entered.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            settings: Arc::new(Settings::new(Root::open(root)?)),
        })
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// What to do about files that only grow while they are sent.
    #[must_use]
    pub fn growing(self, growing: Growing) -> Self {
        self.set(|settings| settings.growing = growing)
    }

    /// Whether names that begin with a dot are served. Off by default: they hold what is not meant
    /// to be seen (`.git`, `.env`, `.htpasswd`). `/.well-known` (RFC 8615) is served in any case.
    #[must_use]
    pub fn hidden(self, hidden: bool) -> Self {
        self.set(|settings| settings.hidden = hidden)
    }

    /// Whether symbolic links that lead out of the folder are followed. Off by default.
    #[must_use]
    pub fn follow_symlinks(self, follow: bool) -> Self {
        self.set(|settings| settings.follow_symlinks = follow)
    }

    /// Whether a folder without an index is answered with what is in it, as a page or as JSON. On by
    /// default; off, it is not found.
    #[must_use]
    pub fn listing(self, listing: bool) -> Self {
        self.set(|settings| settings.listing = listing)
    }

    /// The file that is sent for its folder; `None` for the page of entries in any case.
    /// `index.html` by default.
    #[must_use]
    pub fn index(self, name: Option<PathBuf>) -> Self {
        self.set(|settings| settings.index = name)
    }

    /// The page of an application that finds its way by itself: it is sent with 200 for what is
    /// not found, if the path has no extension and the client asks for `text/html`. Off by
    /// default. A path below the folder.
    #[must_use]
    pub fn spa(self, page: Option<PathBuf>) -> Self {
        self.set(|settings| settings.spa = page)
    }

    /// The page that is sent with 404. A path below the folder; a line of text by default.
    #[must_use]
    pub fn not_found_page(self, page: impl Into<PathBuf>) -> Self {
        self.set(|settings| settings.not_found_page = Some(page.into()))
    }

    /// `Cache-Control` for files. None by default: caches then ask or guess.
    #[must_use]
    pub fn cache_control(self, value: HeaderValue) -> Self {
        self.set(|settings| settings.cache_control = Some(value))
    }

    /// Sends files with this extension, in upper or lower case and without its dot, as this type.
    /// The last word on an extension counts.
    #[must_use]
    pub fn media_type(self, extension: &str, media_type: HeaderValue) -> Self {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        self.set(|settings| settings.media_types.insert(0, (extension, media_type)))
    }

    /// Whether `FILE.br`, `FILE.zst` and `FILE.gz` are sent in place of `FILE` to clients that
    /// accept them, unless they are older. Off by default: only who made them knows that they
    /// hold the same.
    #[must_use]
    pub fn precompressed(self, precompressed: bool) -> Self {
        self.set(|settings| settings.precompressed = precompressed)
    }

    /// Whether digests are told as text: `FILE?hash`, `FILE?hash=sha-512`, and `FILE.sha256` and
    /// `FILE.sha512` where there is no such file. Off by default: it reads a whole file for a
    /// line of text. As many are computed at once as there are processors.
    #[must_use]
    pub fn digests(self, digests: bool) -> Self {
        self.set(|settings| settings.digests = digests)
    }

    /// Of which folders there are archives (`?archive=tar`, `tar.gz`, `tar.zst`, `zip`): of those that are
    /// listed, by default.
    #[must_use]
    pub fn archives(self, archives: Archives) -> Self {
        self.set(|settings| settings.archives = archives)
    }

    /// What to do about an entry that cannot be archived.
    #[must_use]
    pub fn archive_on_error(self, on_error: ArchiveOnError) -> Self {
        self.set(|settings| settings.archive_on_error = on_error)
    }

    /// How much the files in a ZIP are compressed: 0, the default, stores them as they are, so that
    /// its length is known beforehand; 1 is the fastest, 9 the smallest. More is taken for 9.
    #[must_use]
    pub fn zip_level(self, level: u32) -> Self {
        self.set(|settings| settings.zip_level = level.min(9))
    }

    /// The folder, as an absolute path.
    pub fn root(&self) -> &Path {
        self.settings.root.path()
    }

    /// Looks whether a page of [`Files::spa`] or [`Files::not_found_page`] is there, as it is looked
    /// for when it is sent. Blocks.
    ///
    /// # Errors
    /// It is not below the folder, is no file, or cannot be opened.
    #[cfg(feature = "run")]
    pub(crate) fn look_for_page(&self, page: &Path) -> Result<(), OpenError> {
        let place = self.settings.find(page, Disk::Any)?;
        self.settings.open(&place, Disk::Any).map(|_| ())
    }

    /// The `Content-Type` of a file with this name.
    pub fn type_of(&self, name: &Path) -> HeaderValue {
        self.settings.media_type(name)
    }

    /// Makes the response to a GET or HEAD; `None` when a disk must be waited for and may not be.
    fn respond(&self, request: &Parts, disk: Disk) -> Option<Answer> {
        let path = request.uri.path();
        Some(
            match look::look(&self.settings, request, disk) {
                Ok(answer) => return Some(answer),
                Err(OpenError::Waits) => return None,
                Err(OpenError::NotFound) => reply::status(StatusCode::NOT_FOUND, path),
                Err(OpenError::Forbidden) => reply::status(StatusCode::FORBIDDEN, path),
                Err(OpenError::Failed { path, source }) => {
                    let message = format!("cannot open {}: {source}", path.display());
                    reply::failed(Cause::producer(message))
                }
            }
            .into(),
        )
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
        // What is in the caches is answered here: to hand it to another thread costs more.
        match self.respond(&request, Disk::Cached) {
            Some(Answer::Response(response)) => return Responding::ready(response),
            Some(Answer::Archive(wanted)) => {
                return Responding::Waiting(Box::pin(archive::respond(*wanted)));
            }
            None => {}
        }
        let files = self.clone();
        Responding::Waiting(Box::pin(async move {
            let respond = move || {
                let response = files.respond(&request, Disk::Any);
                response.ok_or_else(still_waits)
            };
            match blocking(respond).await {
                Ok(Answer::Response(response)) => response,
                Ok(Answer::Archive(wanted)) => archive::respond(*wanted).await,
                Err(cause) => reply::failed(cause),
            }
        }))
    }
}

/// The future of [`Files`].
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the one that must be quick"
)]
pub enum Responding {
    #[doc(hidden)]
    Ready(Option<Response<Body>>),
    #[doc(hidden)]
    Waiting(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Responding {
    fn ready(response: Response<Body>) -> Self {
        Self::Ready(Some(response))
    }
}

impl Future for Responding {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(response) => response
                .take()
                .map_or(Poll::Pending, |it| Poll::Ready(Ok(it))),
            Self::Waiting(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}

impl fmt::Debug for Responding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responding")
    }
}
