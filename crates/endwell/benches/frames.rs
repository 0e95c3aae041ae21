//! What endwell's body and layer cost beyond a bare body: a frame, a response, in time and allocations.
//!
//! `layer` is [`endwell::Layer`] without a connection of ours. `wire` is the body of a real connection on
//! `endwell::listen`: `axum::serve` makes the service for it, and the bench calls that service itself.
//! Its bare peer is the same answer in two axum boxes, for `endwell::app` puts one around its own body.
//! HTTP here is only the version that the request says: nothing is encoded, nothing is written.

mod support;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::serve::IncomingStream;
use bytes::Bytes;
use criterion::Criterion;
use endwell::{App as Endings, ConnectionApp, Listener};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use support::count::{Counting, allocations};
use support::memory::{App, Shape, router};
use support::wire::Http1;
use support::{machine, median};
use tower_layer::Layer as _;
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type AxumBody = axum::body::Body;

/// Frames of 1 KiB; enough of them that a response's own cost does not show in theirs.
const FRAME: usize = 1024;
/// Responses between two flushes of the connection: HTTP/1 keeps each until one has carried it.
const FLUSH_EVERY: u64 = 4096;

/// The same body once more in a box, as `endwell::app` boxes its own.
struct Boxed(AxumBody);

impl Body for Boxed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Answers like [`App`], in a box.
#[derive(Debug, Clone)]
struct InABox;

impl Service<Request<AxumBody>> for InABox {
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<AxumBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let answer = App.call(request).into_inner();
        ready(answer.map(|response| response.map(AxumBody::new)))
    }
}

/// Answers like [`InABox`], in another one.
#[derive(Debug, Clone)]
struct InTwoBoxes;

impl Service<Request<AxumBody>> for InTwoBoxes {
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<AxumBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        let answer = InABox.call(request).into_inner();
        ready(answer.map(|response| response.map(|body| AxumBody::new(Boxed(body)))))
    }
}

/// Gives the service that a connection got also to the bench.
struct Tap {
    endings: Endings<InABox>,
    out: Sender<ConnectionApp<InABox>>,
}

impl Service<IncomingStream<'_, Listener>> for Tap {
    type Response = ConnectionApp<InABox>;
    type Error = Infallible;
    type Future = Ready<Result<ConnectionApp<InABox>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Listener>) -> Self::Future {
        let made = self.endings.call(stream).into_inner();
        if let Ok(app) = &made {
            let _ = self.out.send(app.clone());
        }
        ready(made)
    }
}

/// A connection on our listener, and the service behind it.
struct Wire {
    app: ConnectionApp<InABox>,
    client: Http1,
    _runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn connect() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let tcp = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let addr: SocketAddr = tcp.local_addr()?;
        let (out, made): (_, Receiver<_>) = channel();
        runtime.spawn(async move {
            let listener = endwell::listen(tcp);
            let endings = endwell::app(InABox);
            let _ = axum::serve(listener, Tap { endings, out }).await;
        });
        let client = Http1::connect(addr)?;
        let app = made.recv().map_err(std::io::Error::other)?;
        let mut wire = Self {
            app,
            client,
            _runtime: runtime,
        };
        wire.flush();
        Ok(wire)
    }

    /// A real request: its flush lets the connection forget the responses before it.
    fn flush(&mut self) {
        let hello = Shape::hello();
        let asked = self.client.ask(&hello.target());
        asked
            .and_then(|()| self.client.read(hello.octets(), hello.frame))
            .expect("loopback answers");
    }
}

fn request(version: Version, shape: Shape) -> Request<()> {
    let mut request = Request::new(());
    *request.version_mut() = version;
    *request.uri_mut() = shape.target().parse().expect("a target is a URI");
    let headers = request.headers_mut();
    headers.insert("host", http::HeaderValue::from_static("localhost"));
    headers.insert("user-agent", http::HeaderValue::from_static("curl/8.5.0"));
    headers.insert("accept", http::HeaderValue::from_static("*/*"));
    request
}

fn answer<S, R, B>(service: &mut S, request: Request<R>) -> B
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Error: fmt::Debug,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut answer = pin!(service.call(request));
    loop {
        if let Poll::Ready(response) = answer.as_mut().poll(&mut cx) {
            return response.expect("it answers").into_body();
        }
    }
}

/// Polls a body to its end, as hyper does; gives how many frames came.
fn drain<B: Body + Unpin>(mut body: B) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut frames = 0;
    while !body.is_end_stream() {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                black_box(frame);
                frames += 1;
            }
            Poll::Ready(Some(Err(_))) => panic!("the body broke"),
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    frames
}

/// Who is measured: answers a request with a body of some kind, and takes all its frames.
struct Contender {
    name: &'static str,
    /// Gives the time from the first poll of the body to its last, and the frames.
    frames: Box<dyn FnMut(Version, Shape) -> (Duration, u64)>,
    /// Answers so often and takes every frame; gives the time for it.
    responses: Box<dyn FnMut(Version, Shape, u64) -> Duration>,
}

