//! What the admin listener tells after good, failed and cancelled responses, and while a server drains.
#![cfg(unix)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use endwell::{Record, Shutdown};
use endwell_gateway::{Admin, Files, Metrics, Readiness};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{Pace, Seen, http2};

/// Longer than any grace or linger of the server.
const DEADLINE: Duration = Duration::from_secs(15);
/// More than all the buffers between a server and a client that does not read.
const LARGE: usize = 16 * 1024 * 1024;

/// A folder, the server of it and its admin listener.
struct Watched {
    files: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    /// What the second of two observers was given.
    records: Receiver<Record>,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Watched {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (metrics, readiness, shutdown) = (Metrics::new(), Readiness::new(), Shutdown::new());
        let bind = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let (files, admin) = (bind().unwrap(), bind().unwrap());
        let addresses = (files.local_addr().unwrap(), admin.local_addr().unwrap());
        let service = Files::new(folder.path()).unwrap();
        let (sender, records) = channel();
        let server = endwell::serve(endwell::listen(files), service)
            .observer((Some(Arc::clone(&metrics)), move |record| {
                let _ = sender.send(record);
            }))
            .shutdown(shutdown.clone());
        runtime.spawn(server.into_future());
        let service = Admin::new(Arc::clone(&metrics), readiness.clone());
        runtime.spawn(endwell::serve(endwell::listen(admin), service).into_future());
        Self {
            files: addresses.0,
            admin: addresses.1,
            folder,
            readiness,
            metrics,
            records,
            shutdown,
            runtime: Some(runtime),
        }
    }

    fn write(&self, name: &str, octets: usize) {
        let file = File::create(self.folder.path().join(name)).unwrap();
        file.set_len(octets as u64).unwrap();
    }

    fn cut(&self, name: &str, octets: u64) {
        let path = self.folder.path().join(name);
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(octets).unwrap();
    }

    fn ask(&self, request: &Request) -> Seen {
        observe(self.admin, None, request, &Pace::fast())
    }

    /// A response that has begun and is not read on.
    fn begun(&self, path: &str) -> Session {
        let pace = Pace {
            receive_buffer: Some(32 * 1024),
            ..Pace::fast()
        };
        let mut session = Session::connect(self.files, None, &pace).unwrap();
        session.send(&Request::get11(path)).unwrap();
        session.read_until(|seen| seen.status.is_some());
        session
    }

    /// The samples of `/metrics`, once so many responses have ended.
    fn samples(&self, ended: u64) -> HashMap<String, f64> {
        let until = Instant::now() + DEADLINE;
        let total = || {
            self.metrics
                .totals()
                .iter()
                .map(|total| total.responses)
                .sum::<u64>()
        };
        while ended != total() {
            assert!(Instant::now() < until, "{:?}", self.metrics);
            std::thread::sleep(Duration::from_millis(1));
        }
        let seen = self.ask(&Request::get11("/metrics"));
        assert_eq!(seen.status, Some(200));
        samples(std::str::from_utf8(&seen.body).unwrap())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reads the text format; every line must be one that a scraper understands.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut samples = HashMap::new();
    let mut described = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            described = rest.split(' ').nth(1).unwrap_or(described);
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect(line);
        assert!(name.starts_with(described), "{line} below {described}");
        let known = samples.insert(name.to_owned(), value.parse().expect(line));
        assert!(known.is_none(), "twice: {name}");
    }
    samples
}

fn responses(protocol: &str, ending: &str, error_type: &str, status: &str) -> String {
    format!(
        "endwell_responses_total{{protocol=\"{protocol}\",ending=\"{ending}\",error_type=\"{error_type}\",status=\"{status}\"}}"
    )
}

