//! A channel and a blocking writer beside a plain mpsc body: the same rows from another task or thread.
//!
//! `memory`: the body is emptied by a task beside its producer, on two workers. `HTTP/1.1`, `HTTP/2`: over
//! loopback, ours on `endwell::serve`, the plain ones on `axum::serve`. The plain channel has 16 places, as most
//! have; the plain writer gathers 8 KiB in a `BufWriter`, as most do, and sends each from its thread.
//! Every round runs all of them in turn; the ratios are medians of ratios within a round.

mod support;

use std::convert::Infallible;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use criterion::Criterion;
use endwell_lab::observe::{Pace, http1, http2};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use support::{machine, median};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Octets of one response: some tens of milliseconds.
const OCTETS: usize = 32 * 1024 * 1024;
/// Octets of a row: small ones show what a frame costs, large ones what an octet costs.
const ROWS: [usize; 3] = [100, 1024, 64 * 1024];
const ROUNDS: usize = 15;
/// Places of the plain channel.
const PLACES: usize = 16;

/// Who makes the octets, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Mpsc,
    Channel,
    MpscThread,
    Writer,
}

impl Contender {
    const ALL: [Self; 4] = [Self::Mpsc, Self::Channel, Self::MpscThread, Self::Writer];

    const fn name(self) -> &'static str {
        match self {
            Self::Mpsc => "mpsc",
            Self::Channel => "channel",
            Self::MpscThread => "mpsc from a thread",
            Self::Writer => "writer",
        }
    }

    const fn is_plain(self) -> bool {
        matches!(self, Self::Mpsc | Self::MpscThread)
    }

    fn of(name: &str) -> Option<Self> {
        let name = name.replace('-', " ");
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A plain body: what most people write.
struct Mpsc(mpsc::Receiver<Bytes>);

impl Body for Mpsc {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let octets = self.0.poll_recv(cx);
        octets.map(|octets| octets.map(|octets| Ok(Frame::data(octets))))
    }
}

/// Sends what a thread writes.
struct Sends(mpsc::Sender<Bytes>);

impl Write for Sends {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(octets));
        sent.map_err(io::Error::other)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static ROW: [u8; 64 * 1024] = [b'x'; 64 * 1024];

fn rows(row: usize) -> impl Iterator<Item = Bytes> {
    (0..OCTETS / row).map(move |_| Bytes::from_static(&ROW[..row]))
}

fn write_rows(row: usize, mut to: impl Write) -> io::Result<()> {
    (0..OCTETS / row).try_for_each(|_| to.write_all(&ROW[..row]))?;
    to.flush()
}

/// The body of a contender, with its producer already at work.
fn plain(contender: Contender, row: usize) -> Mpsc {
    let (sender, receiver) = mpsc::channel(PLACES);
    if contender == Contender::Mpsc {
        tokio::spawn(async move {
            for row in rows(row) {
                if sender.send(row).await.is_err() {
                    return;
                }
            }
        });
    } else {
        tokio::task::spawn_blocking(move || write_rows(row, BufWriter::new(Sends(sender))));
    }
    Mpsc(receiver)
}

fn ours(contender: Contender, row: usize) -> endwell::Body {
    if contender == Contender::Writer {
        return endwell::writer(move |mut out| {
            write_rows(row, &mut out)?;
            Ok(out.finish())
        });
    }
    let (mut producer, body) = endwell::channel();
    tokio::spawn(async move {
        for row in rows(row) {
            if producer.send(row).await.is_err() {
                return;
            }
        }
        let _finished = producer.finish();
    });
    body
}

async fn drain(mut body: impl Body<Data = Bytes> + Unpin) -> usize {
    let mut octets = 0;
    while let Some(Ok(frame)) = body.frame().await {
        octets += frame.data_ref().map_or(0, Bytes::len);
    }
    octets
}

/// Where the octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Memory,
    Http1,
    Http2,
}

