//! A client that leaves stops every part of a page, wherever it runs; and a long list waits for its reader.

mod support;

#[path = "support/pages.rs"]
mod pages;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use endwell::page::{Fragment, ITEMS, Page, each, part, spawn};
use endwell::{Body, Severity};
use endwell_lab::observe::{Pace, http1, http2};
use http::Response;
use http_body_util::BodyExt;
use pages::{Does, told};
use support::Setup;

/// A part that is not dropped by then was not stopped.
const DEADLINE: Duration = Duration::from_secs(30);

/// Tells when a part has begun, and when it was dropped.
#[derive(Clone)]
struct Bell {
    begun: Arc<Mutex<Sender<&'static str>>>,
    dropped: Arc<Mutex<Sender<&'static str>>>,
}

struct Work(Bell, &'static str);

impl Bell {
    async fn never(self, name: &'static str) -> io::Result<String> {
        let work = Work(self, name);
        let _ = work.0.begun.lock().expect("no panic holds it").send(name);
        std::future::pending().await
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self
            .0
            .dropped
            .lock()
            .expect("no panic holds it")
            .send(self.1);
    }
}

const PARTS: [&str; 5] = ["decides", "direct", "in an item", "inside", "spawned"];

/// Parts of every kind that never come.
async fn page(State(bell): State<Bell>, uri: Uri) -> Response<Body> {
    let inside = part("inside", bell.clone().never("inside"));
    let around = part("around", async {
        tokio::task::yield_now().await;
        Ok::<_, io::Error>(Fragment::new().chunk("<p>around</p>").part(inside))
    });
    let of_item = bell.clone();
    let items = futures_util::stream::iter([Ok::<_, io::Error>(())]);
    let list = each("list", items, move |()| {
        let inner = part("inner", of_item.clone().never("in an item"));
        ("key", Fragment::new().part(inner.placeholder("")))
    });
    let page = Page::new()
        .in_order(uri.path() == "/in")
        .chunk("<p>first</p>")
        .part(list)
        .part(part("spawned", spawn(bell.clone().never("spawned"))))
        .part(part("direct", bell.clone().never("direct")).placeholder("<p>wait</p>"))
        .part(around);
    let page = match uri.path() {
        "/told" => {
            let bad = told("bad", Severity::Note, Does::Error).add(Fragment::new());
            let never = part("direct", bell.never("direct")).placeholder("<p>wait</p>");
            Page::new().content(bad).part(never)
        }
        "/head" => page.must_before_head(part("decides", bell.never("decides"))),
        _ => page,
    };
    page.respond().await
}

struct Stage {
    server: support::Server,
    begun: Receiver<&'static str>,
    dropped: Receiver<&'static str>,
}

impl Stage {
    fn new() -> Self {
        let (begin, begun) = channel();
        let (drop, dropped) = channel();
        let bell = Bell {
            begun: Arc::new(Mutex::new(begin)),
            dropped: Arc::new(Mutex::new(drop)),
        };
        Self {
            server: Setup::default().start(Router::new().fallback(get(page)).with_state(bell)),
            begun,
            dropped,
        }
    }

    /// All of these, in any order.
    fn all(from: &Receiver<&'static str>, due: &[&'static str]) {
        let mut names: Vec<_> = (0..due.len())
            .map(|_| {
                from.recv_timeout(DEADLINE)
                    .expect("it happens to all of them")
            })
            .collect();
        names.sort_unstable();
        assert_eq!(names, due);
    }

    fn leaves(&self, target: &str, due: &[&'static str], leave: impl FnOnce()) {
        Self::all(&self.begun, due);
        leave();
        Self::all(&self.dropped, due);
        let record = self.server.record(target);
        assert_eq!(record.ending.as_str(), "cancelled", "{}", record.json());
        assert!(self.begun.try_recv().is_err() && self.dropped.try_recv().is_err());
    }
}

#[test]
fn h11_every_part_is_dropped() {
    let stage = Stage::new();
    let due = &PARTS[1..];
    for target in ["/in", "/out"] {
        let mut session =
            http1::Session::connect(stage.server.addr, None, &Pace::fast()).expect("it accepts");
        session
            .send(&http1::Request::get11(target))
            .expect("it reads");
        session.read_until(|seen| seen.body.starts_with(b"<p>first</p>"));
        stage.leaves(target, due, || session.reset());
    }
}

#[test]
fn h2_every_part_is_dropped() {
    let stage = Stage::new();
    let due = &PARTS[1..];
    for target in ["/in", "/out"] {
        let mut connection =
            http2::Connection::connect(stage.server.addr, None, &Pace::fast()).expect("it accepts");
        let stream = connection.get(target, &[]).expect("it reads");
        connection.read_until(stream, |seen| seen.body.starts_with(b"<p>first</p>"));
        stage.leaves(target, due, || connection.cancel(stream, 8));
    }
}

#[test]
fn every_part_is_dropped_while_the_head_waits() {
    let stage = Stage::new();
    let mut session =
        http1::Session::connect(stage.server.addr, None, &Pace::fast()).expect("it accepts");
    session
        .send(&http1::Request::get11("/head"))
        .expect("it reads");
    stage.leaves("/head", &PARTS, || session.reset());
    assert_eq!(stage.server.record("/head").status, 499);
}

#[test]
fn what_failed_before_the_client_left_is_in_the_record() {
    let stage = Stage::new();
    let mut session =
        http1::Session::connect(stage.server.addr, None, &Pace::fast()).expect("it accepts");
    session
        .send(&http1::Request::get11("/told"))
        .expect("it reads");
    let told = |body: &[u8]| body.windows(13).any(|octets| octets == b"<b>no bad</b>");
    session.read_until(|seen| told(&seen.body));
    session.reset();
    let record = stage.server.record("/told");
    assert_eq!(record.ending.as_str(), "cancelled");
    let names: Vec<_> = record
        .failed_parts
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    assert_eq!(names, ["bad"]);
}

/// A list of many items behind a part that waits for `go`.
fn long_list(
    go: tokio::sync::oneshot::Receiver<()>,
    asked: Arc<AtomicUsize>,
    items: usize,
) -> Page {
    let counted = futures_util::stream::iter((0..items).map(move |item| {
        asked.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(item)
    }));
    let slow = part("slow", async {
        go.await
            .map_err(|_| io::Error::other("nobody lets it go"))?;
        Ok::<_, io::Error>("slow,")
    });
    let list = each("list", counted, |item| {
        let inner = part("inner", async move {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(format!("{item},"))
        });
        (item, Fragment::new().part(inner))
    });
    Page::new().part(slow).part(list).chunk("end")
}

#[test]
fn a_long_list_behind_a_slow_part_is_asked_for_no_more_than_it_may_hold() {
    const MANY: usize = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (go, gone) = tokio::sync::oneshot::channel();
    let asked = Arc::new(AtomicUsize::new(0));
    let page = long_list(gone, Arc::clone(&asked), MANY);
    runtime.block_on(async {
        let writing = tokio::spawn(page.write_string());
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), ITEMS);
        go.send(()).expect("it waits");
        let (html, written) = writing
            .await
            .expect("it does not panic")
            .expect("a string takes all");
        assert!(written.ending.is_complete());
        let due: String = (0..MANY).map(|item| format!("{item},")).collect();
        assert_eq!(html, format!("slow,{due}end"));
    });
}

