//! Every example, run as a real server and asked by a real client.

mod support;

#[path = "support/client.rs"]
mod client;

#[path = "../examples/after.rs"]
#[allow(dead_code)]
mod after;

#[path = "../examples/before.rs"]
#[allow(dead_code)]
mod before;

#[cfg(unix)]
#[path = "../examples/child.rs"]
#[allow(dead_code)]
mod child;

#[path = "../examples/sqlite.rs"]
#[allow(dead_code)]
mod sqlite;

#[path = "../examples/digest.rs"]
#[allow(dead_code)]
mod digest;

#[path = "../examples/file.rs"]
#[allow(dead_code)]
mod file;

#[path = "../examples/grpc.rs"]
#[allow(dead_code)]
mod grpc;

#[path = "../examples/http3.rs"]
#[allow(dead_code)]
mod http3;

#[path = "../examples/per_client.rs"]
#[allow(dead_code)]
mod per_client;

#[path = "../examples/plain_hyper.rs"]
#[allow(dead_code)]
mod plain_hyper;

#[path = "../examples/plain_tower.rs"]
#[allow(dead_code)]
mod plain_tower;

#[path = "../examples/trailer.rs"]
#[allow(dead_code)]
mod trailer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::{BOTH, Got, Records, Served, Speaks};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http1, http2};
use http::StatusCode;
use rusqlite::Connection;

fn get(server: &Served, speaks: Speaks, target: &str) -> Got {
    client::get(server.addr, speaks, target, &[])
}

fn get10(server: &Served, target: &str) -> Seen {
    let request = http1::Request::get10(target);
    http1::observe(server.addr, None, &request, &Pace::fast())
}

const ROWS: usize = 40_000;

#[test]
fn before_and_after_differ_in_one_line() {
    let code = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("//!"));
        lines.map(str::to_owned).collect()
    };
    let before = code(include_str!("../examples/before.rs"));
    let after = code(include_str!("../examples/after.rs"));
    assert_eq!(before.len(), after.len());
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    let [(old, new)] = changed[..] else {
        panic!("{changed:?}");
    };
    assert_eq!(old.trim(), "axum::serve(tcp, app()).await");
    assert_eq!(new.trim(), "endwell::serve(tcp, app()).await");
}

#[test]
fn before_and_after_a_client_of_each_protocol_sees_what_the_readme_says() {
    let before = Served::start(before::serve);
    let after = Served::start(after::serve);
    // HTTP/1.0: a half that looks whole, and what the line makes of it.
    let seen = get10(&before, "/export");
    assert_eq!(seen.end, SeenEnd::Fin, "{}", seen.verdict_line());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    let seen = get10(&after, "/export");
    assert_eq!(seen.end, SeenEnd::Reset, "{}", seen.verdict_line());
    assert_eq!(lines(&seen.body), ROWS);
    for speaks in BOTH {
        assert!(!get(&before, speaks, "/export").is_whole(), "{speaks:?}");
        let got = get(&after, speaks, "/export");
        assert!(!got.is_whole(), "{speaks:?}: {}", got.line());
        assert_eq!(lines(&got.octets), ROWS, "{speaks:?}");
        for path in ["/nothing", "/bug"] {
            let got = get(&after, speaks, path);
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            assert!(got.is_whole(), "{path}: {}", got.line());
        }
        for server in [&before, &after] {
            assert_eq!(get(server, speaks, "/").text(), "hello\n");
        }
    }
}

fn lines(octets: &[u8]) -> usize {
    octets.iter().filter(|octet| **octet == b'\n').count()
}

/// A table whose leaves fill thousands of pages.
fn people(folder: &Path) -> PathBuf {
    let path = folder.join("people.db");
    let mut database = Connection::open(&path).expect("a database");
    let all = database.transaction().expect("a transaction");
    all.execute_batch("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, note TEXT)")
        .expect("a table");
    {
        let mut insert = all
            .prepare("INSERT INTO people VALUES (?1, ?2, ?3)")
            .expect("a statement");
        for id in 1..=20_000 {
            let note = (id == 2).then_some("says \"hm, well\"");
            insert
                .execute((id, format!("person {id}"), note))
                .expect("a row");
        }
    }
    all.commit().expect("it is kept");
    path
}

fn export(path: &Path, records: &Records) -> Served {
    let (path, observer) = (path.to_owned(), records.observer());
    Served::start(|tcp| sqlite::run(tcp, path, "people", observer))
}

