//! Servers side by side, end to end over loopback: hyper, endwell, axum, axum on endwell.
//!
//! `cargo bench -p endwell --bench peers` starts each as a child of this process, on the first core, with
//! one thread; the clients run on the second core. All take turns of a twentieth of a second, for `ENDWELL_SECONDS`
//! (110) in all: what else the machine does falls on all alike. Shown are medians and, for a machine that is not quiet, the best
//! decile; what they are of the same peer without endwell; and what they cost beyond it.
//!
//! A peer alone, for a profiler: `peers --serve endwell`, which prints its port; `peers --load PORT TARGET N`.

mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use support::count::{Counting, allocations};
use support::memory::{App, Shape, router};
use support::wire::{Http1, Http2};
use support::{machine, quantile};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Who is measured, and the peer it is held against.
const PEERS: [(&str, Option<&str>); 5] = [
    ("hyper", None),
    ("endwell", Some("hyper")),
    ("endwell+log", Some("hyper")),
    ("axum", None),
    ("axum+endwell", Some("axum")),
];

/// What is asked of a peer.
struct Work {
    name: &'static str,
    http2: bool,
    shape: Shape,
    requests: u64,
}

const WORKS: [Work; 8] = [
    Work {
        name: "H1, frames of 64 KiB",
        http2: false,
        shape: Shape::stream(65_536, 2_500),
        requests: 1,
    },
    Work {
        name: "h2, frames of 64 KiB",
        http2: true,
        shape: Shape::stream(65_536, 1_500),
        requests: 1,
    },
    Work {
        name: "H1, frames of 1 KiB",
        http2: false,
        shape: Shape::stream(1024, 80_000),
        requests: 1,
    },
    Work {
        name: "h2, frames of 1 KiB",
        http2: true,
        shape: Shape::stream(1024, 15_000),
        requests: 1,
    },
    Work {
        name: "H1, frames of 1 KiB, a pause before each",
        http2: false,
        shape: Shape::paused(1024, 15_000),
        requests: 1,
    },
    Work {
        name: "h2, frames of 1 KiB, a pause before each",
        http2: true,
        shape: Shape::paused(1024, 15_000),
        requests: 1,
    },
    Work {
        name: "H1, hello on 16 connections",
        http2: false,
        shape: Shape::hello(),
        requests: 4_800,
    },
    Work {
        name: "h2, hello on 64 streams of 1 connection",
        http2: true,
        shape: Shape::hello(),
        requests: 12_000,
    },
];

impl Work {
    /// What is counted: frames of one response, or responses.
    fn units(&self) -> u64 {
        match self.requests {
            1 => self.shape.frames,
            requests => requests,
        }
    }

    fn run(&self, addr: SocketAddr) -> io::Result<()> {
        let target = self.shape.target();
        let (octets, frame) = (self.shape.octets(), self.shape.frame);
        if self.http2 {
            let mut client = Http2::connect(addr)?;
            let at_once = self.requests.min(64);
            (0..at_once).for_each(|_| client.ask(&target));
            let mut asked = at_once;
            while client.ended < self.requests {
                for _ in 0..client.read()?.min(self.requests - asked) {
                    client.ask(&target);
                    asked += 1;
                }
            }
            assert_eq!(client.octets, octets * self.requests, "octets of {target}");
            return Ok(());
        }
        let connections = self.requests.min(16);
        let mut clients = (0..connections)
            .map(|_| Http1::connect(addr))
            .collect::<io::Result<Vec<_>>>()?;
        for client in &mut clients {
            client.ask(&target)?;
        }
        for turn in 1..=self.requests / connections {
            for client in &mut clients {
                client.read(octets, frame)?;
                if turn < self.requests / connections {
                    client.ask(&target)?;
                }
            }
        }
        Ok(())
    }
}

/// A peer in a process of its own.
struct Peer {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
    addr: SocketAddr,
}

