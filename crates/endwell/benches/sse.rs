//! Ten thousand event streams at an event a second: what a stream costs in memory and CPU, beside plain axum.
//!
//! Servers and client are processes of their own, because a process here may open 20 000 descriptors; each is this program, told its
//! part by the environment. The servers take turns, some rounds each; medians are compared.
//!
//! Memory is the growth of the resident set, CPU the threads' own time (`/proc/PID/task/*/schedstat`). What the kernel
//! holds for the sockets is the same for all.

mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::stream;
use support::{machine, median};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const STREAMS: u64 = 10_000;
const ROUNDS: usize = 5;
/// Between two events of a stream.
const PERIOD: Duration = Duration::from_secs(1);
/// After the last stream has begun, until figures are taken.
const SETTLE: Duration = Duration::from_secs(3);
const MEASURE: Duration = Duration::from_secs(10);
/// Connections that are being made at once.
const CONNECTING: usize = 128;
/// Loopback addresses that the client connects from: one has 28 000 ports, and those of the last round still wait.
const ADDRESSES: u64 = 8;
const EVENT: &str = "data: 0123456789 an event of forty-eight octets\n\n";

/// The servers, by the name that the environment gives.
const SERVERS: [&str; 4] = ["axum", "adopted", "adopted and recorded", "producer"];

fn router() -> Router {
    Router::new().route("/events", get(events))
}

/// An event stream as axum's users write it.
async fn events() -> impl IntoResponse {
    let ticks = tokio::time::interval(PERIOD);
    Sse::new(stream::unfold(ticks, async |mut ticks| {
        ticks.tick().await;
        let event = Event::default().data(&EVENT[6..EVENT.len() - 2]);
        Some((Ok::<_, io::Error>(event), ticks))
    }))
}

/// The same from a producer.
async fn produced() -> impl IntoResponse {
    let body = endwell::stream(|mut producer| async move {
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            ticks.tick().await;
            producer.send(EVENT).await?;
        }
    });
    ([("content-type", "text/event-stream")], body)
}

async fn serve(server: &str) -> io::Result<()> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(tcp.local_addr()?.port());
    match server {
        "axum" => axum::serve(tcp, router()).await,
        "adopted" => endwell::serve(tcp, router()).await,
        "adopted and recorded" => endwell::serve(tcp, router()).observer(|_| {}).await,
        "producer" => {
            let app = Router::new().route("/events", get(produced));
            endwell::serve(tcp, app).await
        }
        other => Err(io::Error::other(format!("no server {other}"))),
    }
}

/// Opens the streams, tells when all run, then tells how many events have come, each time it is asked.
async fn read(port: u16) -> io::Result<()> {
    let events = Arc::new(AtomicU64::new(0));
    let room = Arc::new(tokio::sync::Semaphore::new(CONNECTING));
    let mut connecting = tokio::task::JoinSet::new();
    for number in 0..STREAMS {
        let (events, room) = (Arc::clone(&events), Arc::clone(&room));
        connecting.spawn(async move {
            let _place = room.acquire_owned().await.map_err(io::Error::other)?;
            let socket = TcpSocket::new_v4()?;
            let host = u8::try_from(number % ADDRESSES + 2).map_err(io::Error::other)?;
            socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut stream = socket.connect(addr).await?;
            stream
                .write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
                .await?;
            let began = count(&mut stream, &events).await?;
            tokio::spawn(async move { while count(&mut stream, &events).await.is_ok() {} });
            io::Result::Ok(began)
        });
    }
    while let Some(connected) = connecting.join_next().await {
        connected.map_err(io::Error::other)??;
    }
    say(STREAMS);
    for _ in io::stdin().lock().lines() {
        say(events.load(Relaxed));
    }
    Ok(())
}

/// Reads what is there and counts the ends of events in it.
async fn count(stream: &mut TcpStream, events: &AtomicU64) -> io::Result<()> {
    let mut room = [0; 512];
    let octets = stream.read(&mut room).await?;
    if octets == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let ends = room[..octets].windows(2).filter(|at| at == b"\n\n").count();
    events.fetch_add(ends as u64, Relaxed);
    Ok(())
}

fn say(number: impl std::fmt::Display) {
    println!("{number}");
    let _ = io::stdout().flush();
}

