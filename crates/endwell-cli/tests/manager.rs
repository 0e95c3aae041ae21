//! What a service manager and an operator see: passed sockets, notifications, health, metrics.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use common::{DEADLINE, Folder, LARGE, Server, endwell, large, run};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{Pace, Seen, http3};

fn get(url: &str, path: &str) -> Seen {
    let addr = common::address(url);
    observe(addr, None, &Request::get11(path), &Pace::fast())
}

/// Asks over a unix socket; what comes until the server closes.
fn get_unix(path: &std::path::Path, target: &str) -> String {
    use std::io::Write;
    let mut client = UnixStream::connect(path).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(client, "GET {target} HTTP/1.0\r\n\r\n").unwrap();
    let mut seen = String::new();
    client.read_to_string(&mut seen).unwrap();
    seen
}

/// Where its operators ask, as it said it.
fn admin(server: &Server) -> &str {
    let said = server.said.iter();
    let mut said = said.filter_map(|line| line.strip_prefix("admin on "));
    said.next().expect("an admin listener")
}

/// Runs `endwell` with these sockets as descriptors 3 and so on, as a service manager does.
fn passing(sockets: &[OwnedFd], names: &str, args: &[&str]) -> Command {
    // The plain shell knows descriptors up to 9 only.
    let mut shell = Command::new("bash");
    let mut script = String::new();
    // Away from 3 first: one of them may be there already.
    for (at, socket) in sockets.iter().enumerate() {
        let (from, to) = (socket.as_raw_fd(), 50 + at);
        script += &format!("exec {to}<&{from}; ");
    }
    for at in 0..sockets.len() {
        script += &format!("exec {}<&{}; exec {}<&-; ", 3 + at, 50 + at, 50 + at);
    }
    script += "LISTEN_PID=$$ exec \"$@\"";
    shell
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_endwell")])
        .args(args)
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names)
        .stdin(std::process::Stdio::null());
    // The shell is to inherit them.
    for socket in sockets {
        inherit(socket);
    }
    shell
}

fn inherit(socket: &OwnedFd) {
    let flags = rustix::io::fcntl_getfd(socket).unwrap();
    rustix::io::fcntl_setfd(socket, flags - rustix::io::FdFlags::CLOEXEC).unwrap();
}

#[test]
fn sockets_that_a_service_manager_passes_are_served() {
    let folder = Folder::new();
    folder.write("file", "content");
    let path = folder.path("outside.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", tcp.local_addr().unwrap());
    let operators = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin_url = format!("http://{}", operators.local_addr().unwrap());
    let unix = UnixListener::bind(&path).unwrap();
    let sockets = [tcp.into(), operators.into(), unix.into()];
    let args = ["serve", folder.root()];
    let mut command = passing(&sockets, "http:admin:local", &args);
    let mut server = Server::start_with(&mut command, 2);
    drop(sockets);

    assert_eq!(
        server.urls,
        [url.clone(), format!("unix:{}", path.display())]
    );
    assert_eq!(admin(&server), admin_url);
    assert_eq!(get(&url, "/file").body, b"content");
    assert!(get_unix(&path, "/file").ends_with("\r\n\r\ncontent"));
    assert_eq!(get(&admin_url, "/readyz").status, Some(200));
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(path.exists(), "the socket's file is the service manager's");
}

#[test]
fn what_is_no_listener_is_refused_with_its_number_and_name() {
    let folder = Folder::new();
    let (one, _other) = UnixStream::pair().unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    for socket in [OwnedFd::from(one), OwnedFd::from(datagrams)] {
        let sockets = [socket];
        let mut command = passing(&sockets, "http", &["serve", folder.root()]);
        let (code, _, said) = common::run_command(&mut command);
        assert_eq!(code, Some(1), "{said}");
        let begins = "error: socket 0 (http) that was passed in LISTEN_FDS cannot be used: ";
        assert!(said.starts_with(begins), "{said}");
    }
    let mut command = endwell();
    command
        .args(["serve", folder.root()])
        .env("LISTEN_FDS", "2000000000");
    let (code, _, said) = common::run_command(&mut command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("more than 256"), "{said}");
}

