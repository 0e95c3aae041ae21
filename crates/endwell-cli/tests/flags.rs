//! What flags are for is seen by a client.
#![cfg(unix)]

mod common;

use std::os::unix::fs::symlink;

use common::{Folder, Server};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{Pace, Seen};

fn ask(server: &Server, request: &Request) -> Seen {
    observe(server.addr(), None, request, &Pace::fast())
}

fn get(server: &Server, path: &str) -> Seen {
    ask(server, &Request::get11(path))
}

/// A folder with a file of every kind that a flag is about.
fn folder() -> (Folder, Folder) {
    let (folder, outside) = (Folder::new(), Folder::new());
    for name in ["sub", "errors"] {
        std::fs::create_dir(folder.path(name)).unwrap();
    }
    for (name, content) in [
        ("page.xyz", "page"),
        ("page.xyz.gz", "packed"),
        (".dot", "dot"),
        ("sub/start.htm", "start"),
        ("sub/index.html", "index"),
        ("errors/404.html", "no such page"),
        ("app.html", "app"),
    ] {
        folder.write(name, content);
    }
    outside.write("file", "outside");
    symlink(outside.path("file"), folder.path("link")).unwrap();
    (folder, outside)
}

#[test]
fn files_are_answered_as_the_flags_say() {
    let (folder, _outside) = folder();
    let flags = [
        "--hidden",
        "--follow-symlinks",
        "--index=start.htm",
        "--no-listing",
        "--archives=always",
        "--archive-on-error=degrade",
        "--zip-level=9",
        "--not-found=errors/404.html",
        "--precompressed",
        "--digests",
        "--cache-control=max-age=17",
        "--media-type=.XYZ=text/x-y; charset=utf-8",
        "--media-type=htm=a/b",
    ];
    let server = Server::start(&folder, &flags);
    let body = |path: &str| get(&server, path).body;
    assert_eq!(body("/.dot"), b"dot");
    assert_eq!(body("/link"), b"outside");
    assert_eq!(body("/sub/"), b"start");
    assert_eq!(get(&server, "/sub/").header("content-type"), Some("a/b"));
    let archive = get(&server, "/sub/?archive=tar");
    assert_eq!(archive.header("content-type"), Some("application/x-tar"));
    assert_eq!(archive.header("content-length"), None);
    let zip = get(&server, "/sub/?archive=zip");
    assert_eq!(zip.header("content-type"), Some("application/zip"));
    for nothing in ["/", "/none"] {
        let seen = get(&server, nothing);
        assert_eq!(
            (seen.status, &*seen.body),
            (Some(404), &b"no such page"[..])
        );
    }
    let page = get(&server, "/page.xyz");
    assert_eq!(page.body, b"page");
    assert_eq!(page.header("cache-control"), Some("max-age=17"));
    assert_eq!(page.header("content-type"), Some("text/x-y; charset=utf-8"));
    let request = Request::get11("/page.xyz").with("Accept-Encoding", "gzip");
    assert_eq!(ask(&server, &request).body, b"packed");
    let digest = "3660315a9af3df255d8f19ab077e4797822b41488a0e2a04bc6af71213c23274";
    assert_eq!(
        body("/page.xyz?hash"),
        format!("{digest}  page.xyz\n").into_bytes()
    );
}

#[test]
fn without_flags_none_of_it_is_done() {
    let (folder, _outside) = folder();
    let server = Server::start(&folder, &[]);
    for nothing in ["/.dot", "/link", "/page.xyz.sha256"] {
        assert_eq!(get(&server, nothing).status, Some(404), "{nothing}");
    }
    assert_eq!(get(&server, "/sub/").body, b"index");
    assert_eq!(get(&server, "/").status, Some(200));
    let request = Request::get11("/page.xyz").with("Accept-Encoding", "gzip");
    let page = ask(&server, &request);
    assert_eq!(
        (&*page.body, page.header("cache-control")),
        (&b"page"[..], None)
    );
}

#[test]
fn an_application_finds_its_way_and_a_folder_has_no_index() {
    let (folder, _outside) = folder();
    let server = Server::start(&folder, &["--spa=app.html", "--index=-"]);
    let request = Request::get11("/some/where").with("Accept", "text/html");
    let seen = ask(&server, &request);
    assert_eq!((seen.status, &*seen.body), (Some(200), &b"app"[..]));
    let listed = String::from_utf8(get(&server, "/sub/").body).unwrap();
    assert!(listed.contains("start.htm") && listed.contains("index.html"));
}

