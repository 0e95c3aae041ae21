//! Every way to make a body, and every course that its making can take.
#![allow(unreachable_pub)]

use std::collections::HashMap;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use endwell::{Abort, Body, Ended, Finished, Producer, Record, Writer};
use futures_util::Stream;
use http_body_util::{BodyExt, StreamBody};
use serde::Deserialize;
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::script::octets;

/// A way to make a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Way {
    /// `endwell::stream`.
    Closure,
    /// `endwell::channel`, written by a task of its own.
    Channel,
    /// `Body::from_stream`.
    Stream,
    /// `Body::from_reader`.
    Reader,
    /// `Body::from_body` around somebody else's body, which for what only ours can say wraps one of ours.
    Adapter,
    /// `endwell::writer`; for a drop, `Producer::into_writer` in a thread.
    Writer,
}

impl Way {
    pub const ALL: [Way; 6] = [
        Self::Closure,
        Self::Channel,
        Self::Stream,
        Self::Reader,
        Self::Adapter,
        Self::Writer,
    ];

    /// Whether its end is said by a producer, and not taken from a source that stops.
    pub fn says(self) -> bool {
        match self {
            Self::Closure | Self::Channel | Self::Writer => true,
            Self::Stream | Self::Reader | Self::Adapter => false,
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Course {
    Ok,
    ErrorFirst,
    ErrorMid,
    /// After the last octet.
    ErrorLast,
    Panic,
    /// What writes goes away without a word.
    Drop,
    /// It falls silent for longer than the policy allows.
    TimeOut,
    Degrade,
    /// The client leaves while there is no room for more octets.
    LeavesBlocked,
    /// The client leaves while nothing is produced.
    LeavesIdle,
}

impl Course {
    pub const ALL: [Course; 10] = [
        Self::Ok,
        Self::ErrorFirst,
        Self::ErrorMid,
        Self::ErrorLast,
        Self::Panic,
        Self::Drop,
        Self::TimeOut,
        Self::Degrade,
        Self::LeavesBlocked,
        Self::LeavesIdle,
    ];
}

/// What has no meaning, and why.
pub fn cannot_be(way: Way, course: Course) -> Option<&'static str> {
    match (way, course) {
        (Way::Stream | Way::Reader, Course::Degrade) => {
            Some("a foreign stream or reader ends or fails: it has no word for degraded")
        }
        _ => None,
    }
}

/// More than any kernel holds for a client that does not read.
const ENDLESS: usize = 64 * 1024 * 1024;
/// The octets of all bodies: each begins with its first ones.
pub static OCTETS: LazyLock<Bytes> = LazyLock::new(|| octets(1 << 20).into());

/// What a request asks for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Ask {
    pub way: Way,
    pub course: Course,
    /// Octets of the whole.
    pub size: usize,
    /// Octets before it breaks.
    pub cut: usize,
    /// Octets a frame.
    pub frame: usize,
    pub promise: bool,
    pub id: usize,
}

impl Ask {
    pub fn target(&self) -> String {
        let Self { way, course, .. } = self;
        let Self { size, cut, .. } = self;
        let Self {
            frame, promise, id, ..
        } = self;
        format!(
            "/?way={way:?}&course={course:?}&size={size}&cut={cut}&frame={frame}&promise={promise}&id={id}"
        )
    }

    /// How many octets are produced before what happens then.
    pub fn produced(&self) -> usize {
        match self.course {
            Course::ErrorFirst => 0,
            Course::Ok | Course::ErrorLast | Course::Degrade => self.size,
            Course::ErrorMid
            | Course::Panic
            | Course::Drop
            | Course::TimeOut
            | Course::LeavesIdle => self.cut,
            Course::LeavesBlocked => ENDLESS,
        }
    }

    fn promised(&self) -> Option<u64> {
        let whole = match self.course {
            Course::LeavesBlocked => ENDLESS + 1,
            _ => self.size,
        };
        self.promise.then_some(whole as u64)
    }

    fn frames(self) -> impl Iterator<Item = Bytes> + Send {
        let produced = self.produced();
        (0..produced).step_by(self.frame).map(move |at| {
            let frame = self.frame.min(produced - at);
            // What is endless is never compared to its end.
            let at = at % (OCTETS.len() - self.frame);
            OCTETS.slice(at..at + frame)
        })
    }
}

/// What the test is told by the application itself.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What `Producer::ended` gave, by target.
    ended: Arc<Mutex<HashMap<String, Option<Record>>>>,
    /// How much work is still there, by target.
    working: Arc<Mutex<HashMap<String, u32>>>,
}

impl Told {
    pub fn ended(&self, target: &str) -> Option<Option<Record>> {
        self.ended
            .lock()
            .expect("no panic holds it")
            .get(target)
            .cloned()
    }

    pub fn has_stopped(&self, target: &str) -> bool {
        let working = self.working.lock().expect("no panic holds it");
        working.get(target) == Some(&0)
    }

    /// Waits for the record in a task of its own.
    fn listen(&self, target: &str, ended: Ended) {
        let (told, target) = (Arc::clone(&self.ended), target.to_owned());
        tokio::spawn(async move {
            let record = ended.await;
            told.lock()
                .expect("no panic holds it")
                .insert(target, record);
        });
    }

    fn work(&self, target: &str) -> Work {
        let mut working = self.working.lock().expect("no panic holds it");
        *working.entry(target.to_owned()).or_default() += 1;
        Work(self.clone(), target.to_owned())
    }
}

