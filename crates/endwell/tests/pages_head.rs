//! Pages whose head depends on their parts: real 5xx, 404 and redirects; and what leads a reader elsewhere.

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use endwell::page::{Decided, Page, each, part};
use endwell::{Body, Tail};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1, http2};
use http::{Response, StatusCode};
use support::{Loop, Server, Setup};
use tower_http::compression::CompressionLayer;

const SORRY: &str = "<!DOCTYPE html><title>Sorry</title>";

/// Comes back often enough that all that may leave has left.
async fn later() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn fails() -> io::Result<String> {
    later().await;
    Err(io::Error::other("bad"))
}

async fn never() -> io::Result<String> {
    std::future::pending().await
}

/// Counts how many of them are dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Panics when it is dropped.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("the guard panics");
    }
}

/// Two parts that decide: what stands later counts, though it is known first.
async fn twice() -> Response<Body> {
    let first = async {
        Ok::<_, io::Error>(
            Decided::content("a")
                .status(StatusCode::ACCEPTED)
                .header("x-a", "a"),
        )
    };
    let second = async {
        later().await;
        Ok::<_, io::Error>(
            Decided::content("b")
                .status(StatusCode::CREATED)
                .header("x-b", "b"),
        )
    };
    let page = Page::new().must_before_head(part("second", second));
    page.must_before_head(part("first", first)).respond().await
}

fn page() -> Page {
    Page::new().error_page(SORRY).chunk("<p>first</p>")
}

async fn decided(what: &'static str) -> Response<Body> {
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Guard(Arc::clone(&dropped));
    let other = part("other", async move {
        let _guard = guard;
        never().await
    });
    let decides = async move {
        later().await;
        match what {
            "ok" => Ok(Decided::content("<p>decided</p>").header("x-decided", "yes")),
            "accepted" => Ok(Decided::content("<p>decided</p>").status(StatusCode::ACCEPTED)),
            "gone" => Ok(Decided::instead(StatusCode::GONE, "<p>gone</p>")),
            "redirect" => Ok(Decided::redirect("/elsewhere")),
            "wrong" => Ok(Decided::redirect("/else\nwhere")),
            "panic" => panic!("it panics"),
            "never" => std::future::pending().await,
            _ => Err(io::Error::other("bad")),
        }
    };
    let decides = part("decides", decides).timeout(Duration::from_secs(3));
    let page = match what {
        "degrading" => page().must_before_head(decides.degrading().catch(|_| "<p>undecided</p>")),
        // Whoever replaces the page drops what would never end.
        "gone" | "redirect" => page().must_before_head(decides).part(other),
        _ => page().must_before_head(decides),
    };
    let response = page.chunk("<p>last</p>").respond().await;
    let (mut head, body) = response.into_parts();
    head.headers
        .insert("x-dropped", dropped.load(Ordering::SeqCst).into());
    Response::from_parts(head, body)
}

