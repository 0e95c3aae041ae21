//! Bad use: one sentence with the thing and the way out, and an exit code.
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Folder, Server, endwell, run, run_command, unprivileged};

/// Writes a certificate and its key.
fn pair(folder: &Folder, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let certificate = folder.write(&format!("{name}.crt"), made.cert.pem());
    let key = folder.write(&format!("{name}.key"), made.signing_key.serialize_pem());
    (text(&certificate), text(&key))
}

/// It fails with this code and this line, and says nothing else.
fn fails(code: i32, args: &[&str], line: &str) {
    let (exit, out, error) = run(args);
    assert_eq!(error, format!("error: {line}\n"), "{args:?}");
    assert_eq!((exit, out.as_str()), (Some(code), ""), "{args:?}");
}

#[test]
fn a_command_line_that_cannot_be_is_2() {
    let see = "; see endwell serve --help";
    for (args, line) in [
        (
            &["--listen", ":80"][..],
            "invalid value ':80' for '--listen <ADDR>': write 127.0.0.1:80 for this machine only, or 0.0.0.0:80 or [::]:80 for the whole network",
        ),
        (
            &["--listen", "8080"],
            "invalid value '8080' for '--listen <ADDR>': it has no port; write for example 127.0.0.1:8080",
        ),
        (
            &["--listen", "::1"],
            "invalid value '::1' for '--listen <ADDR>': write for example 127.0.0.1:8080, localhost:8080 or [::1]:8080",
        ),
        (
            &["--drain", "soon"],
            "invalid value 'soon' for '--drain <DURATION>': write a duration such as 30s, 500ms, 2m or 0",
        ),
        (&["--stall-timeout", "-1"], "unexpected argument '-1' found"),
        (
            &["--growing", "maybe"],
            "invalid value 'maybe' for '--growing <WHAT>' [possible values: fail, allow]",
        ),
        (
            &["--half-close", "x"],
            "invalid value 'x' for '--half-close <MEANING>' [possible values: cancel, tolerate]",
        ),
        (
            &["--log-format", "xml"],
            "invalid value 'xml' for '--log-format <FORMAT>' [possible values: combined, json]",
        ),
        (
            &["--drain"],
            "a value is required for '--drain <DURATION>' but none was supplied",
        ),
        (
            &["--lisen", "x"],
            "unexpected argument '--lisen' found; a similar argument exists: '--listen'",
        ),
        (&[".", "extra"], "unexpected argument 'extra' found"),
    ] {
        fails(2, &[&["serve"], args].concat(), &format!("{line}{see}"));
    }
    fails(
        2,
        &["srve"],
        "unrecognized subcommand 'srve'; a similar subcommand exists: 'serve'; see endwell --help",
    );
    for (args, line) in [
        (
            &["--tls-cert", "a"][..],
            "--tls-cert needs its key; add --tls-key FILE",
        ),
        (
            &["--tls-key", "a"],
            "--tls-key needs its certificate; add --tls-cert FILE",
        ),
        (
            &["--http3"],
            "HTTP/3 needs a certificate; add --tls-cert and --tls-key, or --tls-self-signed for a try",
        ),
        (
            &["--tls-self-signed", "--tls-cert", "a"],
            "--tls-self-signed makes its own certificate; leave it out to use --tls-cert and --tls-key",
        ),
    ] {
        fails(2, &[&["serve"], args].concat(), line);
    }
    assert_eq!(run(&[]).0, Some(2));
}

#[test]
fn http3_that_no_listener_could_speak_is_2() {
    let folder = Folder::new();
    let socket = format!("unix:{}?mode=660", folder.path("e.sock").display());
    let args = ["serve", folder.root(), "--tls-self-signed", "--http3"];
    let line = "HTTP/3 needs an https listener with a port, and every --listen is http:// or a unix socket; add one such as --listen 0.0.0.0:443, or leave out --http3";
    for listen in [
        &["--listen", "http://127.0.0.1:0"][..],
        &["--listen", &socket],
        &["--listen", &socket, "--listen", "http://127.0.0.1:0"],
    ] {
        fails(2, &[&args, listen].concat(), line);
    }
    assert!(!folder.path("e.sock").exists());
    let mut command = endwell();
    command.args(args);
    command.args(["--listen", &socket, "--listen", "127.0.0.1:0"]);
    let server = Server::start_with(&mut command, 3);
    assert!(
        server.urls[2].ends_with(" for HTTP/3 (UDP)"),
        "{:?}",
        server.urls
    );
}