/// The next datagram, as lines.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut octets = [0; 4096];
    let length = manager.recv(&mut octets).expect("a notification");
    let text = std::str::from_utf8(&octets[..length]).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop() {
    let folder = Folder::new();
    folder.write("file.bin", large());
    let path = folder.path("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = endwell();
    command
        .args(["serve", folder.root(), "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_with(&mut command, 1);
    let ready = ["READY=1", "STATUS=accepting connections"];
    assert_eq!(told(&manager), ready);

    server.signal("HUP");
    let reloading = told(&manager);
    assert_eq!(reloading[0], "RELOADING=1");
    let clock = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(clock.parse::<u64>().unwrap() > 0);
    assert_eq!(told(&manager), ready);

    server.signal("TERM");
    assert_eq!(told(&manager), ["STOPPING=1", "STATUS=draining"]);
    assert!(server.wait().success());
}

#[test]
fn a_watchdog_is_fed_and_a_lost_service_manager_stops_nothing() {
    let folder = Folder::new();
    let path = folder.path("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = endwell();
    command
        .args(["serve", folder.root(), "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut server = Server::start_with(&mut command, 1);
    assert_eq!(told(&manager)[0], "READY=1");
    for _ in 0..3 {
        assert_eq!(told(&manager), ["WATCHDOG=1"]);
    }
    drop(manager);
    assert!(
        server
            .says()
            .starts_with("cannot tell the service manager (")
    );
    assert_eq!(get(&server.urls[0], "/").status, Some(200));
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn a_unix_socket_is_made_served_and_removed() {
    let folder = Folder::new();
    folder.write("file", "content");
    let path = folder.path("http.sock");
    let listen = format!("unix:{}?mode=660", path.display());
    let operators = folder.path("admin.sock");
    let admin = format!("unix:{}", operators.display());
    let mut command = endwell();
    command.args([
        "serve",
        folder.root(),
        "--listen",
        &listen,
        "--admin",
        &admin,
    ]);
    let mut server = Server::start_with(&mut command, 1);
    assert_eq!(run(&["health", &admin]).0, Some(0));
    assert_eq!(server.urls, [format!("unix:{}", path.display())]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(get_unix(&path, "/file").ends_with("\r\n\r\ncontent"));
    assert!(server.logs().starts_with("unix - - ["));

    let (code, _, said) = run(&["serve", folder.root(), "--listen", &listen]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("http.sock is taken: a server answers on it"),
        "{said}"
    );

    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!path.exists() && !operators.exists());
}

#[test]
fn health_is_told_by_the_exit_code() {
    let folder = Folder::new();
    folder.write("file.bin", large());
    let mut server = Server::start(&folder, &["--admin", "127.0.0.1:0"]);
    let asked = admin(&server).strip_prefix("http://").unwrap().to_owned();
    let health = |args: &[&str]| run(&[&["health", &*asked], args].concat());
    assert_eq!(health(&[]), (Some(0), String::new(), String::new()));
    assert_eq!(health(&["--ready"]).0, Some(0));

    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    let mut session = Session::connect(server.addr(), None, &pace).unwrap();
    session.send(&Request::get11("/file.bin")).unwrap();
    session.read_until(|seen| seen.status.is_some());
    server.signal("TERM");
    assert!(server.says().starts_with("stopping: "));
    assert_eq!(health(&[]).0, Some(0));
    let ready = health(&["--ready"]);
    let answered = "/readyz is answered with 503\n".to_owned();
    assert_eq!(ready, (Some(1), String::new(), answered));
    assert_eq!(session.read().body.len(), LARGE);
    assert!(server.wait().success());

    let (code, _, said) = health(&[]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: no answer ("), "{said}");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_not_well() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let (code, _, said) = run(&["health", &addr, "--timeout", "50ms"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: no answer ("), "{said}");
}

#[test]
fn metrics_of_the_command_count_what_the_log_holds() {
    let folder = Folder::new();
    folder.write("file", "content");
    let server = Server::start(&folder, &["--admin", "127.0.0.1:0"]);
    for path in ["/file", "/file", "/none"] {
        get(&server.urls[0], path);
        server.logs();
    }
    let seen = get(admin(&server), "/metrics");
    let text = String::from_utf8(seen.body).unwrap();
    for line in [
        "endwell_responses_total{protocol=\"1.1\",ending=\"complete\",error_type=\"\",status=\"2xx\"} 2",
        "endwell_responses_total{protocol=\"1.1\",ending=\"complete\",error_type=\"\",status=\"4xx\"} 1",
        "endwell_log_records_dropped_total 0",
        "endwell_connections_accepted_total 3",
        "endwell_connections_refused_total 0",
    ] {
        assert!(text.lines().any(|is| is == line), "{line}");
    }
}

/// A TCP listener and a UDP socket on ports of one number.
fn both() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
}

#[test]
fn a_udp_socket_that_is_passed_answers_http3() {
    let folder = Folder::new();
    folder.write("file", "content");
    let (tcp, udp) = both();
    let addr = tcp.local_addr().unwrap();
    let sockets = [OwnedFd::from(udp), tcp.into()];
    let args = ["serve", folder.root(), "--tls-self-signed", "--http3"];
    let mut command = passing(&sockets, "quic:https", &args);
    let server = Server::start_with(&mut command, 2);
    // Only the server has it now.
    drop(sockets);
    assert_eq!(server.urls[1], format!("https://{addr} for HTTP/3 (UDP)"));
    let seen = http3::observe(addr, "/file", &[], &Pace::fast());
    assert_eq!(seen.body, b"content", "{}", seen.verdict_line());

    let alone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = alone.local_addr().unwrap();
    let sockets = [OwnedFd::from(alone)];
    let nothing = "for nothing; add --http3";
    let no_listener = "no https listener has a port of its number; pass one, too";
    for (flag, due) in [("--no-http3", nothing), ("--http3", no_listener)] {
        let args = [
            "serve",
            folder.root(),
            "--tls-self-signed",
            "--listen",
            "127.0.0.1:0",
            flag,
        ];
        let (code, _, said) = common::run_command(&mut passing(&sockets, "", &args));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("error: "), "{said}");
        assert!(
            said.contains(&addr.to_string()) && said.contains(due),
            "{said}"
        );
    }
}