fn app() -> Router {
    let deciding = [
        "ok",
        "accepted",
        "gone",
        "redirect",
        "wrong",
        "panic",
        "never",
        "error",
        "degrading",
    ];
    let app = deciding.into_iter().fold(Router::new(), |app, what| {
        app.route(&format!("/decides/{what}"), get(move || decided(what)))
    });
    app.route(
        "/first",
        get(|| {
            Page::new()
                .error_page(SORRY)
                .part(part("one", fails()))
                .respond()
        }),
    )
    .route(
        "/first/plain",
        get(|| Page::new().part(part("one", fails())).respond()),
    )
    .route(
        "/hold",
        get(|| page().head_hold(None).part(part("one", fails())).respond()),
    )
    .route(
        "/hold/timeout",
        get(|| {
            let one = part("one", never()).timeout(Duration::from_millis(20));
            page()
                .head_hold(Some(Duration::from_secs(600)))
                .part(one)
                .respond()
        }),
    )
    .route(
        "/hold/over",
        get(|| {
            let one = part("one", never()).timeout(Duration::from_secs(3));
            page()
                .head_hold(Some(Duration::from_millis(1)))
                .part(one)
                .respond()
        }),
    )
    .route(
        "/hold/harmless",
        get(|| {
            let one = part("one", never()).degrading().placeholder("<p>wait</p>");
            let one = one
                .timeout(Duration::from_millis(20))
                .catch(|_| "<p>none</p>");
            page().head_hold(None).part(one).in_order(true).respond()
        }),
    )
    .route("/decides/twice", get(twice))
    .route(
        "/decides/late",
        get(|| {
            let gone = async {
                later().await;
                later().await;
                Ok::<_, io::Error>(Decided::instead(StatusCode::NOT_FOUND, "<p>gone</p>"))
            };
            let page = page().part(part("ad", fails()).degrading());
            page.must_before_head(part("gone", gone)).respond()
        }),
    )
    .route(
        "/late/guard",
        get(|| {
            let guarded = async {
                let _guard = Panics;
                never().await
            };
            page()
                .part(part("one", fails()))
                .part(part("guarded", guarded).placeholder(""))
                .respond()
        }),
    )
    .route("/late", get(|| page().part(part("one", fails())).respond()))
    .route(
        "/redirect",
        get(|| {
            page()
                .nonce("a\"<b")
                .redirect("/sorry?a=\"</script>&b=1")
                .part(part("one", fails()))
                .respond()
        }),
    )
    .route(
        "/redirect/script",
        get(|| {
            let page = page().redirect("/sorry").chunk("<script>var a = '");
            page.part(part("one", fails())).respond()
        }),
    )
    .route(
        "/redirect/comment",
        get(|| {
            let page = page().redirect("/sorry").chunk("<!-- a");
            page.part(part("one", fails())).respond()
        }),
    )
    .route(
        "/redirect/javascript",
        get(|| page().redirect("javascript:alert(1)").respond()),
    )
    .route(
        "/field",
        get(|| page().header("x-name", "two\nlines").respond()),
    )
    .route(
        "/tail",
        get(|| {
            page()
                .tail(Tail::html())
                .part(part("one", fails()))
                .respond()
        }),
    )
    .route(
        "/few",
        get(|| page().parts(3).in_order(true).part(many()).respond()),
    )
    .layer(CompressionLayer::new())
}

