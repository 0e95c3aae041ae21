//! A folder that is really served, and the records of its responses.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

#[path = "../../../endwell/tests/support/certificate.rs"]
pub mod certificate;

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use endwell::{Record, Shutdown};
use endwell_gateway::{Files, Growing};
use endwell_lab::observe::http1::{Request, observe};
use endwell_lab::observe::{Pace, Seen};

/// Longer than any grace or linger of the server.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// The time of modification of [`Served::write`].
pub const MODIFIED: u64 = 1_700_000_000;

pub struct Served {
    pub addr: SocketAddr,
    folder: tempfile::TempDir,
    records: Receiver<Record>,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    /// Serves `public` in a new folder, on a port of its own.
    pub fn new(growing: Growing) -> Self {
        Self::over(growing, false)
    }

    /// As [`Served::new`], over TLS if asked for.
    pub fn over(growing: Growing, tls: bool) -> Self {
        Self::set(|files| files.growing(growing), tls)
    }

    /// As [`Served::new`], with other settings.
    pub fn with(set: impl FnOnce(Files) -> Files) -> Self {
        Self::set(set, false)
    }

    /// As [`Served::over`], with other settings.
    pub fn set(set: impl FnOnce(Files) -> Files, tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("public")).unwrap();
        let files = Files::new(folder.path().join("public")).unwrap();
        let (sender, records) = channel();
        let shutdown = Shutdown::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let addr = runtime.block_on(serve(set(files), tls, sender, shutdown.clone()));
        Self {
            addr,
            folder,
            records,
            shutdown,
            runtime: Some(runtime),
        }
    }

    /// A path below the folder that is served; its parent exists.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("public").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Beside the folder that is served.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that was last modified in 2023.
    pub fn write(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, octets).unwrap();
        set_modified(&path, MODIFIED);
        next_tick(&path);
        path
    }

    pub fn ask(&self, request: &Request) -> Seen {
        observe(self.addr, None, request, &Pace::fast())
    }

    pub fn get(&self, path: &str) -> Seen {
        self.ask(&Request::get11(path))
    }

    /// The record of the next response that ended.
    pub fn record(&self) -> Record {
        self.records.recv_timeout(DEADLINE).expect("a record")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A TCP port whose number is free for UDP, too: for HTTP/3.
pub async fn both() -> (tokio::net::TcpListener, UdpSocket) {
    loop {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
}

/// Over TLS, and then also by HTTP/3; or plain.
async fn serve(files: Files, tls: bool, records: Sender<Record>, shutdown: Shutdown) -> SocketAddr {
    let (tcp, udp) = both().await;
    let addr = tcp.local_addr().unwrap();
    let server = match tls {
        false => endwell::serve(endwell::listen(tcp), files),
        true => {
            let switch = endwell::TlsSwitch::new(certificate::server_config());
            let listener = endwell::listen(tcp).tls_switch(&switch);
            let quic = endwell::listen_quic(udp, switch).unwrap();
            endwell::serve(listener, files).quic(quic)
        }
    };
    let server = server.shutdown(shutdown).observer(move |record| {
        let _ = records.send(record);
    });
    tokio::spawn(server.into_future());
    addr
}

pub fn set_modified(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::open(path).unwrap();
    file.set_modified(time).unwrap();
}

/// Waits until a change of this file would get another `ctime`.
fn next_tick(path: &Path) {
    let changed = |path: &Path| {
        let is = path.metadata().unwrap();
        (is.ctime(), is.ctime_nsec())
    };
    let until = Instant::now() + DEADLINE;
    let mut probe = tempfile::tempfile_in(path.parent().unwrap()).unwrap();
    loop {
        std::io::Write::write_all(&mut probe, b"x").unwrap();
        let is = probe.metadata().unwrap();
        if (is.ctime(), is.ctime_nsec()) > changed(path) {
            return;
        }
        assert!(
            Instant::now() < until,
            "the clock of the file system stands"
        );
    }
}

/// Octets that say where they stand: no part of them can be taken for another.
pub fn pattern(octets: usize) -> Vec<u8> {
    let mut pattern: Vec<u8> = (0..octets.div_ceil(8) as u64)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
        .collect();
    pattern.truncate(octets);
    pattern
}