#[test]
fn good_failed_and_cancelled_responses_are_counted_exactly() {
    let watched = Watched::new();
    watched.write("small", 1000);
    watched.write("cut", LARGE);
    watched.write("left", LARGE);
    for _ in 0..3 {
        let small = observe(
            watched.files,
            None,
            &Request::get11("/small"),
            &Pace::fast(),
        );
        assert!(small.is_complete());
    }
    let missing = observe(watched.files, None, &Request::get11("/none"), &Pace::fast());
    assert_eq!(missing.status, Some(404));
    let mut connection = http2::Connection::connect(watched.files, None, &Pace::fast()).unwrap();
    let stream = connection.get("/small", &[]).unwrap();
    assert!(connection.observe(stream).is_complete());

    let mut cut = watched.begun("/cut");
    watched.cut("cut", 10);
    let cut = cut.read();
    assert!(!cut.is_complete());
    watched.begun("/left").reset();

    let samples = watched.samples(7);
    let of_responses = samples
        .iter()
        .filter(|(name, _)| name.starts_with("endwell_responses_total"))
        .map(|(name, count)| (name.clone(), *count));
    let expected = [
        (responses("1.1", "complete", "", "2xx"), 3.0),
        (responses("1.1", "complete", "", "4xx"), 1.0),
        (responses("2", "complete", "", "2xx"), 1.0),
        (responses("1.1", "failed", "source_changed", "2xx"), 1.0),
        (responses("1.1", "cancelled", "client_gone", "2xx"), 1.0),
    ];
    assert_eq!(
        of_responses.collect::<HashMap<_, _>>(),
        HashMap::from(expected)
    );

    let octets = |ending| samples[&format!("endwell_response_bytes_total{{ending=\"{ending}\"}}")];
    assert_eq!(octets("complete"), 4000.0 + missing.body.len() as f64);
    assert_eq!(octets("failed"), cut.body.len() as f64);
    assert!(octets("cancelled") > 0.0 && octets("cancelled") < LARGE as f64);
    assert_eq!(octets("degraded"), 0.0);

    for (ending, count) in [
        ("complete", 5.0),
        ("degraded", 0.0),
        ("failed", 1.0),
        ("cancelled", 1.0),
    ] {
        let name = "endwell_response_duration_seconds";
        let counted = samples[&format!("{name}_count{{ending=\"{ending}\"}}")];
        let last = samples[&format!("{name}_bucket{{ending=\"{ending}\",le=\"+Inf\"}}")];
        assert_eq!((counted, last), (count, count), "{ending}");
    }
    assert_eq!(samples["endwell_response_ttfb_seconds_count"], 7.0);
    assert_eq!(samples["endwell_build_info{version=\"0.1.0\"}"], 1.0);
    if cfg!(target_os = "linux") {
        assert!(samples["process_resident_memory_bytes"] > 1e6);
        assert!(samples["process_open_fds"] >= 5.0);
        assert!(samples["process_start_time_seconds"] > 1.7e9);
    }
    // The observer after it was given the same.
    let records: Vec<_> = (0..7)
        .map(|_| watched.records.recv_timeout(DEADLINE).unwrap())
        .collect();
    let sent = records.iter().map(|record| record.tally.sent).sum::<u64>() as f64;
    assert_eq!(
        sent,
        octets("complete") + octets("failed") + octets("cancelled")
    );
    // The admin listener does not count itself.
    assert_eq!(watched.samples(7).len(), samples.len());
}

#[test]
fn a_scraper_that_asks_gets_open_metrics() {
    let watched = Watched::new();
    watched
        .metrics
        .counter("endwell_log_records_dropped_total", "Lost.", || 5);
    let request = Request::get11("/metrics").with("Accept", "application/openmetrics-text");
    let seen = watched.ask(&request);
    assert_eq!(
        seen.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = String::from_utf8(seen.body).unwrap();
    assert!(text.contains(
        "\n# TYPE endwell_log_records_dropped counter\nendwell_log_records_dropped_total 5\n"
    ));
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn readiness_follows_the_server_and_liveness_does_not() {
    let watched = Watched::new();
    let told = |path| {
        let seen = watched.ask(&Request::get11(path));
        (seen.status.unwrap(), String::from_utf8(seen.body).unwrap())
    };
    let starting = (503, "starting\n".to_owned());
    assert_eq!(told("/readyz"), starting);
    watched.readiness.accepting();
    assert_eq!(told("/readyz"), (200, "accepting\n".to_owned()));

    watched.write("long", LARGE);
    let mut long = watched.begun("/long");
    watched.readiness.draining();
    watched.shutdown.drain();
    assert_eq!(told("/readyz"), (503, "draining\n".to_owned()));
    assert_eq!(told("/healthz"), (200, "alive\n".to_owned()));
    assert!(long.read().is_complete());
}

#[test]
fn the_page_needs_no_script_and_nothing_can_be_changed() {
    let watched = Watched::new();
    watched.readiness.accepting();
    let page = watched.ask(&Request::get11("/"));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("accepting") && !text.contains("<script"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(text.contains(&format!("href=\"{path}\"")), "{path}");
        let post = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let refused = watched.ask(&Request::raw(post));
        assert_eq!(refused.status, Some(405));
        assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        let head = watched.ask(&Request::head11(path));
        assert_eq!((head.status, head.body.len()), (Some(200), 0));
    }
    assert_eq!(watched.ask(&Request::get11("/other")).status, Some(404));
}