#[test]
fn sqlite_a_good_table_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = Records::default();
    let server = export(&people(folder.path()), &records);
    for speaks in BOTH {
        let got = get(&server, speaks, "/people.csv");
        assert!(got.is_whole(), "{}", got.line());
        assert_eq!(got.header("content-type"), Some("text/csv; charset=utf-8"));
        let mut lines = got.text().lines();
        assert_eq!(lines.next(), Some("id,name,note"));
        assert_eq!(lines.next(), Some("1,person 1,"));
        assert_eq!(lines.next(), Some("2,person 2,\"says \"\"hm, well\"\"\""));
        assert_eq!(got.text().lines().count(), 20_001);
        assert!(got.text().ends_with("20000,person 20000,\n"));
    }
}

#[test]
fn sqlite_a_damaged_page_in_the_middle_fails_the_download() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = people(folder.path());
    let mut octets = std::fs::read(&path).expect("a file");
    let page = 4096;
    let middle = octets.len() / page / 2 * page;
    octets[middle..middle + page].fill(0xff);
    std::fs::write(&path, octets).expect("it is damaged");
    let records = Records::default();
    let server = export(&path, &records);
    for speaks in BOTH {
        let got = get(&server, speaks, "/people.csv");
        assert_eq!(got.status, StatusCode::OK);
        assert!(!got.is_whole(), "{}", got.line());
        let rows = got.text().lines().count();
        assert!((5_000..15_000).contains(&rows), "{rows} rows");
    }
    let record = records.of("/people.csv");
    assert_eq!(record.error_type(), Some("producer_error"));
    assert!(record.json().contains("malformed"), "{}", record.json());
}

#[test]
fn sqlite_a_table_that_is_not_there_is_a_500() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.db");
    drop(Connection::open(&path).and_then(|db| db.execute_batch("CREATE TABLE other (a)")));
    let records = Records::default();
    let server = export(&path, &records);
    let got = get(&server, Speaks::Http1, "/people.csv");
    assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
    let record = records.of("/people.csv");
    assert!(record.json().contains("no such table"), "{}", record.json());
}

#[test]
fn file_is_whole_with_its_length_or_has_a_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let octets = support::script::octets(1_000_000);
    std::fs::write(&path, &octets).expect("a file");
    let records = Records::default();
    let observer = records.observer();
    let served = path.clone();
    let server = Served::start(|tcp| file::run(tcp, served, observer));
    for speaks in BOTH {
        let got = get(&server, speaks, "/file");
        assert!(got.is_whole() && got.octets == octets, "{}", got.line());
        assert_eq!(got.header("content-length"), Some("1000000"));
    }
    std::fs::remove_file(&path).expect("it was there");
    let got = get(&server, Speaks::Http1, "/file");
    assert_eq!(got.status, StatusCode::NOT_FOUND);
    // A folder opens as a file does, and cannot be read.
    #[cfg(target_os = "linux")]
    {
        std::fs::create_dir(&path).expect("a folder");
        let got = get(&server, Speaks::Http1, "/file");
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(got.is_whole(), "{}", got.line());
    }
}

#[test]
fn http3_tells_a_failure_as_the_other_protocols_do() {
    let records = Records::default();
    let observer = records.observer();
    let tls = support::certificate::server_config();
    let server = Served::start(|tcp| http3::run(tcp, tls, observer));
    let get3 = |path| endwell_lab::observe::http3::observe(server.addr, path, &[], &Pace::fast());
    let seen = get3("/");
    assert!(
        seen.is_complete() && seen.body == b"whole\n",
        "{}",
        seen.verdict_line()
    );
    let seen = get3("/fails");
    assert_eq!(
        seen.end,
        SeenEnd::StreamReset(0x10c),
        "{}",
        seen.verdict_line()
    );
    assert_eq!(seen.body, b"row 0\nrow 1\nrow 2\n");
    let tls = ClientTls::new(&["h2"]);
    let seen = http2::observe(server.addr, Some(&tls), "/", &[], &Pace::fast());
    let due = format!("h3=\":{}\"; ma=86400", server.addr.port());
    assert_eq!(seen.header("alt-svc"), Some(due.as_str()));
}

#[cfg(unix)]
fn shell(script: &str, records: &Records) -> Served {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let observer = records.observer();
    Served::start(|tcp| child::run(tcp, command, observer))
}

