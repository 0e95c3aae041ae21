//! The application's body, as the outermost body takes it in.
//!
//! Reads: frames, errors and panics of the application's body. Gives: octets, trailers or an
//! ending; and, while the head is held, what is already known.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use endwell_core::{Ending, Kind, SaidBy};
use http::HeaderMap;
use http_body::Body as HttpBody;

use crate::body::ending_of;
use crate::producer::{BoxError, panicked};

/// What the application's body gave.
///
/// Small, since it is moved for every frame: what is rare is boxed.
pub(crate) enum Next {
    /// Data.
    Octets(Bytes),
    /// The trailer section.
    Trailers(Box<HeaderMap>),
    /// It has ended as complete.
    Complete,
    /// It has ended otherwise.
    Broken(Box<(Ending, SaidBy)>),
}

/// What is known when the head may go.
pub(crate) enum First {
    /// Octets, or the producer's wish: stream.
    Go,
    /// The body has ended as complete; what it gave is held.
    Whole,
    /// The body has ended otherwise.
    Broken(Ending, SaidBy),
}

/// The application's body and what of it was taken before its turn.
pub(crate) struct Intake<B> {
    inner: Option<Pin<Box<B>>>,
    said_by: SaidBy,
    held: Option<Bytes>,
    next: Option<Next>,
}

impl<B> Intake<B> {
    pub(crate) fn new(inner: Option<B>, said_by: SaidBy) -> Self {
        Self {
            inner: inner.map(Box::pin),
            said_by,
            held: None,
            next: None,
        }
    }

    /// Who says the ending of this body.
    pub(crate) fn said_by(&self) -> SaidBy {
        self.said_by
    }

    /// A producer that went away, or panicked, said nothing.
    fn who_said(&self, ending: &Ending) -> SaidBy {
        match ending.cause().map(|cause| cause.kind) {
            Some(Kind::ProducerDropped | Kind::ProducerPanicked) => SaidBy::Server,
            _ => self.said_by,
        }
    }

    /// Gives up the application's body, and what it was doing with it.
    pub(crate) fn close(&mut self) {
        self.held = None;
        self.next = None;
        if let Some(inner) = self.inner.take() {
            // A guard in it may panic: that must neither unwind hyper nor change what was said.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
        }
    }

    /// Puts octets in the place of the application's body.
    pub(crate) fn substitute(&mut self, octets: Bytes) {
        self.close();
        self.held = Some(octets);
    }

    /// Keeps an ending for its turn, behind the octets that are held.
    pub(crate) fn put_back(&mut self, ending: Ending, said_by: SaidBy) {
        self.next = Some(Next::Broken(Box::new((ending, said_by))));
    }

    /// Whether the end of what will come is known: trailers, or an ending.
    pub(crate) fn knows_its_end(&self) -> bool {
        self.next.is_some()
    }

    /// How many octets are held.
    pub(crate) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, Bytes::len)
    }
}

impl<B> Intake<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Whether nothing but the held octets will come, and the end is complete.
    pub(crate) fn is_over(&self) -> bool {
        match &self.next {
            Some(Next::Complete) => true,
            Some(Next::Octets(_) | Next::Trailers(_) | Next::Broken(_)) => false,
            None => self.inner.as_ref().is_none_or(|inner| {
                let asked = catch_unwind(AssertUnwindSafe(|| inner.is_end_stream()));
                // What it panics about, its next poll will tell.
                asked.unwrap_or(false)
            }),
        }
    }

    /// Polls until it is known whether the head may go; holds up to `hold` octets meanwhile.
    pub(crate) fn poll_first(&mut self, hold: usize, cx: &mut Context<'_>) -> Poll<First> {
        if self.next.is_some() {
            return Poll::Ready(First::Go);
        }
        loop {
            match ready!(self.poll_inner(cx)) {
                Next::Octets(octets) if octets.is_empty() => return Poll::Ready(First::Go),
                Next::Octets(octets) => {
                    let octets = match self.held.take() {
                        Some(held) => {
                            let mut held = BytesMut::from(held);
                            held.extend_from_slice(&octets);
                            held.freeze()
                        }
                        None => octets,
                    };
                    let enough = octets.len() >= hold;
                    self.held = Some(octets);
                    if self.is_over() {
                        return Poll::Ready(First::Whole);
                    }
                    if enough {
                        return Poll::Ready(First::Go);
                    }
                }
                next @ Next::Trailers(_) => {
                    self.next = Some(next);
                    return Poll::Ready(First::Go);
                }
                Next::Complete => {
                    self.next = Some(Next::Complete);
                    return Poll::Ready(First::Whole);
                }
                Next::Broken(broken) => {
                    let (ending, said_by) = *broken;
                    return Poll::Ready(First::Broken(ending, said_by));
                }
            }
        }
    }

    /// The next thing: what was held first.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(octets) = self.held.take() {
            return Poll::Ready(Next::Octets(octets));
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        self.poll_inner(cx)
    }

    /// The next thing of the application's body; a panic in it is an ending like any other.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Next::Complete);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll_frame(cx)));
        let frame = match polled {
            Ok(frame) => ready!(frame),
            Err(panic) => {
                let ending = Ending::Failed(panicked(&*panic));
                return Poll::Ready(Next::Broken(Box::new((ending, SaidBy::Server))));
            }
        };
        Poll::Ready(match frame {
            None => Next::Complete,
            Some(Err(error)) => {
                let ending = ending_of(&*error.into());
                let said_by = self.who_said(&ending);
                Next::Broken(Box::new((ending, said_by)))
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(octets) => Next::Octets(octets),
                // Neither data nor trailers: a kind of frame this version does not know.
                Err(frame) => frame
                    .into_trailers()
                    .map_or(Next::Octets(Bytes::new()), |fields| {
                        Next::Trailers(Box::new(fields))
                    }),
            },
        })
    }
}
