//! The same page in a file, a pipe and a string; and what a part costs.

#[path = "support/pages.rs"]
mod pages;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::time::Duration;

use endwell::page::{Decided, Fragment, Page, part};
use endwell::{Ending, Severity};
use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::BodyExt;
use pages::{Does, told};
use tokio::io::AsyncReadExt;

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it hands on to the system's allocator what it gets.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(work)
}

fn page(severity: Severity, does: Does) -> Page {
    let content = [
        told("one", Severity::Fatal, Does::Well),
        told("two", severity, does),
    ]
    .into_iter()
    .fold(Fragment::new(), |content, part| part.add(content));
    Page::new()
        .redirect("/sorry")
        .chunk("<p>first</p>")
        .content(content)
        .chunk("<p>last</p>")
        .foot("</html>")
}

const GOOD: &str = "<p>first</p><p>one</p>";

#[test]
fn how_a_written_page_ended_is_returned() {
    for (severity, does, due, ending) in [
        (
            Severity::Fatal,
            Does::Well,
            "<p>two</p><p>last</p></html>",
            "complete",
        ),
        (
            Severity::Note,
            Does::TimeOut,
            "<b>no two</b><p>last</p></html>",
            "complete",
        ),
        (
            Severity::Degrading,
            Does::Error,
            "<b>no two</b><p>last</p></html>",
            "degraded",
        ),
        (
            Severity::Fatal,
            Does::PanicInThen,
            "<b>no two</b>",
            "failed",
        ),
    ] {
        let (html, written) = run(page(severity, does).write_string()).expect("a string takes all");
        assert_eq!(html, format!("{GOOD}{due}"));
        assert_eq!(written.ending.as_str(), ending);
        assert_eq!(written.failed_parts.len(), usize::from(does != Does::Well));
        assert_eq!(written.octets, html.len() as u64);
        let mut file = tempfile::tempfile().expect("a file");
        let same = run(page(severity, does).write_into(&mut file)).expect("a file takes all");
        assert_eq!(same.octets, written.octets);
    }
}

#[test]
fn a_pipe_that_is_narrow_gets_every_octet() {
    run(async {
        let (mut near, mut far) = tokio::io::duplex(7);
        let reading = tokio::spawn(async move {
            let mut html = String::new();
            far.read_to_string(&mut html).await.map(|_| html)
        });
        let written = page(Severity::Note, Does::Error)
            .write_to(&mut near)
            .await
            .expect("it takes all");
        drop(near);
        let html = reading.await.expect("no panic").expect("text");
        assert_eq!(html, format!("{GOOD}<b>no two</b><p>last</p></html>"));
        assert_eq!(written.octets, html.len() as u64);
    });
}

#[test]
fn a_writer_that_fails_stops_the_page() {
    run(async {
        let (mut near, far) = tokio::io::duplex(7);
        drop(far);
        let error = page(Severity::Fatal, Does::Never)
            .write_to(&mut near)
            .await
            .expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_written_page_tells_the_status_it_would_have() {
    let decided = |decided: Decided| {
        let part = part("decides", async { Ok::<_, io::Error>(decided) });
        run(Page::new()
            .chunk("page")
            .must_before_head(part)
            .write_string())
        .expect("a string takes all")
    };
    let (html, written) = decided(Decided::instead(StatusCode::NOT_FOUND, "none"));
    assert_eq!(
        (html.as_str(), written.status),
        ("none", StatusCode::NOT_FOUND)
    );
    let fatal = part("fatal", async { Err::<String, _>("bad") });
    let (html, written) =
        run(Page::new().chunk("page").part(fatal).write_string()).expect("a string");
    assert_eq!(
        (html.as_str(), written.status),
        ("", StatusCode::INTERNAL_SERVER_ERROR)
    );
    assert!(matches!(written.ending, Ending::Failed(_)));
    let (_, written) =
        run(Page::new().header("a b", "c").chunk("page").write_string()).expect("a string");
    assert!(matches!(written.ending, Ending::Failed(_)));
}

#[test]
fn each_part_has_its_own_time() {
    let never = |name: &'static str, time| {
        let work = std::future::pending::<io::Result<String>>();
        part(name, work).timeout(Duration::from_millis(time)).note()
    };
    let page = Page::new()
        .part(never("long", 60))
        .part(never("short", 10))
        .part(never("longer", 110).timeout(Duration::from_millis(80)));
    let (_, written) = run(page.write_string()).expect("a string takes all");
    let names: Vec<_> = written
        .failed_parts
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    assert_eq!(names, ["short", "long", "longer"]);
}

/// A page of so many parts, each of which comes back once before it is there.
fn many(parts: usize) -> Page {
    (0..parts).fold(Page::new(), |page, _| {
        let work = async {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>("<p>a part</p>")
        };
        page.part(
            part("part", work)
                .placeholder("<p>wait</p>")
                .degrading()
                .catch(|_| "<p>none</p>"),
        )
    })
}

/// What a page of so many parts allocates from its declaration to its end.
fn cost(parts: usize, in_order: bool) -> usize {
    run(async {
        let mut before = 0;
        // The first use of anything may allocate for good.
        for _ in 0..2 {
            before = ALLOCATIONS.get();
            let mut body = many(parts).in_order(in_order).respond().await.into_body();
            while let Some(frame) = body.frame().await {
                assert!(frame.expect("nothing fails").is_data());
            }
        }
        ALLOCATIONS.get() - before
    })
}

#[test]
fn a_part_costs_no_more_than_three_allocations_with_its_future() {
    for in_order in [true, false] {
        let (few, more) = (cost(200, in_order), cost(1200, in_order));
        let of_thousand = more - few;
        assert!(
            of_thousand <= 3 * 1000,
            "{of_thousand} allocations for 1000 parts, in order: {in_order}"
        );
        println!("{of_thousand} allocations for 1000 parts, in order: {in_order}");
    }
}

#[test]
fn only_parts_that_were_woken_are_polled() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let polls = Arc::new(AtomicUsize::new(0));
    let page = (0..100).fold(Page::new(), |page, at| {
        let polls = Arc::clone(&polls);
        let mut left = at;
        page.part(part(
            "part",
            std::future::poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::SeqCst);
                if left == 0 {
                    return std::task::Poll::Ready(Ok::<_, io::Error>(""));
                }
                left -= 1;
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }),
        ))
    });
    let (_, written) = run(page.write_string()).expect("a string takes all");
    assert!(written.ending.is_complete());
    assert_eq!(polls.load(Ordering::SeqCst), (1..=100).sum::<usize>());
}

#[test]
fn nothing_is_asked_of_a_page_that_is_not_polled() {
    let dropped = page(Severity::Fatal, Does::PanicInWork);
    drop(dropped);
    // The first poll starts everything; a page of what is there at once needs no second.
    let page = Page::new()
        .chunk("a")
        .part(part("b", async { Ok::<_, io::Error>("b") }));
    let (html, _) = page
        .write_string()
        .now_or_never()
        .expect("it waits for nothing")
        .expect("a string");
    assert_eq!(html, "ab");
}