/// More parts at once than the page may have: each item has one that does not come at once.
fn many() -> endwell::page::Part<impl endwell::page::Work> {
    let items = futures_util::stream::iter((0..4).map(Ok::<_, io::Error>));
    each("many", items, |item| {
        let inner = async {
            later().await;
            Ok::<_, io::Error>("in ")
        };
        let inner = part("inner", inner)
            .degrading()
            .catch(|error| format!("{error} "));
        (item, endwell::page::Fragment::new().part(inner))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

fn ask(server: &Server, speaks: Speaks, target: &str, fields: &[(&str, &str)]) -> Seen {
    match speaks {
        Speaks::Http1 => {
            let request = http1::Request::get11(target);
            let request = fields
                .iter()
                .fold(request, |it, (name, value)| it.with(name, value));
            http1::observe(server.addr, None, &request, &Pace::fast())
        }
        Speaks::Http2 => {
            let connection = http2::Connection::connect(server.addr, None, &Pace::fast());
            let mut connection = connection.expect("it accepts");
            let stream = connection.get(target, fields).expect("it reads");
            connection.observe(stream)
        }
    }
}

fn text(seen: &Seen) -> &str {
    std::str::from_utf8(&seen.body).expect("a page is text")
}

/// Status, body, whether it is whole; and what the record says.
fn check(
    server: &Server,
    target: &str,
    status: u16,
    body: &str,
    whole: bool,
    recorded: (&str, &str),
) {
    for speaks in BOTH {
        let asked = format!("{target}?{speaks:?}");
        let seen = ask(server, speaks, &asked, &[]);
        let at = format!("{asked}: {}", seen.verdict_line());
        assert_eq!(seen.status, Some(status), "{at}");
        assert_eq!(text(&seen), body, "{at}");
        assert_eq!(seen.is_complete(), whole, "{at}");
        let record = server.record(&asked);
        let is = (record.ending.as_str(), record.error_type().unwrap_or(""));
        assert_eq!(is, recorded, "{at}");
        assert_eq!(record.status, status, "{at}");
    }
}

const COMPLETE: (&str, &str) = ("complete", "");
const FAILED: (&str, &str) = ("failed", "producer_error");

#[test]
fn what_is_fatal_before_the_first_octet_is_a_page_of_its_own() {
    for server_loop in [Loop::Ours, Loop::Stock] {
        let server = Setup {
            server_loop,
            ..Setup::default()
        }
        .start(app());
        check(&server, "/first", 500, SORRY, true, FAILED);
        check(&server, "/hold", 500, SORRY, true, FAILED);
        check(
            &server,
            "/hold/timeout",
            504,
            SORRY,
            true,
            ("failed", "part_timeout"),
        );
    }
    let server = Setup::default().start(app());
    let seen = ask(&server, Speaks::Http1, "/first/plain", &[]);
    assert_eq!(
        seen.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(seen.header("cache-control"), Some("no-store"));
    assert!(text(&seen).contains("<h1>This page cannot be shown now</h1>"));
    let record = server.record("/first/plain");
    assert_eq!(record.failed_parts[0].name, "one");
}

#[test]
fn behind_the_first_octet_it_is_an_abort() {
    let server = Setup::default().start(app());
    check(&server, "/late", 200, "<p>first</p>", false, FAILED);
    check(&server, "/late/guard", 200, "<p>first</p>", false, FAILED);
    check(
        &server,
        "/hold/over",
        200,
        "<p>first</p>",
        false,
        ("failed", "part_timeout"),
    );
    // Nothing that is under way can be fatal: nothing is waited for.
    let recorded = ("degraded", "part_timeout");
    check(
        &server,
        "/hold/harmless",
        200,
        "<p>first</p><p>none</p>",
        false,
        recorded,
    );
}

#[test]
fn a_part_decides_the_head() {
    let server = Setup::default().start(app());
    let page = "<p>first</p><p>decided</p><p>last</p>";
    check(&server, "/decides/ok", 200, page, true, COMPLETE);
    check(&server, "/decides/accepted", 202, page, true, COMPLETE);
    check(&server, "/decides/gone", 410, "<p>gone</p>", true, COMPLETE);
    check(&server, "/decides/redirect", 303, "", true, COMPLETE);
    check(&server, "/decides/wrong", 500, SORRY, true, FAILED);
    check(&server, "/decides/error", 500, SORRY, true, FAILED);
    check(
        &server,
        "/decides/panic",
        500,
        SORRY,
        true,
        ("failed", "producer_panicked"),
    );
    check(
        &server,
        "/decides/never",
        504,
        SORRY,
        true,
        ("failed", "part_timeout"),
    );
    let page = "<p>first</p><p>undecided</p><p>last</p>";
    check(
        &server,
        "/decides/degrading",
        200,
        page,
        false,
        ("degraded", "producer_error"),
    );
    // What failed in a page that is not shown degrades no other.
    check(&server, "/decides/late", 404, "<p>gone</p>", true, COMPLETE);
    let record = server.record("/decides/late?Http1");
    assert_eq!(record.failed_parts[0].name, "ad");
    check(&server, "/decides/twice", 202, "ba", true, COMPLETE);
    let seen = ask(&server, Speaks::Http1, "/decides/twice", &[]);
    assert_eq!(
        (seen.header("x-a"), seen.header("x-b")),
        (Some("a"), Some("b"))
    );
    let seen = ask(&server, Speaks::Http1, "/decides/ok", &[]);
    assert_eq!(seen.header("x-decided"), Some("yes"));
    for what in ["redirect", "gone"] {
        let seen = ask(&server, Speaks::Http2, &format!("/decides/{what}"), &[]);
        assert_eq!(seen.header("x-dropped"), Some("1"), "{what}");
        if what == "redirect" {
            assert_eq!(seen.header("location"), Some("/elsewhere"));
        }
    }
}

#[test]
fn a_reader_is_led_elsewhere_only_between_tags() {
    let server = Setup::default().start(app());
    let redirect = "<p>first</p>\
        <script nonce=\"a&quot;&lt;b\">location.replace(\"/sorry?a=\\u0022\\u003c/script\\u003e\\u0026b=1\")</script>\
        <meta http-equiv=\"refresh\" content=\"0;url=/sorry?a=&quot;&lt;/script&gt;&amp;b=1\">";
    check(&server, "/redirect", 200, redirect, false, FAILED);
    let script = "<p>first</p><script>var a = '";
    check(&server, "/redirect/script", 200, script, false, FAILED);
    let comment = "<p>first</p><!-- a--><script>location.replace(\"/sorry\")</script>\
        <meta http-equiv=\"refresh\" content=\"0;url=/sorry\">";
    check(&server, "/redirect/comment", 200, comment, false, FAILED);
    check(&server, "/redirect/javascript", 500, SORRY, true, FAILED);
    check(&server, "/field", 500, SORRY, true, FAILED);
}

#[test]
fn the_reason_may_stand_in_the_page() {
    let server = Setup::default().start(app());
    let seen = ask(&server, Speaks::Http1, "/tail", &[]);
    assert!(
        text(&seen).starts_with("<p>first</p><!-- {\"title\""),
        "{}",
        text(&seen)
    );
    assert_eq!(seen.end, SeenEnd::Fin);
}

#[test]
fn an_encoder_loses_nothing() {
    use std::io::Read;
    let server = Setup::default().start(app());
    let seen = ask(
        &server,
        Speaks::Http1,
        "/late",
        &[("accept-encoding", "gzip")],
    );
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    assert!(!seen.is_complete());
    let mut page = Vec::new();
    // The stream has no end: its reader complains after the octets that came.
    let mut reader = flate2::read::GzDecoder::new(&seen.body[..]);
    let mut octet = [0];
    while let Ok(1) = reader.read(&mut octet) {
        page.push(octet[0]);
    }
    assert_eq!(page, b"<p>first</p>");
}

#[test]
fn a_part_too_many_has_failed_and_says_how_many_may_be() {
    let server = Setup::default().start(app());
    let seen = ask(&server, Speaks::Http1, "/few", &[]);
    let said = "a page may have 3 of these at once ";
    assert!(text(&seen).contains(said), "{}", text(&seen));
    let record = server.record("/few");
    assert_eq!(record.ending.as_str(), "degraded");
    assert!(
        record.failed_parts[0].name.starts_with("many["),
        "{record:?}"
    );
}

#[test]
fn h11_a_browser_has_time_to_read_before_the_abort_and_a_program_needs_none() {
    let for_ever = |policy: &mut endwell::Policy| policy.grace.browser = Duration::from_secs(3600);
    let server = Setup::default().policy(for_ever).start(app());
    let seen = ask(&server, Speaks::Http1, "/late", &[]);
    assert_eq!(seen.end, SeenEnd::Fin);
    let session = http1::Session::connect(server.addr, None, &Pace::fast());
    let mut session = session.expect("it accepts");
    let request = http1::Request::get11("/late").with("Sec-Fetch-Dest", "document");
    session.send(&request).expect("it reads");
    let seen = session.read_until(|seen| seen.body == b"<p>first</p>");
    assert_eq!(
        seen.end,
        SeenEnd::Open,
        "all is there, and nothing has ended"
    );
    let end = session.watch(Duration::from_millis(300));
    assert!(matches!(end, SeenEnd::Open | SeenEnd::TimedOut), "{end}");
}

#[test]
fn without_our_layer_the_status_at_least_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let status = runtime.expect("a runtime").block_on(async {
        let bad = async { Err::<String, _>(io::Error::other("bad")) };
        page().part(part("one", bad)).respond().await.status()
    });
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn what_takes_the_page_s_place_has_none_of_its_fields() {
    let login = part("login", async {
        later().await;
        Ok::<_, io::Error>(Decided::instead(StatusCode::OK, "all well").header("x-own", "1"))
    });
    let page = Page::new()
        .status(StatusCode::NOT_FOUND)
        .header("cache-control", "public, max-age=9")
        .must_before_head(login);
    let response = page.respond().await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().get("cache-control"), None);
    assert_eq!(response.headers()["x-own"], "1");
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
}
