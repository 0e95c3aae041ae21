//! Programs that answer: how they end, and that none is left.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{DEADLINE, Folder, Server, endwell, run};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http2, http3};
use serde_json::Value;

/// Octets that `bad` writes before it fails.
const OCTETS: usize = 3_000_000;

fn serving(commands: &[&str], args: &[&str]) -> (Folder, Server) {
    let folder = Folder::new();
    let server = Server::start(&folder, &args_of(&folder, commands, args));
    (folder, server)
}

/// `DIR` in a command is the folder.
fn args_of(folder: &Folder, commands: &[&str], args: &[&str]) -> Vec<&'static str> {
    let commands = commands.iter().flat_map(|command| {
        let command = command.replace("DIR", folder.root());
        ["--command".to_owned(), command]
    });
    let args = args.iter().map(|arg| (*arg).to_owned());
    let all = ["--log-format".to_owned(), "json".to_owned()];
    let all = all.into_iter().chain(commands).chain(args);
    all.map(|arg| &*arg.leak()).collect()
}

fn record(server: &Server) -> Value {
    serde_json::from_str(&server.logs()).unwrap()
}

fn get(server: &Server, path: &str) -> Seen {
    observe(server.addr(), None, &Request::get11(path), &Pace::fast())
}

/// Asks, and reads until so many octets have come.
fn begun(server: &Server, path: &str, octets: usize) -> Session {
    let mut session = Session::connect(server.addr(), None, &Pace::fast()).unwrap();
    session.send(&Request::get11(path)).unwrap();
    let seen = session.read_until(|seen| seen.body.len() >= octets);
    assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
    session
}

