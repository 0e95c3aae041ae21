//! A real server, run as its user would, and the records it writes.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod certificate;
pub mod h3;
pub mod matrix;
pub mod script;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use axum::Router;
use endwell::{Controls, Limits, Policy, Record, Rule, Shutdown};

/// Which server loop drives the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// `endwell::serve`.
    Ours,
    /// `axum::serve` on `endwell::listen`.
    Stock,
}

/// Says nothing of panics in the server: scripts panic on purpose, thousands of times.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some("tokio-rt-worker") {
                tell(panic);
            }
        }));
    });
}

/// A TCP port whose number is free for UDP, too.
fn ports(runtime: &tokio::runtime::Runtime) -> (tokio::net::TcpListener, std::net::UdpSocket) {
    loop {
        let tcp = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("loopback has a free port");
        let addr = tcp.local_addr().expect("a bound socket has an address");
        if let Ok(udp) = std::net::UdpSocket::bind(addr) {
            return (tcp, udp);
        }
    }
}

/// A server on a port of its own, with every record it wrote.
pub struct Server {
    pub addr: SocketAddr,
    pub controls: Controls,
    pub shutdown: Shutdown,
    records: Arc<Mutex<Vec<Record>>>,
    runtime: Option<tokio::runtime::Runtime>,
    done: Mutex<std::sync::mpsc::Receiver<()>>,
}

/// How a server is set up.
#[derive(Clone)]
pub struct Setup {
    pub tls: bool,
    pub policy: Policy,
    pub rules: Vec<Rule>,
    /// Of our own server loop only.
    pub limits: Limits,
    pub drain: Duration,
    pub server_loop: Loop,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: false,
            policy: Policy::default(),
            rules: Vec::new(),
            limits: Limits::default(),
            drain: Duration::from_secs(30),
            server_loop: Loop::Ours,
        }
    }
}

impl Setup {
    pub fn tls() -> Self {
        Self {
            tls: true,
            ..Self::default()
        }
    }

    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    pub fn start(self, app: Router) -> Server {
        quiet();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let (tcp, udp) = ports(&runtime);
        let addr = tcp.local_addr().expect("a bound socket has an address");
        let inside = runtime.enter();
        let mut listener = endwell::listen(tcp);
        let mut quic = None;
        if self.tls {
            let switch = endwell::TlsSwitch::new(certificate::server_config());
            listener = listener.tls_switch(&switch);
            quic = Some(endwell::listen_quic(udp, switch).expect("QUIC takes the certificate"));
        }
        let records: Arc<Mutex<Vec<Record>>> = Arc::default();
        let kept = Arc::clone(&records);
        let observer = move |record| kept.lock().expect("no panic holds it").push(record);
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let (ended, done) = std::sync::mpsc::channel();
        let controls = Controls::new(self.policy.clone(), self.limits);
        let given = controls.clone();
        runtime.spawn(async move {
            match self.server_loop {
                Loop::Ours => {
                    let mut server = endwell::serve(listener, app);
                    if let Some(quic) = quic {
                        server = server.quic(quic);
                    }
                    let server = server
                        .controls(given)
                        .observer(observer)
                        .shutdown(stop)
                        .drain(self.drain);
                    let server = self
                        .rules
                        .into_iter()
                        .fold(server, |it, rule| it.rule(rule));
                    server.await.expect("the server runs");
                }
                Loop::Stock => {
                    let app = endwell::app(app).policy(self.policy).observer(observer);
                    let app = self.rules.into_iter().fold(app, |it, rule| it.rule(rule));
                    axum::serve(listener, app).await.expect("the server runs");
                }
            }
            let _ = ended.send(());
        });
        drop(inside);
        Server {
            addr,
            controls,
            shutdown,
            records,
            runtime: Some(runtime),
            done: Mutex::new(done),
        }
    }
}

impl Server {
    /// The record of the request with this target.
    pub fn record(&self, target: &str) -> Record {
        self.try_record(target, Duration::from_secs(20))
            .unwrap_or_else(|| panic!("no record for {target}"))
    }

    pub fn try_record(&self, target: &str, within: Duration) -> Option<Record> {
        let until = Instant::now() + within;
        loop {
            let records = self.records.lock().expect("no panic holds it");
            if let Some(record) = records.iter().find(|record| record.target == target) {
                return Some(record.clone());
            }
            drop(records);
            if Instant::now() > until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn records(&self) -> Vec<Record> {
        self.records.lock().expect("no panic holds it").clone()
    }

    /// Waits until the server has stopped by itself.
    pub fn stopped(&self, within: Duration) -> bool {
        let done = self.done.lock().expect("no panic holds it");
        done.recv_timeout(within).is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