/// `pass`, by bcrypt at its lowest cost.
const HASH: &str = "$2b$04$TiX88i4u4TqMUtWqCM4QpOii7WgvRrMDE76dIuwjJ7nieZ/ER6bk.";

/// Asks as this user with the password `pass`.
fn status_of(server: &Server, user_and_password: &str) -> Option<u16> {
    let field = format!("Basic {user_and_password}");
    let request = Request::get11("/page.xyz").with("Authorization", &field);
    ask(server, &request).status
}

const ANN: &str = "YW5uOnBhc3M=";
const BOB: &str = "Ym9iOnBhc3M=";

#[test]
fn users_of_the_file_change_with_a_reload() {
    let (folder, _outside) = folder();
    let users = Folder::new();
    let file = users.write("users", format!("# people\n\nann:{HASH}\n"));
    let server = Server::start(&folder, &["--auth-file", file.to_str().unwrap()]);
    assert_eq!(get(&server, "/page.xyz").status, Some(401));
    assert_eq!(status_of(&server, ANN), Some(200));
    assert_eq!(status_of(&server, BOB), Some(401));
    users.write("users", format!("bob:{HASH}\n"));
    server.signal("HUP");
    assert_eq!(server.says(), "reloaded: the users taken over");
    assert_eq!(status_of(&server, ANN), Some(401));
    assert_eq!(status_of(&server, BOB), Some(200));
    users.write("users", format!("bob:{HASH}\nann:secret\n"));
    server.signal("HUP");
    let said = server.says();
    let begin = format!("not reloaded: line 2 of {}: the hash", file.display());
    assert!(
        said.starts_with(&begin) && !said.contains("secret"),
        "{said}"
    );
    assert_eq!(status_of(&server, BOB), Some(200));
}

#[test]
fn users_and_networks_by_flag() {
    let (folder, _outside) = folder();
    let user = format!("--auth=ann:{HASH}");
    let server = Server::start(&folder, &[&user, "--allow=127.0.0.0/8"]);
    assert_eq!(status_of(&server, ANN), Some(200));
    assert_eq!(get(&server, "/page.xyz").status, Some(401));
    let server = Server::start(&folder, &["--deny=127.0.0.1"]);
    assert_eq!(get(&server, "/page.xyz").status, Some(403));
}

#[test]
fn users_that_are_none_are_2_and_are_not_repeated() {
    let (folder, _outside) = folder();
    let twice = format!("--auth=ann:{HASH}");
    for (args, line) in [
        (
            &["--auth=ann:secret"][..],
            "error: the hash of the user ann is neither",
        ),
        (
            &["--auth", "secret"],
            "error: a user is written as NAME:HASH",
        ),
        (
            &["--auth", ":secret"],
            "error: a user is written as NAME:HASH",
        ),
        (&[&twice, &twice], "error: the user ann is there twice"),
    ] {
        for verb in [&["serve", folder.root()][..], &["config", "show"]] {
            let (exit, out, said) = common::run(&[verb, args].concat());
            assert!(said.starts_with(line), "{said}");
            assert!(
                !said.contains("secret") && !said.contains("$2b$04"),
                "{said}"
            );
            assert_eq!((exit, out.as_str()), (Some(2), ""), "{args:?}");
        }
    }
}

#[test]
fn limits_change_with_a_reload() {
    let (folder, _outside) = folder();
    let place = Folder::new();
    let file = place.write("e.toml", "max-header-size = 8192\n");
    let server = Server::start(&folder, &["--config", file.to_str().unwrap()]);
    let large = Request::get11("/page.xyz").with("X-Large", &"x".repeat(9000));
    assert_eq!(ask(&server, &large).status, Some(431));
    place.write(
        "e.toml",
        "max-connections-per-client = 1\nstall-timeout = 5\n",
    );
    server.signal("HUP");
    let taken = "stall-timeout, max-connections-per-client, max-header-size taken over";
    assert_eq!(
        server.says(),
        format!("reloaded {}: {taken}", file.display())
    );
    let mut first = Session::connect(server.addr(), None, &Pace::fast()).unwrap();
    assert_eq!(first.exchange(&large).status, Some(200));
    assert_eq!(get(&server, "/page.xyz").status, None);
    assert_eq!(first.exchange(&large).status, Some(200));
}