/// A part of this program in a process of its own.
struct Part {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Part {
    fn start(part: &str, argument: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env("ENDWELL_SSE_PART", part)
            .env("ENDWELL_SSE_ARGUMENT", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let lines = BufReader::new(stdout);
        Ok(Self { child, lines })
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        line.trim().parse().map_err(io::Error::other)
    }

    fn asked(&mut self) -> io::Result<u64> {
        let stdin = self.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(b"\n")?;
        self.number()
    }

    /// KiB of its resident set.
    fn resident(&self) -> io::Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| io::Error::other("the kernel tells no VmRSS"))
    }

    /// Seconds that its threads have run.
    fn ran(&self) -> io::Result<f64> {
        let mut nanos = 0.0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let ran = stat
                .split(' ')
                .next()
                .and_then(|ran| ran.parse::<f64>().ok());
            nanos += ran.ok_or_else(|| io::Error::other("the kernel tells no schedstat"))?;
        }
        Ok(nanos / 1e9)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server needed in one round.
struct Needed {
    /// KiB a stream.
    memory: f64,
    /// Microseconds an event.
    cpu: f64,
    /// Events that came, of those that were due.
    came: f64,
}

fn measure(server: &str) -> io::Result<Needed> {
    let mut serving = Part::start("server", server)?;
    let port = serving.number()?;
    let before = serving.resident()?;
    let mut client = Part::start("client", &port.to_string())?;
    let streams = client.number()?;
    std::thread::sleep(SETTLE);
    let (ran, events, began) = (serving.ran()?, client.asked()?, Instant::now());
    std::thread::sleep(MEASURE);
    let (ran, events) = (serving.ran()? - ran, client.asked()? - events);
    let due = began.elapsed().as_secs_f64() / PERIOD.as_secs_f64() * streams as f64;
    Ok(Needed {
        memory: (serving.resident()? - before) / streams as f64,
        cpu: ran * 1e6 / events as f64,
        came: events as f64 / due,
    })
}

fn tell() -> io::Result<()> {
    println!(
        "{STREAMS} event streams, an event a second each; {}",
        machine()
    );
    let mut rounds: [Vec<Needed>; SERVERS.len()] = Default::default();
    for round in 1..=ROUNDS {
        for (server, needed) in SERVERS.iter().zip(&mut rounds) {
            let now = measure(server)?;
            println!(
                "round {round}, {server}: {:.2} KiB a stream, {:.2} us CPU an event, {:.3} of the events came",
                now.memory, now.cpu, now.came
            );
            needed.push(now);
        }
    }
    let middle = |needed: &[Needed], figure: fn(&Needed) -> f64| {
        let values: Vec<_> = needed.iter().map(figure).collect();
        median(&values)
    };
    let plain = &rounds[0];
    println!("| server | KiB a stream | ratio | us CPU an event | ratio |");
    println!("|---|---|---|---|---|");
    for (server, needed) in SERVERS.iter().zip(&rounds) {
        let (memory, cpu) = (middle(needed, |it| it.memory), middle(needed, |it| it.cpu));
        // Rounds that follow each other have the same neighbours on the machine.
        let ratios = |figure: fn(&Needed) -> f64| {
            let pairs = needed.iter().zip(plain);
            let ratios: Vec<_> = pairs
                .map(|(it, plain)| figure(it) / figure(plain))
                .collect();
            median(&ratios)
        };
        let (memory_ratio, cpu_ratio) = (ratios(|it| it.memory), ratios(|it| it.cpu));
        println!("| {server} | {memory:.2} | {memory_ratio:.2} | {cpu:.2} | {cpu_ratio:.2} |");
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let argument = std::env::var("ENDWELL_SSE_ARGUMENT").unwrap_or_default();
    let part = match std::env::var("ENDWELL_SSE_PART") {
        Ok(part) => part,
        Err(_) if support::is_asked() => return tell(),
        Err(_) => return Ok(()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match part.as_str() {
        "server" => runtime.block_on(serve(&argument)),
        "client" => {
            let port = argument.parse().map_err(io::Error::other)?;
            // It blocks at each line that it reads: on this thread, while the streams run on the others.
            runtime.block_on(read(port))
        }
        other => Err(io::Error::other(format!("no part {other}"))),
    }
}
