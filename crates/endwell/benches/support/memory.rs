//! Bodies whose frames cost nothing, and the application that answers with them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

/// Every frame is a part of these octets: no allocation, no copy.
static OCTETS: LazyLock<Bytes> = LazyLock::new(|| {
    let octets: Vec<u8> = (0..1 << 18).map(|at: u32| (at * 7) as u8).collect();
    octets.into()
});

/// What a response consists of; as a target `/<frame>/<frames>` with `?<flags>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Octets a frame.
    pub frame: usize,
    pub frames: u64,
    /// The body knows its length and its end, as `http_body_util::Full` does.
    pub known: bool,
    /// Before every frame the body is pending once, as with a producer in another task.
    pub pauses: bool,
}

impl Shape {
    /// A body of unknown length whose frames are all there.
    pub const fn stream(frame: usize, frames: u64) -> Self {
        Self {
            frame,
            frames,
            known: false,
            pauses: false,
        }
    }

    /// The same with a pause before every frame.
    pub const fn paused(frame: usize, frames: u64) -> Self {
        Self {
            pauses: true,
            ..Self::stream(frame, frames)
        }
    }

    /// A small body, known in full.
    pub const fn hello() -> Self {
        Self {
            known: true,
            ..Self::stream(13, 1)
        }
    }

    pub const fn octets(self) -> u64 {
        self.frame as u64 * self.frames
    }

    pub fn target(self) -> String {
        let flags = [(self.known, 'k'), (self.pauses, 'p')];
        let flags: String = flags
            .iter()
            .filter_map(|(set, flag)| set.then_some(*flag))
            .collect();
        format!("/{}/{}?{flags}", self.frame, self.frames)
    }

    pub fn parse(target: &str) -> Option<Self> {
        let (path, flags) = target.split_once('?')?;
        let (frame, frames) = path.strip_prefix('/')?.split_once('/')?;
        Some(Self {
            frame: frame.parse().ok()?,
            frames: frames.parse().ok()?,
            known: flags.contains('k'),
            pauses: flags.contains('p'),
        })
    }
}

/// A body of memory.
#[derive(Debug)]
pub struct Memory {
    octets: Bytes,
    left: u64,
    shape: Shape,
    paused: bool,
}

impl Memory {
    pub fn new(shape: Shape) -> Self {
        Self {
            octets: OCTETS.slice(..shape.frame),
            left: shape.frames,
            shape,
            paused: false,
        }
    }
}

impl Body for Memory {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.shape.pauses {
            self.paused = !self.paused;
            if self.paused {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.octets.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.shape.known && self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.shape.known {
            true => SizeHint::with_exact(self.left * self.shape.frame as u64),
            false => SizeHint::new(),
        }
    }
}

/// Answers every target with its shape.
pub fn respond(target: &str) -> Response<Memory> {
    match Shape::parse(target) {
        Some(shape) => Response::new(Memory::new(shape)),
        None => {
            let mut response = Response::new(Memory::new(Shape::hello()));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        }
    }
}

/// The application without any framework.
#[derive(Debug, Clone, Copy)]
pub struct App;

impl<R> Service<Request<R>> for App {
    type Response = Response<Memory>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Memory>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let target = request
            .uri()
            .path_and_query()
            .map_or("", |all| all.as_str());
        ready(Ok(respond(target)))
    }
}

/// The application as an axum router.
pub fn router() -> axum::Router {
    axum::Router::new().fallback(|uri: http::Uri| async move {
        respond(uri.path_and_query().map_or("", |all| all.as_str())).map(axum::body::Body::new)
    })
}
