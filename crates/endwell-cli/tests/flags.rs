//! What flags are for is seen by a client.
#![cfg(unix)]

mod common;

use std::os::unix::fs::symlink;

use common::{Folder, Server};
use endwell_lab::observe::http1::{Request, observe};
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