impl Contender {
    fn new<S, R, B>(name: &'static str, service: S, mut flush: impl FnMut() + 'static) -> Self
    where
        S: Service<Request<R>, Response = Response<B>> + Clone + 'static,
        S::Error: fmt::Debug,
        B: Body + Unpin,
        R: Default + 'static,
    {
        let mut for_frames = service.clone();
        let mut for_responses = service;
        Self {
            name,
            frames: Box::new(move |version, shape| {
                let request = request(version, shape).map(|()| R::default());
                let body = answer(&mut for_frames, request);
                let started = Instant::now();
                let frames = drain(body);
                (started.elapsed(), frames)
            }),
            responses: Box::new(move |version, shape, times| {
                let request = request(version, shape);
                let mut taken = Duration::ZERO;
                let mut left = times;
                while left > 0 {
                    let now = left.min(FLUSH_EVERY);
                    let started = Instant::now();
                    for _ in 0..now {
                        let request = request.clone().map(|()| R::default());
                        drain(answer(&mut for_responses, request));
                    }
                    taken += started.elapsed();
                    left -= now;
                    flush();
                }
                taken
            }),
        }
    }
}

fn contenders() -> Vec<Contender> {
    let wire = Wire::connect().expect("loopback serves");
    let app = wire.app.clone();
    let wire = std::cell::RefCell::new(wire);
    vec![
        Contender::new::<_, (), _>("bare", App, || {}),
        Contender::new::<_, (), _>("layer", endwell::Layer::new().layer(App), || {}),
        Contender::new::<_, AxumBody, _>("bare, two boxes", InTwoBoxes, || {}),
        Contender::new::<_, AxumBody, _>("wire", app, move || wire.borrow_mut().flush()),
        Contender::new::<_, AxumBody, _>("router", router(), || {}),
    ]
}

const VERSIONS: [(&str, Version); 2] = [("H1", Version::HTTP_11), ("h2", Version::HTTP_2)];

fn frames(criterion: &mut Criterion, contenders: &mut [Contender]) {
    for (http, version) in VERSIONS {
        for (name, paused) in [("frame", false), ("frame after a pause", true)] {
            let mut group = criterion.benchmark_group(format!("{http} {name}"));
            for contender in contenders.iter_mut() {
                group.bench_function(contender.name, |bencher| {
                    bencher.iter_custom(|frames| {
                        let shape = match paused {
                            true => Shape::paused(FRAME, frames),
                            false => Shape::stream(FRAME, frames),
                        };
                        (contender.frames)(version, shape).0
                    });
                });
            }
            group.finish();
        }
    }
}

fn responses(criterion: &mut Criterion, contenders: &mut [Contender]) {
    for (http, version) in VERSIONS {
        for (name, shape) in RESPONSES {
            let mut group = criterion.benchmark_group(format!("{http} {name}"));
            for contender in contenders.iter_mut() {
                group.bench_function(contender.name, |bencher| {
                    bencher.iter_custom(|times| (contender.responses)(version, shape, times));
                });
            }
            group.finish();
        }
    }
}

const RESPONSES: [(&str, Shape); 2] = [
    ("response of known length", Shape::hello()),
    ("response of unknown length", Shape::stream(FRAME, 1)),
];

/// Interleaved, so that a neighbour's load falls on all alike; the table to read first.
fn table(contenders: &mut [Contender]) {
    const ROUNDS: usize = 41;
    const FRAMES: u64 = 100_000;
    const TIMES: u64 = 8 * FLUSH_EVERY;
    println!("medians of {ROUNDS} interleaved rounds, in ns; then allocations\n");
    println!("| what | {} |", names(contenders).join(" | "));
    println!("|---|{}", "---|".repeat(contenders.len()));
    for (http, version) in VERSIONS {
        for (name, shape) in [
            ("frame", Shape::stream(FRAME, FRAMES)),
            ("frame after a pause", Shape::paused(FRAME, FRAMES)),
        ] {
            row(&format!("{http} {name}"), contenders, ROUNDS, |one| {
                let before = allocations();
                let (taken, frames) = (one.frames)(version, shape);
                (taken, allocations() - before, frames)
            });
        }
        for (name, shape) in RESPONSES {
            row(&format!("{http} {name}"), contenders, ROUNDS, |one| {
                let before = allocations();
                let taken = (one.responses)(version, shape, TIMES);
                (taken, allocations() - before, TIMES)
            });
        }
    }
    println!();
}

fn names(contenders: &[Contender]) -> Vec<&'static str> {
    contenders.iter().map(|one| one.name).collect()
}

fn row(
    name: &str,
    contenders: &mut [Contender],
    rounds: usize,
    mut measure: impl FnMut(&mut Contender) -> (Duration, u64, u64),
) {
    let mut all = vec![(Vec::new(), 0.0); contenders.len()];
    for _ in 0..rounds {
        for (contender, (nanos, allocated)) in contenders.iter_mut().zip(&mut all) {
            let (taken, allocations, units) = measure(contender);
            nanos.push(taken.as_nanos() as f64 / units as f64);
            *allocated = allocations as f64 / units as f64;
        }
    }
    let cells: Vec<_> = all
        .iter()
        .map(|(nanos, allocated)| format!("{:.1} ns, {allocated:.2}", median(nanos)))
        .collect();
    println!("| {name} | {} |", cells.join(" | "));
}

fn main() {
    if !support::is_asked() {
        println!("measures under `cargo bench` only");
        return;
    }
    println!("{}\n", machine());
    // A head that is held sets an alarm, and that takes a clock.
    let clock = tokio::runtime::Runtime::new().expect("a runtime starts");
    let _inside = clock.enter();
    let mut contenders = contenders();
    // With a filter only criterion is asked.
    if std::env::args().skip(1).all(|arg| arg.starts_with('-')) {
        table(&mut contenders);
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    frames(&mut criterion, &mut contenders);
    responses(&mut criterion, &mut contenders);
    criterion.final_summary();
}
