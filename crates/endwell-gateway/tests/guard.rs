//! A guarded folder: who may ask, and what the others are told.
#![cfg(unix)]

use std::net::SocketAddr;

use endwell::Shutdown;
use endwell_gateway::{Files, Guard, Networks, Users};
use endwell_lab::observe::http1::{Request, observe};
use endwell_lab::observe::{Pace, Seen, http2};

/// `open sesame`, by bcrypt at its lowest cost.
fn hash() -> String {
    bcrypt::hash("open sesame", 4).unwrap()
}

/// `Aladdin:open sesame`, as in RFC 7617.
const GOOD: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

struct Guarded {
    addr: SocketAddr,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

impl Guarded {
    fn new(guard: impl FnOnce(Guard<Files>) -> Guard<Files>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file.txt"), "content\n").unwrap();
        let app = guard(Guard::new(Files::new(folder.path()).unwrap()));
        let shutdown = Shutdown::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let addr = runtime.block_on(async {
            let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = tcp.local_addr().unwrap();
            let server = endwell::serve(endwell::listen(tcp), app).shutdown(shutdown.clone());
            tokio::spawn(server.into_future());
            addr
        });
        Self {
            addr,
            shutdown,
            runtime: Some(runtime),
            _folder: folder,
        }
    }

    fn ask(&self, request: &Request) -> Seen {
        observe(self.addr, None, request, &Pace::fast())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn with(credentials: &str) -> Request {
    Request::get11("/file.txt").with("Authorization", credentials)
}

#[test]
fn without_a_users_password_it_is_401_and_the_content_stays_inside() {
    let mut users = Users::new().unwrap();
    users.add(&format!("Aladdin:{}", hash())).unwrap();
    let server = Guarded::new(|guard| guard.users(users));
    let requests = [
        Request::get11("/file.txt"),
        Request::get11("/not-there.txt"),
        Request::get11("/"),
        with("Basic"),
        with("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        with("Basic QWxhZGRpbjpvcGVuIHNlc2FtZB=="),
        with("Basic QWxhZGRpbjo="),
        with("Basic ZXZlOm9wZW4gc2VzYW1l"),
    ];
    for request in &requests {
        let seen = server.ask(request);
        let text = String::from_utf8_lossy(&request.text);
        assert_eq!(seen.status, Some(401), "{text}");
        assert_eq!(
            seen.header("www-authenticate"),
            Some("Basic realm=\"endwell\", charset=\"UTF-8\""),
            "{text}"
        );
        assert!(seen.body.starts_with(b"401 Unauthorized: "), "{text}");
    }
    // Twice: verified, and remembered.
    for _ in 0..2 {
        let seen = server.ask(&with(GOOD));
        assert_eq!(
            (seen.status, &seen.body[..]),
            (Some(200), &b"content\n"[..])
        );
    }
    let fields = [("authorization", GOOD)];
    let seen = http2::observe(server.addr, None, "/file.txt", &fields, &Pace::fast());
    assert_eq!(seen.status, Some(200));
}

#[test]
fn an_address_that_may_not_ask_is_403_with_a_password_too() {
    let deny = |network: &str| {
        let mut networks = Networks::default();
        networks.deny(network).unwrap();
        networks
    };
    let mut users = Users::new().unwrap();
    users.add(&format!("Aladdin:{}", hash())).unwrap();
    let server = Guarded::new(|guard| guard.networks(deny("127.0.0.0/8")).users(users));
    assert_eq!(server.ask(&with(GOOD)).status, Some(403));
    let server = Guarded::new(|guard| guard.networks(deny("192.0.2.0/24")));
    assert_eq!(server.ask(&Request::get11("/file.txt")).status, Some(200));
}
