//! From the producer's failure to the client's knowledge, less the grace that the policy asks for.
//!
//! Server and client are threads of this process, so one clock serves both. The producer hands over its octets,
//! waits until the client has read them (or, in the rows "at once", does not), notes the instant and fails; the client is an observer of
//! `endwell_lab` and notes when it has seen FIN, RST or RST_STREAM. The client's own work is in the figures.
//!
//! Only HTTP/1.0 and HTTP/2 have a grace: their reset would destroy what the client has not read.

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use endwell::{Abort, Cause, Policy};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http2};
use support::{machine, median, millis, quantile};

#[path = "../tests/support/certificate.rs"]
mod certificate;

const RUNS: usize = 200;
/// More than the 64 KiB that HTTP/1.0 holds to find a length.
const OCTETS: usize = 128 * 1024;
/// Longer than loopback and the observer need for that.
const READ_BY_THEN: Duration = Duration::from_millis(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Http11,
    Http10,
    Http2,
}

impl Column {
    const ALL: [Self; 3] = [Self::Http11, Self::Http10, Self::Http2];

    const fn name(self) -> &'static str {
        match self {
            Self::Http11 => "HTTP/1.1 chunked",
            Self::Http10 => "HTTP/1.0 close-delimited",
            Self::Http2 => "HTTP/2",
        }
    }

    const fn has_grace(self) -> bool {
        matches!(self, Self::Http10 | Self::Http2)
    }

    fn is_told(self, end: &SeenEnd) -> bool {
        match self {
            Self::Http11 => matches!(end, SeenEnd::Fin | SeenEnd::CloseNotify),
            Self::Http10 => matches!(end, SeenEnd::Reset),
            Self::Http2 => matches!(end, SeenEnd::StreamReset(2)),
        }
    }
}

/// When the producer failed last.
type Failed = Arc<Mutex<Option<Instant>>>;

fn app(failed: &Failed) -> axum::Router {
    let failed = Arc::clone(failed);
    axum::Router::new().fallback(move |uri: http::Uri| {
        let failed = Arc::clone(&failed);
        let pause = uri.path() == "/pause";
        async move {
            endwell::stream(move |mut producer| async move {
                let octets = bytes::Bytes::from(vec![b'x'; 16 * 1024]);
                for _ in 0..OCTETS / octets.len() {
                    producer.send(octets.clone()).await?;
                }
                if pause {
                    tokio::time::sleep(READ_BY_THEN).await;
                }
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Err(Abort::from(Cause::producer("the disk failed")))
            })
        }
    })
}

/// Both ports of a server, plain and TLS.
struct Server {
    plain: SocketAddr,
    tls: SocketAddr,
    failed: Failed,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(policy: &Policy) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let failed = Failed::default();
        let mut addrs = Vec::new();
        for tls in [false, true] {
            let tcp = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
            addrs.push(tcp.local_addr()?);
            let _inside = runtime.enter();
            let mut listener = endwell::listen(tcp);
            if tls {
                listener = listener.tls(certificate::server_config());
            }
            let serve = endwell::serve(listener, app(&failed)).policy(policy.clone());
            runtime.spawn(async move { serve.await });
        }
        Ok(Self {
            plain: addrs[0],
            tls: addrs[1],
            failed,
            runtime,
        })
    }

    /// Milliseconds from the failure to its knowledge, the grace in them.
    fn run(&self, column: Column, tls: bool, pause: bool) -> io::Result<f64> {
        let target = if pause { "/pause" } else { "/at-once" };
        let (addr, client) = match (tls, column) {
            (false, _) => (self.plain, None),
            (true, Column::Http2) => (self.tls, Some(ClientTls::new(&["h2"]))),
            (true, _) => (self.tls, Some(ClientTls::new(&["http/1.1"]))),
        };
        let (seen, known) = observe(addr, client.as_ref(), column, target)?;
        if !column.is_told(&seen.end) || seen.body.len() != OCTETS {
            let octets = seen.body.len();
            let text = format!("{}: {} after {octets} octets", column.name(), seen.end);
            return Err(io::Error::other(text));
        }
        let failed = self
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let failed = failed.ok_or_else(|| io::Error::other("the producer did not fail"))?;
        Ok(millis(known - failed))
    }
}

fn observe(
    addr: SocketAddr,
    tls: Option<&ClientTls>,
    column: Column,
    target: &str,
) -> io::Result<(Seen, Instant)> {
    // A window that never closes: the figures are the ending's, not those of flow control.
    let pace = Pace {
        window: Some(1 << 20),
        ..Pace::fast()
    };
    match column {
        Column::Http2 => {
            let mut connection = http2::Connection::connect(addr, tls, &pace)?;
            let stream = connection.get(target, &[])?;
            let seen = connection.observe(stream);
            Ok((seen, Instant::now()))
        }
        Column::Http10 | Column::Http11 => {
            let request = match column {
                Column::Http10 => Request::get10(target),
                Column::Http11 | Column::Http2 => Request::get11(target),
            };
            let mut session = Session::connect(addr, tls, &pace)?;
            let seen = session.exchange(&request);
            Ok((seen, Instant::now()))
        }
    }
}

fn row(name: &str, grace: Duration, all: &[f64]) {
    let less: Vec<_> = all.iter().map(|one| one - millis(grace)).collect();
    println!(
        "| {name} | {:.0} | {:.3} | {:.3} | {:.3} | {:.3} |",
        millis(grace),
        quantile(&less, 0.0),
        median(&less),
        quantile(&less, 0.9),
        quantile(&less, 1.0)
    );
}

fn endings(policy: &Policy, pause: bool, runs: usize) -> io::Result<()> {
    let server = Server::start(policy)?;
    let lines: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|tls| Column::ALL.map(|column| (column, tls)))
        .collect();
    let mut all = vec![Vec::new(); lines.len()];
    for _ in 0..runs {
        for ((column, tls), all) in lines.iter().zip(&mut all) {
            all.push(server.run(*column, *tls, pause)?);
        }
    }
    for ((column, tls), all) in lines.iter().zip(&all) {
        let tls = if *tls { ", TLS" } else { "" };
        let pause = if pause { "" } else { ", at once" };
        let grace = match column.has_grace() {
            true => policy.grace.default,
            false => Duration::ZERO,
        };
        row(&format!("{}{tls}{pause}", column.name()), grace, all);
    }
    server.runtime.shutdown_background();
    Ok(())
}

/// What of it is the clock: tokio's timer goes by whole milliseconds and is never early.
fn timer() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    for millis_asked in [1, 25] {
        let asked = Duration::from_millis(millis_asked);
        let slept = runtime.block_on(async move {
            let task = tokio::spawn(async move {
                let mut all = Vec::new();
                for _ in 0..RUNS {
                    let started = Instant::now();
                    tokio::time::sleep(asked).await;
                    all.push(millis(started.elapsed()));
                }
                all
            });
            task.await.map_err(io::Error::other)
        })?;
        row("tokio::time::sleep alone", asked, &slept);
    }
    Ok(())
}

fn main() -> io::Result<()> {
    if !support::is_asked() {
        println!("measures under `cargo bench` only");
        return Ok(());
    }
    println!("{}\n", machine());
    println!("ms from the failure to the client's knowledge, less the grace; {RUNS} runs\n");
    println!("| ending | grace | least | median | p90 | most |");
    println!("|---|---|---|---|---|---|");
    let policy = Policy::default();
    endings(&policy, true, RUNS)?;
    endings(&policy, false, RUNS / 4)?;
    let mut without = policy;
    without.grace.default = Duration::ZERO;
    endings(&without, true, RUNS / 4)?;
    timer()
}
