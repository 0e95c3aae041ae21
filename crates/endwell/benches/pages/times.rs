//! When the first octet of a page comes, and when its last.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use endwell::page::{Page, part};

use super::PARTS;
use super::support::{median, millis, quantile};

const SLOWEST: Duration = Duration::from_millis(300);
const RUNS: usize = 40;
/// What the design asks for, in milliseconds.
const FIRST: f64 = 5.0;
const LAST: f64 = 320.0;

/// Twenty parts, the last of which is the fastest: in order, everything waits for the first.
fn page(ordered: bool) -> Page {
    let mut page = Page::new().chunk("<!DOCTYPE html><title>Slow</title><main>");
    for number in 0..PARTS {
        let time = SLOWEST * (PARTS - number) as u32 / PARTS as u32;
        let mut part = part("slow", async move {
            tokio::time::sleep(time).await;
            Ok::<_, Infallible>(format!("<p>{number} after {time:?}"))
        });
        if !ordered {
            part = part.placeholder("<p>One moment");
        }
        page = page.part(part);
    }
    page.chunk("</main>")
}

async fn answer(Path(how): Path<String>) -> http::Response<endwell::Body> {
    page(how == "ordered").respond().await
}

/// Milliseconds to the first octet of the body, and to the last chunk.
fn ask(socket: &mut TcpStream, how: &str) -> io::Result<(f64, f64)> {
    let mut got = Vec::new();
    let mut room = vec![0; 1 << 16];
    let started = Instant::now();
    write!(socket, "GET /{how} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut first = None;
    loop {
        let read = socket.read(&mut room)?;
        if read == 0 {
            return Err(io::Error::other("the page broke"));
        }
        got.extend_from_slice(&room[..read]);
        let head = got.windows(4).position(|at| at == b"\r\n\r\n");
        if first.is_none() && head.is_some_and(|head| got.len() > head + 4) {
            first = Some(millis(started.elapsed()));
        }
        if got.ends_with(b"\r\n0\r\n\r\n") {
            let last = millis(started.elapsed());
            return first.map_or_else(
                || Err(io::Error::other("a page without octets")),
                |first| Ok((first, last)),
            );
        }
    }
}

pub(crate) fn table() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let tcp = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let addr: SocketAddr = tcp.local_addr()?;
    let app = Router::new().route("/{how}", get(answer));
    runtime.spawn(async move { endwell::serve(endwell::listen(tcp), app).await });
    println!(
        "ms from the request to the first octet of a page of {PARTS} parts and to its end; the slowest takes {SLOWEST:?}; {RUNS} runs\n"
    );
    println!("| page | first: median | first: most | goal | last: median | last: most | goal |");
    println!("|---|---|---|---|---|---|---|");
    for how in ["ordered", "placeholders"] {
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        let all: Vec<_> = (0..RUNS)
            .map(|_| ask(&mut socket, how))
            .collect::<io::Result<_>>()?;
        let (first, last): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        println!(
            "| {how} | {:.2} | {:.2} | <= {FIRST} | {:.1} | {:.1} | <= {LAST} |",
            median(&first),
            quantile(&first, 1.0),
            median(&last),
            quantile(&last, 1.0)
        );
    }
    println!();
    runtime.shutdown_background();
    Ok(())
}