impl Way {
    const ALL: [Self; 3] = [Self::Memory, Self::Http1, Self::Http2];

    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

struct Stage {
    runtime: Runtime,
    plain: SocketAddr,
    ours: SocketAddr,
}

async fn answer(Path((name, row)): Path<(String, usize)>) -> Response {
    match Contender::of(&name) {
        Some(one) if one.is_plain() => axum::body::Body::new(plain(one, row)).into_response(),
        Some(one) => ours(one, row).into_response(),
        None => http::StatusCode::NOT_FOUND.into_response(),
    }
}

impl Stage {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listen = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let app = || Router::new().route("/{name}/{row}", get(answer));
        let (for_plain, for_ours) = (listen()?, listen()?);
        let (plain, ours) = (for_plain.local_addr()?, for_ours.local_addr()?);
        runtime.spawn(async move {
            use axum::serve::ListenerExt;
            let tcp = for_plain.tap_io(|socket| {
                let _ = socket.set_nodelay(true);
            });
            axum::serve(tcp, app()).await
        });
        runtime.spawn(async move { endwell::serve(endwell::listen(for_ours), app()).await });
        Ok(Self {
            runtime,
            plain,
            ours,
        })
    }

    /// The time for one response.
    fn run(&self, way: Way, contender: Contender, row: usize) -> Duration {
        let octets = OCTETS / row * row;
        let started = Instant::now();
        let got = match way {
            Way::Memory => self.runtime.block_on(async {
                let emptied = tokio::spawn(async move {
                    match contender.is_plain() {
                        true => drain(plain(contender, row)).await,
                        false => drain(ours(contender, row)).await,
                    }
                });
                emptied.await.expect("nothing here panics")
            }),
            Way::Http1 | Way::Http2 => {
                let addr = match contender.is_plain() {
                    true => self.plain,
                    false => self.ours,
                };
                let target = format!("/{}/{row}", contender.name().replace(' ', "-"));
                let pace = Pace {
                    chunk: 1 << 20,
                    window: Some(16 << 20),
                    deadline: Duration::from_secs(60),
                    ..Pace::fast()
                };
                let seen = match way {
                    Way::Http2 => http2::observe(addr, None, &target, &[], &pace),
                    _ => http1::observe(addr, None, &http1::Request::get11(&target), &pace),
                };
                assert!(seen.is_complete(), "{}", seen.verdict_line());
                seen.body.len()
            }
        };
        assert_eq!(got, octets, "{} over {}", contender.name(), way.name());
        started.elapsed()
    }
}

/// Each beside its plain peer, in every round.
fn table(stage: &Stage) {
    println!(
        "| octets a row, way | channel of mpsc | writer of mpsc from a thread | MB/s: mpsc, channel, mpsc from a thread, writer |"
    );
    println!("|---|---|---|---|");
    for way in Way::ALL {
        for row in ROWS {
            let mut seconds = [const { Vec::new() }; 4];
            for round in 0..ROUNDS {
                // Nobody always runs after the same one.
                for turn in 0..4 {
                    let at = (turn + round) % 4;
                    let taken = stage.run(way, Contender::ALL[at], row);
                    seconds[at].push(taken.as_secs_f64());
                }
            }
            let ratio = |plain: usize, ours: usize| {
                let of_rounds = seconds[plain].iter().zip(&seconds[ours]);
                median(
                    &of_rounds
                        .map(|(plain, ours)| plain / ours)
                        .collect::<Vec<_>>(),
                )
            };
            let rates = seconds
                .each_ref()
                .map(|all| format!("{:.0}", OCTETS as f64 / 1e6 / median(all)));
            println!(
                "| {row}, {} | {:.2} | {:.2} | {} |",
                way.name(),
                ratio(0, 1),
                ratio(2, 3),
                rates.join(", ")
            );
        }
    }
    println!();
}

fn main() -> io::Result<()> {
    if !support::is_asked() {
        println!("measures under `cargo bench` only");
        return Ok(());
    }
    println!("{}\n", machine());
    let stage = Stage::new()?;
    // With a filter only criterion is asked.
    if std::env::args().skip(1).all(|arg| arg.starts_with('-')) {
        table(&stage);
        return Ok(());
    }
    let mut criterion = Criterion::default()
        .sample_size(20)
        .without_plots()
        .configure_from_args();
    for way in Way::ALL {
        for row in ROWS {
            let mut group = criterion.benchmark_group(format!("{}, rows of {row}", way.name()));
            for contender in Contender::ALL {
                group.bench_function(contender.name(), |bencher| {
                    bencher.iter_custom(|times| {
                        (0..times).map(|_| stage.run(way, contender, row)).sum()
                    });
                });
            }
            group.finish();
        }
    }
    criterion.final_summary();
    Ok(())
}