#[test]
fn a_list_of_nothing_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let items = futures_util::stream::iter((0..1000).map(Ok::<_, io::Error>));
        // Each has a part with a time-out, none of which is reached: no alarm may stay for it.
        let list = each("list", items, |item| {
            let inner = part("inner", async {
                tokio::task::yield_now().await;
                Ok::<_, io::Error>("")
            });
            (
                item,
                Fragment::new().part(inner.timeout(Duration::from_secs(3600))),
            )
        });
        let (html, written) = Page::new()
            .part(list)
            .chunk("end")
            .write_string()
            .await
            .expect("a string takes all");
        assert_eq!(
            (html.as_str(), written.ending.as_str()),
            ("end", "complete")
        );
    });
}

/// Panics when it is dropped.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("a guard panics");
    }
}

#[test]
fn guards_that_panic_end_neither_the_page_nor_the_process() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let guarded = |name| {
            part(name, async {
                let _guard = Panics;
                std::future::pending::<io::Result<String>>().await
            })
        };
        let page = Page::new()
            .chunk("first")
            .part(guarded("one"))
            .part(guarded("two"));
        drop(page.respond().await);
    });
}

async fn octets(page: Page) -> String {
    let mut body = page.respond().await.into_body();
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("nothing fails").into_data();
        octets.extend_from_slice(&frame.expect("octets"));
    }
    String::from_utf8(octets).expect("text")
}

