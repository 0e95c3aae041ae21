//! A source that is really served, over TCP and over TLS, and what is known of it.

pub mod rows;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use endwell::{Record, Shutdown};
use endwell_gateway::{Files, Routes};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http2, http3};

use crate::common::{DEADLINE, MODIFIED, both, certificate, set_modified};
use rows::Rows;

/// More than all the buffers between a server and a client that does not read.
pub const LARGE: usize = 16 * 1024 * 1024;

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub protocol: &'static str,
    pub tls: bool,
}

/// Every protocol, plain and over TLS; HTTP/3 knows nothing else.
pub const WAYS: [Way; 7] = [
    Way::new("1.0", false),
    Way::new("1.1", false),
    Way::new("2", false),
    Way::new("1.0", true),
    Way::new("1.1", true),
    Way::new("2", true),
    Way::new("3", true),
];

impl Way {
    const fn new(protocol: &'static str, tls: bool) -> Self {
        Self { protocol, tls }
    }
}

/// How something fails after its first octets.
pub enum Late {
    /// Each time, after exactly these octets.
    Always(&'static str, Vec<u8>),
    /// When this is done to its folder, after some of these octets.
    When {
        path: &'static str,
        /// The file that is written anew before each time.
        file: (&'static str, usize),
        change: Box<dyn Fn(&Path)>,
        octets: Vec<u8>,
    },
}

/// A source that is served.
pub struct Stage {
    /// Something that ends as complete, and its octets.
    pub whole: (&'static str, Vec<u8>),
    /// Something that fails before its first octet, and the status.
    pub early: (&'static str, u16),
    pub late: Late,
    /// Something of [`LARGE`] octets.
    pub large: &'static str,
    pub is_promised: bool,
    pub has_ranges: bool,
    /// Whether work for `large` is under way.
    pub is_held: fn(&Path) -> bool,
    /// Whether work for `large` was ever begun, where to begin is more than to read.
    pub has_begun: fn(&Path) -> bool,
    pub counter: Option<Rows>,
    pub app: Routes<Files>,
    pub runtime: tokio::runtime::Runtime,
    addresses: [SocketAddr; 2],
    records: Receiver<Record>,
    shutdown: Shutdown,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Serves a new folder, behind what `route` puts in front of it.
    pub fn new(name: &str, route: impl FnOnce(Routes<Files>, &str) -> Routes<Files>) -> Self {
        let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
        let files = Files::new(folder.path()).unwrap();
        let app = route(Routes::new(files), folder.path().to_str().unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (sender, records) = channel();
        let shutdown = Shutdown::new();
        let serve = |tls| serve(app.clone(), tls, sender.clone(), shutdown.clone());
        let addresses = [false, true].map(|tls| runtime.block_on(serve(tls)));
        Self {
            whole: ("", Vec::new()),
            early: ("", 0),
            late: Late::Always("", Vec::new()),
            large: "",
            is_promised: false,
            has_ranges: false,
            is_held: |_| false,
            has_begun: |_| false,
            counter: None,
            app,
            runtime,
            addresses,
            records,
            shutdown,
            folder,
        }
    }

    /// Writes a file that was last modified in 2023.
    pub fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, octets).unwrap();
        set_modified(&path, MODIFIED);
        path
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The record of the next response that ended.
    pub fn record(&self) -> Record {
        self.records.recv_timeout(DEADLINE).expect("a record")
    }

    /// Whether work for `large` is under way.
    pub fn holds(&self) -> bool {
        match &self.counter {
            Some(rows) => rows.are_held(),
            None => (self.is_held)(self.folder()),
        }
    }

    /// Whether work for `large` was ever begun.
    pub fn has_begun(&self) -> bool {
        match &self.counter {
            Some(rows) => rows.were_begun(),
            None => (self.has_begun)(self.folder()),
        }
    }

    /// Ends every response at once.
    pub fn stop(&self) {
        self.shutdown.now();
    }

    /// Waits until `large` is worked on, or no more.
    pub fn wait_until_it_holds(&self, holds: bool) {
        let until = Instant::now() + DEADLINE;
        while self.holds() != holds {
            assert!(
                Instant::now() < until,
                "still {}",
                if holds { "idle" } else { "held" }
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Who asks this way.
    pub fn asker(&self, way: Way) -> Asker {
        let address = self.addresses[usize::from(way.tls)];
        Asker { address, way }
    }

    /// An exchange over plain HTTP/1.1.
    pub fn ask(&self, request: &Request) -> Seen {
        let mut session = self.asker(WAYS[1]).session(&Pace::fast());
        session.exchange(request)
    }
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    address: SocketAddr,
    way: Way,
}

impl Asker {
    pub fn session(&self, pace: &Pace) -> Session {
        let tls = self.way.tls.then(|| match self.way.protocol {
            "1.0" => ClientTls::new(&["http/1.0"]),
            _ => ClientTls::new(&["http/1.1"]),
        });
        Session::connect(self.address, tls.as_ref(), pace).unwrap()
    }

    pub fn connection(&self, pace: &Pace) -> http2::Connection {
        let tls = self.way.tls.then(|| ClientTls::new(&["h2"]));
        http2::Connection::connect(self.address, tls.as_ref(), pace).unwrap()
    }

    /// Over QUIC there is no socket that fills: the window bounds what is on its way.
    pub fn quic(&self, pace: &Pace) -> http3::Connection {
        let pace = Pace {
            window: Some(32 * 1024),
            ..pace.clone()
        };
        http3::Connection::connect(self.address, &pace).unwrap()
    }

    /// Reads the head, does something, and reads the rest.
    pub fn get(&self, path: &str, pace: &Pace, meanwhile: impl FnOnce()) -> Seen {
        if self.way.protocol == "2" {
            let pace = pace.clone().staying(Duration::from_millis(20));
            let mut connection = self.connection(&pace);
            let stream = connection.get(path, &[]).unwrap();
            connection.read_until(stream, |seen| seen.status.is_some());
            meanwhile();
            return connection.observe(stream);
        }
        if self.way.protocol == "3" {
            // Long enough to acknowledge what came last: who vanishes before is waited for.
            let pace = pace.clone().staying(Duration::from_millis(50));
            let mut connection = self.quic(&pace);
            let stream = connection.get(path, &[]).unwrap();
            connection.read_until(stream, |seen| seen.status.is_some());
            meanwhile();
            return connection.observe(stream);
        }
        let mut session = self.session(pace);
        session.send(&request(self.way, path)).unwrap();
        let seen = session.read_until(|seen| seen.status.is_some());
        meanwhile();
        match seen.end {
            SeenEnd::Open => session.read(),
            _ => seen,
        }
    }
}

/// A GET of this protocol.
pub fn request(way: Way, path: &str) -> Request {
    match way.protocol {
        "1.0" => Request::get10(path),
        _ => Request::get11(path),
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.now();
    }
}

async fn serve(
    app: Routes<Files>,
    tls: bool,
    records: Sender<Record>,
    shutdown: Shutdown,
) -> SocketAddr {
    let (tcp, udp) = both().await;
    let address = tcp.local_addr().unwrap();
    let server = match tls {
        false => endwell::serve(endwell::listen(tcp), app),
        true => {
            let switch = endwell::TlsSwitch::new(certificate::server_config());
            let listener = endwell::listen(tcp).tls_switch(&switch);
            let quic = endwell::listen_quic(udp, switch).unwrap();
            endwell::serve(listener, app).quic(quic)
        }
    };
    let server = server.shutdown(shutdown).observer(move |record| {
        let _ = records.send(record);
    });
    tokio::spawn(server.into_future());
    address
}