impl Peer {
    fn start(name: &str) -> io::Result<Self> {
        let me = std::env::current_exe()?;
        let mut command = match can_pin() {
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(me);
                command
            }
            false => Command::new(me),
        };
        let mut child = command
            .args(["--serve", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().expect("it is piped");
        let told = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut peer = Self {
            child,
            ask,
            told,
            addr: ([127, 0, 0, 1], 0).into(),
        };
        let port = peer.line()?.parse().map_err(io::Error::other)?;
        peer.addr.set_port(port);
        Ok(peer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn allocations(&mut self) -> io::Result<f64> {
        self.ask.write_all(b"count\n")?;
        self.line()?.parse().map_err(io::Error::other)
    }

    /// Processor time of the serving thread, which is the process's first.
    fn cpu(&self) -> f64 {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        let nanos = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
        nanos.unwrap_or(f64::NAN)
    }

    fn measure(&mut self, work: &Work) -> io::Result<Figures> {
        let allocations = self.allocations()?;
        let cpu = self.cpu();
        let started = Instant::now();
        work.run(self.addr)?;
        let seconds = started.elapsed().as_secs_f64();
        let units = work.units() as f64;
        Ok(Figures {
            rate: units / seconds,
            cpu: (self.cpu() - cpu) / units,
            allocations: (self.allocations()? - allocations) / units,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn can_pin() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
        && Command::new("taskset")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_ok()
}

/// For one unit of work.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Units a second.
    rate: f64,
    /// Nanoseconds of the server's processor.
    cpu: f64,
    allocations: f64,
}

impl Figures {
    /// The middle of all.
    fn medians(all: &[Self]) -> Self {
        Self::quantiles(all, 0.5)
    }

    /// What one in ten surpasses: nothing else disturbed these.
    fn best(all: &[Self]) -> Self {
        Self::quantiles(all, 0.9)
    }

    fn quantiles(all: &[Self], part: f64) -> Self {
        let of = |field: fn(&Self) -> f64, part| {
            quantile(&all.iter().map(field).collect::<Vec<_>>(), part)
        };
        Self {
            rate: of(|one| one.rate, part),
            cpu: of(|one| one.cpu, 1.0 - part),
            allocations: of(|one| one.allocations, 1.0 - part),
        }
    }
}

type Measured = HashMap<(&'static str, &'static str), Vec<Figures>>;

fn measure(works: &[&Work]) -> io::Result<Measured> {
    let mut peers = PEERS
        .iter()
        .map(|(name, _)| Ok((*name, Peer::start(name)?)))
        .collect::<io::Result<Vec<_>>>()?;
    if can_pin() {
        let me = std::process::id().to_string();
        let pin = Command::new("taskset")
            .args(["-cp", "1", &me])
            .stdout(Stdio::null())
            .status();
        let _ = pin;
    }
    let seconds = std::env::var("ENDWELL_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(110));
    for (_, peer) in &mut peers {
        Work {
            requests: 2_000,
            ..WORKS[6]
        }
        .run(peer.addr)?;
        Work {
            requests: 2_000,
            ..WORKS[7]
        }
        .run(peer.addr)?;
    }
    let mut measured = Measured::new();
    let mut round = 0;
    while round < 3 || Instant::now() < until {
        for work in works {
            for (name, peer) in &mut peers {
                let figures = peer.measure(work)?;
                measured
                    .entry((work.name, *name))
                    .or_default()
                    .push(figures);
            }
        }
        // Nobody is always the first after the works of another.
        peers.rotate_left(2);
        round += 1;
    }
    println!("{round} rounds");
    Ok(measured)
}

fn show(works: &[&Work], measured: &Measured) {
    for work in works {
        let unit = match work.requests {
            1 => "frame",
            _ => "response",
        };
        println!("\n{}\n", work.name);
        println!(
            "| peer | {unit}s/s | of bare | best decile | of bare | ns CPU/{unit} | beyond | best decile | beyond | allocations | beyond |"
        );
        println!("|---|{}", "---|".repeat(10));
        for (name, bare) in PEERS {
            let all = &measured[&(work.name, name)];
            let bare = bare.map(|bare| &measured[&(work.name, bare)]);
            println!("{}", line(name, all, bare.map(Vec::as_slice)));
        }
    }
}

fn line(name: &str, all: &[Figures], bare: Option<&[Figures]>) -> String {
    let rate = |of: fn(&[Figures]) -> Figures| {
        let own = of(all).rate;
        let ratio = bare.map(|bare| format!("{:.3}", own / of(bare).rate));
        format!("{own:.0} | {}", ratio.unwrap_or_default())
    };
    let cpu = |of: fn(&[Figures]) -> Figures| {
        let own = of(all).cpu;
        let beyond = bare.map(|bare| format!("{:+.0}", own - of(bare).cpu));
        format!("{own:.0} | {}", beyond.unwrap_or_default())
    };
    let own = Figures::medians(all).allocations;
    let beyond = bare.map(|bare| format!("{:+.2}", own - Figures::medians(bare).allocations));
    format!(
        "| {name:<12} | {} | {} | {} | {} | {own:.2} | {} |",
        rate(Figures::medians),
        rate(Figures::best),
        cpu(Figures::medians),
        cpu(Figures::best),
        beyond.unwrap_or_default()
    )
}

/// The server loop of `endwell::serve`, without endwell.
async fn serve_bare(tcp: tokio::net::TcpListener) -> io::Result<Infallible> {
    loop {
        let (socket, _) = tcp.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .half_close(false);
            builder
                .http2()
                .timer(TokioTimer::new())
                .enable_connect_protocol();
            let _ = builder
                .serve_connection_with_upgrades(TokioIo::new(socket), TowerToHyperService::new(App))
                .await;
        });
    }
}

async fn serve(name: &str) -> io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", tcp.local_addr()?.port());
    match name {
        "hyper" => serve_bare(tcp).await.map(|_| ()),
        "endwell" => endwell::serve(endwell::listen(tcp), App).await,
        "endwell+log" => {
            let log = endwell::Log::new(endwell::Format::Json, io::sink())?;
            endwell::serve(endwell::listen(tcp), App)
                .observer(log)
                .await
        }
        "axum" => {
            use axum::serve::ListenerExt;
            let tcp = tcp.tap_io(|socket| {
                let _ = socket.set_nodelay(true);
            });
            axum::serve(tcp, router()).await
        }
        "axum+endwell" => axum::serve(endwell::listen(tcp), endwell::app(router())).await,
        name => Err(io::Error::other(format!("no peer is named {name}"))),
    }
}

/// Answers what this process has allocated, until the one who asks is gone.
fn tell() {
    std::thread::spawn(|| {
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
            println!("{}", allocations());
            line.clear();
        }
        std::process::exit(0);
    });
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["--serve", name] => {
            tell();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            return runtime.block_on(serve(name));
        }
        ["--load", port, http2, target, requests] => {
            let work = Work {
                name: "by hand",
                http2: http2 == "h2",
                shape: Shape::parse(target).ok_or_else(|| io::Error::other("no such target"))?,
                requests: requests.parse().map_err(io::Error::other)?,
            };
            let port: u16 = port.parse().map_err(io::Error::other)?;
            return work.run(([127, 0, 0, 1], port).into());
        }
        _ if !support::is_asked() => {
            println!("measures under `cargo bench` only");
            return Ok(());
        }
        _ => {}
    }
    let wanted: Vec<&str> = args[1..]
        .iter()
        .copied()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let works: Vec<&Work> = WORKS
        .iter()
        .filter(|work| wanted.is_empty() || wanted.iter().any(|part| work.name.contains(part)))
        .collect();
    println!("{}", machine());
    let measured = measure(&works)?;
    show(&works, &measured);
    Ok(())
}