#[test]
fn a_folder_that_is_none_is_1() {
    let folder = Folder::new();
    let file = folder.write("file", "x");
    let (file, none) = (file.display(), folder.path("none"));
    let none = none.display();
    let line = format!("there is no folder {none}; make it, or name another: endwell serve DIR");
    fails(1, &["serve", &none.to_string()], &line);
    let line = format!("{file} is not a folder; name the folder it is in: endwell serve DIR");
    fails(1, &["serve", &file.to_string()], &line);
}

#[test]
fn a_page_that_cannot_be_sent_is_1() {
    let (folder, outside) = (Folder::new(), Folder::new());
    let secret = outside.write("secret", "x");
    fs::create_dir(folder.path("sub")).unwrap();
    std::os::unix::fs::symlink(secret, folder.path("out")).unwrap();
    folder.write(".page", "x");
    for key in ["spa", "not-found"] {
        let flag = format!("--{key}");
        let other = format!("give {flag} another path below the folder");
        let none = folder.path("none.html");
        let line = format!("there is no page {}; make it, or {other}", none.display());
        fails(1, &["serve", folder.root(), &flag, "none.html"], &line);
        for name in ["sub", "out"] {
            let page = folder.path(name);
            let line = format!(
                "the page {} is no file, or a link that leads nowhere or out of the folder (--follow-symlinks follows it there); {other}",
                page.display()
            );
            fails(1, &["serve", folder.root(), &flag, name], &line);
        }
        Server::start(&folder, &[&flag, "out", "--follow-symlinks"]);
        // Nobody can ask for it by its name, but it is sent as a page.
        Server::start(&folder, &[&flag, ".page"]);
    }
}

#[test]
fn a_port_in_use_is_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let next = address.port().checked_add(1).unwrap_or(0);
    let line = format!(
        "{address} is already in use; choose another with --listen 127.0.0.1:{next} (port 0 picks a free one)"
    );
    fails(1, &["serve", "--listen", &address.to_string()], &line);
}

/// What is said at a port that was free a moment ago, for two addresses of which one holds the other.
fn said_of_two(port: u16) -> Vec<(Vec<String>, String)> {
    let (v4, v6, local) = (
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("127.0.0.1:{port}"),
    );
    let two = |first: &String, key: &str, second: &String, line: String| {
        let args = ["--listen", first, key, second].map(str::to_owned);
        (args.to_vec(), line)
    };
    let both = |first, second| {
        let line = format!(
            "{second} is already in use: --listen {first} of this server holds it; leave out one: --listen {v6} alone serves both"
        );
        two(first, "--listen", second, line)
    };
    let named = format!("{local} is named twice; leave out one --listen");
    let admin = format!(
        "{v4} is already in use: --admin {local} of this server holds it; choose another port for one of them"
    );
    vec![
        both(&v4, &v6),
        both(&v6, &v4),
        two(&local, "--listen", &local, named),
        two(&v4, "--admin", &local, admin),
    ]
}

#[test]
fn a_port_that_the_server_holds_itself_is_1_and_told() {
    // Another process may take the port meanwhile: not five times.
    let mut wrong = Vec::new();
    for _ in 0..5 {
        let Ok(free) = TcpListener::bind("[::]:0") else {
            println!("skipped: this machine has no IPv6");
            return;
        };
        let port = free.local_addr().unwrap().port();
        drop(free);
        wrong.clear();
        for (args, line) in said_of_two(port) {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let (exit, _, error) = run(&[&["serve"], &args[..]].concat());
            if (exit, error.as_str()) != (Some(1), format!("error: {line}\n").as_str()) {
                wrong.push((args.join(" "), exit, error));
            }
        }
        if wrong.is_empty() {
            return;
        }
    }
    panic!("{wrong:#?}");
}

#[test]
fn an_address_of_another_machine_is_1() {
    let line = "192.0.2.1 is no address of this machine; choose another with --listen, such as 127.0.0.1:8080";
    fails(1, &["serve", "--listen", "192.0.2.1:8080"], line);
}

#[test]
fn a_log_that_cannot_be_written_is_1() {
    let line = "cannot write the log /nowhere/log (No such file or directory (os error 2)); give --log another file, or - for standard output";
    fails(1, &["serve", "--log", "/nowhere/log"], line);
}

