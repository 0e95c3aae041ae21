//! kill -9 of a server in the middle of a close-delimited answer: the client sees a reset.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use endwell_lab::observe::{ClientTls, Pace, SeenEnd, SeenFraming, http1};
use support::Setup;
use support::script::octets;

/// Not a test by itself: the server that [`h10_server_killed_peer_sees_reset`] starts and kills.
#[test]
fn child_serves_until_it_is_killed() {
    let Ok(tls) = std::env::var("ENDWELL_CHILD_TLS") else {
        return;
    };
    let setup = Setup {
        tls: tls == "1",
        ..Setup::default()
    };
    let server = setup.start(support::script::app());
    println!("\nchild {}", server.addr);
    std::io::stdout().flush().expect("the parent reads");
    loop {
        std::thread::park();
    }
}

#[test]
fn h10_server_killed_peer_sees_reset() {
    for tls in [false, true] {
        let exe = std::env::current_exe().expect("this test runs from a file");
        let mut child = Command::new(exe)
            .args(["--exact", "child_serves_until_it_is_killed", "--nocapture"])
            .env("ENDWELL_CHILD_TLS", if tls { "1" } else { "0" })
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let addr = lines
            .map_while(Result::ok)
            .find_map(|line| {
                line.strip_prefix("child ")
                    .and_then(|addr| addr.parse().ok())
            })
            .expect("the child tells its address");
        let client = tls.then(|| ClientTls::new(&["http/1.1"]));
        let mut session =
            http1::Session::connect(addr, client.as_ref(), &Pace::fast()).expect("it accepts");
        let target = "/script?fault=silent&size=300000&cut=200000&frame=10000&promise=false";
        session
            .send(&http1::Request::get10(target))
            .expect("the request is sent");
        let seen = session.read_until(|seen| seen.body.len() >= 200_000);
        assert_eq!(seen.framing, Some(SeenFraming::CloseDelimited));
        // SIGKILL: no destructor runs, the kernel alone closes the socket.
        child.kill().expect("the child runs");
        child.wait().expect("the child has been killed");
        let seen = session.read();
        assert!(seen.body == octets(200_000), "{}", seen.verdict_line());
        assert_eq!(seen.end, SeenEnd::Reset, "tls {tls}");
    }
}