#[cfg(unix)]
#[test]
fn child_its_exit_status_decides_the_ending() {
    let print = "head -c 300000 /dev/zero";
    for (script, whole) in [
        (format!("{print}; exit 0"), true),
        (format!("{print}; exit 3"), false),
    ] {
        let records = Records::default();
        let server = shell(&script, &records);
        for speaks in BOTH {
            let got = get(&server, speaks, "/output");
            assert_eq!(got.is_whole(), whole, "{script}: {}", got.line());
            assert_eq!(got.octets.len(), 300_000, "{script}");
        }
        let record = records.of("/output");
        assert_eq!(record.ending.is_complete(), whole, "{}", record.json());
        if !whole {
            assert!(
                record.json().contains("exit status: 3"),
                "{}",
                record.json()
            );
        }
    }
    let server = shell("exit 4", &Records::default());
    let got = get(&server, Speaks::Http1, "/output");
    assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[cfg(unix)]
#[test]
fn child_a_client_that_leaves_ends_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!("echo $$ > '{}'; echo line; exec sleep 600", file.display());
    let records = Records::default();
    let server = shell(&script, &records);
    let mut session =
        http1::Session::connect(server.addr, None, &Pace::fast()).expect("it listens");
    session
        .send(&http1::Request::get11("/output"))
        .expect("it reads");
    let seen = session.read_until(|seen| !seen.body.is_empty());
    assert_eq!(seen.body, b"line\n");
    let pid = std::fs::read_to_string(&file).expect("the command runs");
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().expect("a number"))
        .expect("a process has a number");
    session.close();
    let until = Instant::now() + client::DEADLINE;
    while rustix::process::test_kill_process(pid).is_ok() {
        assert!(Instant::now() < until, "the command still runs");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(records.of("/output").ending.as_str(), "cancelled");
}

#[test]
fn plain_hyper_tells_the_two_endings_apart_on_every_protocol() {
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| plain_hyper::run(tcp, observer));
    for speaks in BOTH {
        let got = get(&server, speaks, "/count");
        assert_eq!(got.text(), "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
        assert!(got.is_whole(), "{}", got.line());
        let got = get(&server, speaks, "/broken");
        assert_eq!(got.text(), "1\n2\n3\n");
        assert!(!got.is_whole(), "{}", got.line());
        let got = get(&server, speaks, "/none");
        assert_eq!((got.status.as_u16(), got.text()), (404, "not here\n"));
    }
    // Short enough to be held: over HTTP/1.0 the failure is still a status.
    assert_eq!(get10(&server, "/broken").status, Some(500));
    assert_eq!(records.of("/broken").error_type(), Some("producer_error"));
}

#[test]
fn plain_tower_gives_statuses_and_records_without_our_listener() {
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| plain_tower::run(tcp, observer));
    for speaks in BOTH {
        let got = get(&server, speaks, "/");
        assert!(got.is_whole() && got.text() == "a line\n", "{}", got.line());
        let got = get(&server, speaks, "/early");
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    // Over HTTP/2 even the head may be lost here, so only HTTP/1 is asked.
    let got = get(&server, Speaks::Http1, "/late");
    assert!(!got.is_whole(), "{}", got.line());
    for target in ["/early", "/late"] {
        let record = records.of(target);
        assert_eq!(record.error_type(), Some("producer_error"), "{target}");
    }
}

#[test]
fn grpc_and_pages_share_a_port() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| grpc::run(tcp, observer));
    for speaks in BOTH {
        let got = get(&server, speaks, "/report");
        assert!(got.is_whole(), "{}", got.line());
        assert_eq!(got.text(), "all\nis\nwell\n");
    }
    let answers = client::block_on(async {
        let channel =
            tonic::transport::Channel::from_shared(format!("http://{}", server.addr)).expect("URI");
        let channel = channel.connect().await.expect("it listens");
        let mut health = HealthClient::new(channel);
        let mut check = async |service: &str| {
            let service = service.to_owned();
            health.check(HealthCheckRequest { service }).await
        };
        [check("shop").await, check("none").await]
    });
    let [good, bad] = answers;
    assert_eq!(good.expect("it serves").get_ref().status, 1);
    assert_eq!(bad.expect_err("unknown").code(), tonic::Code::NotFound);
    let check = "/grpc.health.v1.Health/Check";
    let failed = records.wait_for(|record| record.target == check && !record.ending.is_complete());
    assert_eq!(failed.error_type(), Some("grpc_status"));
}