#[test]
fn a_long_list_whose_items_have_late_parts_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let items = futures_util::stream::iter((0..300).map(Ok::<_, io::Error>));
        let list = each("list", items, |item| {
            let inner = part("inner", async move {
                tokio::task::yield_now().await;
                Ok::<_, io::Error>(format!("<b>{item}</b>"))
            });
            let inner = inner.placeholder("<i>wait</i>");
            (item, Fragment::new().chunk("<p>").part(inner).chunk("</p>"))
        });
        let page = octets(Page::new().part(list).chunk("end")).await;
        let due: String = (0..300)
            .map(|item| format!("<p><b>{item}</b></p>"))
            .collect();
        assert_eq!(pages::read(&page), format!("{due}end"));
        assert!(page.contains("<i>wait</i>"));
    });
}

#[test]
fn a_stream_runs_no_further_ahead_of_its_reader_than_it_may() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        let items = futures_util::stream::iter((0..1000).map(move |item| {
            counting.fetch_add(1, Ordering::SeqCst);
            Ok::<_, io::Error>(item)
        }));
        // Each item is a frame.
        let list = each("list", items, |item| (item, vec![b'x'; 8192]));
        let mut body = Page::new().part(list).respond().await.into_body();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            frames += frame.is_ok_and(|frame| frame.is_data()) as usize;
            assert!(
                asked.load(Ordering::SeqCst) <= frames + ITEMS,
                "after {frames}"
            );
        }
        assert_eq!(frames, 1000);
    });
}

#[test]
fn a_time_beyond_all_clocks_is_none() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let one = part("one", async { Ok::<_, io::Error>("one") }).timeout(Duration::MAX);
        let page = Page::new().head_hold(Some(Duration::MAX)).part(one);
        assert_eq!(octets(page).await, "one");
    });
}

/// Tries again in its own fallback, for ever.
fn again(times: usize) -> endwell::page::Part<impl endwell::page::Work> {
    let work = async move { Err::<String, _>(io::Error::other(format!("try {times}"))) };
    let fallback = move |_: &endwell::page::PartError| -> Fragment { boxed(times + 1) };
    part("again", work).degrading().catch(fallback)
}

/// Not as its own type: that would have no end.
fn boxed(times: usize) -> Fragment {
    let work: std::pin::Pin<Box<dyn Future<Output = io::Result<String>> + Send>> =
        Box::pin(async move { Err(io::Error::other(format!("try {times}"))) });
    let part = part("again", work)
        .degrading()
        .catch(move |_| boxed(times + 1));
    Fragment::new().part(part)
}

#[test]
fn a_fallback_that_tries_again_for_ever_comes_to_an_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        for page in [Page::new(), Page::new().parts(5)] {
            let page = page.chunk("first").part(again(0)).chunk("last");
            let (html, written) = page.write_string().await.expect("a string takes all");
            assert_eq!(
                (html.as_str(), written.ending.as_str()),
                ("firstlast", "degraded")
            );
        }
    });
}
