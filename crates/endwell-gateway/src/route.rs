//! Paths at which something else than the folder answers.
//!
//! Reads: a request. Gives: the answer of the source at its path, else that of the service around
//! which this stands.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use endwell::Body;
use http::header::CONTENT_DISPOSITION;
use http::request::Parts;
use http::{Method, Request, Response};
use tower_service::Service;

use crate::answer::answer;
use crate::query::Query;
use crate::source::Source;
use crate::target::Target;
use crate::{disposition, reply};

/// Sources at paths of their own, in front of another service.
///
/// A path stands for itself alone: nothing below it, no slash behind it, and however it is
/// percent-encoded. Put it around [`Files`](crate::Files): a file of the same path is then not seen.
///
/// # On the wire
/// Knows `GET`, `HEAD` and `OPTIONS`; 405 to anything else. `?download` has browsers save what comes.
///
/// # Examples
/// ```
/// # fn run(rows: impl endwell_gateway::source::Source + 'static) -> std::io::Result<()> {
/// use endwell_gateway::{Files, Routes};
/// let app = Routes::new(Files::new("public")?).at("/rows.csv", rows);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Routes<S> {
    inner: S,
    sources: Arc<HashMap<PathBuf, Arc<dyn Source>>>,
}

impl<S> Routes<S> {
    /// In front of a service, without any source yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            sources: Arc::default(),
        }
    }

    /// Has a source answer at a path such as `/dumps/all.sql`. The last one at a path counts; at
    /// what is no path of a file (`/`, `/a/`, `/../a`, `a`) nobody can ask for it.
    #[must_use]
    pub fn at(mut self, path: &str, source: impl Source + 'static) -> Self {
        if let Some(names) = names(path) {
            Arc::make_mut(&mut self.sources).insert(names, Arc::new(source));
        }
        self
    }

    /// The service that answers everything else.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// What a path stands for, if it can be a file's.
fn names(path: &str) -> Option<PathBuf> {
    let target = Target::parse(path, true).filter(|target| !target.is_folder())?;
    Some(target.names().to_owned())
}

impl<S, R> Service<Request<R>> for Routes<S>
where
    S: Service<Request<R>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Routed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        // Most servers have none: their requests are not looked at.
        let found = match self.sources.is_empty() {
            true => None,
            false => names(request.uri().path()).and_then(|names| {
                let source = self.sources.get(&names)?;
                Some((Arc::clone(source), names))
            }),
        };
        let Some((source, names)) = found else {
            return Routed(Way::Inner(Box::pin(self.inner.call(request))));
        };
        let (request, _) = request.into_parts();
        Routed(Way::Source(Box::pin(async move {
            let name = names.file_name().unwrap_or_default();
            Ok(respond(&request, &*source, name).await)
        })))
    }
}

async fn respond(request: &Parts, source: &dyn Source, name: &OsStr) -> Response<Body> {
    if request.method == Method::OPTIONS {
        return reply::options();
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return reply::method_not_allowed(request.uri.path());
    }
    let mut response = answer(request, source).await;
    let query = Query::parse(request.uri.query().unwrap_or_default());
    if query.download && response.status().is_success() {
        let attachment = disposition::attachment(name);
        response
            .headers_mut()
            .insert(CONTENT_DISPOSITION, attachment);
    }
    response
}

/// The future of [`Routes`].
pub struct Routed<F>(Way<F>);

enum Way<F> {
    Source(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>),
    Inner(Pin<Box<F>>),
}

impl<F> Future for Routed<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Way::Source(answer) => answer.as_mut().poll(cx),
            Way::Inner(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<F> fmt::Debug for Routed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Routed")
    }
}
