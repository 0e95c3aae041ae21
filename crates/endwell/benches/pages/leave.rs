//! From the client's leaving to the drop of the last part that worked for it.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use endwell::page::{Page, part};

use super::PARTS;
use super::support::wire::Http2;
use super::support::{median, millis, quantile};

const RUNS: usize = 300;
/// What the design asks for, in milliseconds, at the median.
const GOAL: f64 = 1.0;
/// Nothing here takes as long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Tells when it was dropped.
struct Works(Sender<Instant>);

impl Drop for Works {
    fn drop(&mut self) {
        // Nobody asks any more when the bench is over.
        let _ = self.0.send(Instant::now());
    }
}

/// Parts that never come: in the page itself, or on a thread of their own runtime's choice.
fn page(dropped: &Sender<Instant>, ordered: bool) -> Page {
    let mut page = Page::new().chunk("<!DOCTYPE html><title>Abandoned</title><p>So far");
    for _ in 0..PARTS {
        let works = Works(dropped.clone());
        let mut part = part("for ever", async move {
            let _works = works;
            pending::<Result<String, Infallible>>().await
        });
        if !ordered {
            part = part.placeholder("<p>One moment");
        }
        page = page.part(part);
    }
    page
}

#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// HTTP/1.1, the connection is closed.
    Http1,
    /// HTTP/2, the connection is closed.
    Http2,
    /// HTTP/2, RST_STREAM.
    Reset,
}

impl Leaving {
    const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Reset];

    const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1, closes",
            Self::Http2 => "HTTP/2, closes",
            Self::Reset => "HTTP/2, resets the stream",
        }
    }

    /// Asks, reads the beginning of the page, leaves; gives the instant before it did.
    fn run(self, addr: SocketAddr, target: &str) -> io::Result<Instant> {
        if matches!(self, Self::Http1) {
            let mut socket = TcpStream::connect(addr)?;
            write!(socket, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let (mut got, mut room) = (Vec::new(), [0; 4096]);
            while !got.windows(6).any(|at| at == b"So far") {
                let read = socket.read(&mut room)?;
                if read == 0 {
                    return Err(io::Error::other("the page broke"));
                }
                got.extend_from_slice(&room[..read]);
            }
            let left = Instant::now();
            drop(socket);
            return Ok(left);
        }
        let mut connection = Http2::connect(addr)?;
        connection.ask(target);
        while connection.octets == 0 {
            connection.read()?;
        }
        let left = Instant::now();
        if matches!(self, Self::Reset) {
            connection.reset()?;
        }
        drop(connection);
        Ok(left)
    }
}

pub(crate) fn table() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let tcp = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let addr = tcp.local_addr()?;
    let (sender, drops) = channel();
    let answer = move |Path(how): Path<String>| {
        let page = page(&sender, how == "ordered");
        async move { page.respond().await }
    };
    let app = Router::new().route("/{how}", get(answer));
    runtime.spawn(async move { endwell::serve(endwell::listen(tcp), app).await });
    println!(
        "ms from the client's leaving to the drop of the last of {PARTS} parts; {RUNS} runs\n"
    );
    println!("| client | page | median | p90 | most | goal, median |");
    println!("|---|---|---|---|---|---|");
    for leaving in Leaving::ALL {
        for how in ["ordered", "placeholders"] {
            let mut all = Vec::new();
            for _ in 0..RUNS {
                let left = leaving.run(addr, &format!("/{how}"))?;
                let mut last = left;
                for _ in 0..PARTS {
                    let dropped = drops.recv_timeout(DEADLINE).map_err(io::Error::other)?;
                    last = last.max(dropped);
                }
                all.push(millis(last - left));
            }
            println!(
                "| {} | {how} | {:.3} | {:.3} | {:.3} | <= {GOAL} |",
                leaving.name(),
                median(&all),
                quantile(&all, 0.9),
                quantile(&all, 1.0)
            );
        }
    }
    println!();
    runtime.shutdown_background();
    Ok(())
}