/// Lives as long as something is done for a response.
struct Work(Told, String);

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(working) = self
            .0
            .working
            .lock()
            .expect("no panic holds it")
            .get_mut(&self.1)
        {
            *working -= 1;
        }
    }
}

pub fn app(told: Told) -> Router {
    Router::new().route("/", get(answer)).with_state(told)
}

async fn answer(State(told): State<Told>, uri: Uri, Query(ask): Query<Ask>) -> Response {
    // On HTTP/2 the URI is absolute.
    let target = uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
    let work = told.work(&target);
    let listen = move |ended| told.listen(&target, ended);
    let body = match ask.way {
        Way::Closure => closure(ask, work, listen),
        Way::Channel => channel(ask, work, listen),
        Way::Stream => Body::from_stream(Foreign::new(ask, work)),
        Way::Reader => Body::from_reader(Foreign::new(ask, work)),
        Way::Adapter => match ask.course {
            Course::Degrade | Course::Drop => {
                let ours = closure(ask, work, listen);
                // A type of its own: the adapter cannot know what is in it.
                Body::from_body(ours.map_frame(|frame| frame))
            }
            _ => {
                use futures_util::StreamExt;
                let frames =
                    Foreign::new(ask, work).map(|octets| octets.map(http_body::Frame::data));
                Body::from_body(StreamBody::new(frames))
            }
        },
        Way::Writer => writer(ask, work, listen),
    };
    let body = body
        .content_type("text/plain")
        .header("x-way", format!("{:?}", ask.way));
    match ask.promised() {
        Some(octets) => body.promise(octets).into_response(),
        None => body.into_response(),
    }
}

fn closure(ask: Ask, work: Work, listen: impl FnOnce(Ended) + Send + 'static) -> Body {
    endwell::stream(move |mut producer| async move {
        let _work = work;
        listen(producer.ended());
        write(ask, &mut producer).await?;
        if ask.course == Course::Drop {
            drop(producer);
            return std::future::pending().await;
        }
        Ok(producer.finish())
    })
}

fn channel(ask: Ask, work: Work, listen: impl FnOnce(Ended)) -> Body {
    let (mut producer, body) = endwell::channel();
    listen(producer.ended());
    tokio::spawn(async move {
        let _work = work;
        let _finished: Finished = match write(ask, &mut producer).await {
            Ok(()) if ask.course == Course::Drop => return,
            Ok(()) => producer.finish(),
            Err(abort) => producer.fail(abort.into_cause()),
        };
    });
    body
}

async fn write(ask: Ask, producer: &mut Producer) -> Result<(), Abort> {
    for frame in ask.frames() {
        producer.send(frame).await?;
    }
    match ask.course {
        Course::Ok | Course::Drop => {}
        Course::Degrade => producer.degrade("a part of it is missing"),
        Course::ErrorFirst | Course::ErrorMid | Course::ErrorLast => return Err(disk().into()),
        Course::Panic => panic!("the producer panics"),
        Course::TimeOut | Course::LeavesIdle | Course::LeavesBlocked => producer.cancelled().await,
    }
    Ok(())
}

fn disk() -> io::Error {
    io::Error::other("the disk failed")
}

fn writer(ask: Ask, work: Work, listen: impl FnOnce(Ended) + Send + 'static) -> Body {
    if ask.course == Course::Drop {
        let (producer, body) = endwell::channel();
        listen(producer.ended());
        tokio::task::spawn_blocking(move || {
            let _work = work;
            let mut out = producer.into_writer();
            write_blocking(ask, &mut out)
        });
        return body;
    }
    endwell::writer(move |mut out| {
        let _work = work;
        listen(out.ended());
        write_blocking(ask, &mut out)?;
        Ok(out.finish())
    })
}

fn write_blocking(ask: Ask, out: &mut Writer) -> Result<(), Abort> {
    for frame in ask.frames() {
        out.write_all(&frame)?;
    }
    match ask.course {
        Course::Ok | Course::Drop => {}
        Course::Degrade => out.degrade("a part of it is missing"),
        Course::ErrorFirst | Course::ErrorMid | Course::ErrorLast => return Err(disk().into()),
        Course::Panic => panic!("the writer panics"),
        Course::TimeOut | Course::LeavesIdle | Course::LeavesBlocked => {
            out.flush()?;
            let cancellation = out.cancellation();
            while !cancellation.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    Ok(())
}

/// Somebody else's source.
struct Foreign {
    frames: Box<dyn Iterator<Item = Bytes> + Send>,
    course: Course,
    rest: Bytes,
    _work: Work,
}

impl Foreign {
    fn new(ask: Ask, work: Work) -> Self {
        Self {
            frames: Box::new(ask.frames()),
            course: ask.course,
            rest: Bytes::new(),
            _work: work,
        }
    }
}

impl Stream for Foreign {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(frame) = self.frames.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match self.course {
            // A dropped sender is what its stream ends with: an end like any other.
            Course::Ok | Course::Drop => Poll::Ready(None),
            Course::ErrorFirst | Course::ErrorMid | Course::ErrorLast => {
                Poll::Ready(Some(Err(disk())))
            }
            Course::Panic => panic!("the source panics"),
            Course::TimeOut | Course::LeavesIdle | Course::LeavesBlocked | Course::Degrade => {
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Foreign {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match std::task::ready!(self.as_mut().poll_next(cx)) {
                Some(frame) => self.rest = frame?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(taken));
        Poll::Ready(Ok(()))
    }
}