#[test]
fn certificates_that_cannot_be_used_are_1() {
    let folder = Folder::new();
    let (certificate, key) = pair(&folder, "one");
    let (_, other) = pair(&folder, "other");
    let none = folder.path("none").display().to_string();
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let broken = folder.write("broken", broken).display().to_string();
    let way_out = "give --tls-cert a PEM file with a certificate";
    let key_way_out = "give --tls-key a PEM file with an unencrypted private key";
    for (certificate, key, line) in [
        (
            &none,
            &key,
            format!("cannot read {none} (No such file or directory (os error 2)); {way_out}"),
        ),
        (
            &certificate,
            &none,
            format!("cannot read {none} (No such file or directory (os error 2)); {key_way_out}"),
        ),
        (
            &folder.root().to_owned(),
            &key,
            format!(
                "cannot read {} (Is a directory (os error 21)); {way_out}",
                folder.root()
            ),
        ),
        (
            &key,
            &certificate,
            format!(
                "{key} holds no certificate; {way_out}\nerror: {certificate} holds no private key; {key_way_out}"
            ),
        ),
        (
            &certificate,
            &certificate,
            format!("{certificate} holds no private key; {key_way_out}"),
        ),
        (
            &certificate,
            &other,
            format!(
                "the key in {other} does not belong to the certificate in {certificate}; give --tls-key the one that it was made with"
            ),
        ),
    ] {
        fails(
            1,
            &["serve", "--tls-cert", certificate, "--tls-key", key],
            &line,
        );
    }
    let (exit, _, error) = run(&["serve", "--tls-cert", &broken, "--tls-key", &key]);
    assert!(
        error.starts_with(&format!("error: {broken} is damaged (")),
        "{error}"
    );
    assert!(error.ends_with(&format!("); {way_out}\n")), "{error}");
    assert_eq!(exit, Some(1));
}

#[test]
fn a_folder_that_may_not_be_entered_is_1() {
    let folder = Folder::new();
    let locked = folder.path("locked");
    fs::create_dir(&locked).unwrap();
    let shown = locked.to_str().unwrap();
    let way_out = "let this user read and enter it (chmod), or name another: endwell serve DIR";
    for mode in [0o000, 0o744] {
        fs::set_permissions(&locked, Permissions::from_mode(mode)).unwrap();
        let Some(mut command) = unprivileged(&folder) else {
            println!("skipped: this user cannot become another one");
            return;
        };
        let (exit, out, error) = run_command(command.args(["serve", shown]));
        let line = format!("error: no permission to enter the folder {shown}; {way_out}\n");
        assert_eq!((exit, out.as_str(), error), (Some(1), "", line));
    }
    // Its files can be asked for by their names.
    fs::set_permissions(&locked, Permissions::from_mode(0o711)).unwrap();
    let mut command = unprivileged(&folder).expect("as before");
    command.args(["serve", shown, "--listen", "127.0.0.1:0"]);
    Server::start_with(&mut command, 1);
}

#[test]
fn what_needs_privileges_is_1() {
    let folder = Folder::new();
    let (certificate, key) = pair(&folder, "one");
    let Some(mut command) = unprivileged(&folder) else {
        println!("skipped: this user cannot become another one");
        return;
    };
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let args = ["serve", "--tls-cert", &certificate, "--tls-key", &key];
    let (exit, out, error) = run_command(command.args(args));
    let line = format!(
        "error: cannot read {key} (Permission denied (os error 13)); give --tls-key a PEM file with an unencrypted private key\n"
    );
    assert_eq!((exit, out.as_str(), error), (Some(1), "", line));
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim() == "1024") {
        let mut command = unprivileged(&folder).expect("as before");
        let (exit, _, error) = run_command(command.args(["serve", "--listen", "127.0.0.1:1023"]));
        let line = "error: port 1023 needs privileges; choose one from 1024 on, such as --listen 127.0.0.1:8080\n";
        assert_eq!((exit, error.as_str()), (Some(1), line));
    }
}

#[test]
fn help_names_every_flag_and_code() {
    let (exit, help, error) = run(&["serve", "--help"]);
    assert_eq!((exit, error.as_str()), (Some(0), ""));
    for text in [
        "--listen <ADDR>",
        "--tls-cert <FILE>",
        "--tls-key <FILE>",
        "--tls-self-signed",
        "--http3",
        "--log-format <FORMAT>",
        "--log <FILE>",
        "--half-close <MEANING>",
        "--drain <DURATION>",
        "--stall-timeout <DURATION>",
        "--growing <WHAT>",
        "Examples:",
        "Signals:",
        "Exit codes:",
    ] {
        assert!(help.contains(text), "{text}");
    }
    let (exit, version, _) = run(&["--version"]);
    let expected = format!("endwell {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((exit, version), (Some(0), expected));
    assert!(run(&["--help"]).1.contains("Exit codes:"));
}