#[test]
fn per_client_a_rule_changes_the_signal_and_not_the_record() {
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| per_client::run(tcp, observer));
    let old = &[("user-agent", "Mozilla/5.0 OldReader/2.1")];
    for speaks in BOTH {
        let got = get(&server, speaks, "/page");
        assert!(!got.is_whole(), "{speaks:?}: {}", got.line());
        let got = client::get(server.addr, speaks, "/page", old);
        assert!(got.is_whole(), "{speaks:?}: {}", got.line());
        assert!(got.text().ends_with("missing.</p>\n"));
        // What failed is told to everybody.
        let got = client::get(server.addr, speaks, "/stream", old);
        assert!(!got.is_whole(), "{speaks:?}: {}", got.line());
    }
    let told = records.wait_for(|record| {
        record.user_agent.as_deref() == Some(old[0].1) && record.target == "/page"
    });
    assert_eq!(told.ending.as_str(), "degraded", "{}", told.json());
    let asked = http1::Request::get11("/stream").with("Via", "1.1 old-proxy");
    let seen = http1::observe(server.addr, None, &asked, &Pace::fast());
    assert!(seen.open_chunk, "{}", seen.verdict_line());
    let seen = http1::observe(
        server.addr,
        None,
        &http1::Request::get11("/stream"),
        &Pace::fast(),
    );
    assert!(
        !seen.open_chunk && !seen.is_complete(),
        "{}",
        seen.verdict_line()
    );
}

/// What a client does that was promised a digest: nothing is whole before the digest says so.
fn verified(got: &Got) -> Result<(), &'static str> {
    use sha2::Digest;
    let field = got.trailer("repr-digest").ok_or("no digest came")?;
    let encoded = field
        .strip_prefix("sha-256=:")
        .and_then(|rest| rest.strip_suffix(':'));
    let due = encoded.ok_or("a digest of another kind")?;
    let is = base64(&sha2::Sha256::digest(&got.octets));
    (due == is)
        .then_some(())
        .ok_or("the digest is of other octets")
}

/// Base64 by hand: the judge does not use what made the field.
fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits = group
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn digest_a_client_verifies_what_came() {
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| digest::run(tcp, observer));
    assert_eq!(base64(b"Man"), "TWFu");
    assert_eq!(base64(b"M"), "TQ==");
    for speaks in BOTH {
        let fields = &[("te", "trailers")];
        let mut got = client::get(server.addr, speaks, "/numbers", fields);
        assert!(got.is_whole(), "{}", got.line());
        assert_eq!(got.octets.len(), 48_890);
        assert_eq!(verified(&got), Ok(()), "{speaks:?}");
        got.octets[7] ^= 1;
        assert_eq!(verified(&got), Err("the digest is of other octets"));
        let got = client::get(server.addr, speaks, "/broken", fields);
        assert!(!got.is_whole(), "{}", got.line());
        assert_eq!(verified(&got), Err("no digest came"), "{speaks:?}");
    }
    // Who does not ask for trailers gets the same octets without.
    let got = get(&server, Speaks::Http1, "/numbers");
    assert!(got.is_whole() && got.trailers.is_empty(), "{}", got.line());
}

#[test]
fn trailer_who_asks_is_told_and_keeps_its_connection() {
    let records = Records::default();
    let observer = records.observer();
    let server = Served::start(|tcp| trailer::run(tcp, observer));
    let asks = &[("te", "trailers"), ("want-ending", "?1")];
    client::block_on(async {
        let tcp = tokio::net::TcpStream::connect(server.addr)
            .await
            .expect("it listens");
        let io = hyper_util::rt::TokioIo::new(tcp);
        let (mut connection, driver) = hyper::client::conn::http1::handshake(io)
            .await
            .expect("HTTP/1");
        tokio::spawn(driver);
        for (target, fields) in [("/report", &asks[..]), ("/", &[]), ("/report", &asks[..])] {
            let mut request = http::Request::get(target).header("host", "localhost");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
            connection.ready().await.expect("the connection lives");
            let response = connection.send_request(request.expect("a request")).await;
            let got = client::read(response.expect("a head")).await;
            assert!(got.is_whole(), "{target}: {}", got.line());
            if target == "/report" {
                assert_eq!(got.text(), "one of two parts\n");
                let told = got.trailer("ending").expect("it is told");
                assert!(told.starts_with("failed;"), "{told}");
                assert!(told.contains("octets=17"), "{told}");
            }
        }
    });
    for speaks in BOTH {
        let got = get(&server, speaks, "/report");
        assert!(
            !got.is_whole(),
            "who does not ask sees an abort: {}",
            got.line()
        );
    }
    let got = client::get(server.addr, Speaks::Http2, "/report", asks);
    assert!(got.is_whole(), "{}", got.line());
    assert!(
        got.trailer("ending")
            .is_some_and(|told| told.starts_with("failed;"))
    );
    assert_eq!(records.of("/report").ending.as_str(), "failed");
}