/// The numbers that processes wrote into a file, a line each.
fn processes(folder: &Folder, file: &str, count: usize) -> Vec<u32> {
    let until = Instant::now() + DEADLINE;
    loop {
        let text = fs::read_to_string(folder.path(file)).unwrap_or_default();
        let numbers: Vec<_> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if numbers.len() >= count && text.ends_with('\n') {
            return numbers;
        }
        assert!(Instant::now() < until, "{file}: {text:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A zombie that nobody has reaped yet is gone.
fn is_gone(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    status.map_or(true, |status| status.contains(") Z "))
}

/// Waits until all of them are gone; gives how long that took.
fn until_gone(processes: &[u32]) -> Duration {
    let start = Instant::now();
    while !processes.iter().all(|process| is_gone(*process)) {
        assert!(start.elapsed() < DEADLINE, "still there: {processes:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
    start.elapsed()
}

fn signal(name: &str, process: u32) {
    let command = format!("kill -{name} {process}");
    let done = Command::new("sh").args(["-c", &command]).status();
    assert!(done.unwrap().success(), "{command}");
}

const BAD: &str =
    "/bad.sql=sh -c 'head -c 3000000 /dev/zero; echo no such table: secret >&2; exit 1'";

#[test]
fn program_fails_late_peer_sees_every_octet_and_no_end() {
    let plain = serving(&[BAD], &[]);
    let tls = serving(&[BAD], &["--tls-self-signed", "--http3"]);
    for (server, is_tls) in [(&plain.1, false), (&tls.1, true)] {
        let quic = is_tls.then_some("3");
        for protocol in ["1.0", "1.1", "2"].into_iter().chain(quic) {
            let alpn = if protocol == "2" { "h2" } else { "http/1.1" };
            let client = is_tls.then(|| ClientTls::new(&[alpn]));
            let seen = match protocol {
                "3" => http3::observe(server.addr(), "/bad.sql", &[], &Pace::fast()),
                "2" => http2::observe(
                    server.addr(),
                    client.as_ref(),
                    "/bad.sql",
                    &[],
                    &Pace::fast(),
                ),
                "1.0" => {
                    let request = Request::get10("/bad.sql");
                    observe(server.addr(), client.as_ref(), &request, &Pace::fast())
                }
                _ => {
                    let request = Request::get11("/bad.sql");
                    observe(server.addr(), client.as_ref(), &request, &Pace::fast())
                }
            };
            let line = format!("{protocol}, TLS {is_tls}: {}", seen.verdict_line());
            assert_eq!(seen.status, Some(200), "{line}");
            assert!(
                !seen.is_complete() && seen.body == vec![0; OCTETS],
                "{line}"
            );
            match (protocol, is_tls) {
                ("2", _) => assert_eq!(seen.end, SeenEnd::StreamReset(2), "{line}"),
                ("3", _) => assert_eq!(seen.end, SeenEnd::StreamReset(0x10c), "{line}"),
                ("1.0", _) => assert_eq!(seen.end, SeenEnd::Reset, "{line}"),
                (_, true) => assert_eq!(seen.end, SeenEnd::CloseNotify, "{line}"),
                (_, false) => assert_eq!(seen.end, SeenEnd::Fin, "{line}"),
            }
            let record = record(server);
            assert_eq!(
                (&record["ending"], &record["error_type"]),
                (&"failed".into(), &"command_failed".into())
            );
            assert_eq!(record["octets_sent"], OCTETS);
            let message = "command_failed: sh ended with exit status 1; its standard error ends: no such table: secret";
            assert_eq!(record["message"], message);
        }
    }
}

#[test]
fn program_fails_at_once_peer_sees_a_5xx_that_tells_nothing() {
    let (_folder, server) = serving(&["/early=sh -c 'echo secret >&2; exit 7'"], &[]);
    let seen = get(&server, "/early");
    assert_eq!(
        (seen.status, &*seen.body),
        (
            Some(500),
            &b"{\"title\":\"Internal Server Error\",\"status\":500}\n"[..]
        )
    );
    let record = record(&server);
    let message = "command_failed: sh ended with exit status 7; its standard error ends: secret";
    assert_eq!(
        (&record["status"], &record["message"]),
        (&500.into(), &message.into())
    );
}

#[test]
fn program_is_killed_peer_sees_no_end() {
    let (folder, server) = serving(
        &["/x=sh -c 'echo $$ > DIR/pid; echo begin; exec sleep 60'"],
        &[],
    );
    let mut session = begun(&server, "/x", 6);
    signal("KILL", processes(&folder, "pid", 1)[0]);
    let seen = session.read();
    assert_eq!((&*seen.body, seen.is_complete()), (&b"begin\n"[..], false));
    let message = "command_failed: sh was ended by signal 9";
    assert_eq!(record(&server)["message"], message);
}

#[test]
fn warden_is_killed_peer_sees_no_end_and_its_program_is_gone() {
    let line = "/x=sh -c 'echo $PPID > DIR/warden; echo $$ > DIR/pid; echo begin; exec sleep 60'";
    let (folder, server) = serving(&[line], &[]);
    let mut session = begun(&server, "/x", 6);
    let program = processes(&folder, "pid", 1);
    signal("KILL", processes(&folder, "warden", 1)[0]);
    assert!(!session.read().is_complete());
    assert_eq!(
        record(&server)["message"],
        "command_failed: the warden of sh was ended"
    );
    until_gone(&program);
}

/// A program that starts others: one in its group, one in a session of its own, one without parent.
const FAMILY: &str = "/family=sh -c 'echo $$ >> DIR/pids; \
    sh -c \"echo \\$\\$ >> DIR/pids; exec sleep 60\" & \
    setsid sh -c \"echo \\$\\$ >> DIR/pids; exec sleep 60\" & \
    sh -c \"setsid sh -c \\\"echo \\\\\\$\\\\\\$ >> DIR/pids; exec sleep 60\\\" &\"; \
    echo begin; wait'";

#[test]
fn client_leaves_all_that_was_started_is_gone() {
    let (folder, server) = serving(&[FAMILY], &[]);
    for leave in [Session::reset, Session::close] {
        let session = begun(&server, "/family", 6);
        let family = processes(&folder, "pids", 4);
        leave(session);
        until_gone(&family);
        assert_eq!(record(&server)["ending"], "cancelled");
        fs::remove_file(folder.path("pids")).unwrap();
    }
}

#[test]
fn client_leaves_program_is_gone_soon() {
    let program = "/x=sh -c 'echo $$ > DIR/pid; echo begin; exec sleep 60'";
    let busy = "/busy=sh -c 'echo $$ > DIR/pid; exec yes'";
    let (folder, server) = serving(&[program, busy], &[]);
    for path in ["/x", "/busy"] {
        let mut times = Vec::new();
        for _ in 0..15 {
            let session = begun(&server, path, 2);
            let program = processes(&folder, "pid", 1);
            fs::remove_file(folder.path("pid")).unwrap();
            let left = Instant::now();
            session.reset();
            until_gone(&program);
            times.push(left.elapsed());
        }
        times.sort_unstable();
        println!(
            "{path}: gone after {:?} (median), {:?} (longest)",
            times[7], times[14]
        );
    }
}

#[test]
fn client_leaves_program_that_ignores_it_is_gone_after_its_grace() {
    let stubborn =
        "/x=sh -c 'trap \"\" TERM; echo $$ > DIR/pid; echo begin; while :; do sleep 1; done'";
    let (folder, server) = serving(&[stubborn], &["--command-limit=1"]);
    let session = begun(&server, "/x", 6);
    let program = processes(&folder, "pid", 1);
    let left = Instant::now();
    session.reset();
    assert_eq!(record(&server)["ending"], "cancelled");
    // As long as it runs it counts.
    assert_eq!(get(&server, "/x").status, Some(503));
    until_gone(&program);
    println!("gone after {:?}", left.elapsed());
    assert!(left.elapsed() > Duration::from_secs(1), "it had no grace");
}

#[test]
fn server_is_killed_nothing_is_left() {
    let stubborn = "/stubborn=sh -c 'trap \"\" TERM; echo $$ >> DIR/pids; echo begin; while :; do sleep 1; done'";
    let (folder, mut server) = serving(&[FAMILY, stubborn], &[]);
    let _sessions = [begun(&server, "/family", 6), begun(&server, "/stubborn", 6)];
    let family = processes(&folder, "pids", 5);
    server.signal("KILL");
    server.wait();
    let took = until_gone(&family);
    println!("all gone after {took:?}");
}

#[test]
fn server_drains_programs_run_on_to_its_deadline() {
    let quick = "/quick=sh -c 'echo begin; sleep 1; echo end'";
    let slow = "/slow=sh -c 'echo $$ > DIR/pid; echo begin; sleep 60'";
    let (folder, mut server) = serving(&[quick, slow], &["--drain=4s"]);
    let mut sessions = [begun(&server, "/quick", 6), begun(&server, "/slow", 6)];
    server.signal("TERM");
    let [quick, slow] = sessions.each_mut().map(Session::read);
    assert!(
        quick.is_complete() && quick.body == b"begin\nend\n",
        "{}",
        quick.verdict_line()
    );
    assert!(
        !slow.is_complete() && slow.body == b"begin\n",
        "{}",
        slow.verdict_line()
    );
    sessions.into_iter().for_each(Session::close);
    assert_eq!(server.wait().code(), Some(0));
    // It has waited for them.
    assert!(is_gone(processes(&folder, "pid", 1)[0]));
}

#[test]
fn no_more_run_than_may() {
    let program = "/x=sh -c 'mkdir DIR/runs/$$; ls DIR/runs | wc -l; sleep 1; rmdir DIR/runs/$$'";
    let (folder, server) = serving(&[program], &["--command-limit=3"]);
    fs::create_dir(folder.path("runs")).unwrap();
    let address = server.addr();
    let ask =
        || std::thread::spawn(move || observe(address, None, &Request::get11("/x"), &Pace::fast()));
    let asked: Vec<_> = (0..100).map(|_| ask()).collect();
    let (mut run, mut busy) = (0, 0);
    for asked in asked {
        let seen = asked.join().unwrap();
        match seen.status {
            Some(200) => {
                assert!(seen.is_complete(), "{}", seen.verdict_line());
                let at_once: usize = String::from_utf8_lossy(&seen.body).trim().parse().unwrap();
                assert!((1..=3).contains(&at_once), "{at_once} at once");
                run += 1;
            }
            Some(503) => {
                assert_eq!(seen.header("retry-after"), Some("5"));
                assert_eq!(seen.header("cache-control"), Some("no-store"));
                busy += 1;
            }
            _ => panic!("{}", seen.verdict_line()),
        }
    }
    println!("{run} ran, {busy} were told to come back");
    assert!(run >= 3 && run + busy == 100);
    // There is room again.
    let until = Instant::now() + DEADLINE;
    while get(&server, "/x").status != Some(200) {
        assert!(Instant::now() < until, "no room any more");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nothing_of_a_request_reaches_a_program() {
    let folder = Folder::new();
    let told = "/told=sh -c 'env | sort; tr \"\\0\" \"\\n\" < /proc/$$/cmdline; cat; tty; ulimit -n' a 'b c'";
    let mut command = endwell();
    command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]);
    command.args(["--command", told, "--command=/open=ls -l /proc/self/fd"]);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.env("PGHOST", "db.example").env("LISTEN_FDS", "0");
    command
        .env("NOTIFY_SOCKET", "/nowhere")
        .env("ENDWELL_OTHER", "x");
    let server = Server::start_with(&mut command, 1);
    let plain = get(&server, "/told");
    let text = String::from_utf8_lossy(&plain.body).into_owned();
    assert!(plain.is_complete(), "{}", plain.verdict_line());
    let path = std::env::var("PATH").unwrap();
    let environment = format!("PATH={path}\nPGHOST=db.example\nPWD=");
    assert!(text.starts_with(&environment), "{text}");
    assert!(text.contains("\na\nb c\nnot a tty\n1024\n"), "{text}");
    for absent in ["NOTIFY_SOCKET", "ENDWELL_", "HTTP", "LISTEN_"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let open = String::from_utf8_lossy(&get(&server, "/open").body).into_owned();
    assert!(open.contains(" 0 -> /dev/null"), "{open}");
    // Sockets, and what a runtime waits with, are the server's own.
    for absent in ["socket:", "anon_inode"] {
        assert!(!open.contains(absent), "{absent}: {open}");
    }
    let hostile = [
        Request::get11("/told?a=$(touch+x)&b=;ls&--help"),
        Request::get11("/told?%27%0a%00"),
        Request::get11("/%74old"),
        Request::get11("/told").with("User-Agent", "() { :; }; echo x"),
        Request::get11("/told")
            .with("X-A", "$(id)")
            .with("Proxy", "http://evil")
            .with("Cookie", "a=`id`"),
        Request::raw("GET /told HTTP/1.1\r\nHost: $(id)\r\nContent-Length: 4\r\n\r\nls\n\n"),
        Request::raw("GET http://a;b/told HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    for request in hostile {
        let seen = observe(server.addr(), None, &request, &Pace::fast());
        match seen.status {
            Some(200) => assert_eq!(String::from_utf8_lossy(&seen.body), text),
            // Not a request at all.
            status => assert_eq!(status, Some(400), "{}", seen.verdict_line()),
        }
    }
    for elsewhere in [
        "/told/",
        "/told/x",
        "//told",
        "/./told",
        "/x/../told",
        "/told%00",
        "/told%2f",
        "/TOLD",
        "/told;ls",
        "/told%20",
    ] {
        let seen = get(&server, elsewhere);
        assert_eq!(seen.status, Some(404), "{elsewhere}");
    }
}

#[test]
fn program_is_too_late() {
    let commands = ["/mute=sleep 60", "/begun=sh -c 'echo begin; sleep 60'"];
    let (_folder, server) = serving(&commands, &["--command-timeout=500ms"]);
    assert_eq!(get(&server, "/mute").status, Some(504));
    let mute = record(&server);
    assert_eq!(
        mute["message"],
        "command_timeout: sleep ran for longer than 500ms"
    );
    let seen = get(&server, "/begun");
    assert_eq!(
        (seen.status, &*seen.body, seen.is_complete()),
        (Some(200), &b"begin\n"[..], false)
    );
    assert_eq!(record(&server)["error_type"], "command_timeout");
}

#[test]
fn the_exit_status_is_waited_for() {
    let commands = [
        "/closes=sh -c 'echo all; exec >&-; sleep 1; exit 0'",
        "/closes-and-fails=sh -c 'echo all; exec >&-; sleep 1; exit 1'",
        "/leaves=sh -c 'echo some; sleep 60 & exit 0'",
        "/hands-over=sh -c '(sleep 1; echo rest) & echo some; exit 0'",
        "/floods=sh -c 'head -c 1000000 /dev/zero | tr \"\\0\" e >&2; echo end >&2; exit 1'",
    ];
    let (_folder, server) = serving(&commands, &[]);
    let ended = |path: &str| {
        let seen = get(&server, path);
        let record = record(&server);
        let message = record["message"].as_str().unwrap_or_default().to_owned();
        (
            seen.is_complete(),
            String::from_utf8(seen.body).unwrap(),
            message,
        )
    };
    assert_eq!(ended("/closes"), (true, "all\n".into(), String::new()));
    let (complete, body, message) = ended("/closes-and-fails");
    assert_eq!(
        (complete, &*body, &*message),
        (
            false,
            "all\n",
            "command_failed: sh ended with exit status 1"
        )
    );
    let (complete, body, message) = ended("/leaves");
    assert_eq!((complete, &*body), (false, "some\n"));
    assert!(
        message.ends_with("what it started still holds its standard output"),
        "{message}"
    );
    assert_eq!(
        ended("/hands-over"),
        (true, "some\nrest\n".into(), String::new())
    );
    let (_, _, message) = ended("/floods");
    assert!(
        message.ends_with("eeeend") && message.len() < 2200,
        "{} octets",
        message.len()
    );
}

#[test]
fn standard_error_goes_where_it_should() {
    let line = "/x=sh -c 'echo out; echo err >&2; exit 1'";
    let (_folder, server) = serving(&[line], &["--command-stderr=body"]);
    let seen = get(&server, "/x");
    assert_eq!(
        (&*seen.body, seen.is_complete()),
        (&b"out\nerr\n"[..], false)
    );
    let message = "command_failed: sh ended with exit status 1";
    assert_eq!(record(&server)["message"], message);
}

#[test]
fn types_go_by_the_path_and_the_flag() {
    let commands = ["/a.csv=echo a", "/b=echo b", "/c.xyz=echo c"];
    let flags = ["--command-type=/b=application/sql", "--media-type=xyz=x/y"];
    let (_folder, server) = serving(&commands, &flags);
    for (path, media_type) in [
        ("/a.csv", "text/csv; charset=utf-8"),
        ("/b", "application/sql"),
        ("/c.xyz?download", "x/y"),
    ] {
        let seen = get(&server, path);
        assert_eq!(seen.header("content-type"), Some(media_type), "{path}");
        assert_eq!(seen.header("cache-control"), Some("no-store"), "{path}");
        let saved = path
            .contains("download")
            .then_some("attachment; filename=\"c.xyz\"");
        assert_eq!(seen.header("content-disposition"), saved, "{path}");
    }
}

#[test]
fn what_cannot_be_run_is_said_with_its_place() {
    let folder = Folder::new();
    for (flags, code, said) in [
        (
            &["--command=/x=no-such-program -x"][..],
            1,
            "/x: there is no program no-such-program; name one that is in PATH",
        ),
        (
            &["--command=/x=date | cat"],
            2,
            "no shell is run, so | would be an argument; write sh -c '...'",
        ),
        (&["--command=/x=echo 'a"], 2, "a quote is not closed"),
        (&["--command=x=date"], 2, "write PATH=COMMAND"),
        (
            &["--command=/x=date", "--command=/x=ls"],
            2,
            "two commands answer at /x",
        ),
        (&["--command-type=/x=a/b"], 2, "no command answers at /x"),
    ] {
        let args = [&["serve", folder.root(), "--listen=127.0.0.1:0"], flags].concat();
        let (exit, _, error) = run(&args);
        assert!(error.contains(said), "{flags:?}: {error}");
        assert_eq!(exit, Some(code), "{flags:?}: {error}");
    }
    let file = folder.write(
        "e.toml",
        "dir = \".\"\ncommand = [\n  \"/a=date\",\n  \"/b=date | x\"]\n",
    );
    let (_, _, error) = run(&["config", "check", file.to_str().unwrap()]);
    assert!(
        error.contains("e.toml:4:3: invalid value '/b=date | x' for command: no shell"),
        "{error}"
    );
}

#[test]
fn a_variable_has_a_command_a_line() {
    let folder = Folder::new();
    let mut command = endwell();
    command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]);
    command.env("ENDWELL_COMMAND", "/a=echo a a\n\n/b=echo b b\n");
    let server = Server::start_with(&mut command, 1);
    assert_eq!(get(&server, "/a").body, b"a a\n");
    assert_eq!(get(&server, "/b").body, b"b b\n");
    assert!(
        server.said.iter().any(|line| line == "running echo for /b"),
        "{:?}",
        server.said
    );
}

#[test]
fn commands_change_with_a_reload_and_runs_go_on() {
    let (folder, place) = (Folder::new(), Folder::new());
    let old = "command = ['/old=sh -c \"echo begin; while [ ! -e go ]; do sleep 0.1; done; echo end\"']\n";
    let file = place.write("e.toml", old);
    let mut command = endwell();
    command.args([
        "serve",
        folder.root(),
        "--listen",
        "127.0.0.1:0",
        "--config",
    ]);
    command.arg(&file).current_dir(folder.root());
    let server = Server::start_with(&mut command, 1);
    let mut session = begun(&server, "/old", 6);
    place.write("e.toml", "command = '/new=echo new'\ncommand-limit = 1\n");
    server.signal("HUP");
    assert!(server.says().ends_with("command, command-limit taken over"));
    assert_eq!(get(&server, "/old").status, Some(404));
    // The run of before is the one that may.
    assert_eq!(get(&server, "/new").status, Some(503));
    folder.write("go", "");
    let seen = session.read();
    assert!(
        seen.is_complete() && seen.body == b"begin\nend\n",
        "{}",
        seen.verdict_line()
    );
    let until = Instant::now() + DEADLINE;
    while get(&server, "/new").body != b"new\n" {
        assert!(Instant::now() < until, "the new one does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    place.write("e.toml", "command = '/new=no-such-program'\n");
    server.signal("HUP");
    let said = server.says();
    assert!(
        said.starts_with("not reloaded: ")
            && said.contains("e.toml:1:1: /new: there is no program"),
        "{said}"
    );
    assert_eq!(get(&server, "/new").body, b"new\n");
}

#[test]
fn who_may_not_ask_runs_nothing() {
    let (folder, server) = serving(&["/x=touch DIR/ran"], &["--deny=127.0.0.1"]);
    assert_eq!(get(&server, "/x").status, Some(403));
    assert!(!Path::new(&folder.path("ran")).exists());
}
