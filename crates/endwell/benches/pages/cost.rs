//! What twenty parts cost beyond the same octets: processor time of this thread, and allocations.
//!
//! All of it happens in memory, on one thread: a body is polled to its end, its frames are counted and dropped. Beside it stands
//! `endwell::stream`, whose producer sends the very frames that the page gave.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use endwell::page::{Page, part};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;

use super::PARTS;
use super::support::count::allocations;
use super::support::{median, quantile};
use super::words;

const PAGES: usize = 2_000;
const ROUNDS: usize = 21;
/// What the design asks for: microseconds of processor time beyond the same octets, and allocations a part beyond its future.
const GOAL_US: f64 = 25.0;
const GOAL_ALLOCATIONS: f64 = 3.0;

/// When a part is there.
#[derive(Debug, Clone, Copy)]
enum Ready {
    /// When it is first asked.
    AtOnce,
    /// It waits once, as for a database.
    Later,
}

/// A page of so many parts, each of the very octets that `words` has, made before.
fn page(frames: &Frames, parts: usize, ready: Ready, ordered: bool) -> Page {
    let mut page = Page::new().chunk(frames.before.clone());
    for (heading, rows) in frames.parts.iter().cycle().take(parts) {
        let rows = rows.clone();
        let mut part = part("rows", async move {
            if matches!(ready, Ready::Later) {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(rows)
        });
        if !ordered {
            part = part.placeholder(words::PLACEHOLDER);
        }
        page = page
            .chunk(heading.clone())
            .part(part)
            .chunk(words::AFTER_PART);
    }
    page.chunk(words::AFTER)
}

/// Rendered before: what is measured is the page, not the template engine.
struct Frames {
    before: Bytes,
    parts: Vec<(Bytes, Bytes)>,
}

impl Frames {
    fn new() -> Self {
        let parts = (0..PARTS).map(|number| {
            let rows = words::rows(&words::ALL[number]).into_string();
            (words::heading(number).into_string().into(), rows.into())
        });
        Self {
            before: words::before().into_string().into(),
            parts: parts.collect(),
        }
    }
}

/// The same octets without parts.
fn plain(frames: &[Bytes]) -> endwell::Body {
    let frames = frames.to_vec();
    endwell::stream(|mut producer| async move {
        for frame in frames {
            producer.send(frame).await?;
        }
        Ok(producer.finish())
    })
}

async fn drain(mut body: impl Body<Data = Bytes> + Unpin) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        frames.extend(frame.into_data());
    }
    frames
}

/// Octets of a body, so that nobody leaves it out.
async fn count(mut body: impl Body<Data = Bytes> + Unpin) -> usize {
    let mut octets = 0;
    while let Some(Ok(frame)) = body.frame().await {
        octets += frame.data_ref().map_or(0, Bytes::len);
    }
    octets
}

/// Nanoseconds that this thread has been on a core: the first figure of the kernel's schedstat.
fn on_core() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = stat.split(' ').next().and_then(|first| first.parse().ok());
    first.ok_or_else(|| io::Error::other("/proc/thread-self/schedstat has no figures"))
}

/// Microseconds of processor time, and allocations, a page.
fn measure(make: &mut dyn FnMut() -> usize, octets: usize) -> io::Result<(f64, f64)> {
    let (before, allocated) = (on_core()?, allocations());
    for _ in 0..PAGES {
        assert_eq!(make(), octets, "a page of another length");
    }
    let made = PAGES as f64;
    let cpu = (on_core()? - before) / 1e3 / made;
    Ok((cpu, (allocations() - allocated) as f64 / made))
}

/// One line of the table.
fn line(runtime: &Runtime, frames: &Frames, ordered: bool, ready: Ready) -> io::Result<()> {
    let body = |parts| async move {
        let page = page(frames, parts, ready, ordered);
        page.respond().await.into_body()
    };
    let given = runtime.block_on(async { drain(body(PARTS).await).await });
    let octets = given.iter().map(Bytes::len).sum();
    let twice = runtime.block_on(async { count(body(2 * PARTS).await).await });
    let mut of_page = || runtime.block_on(async { count(body(PARTS).await).await });
    let mut of_twice = || runtime.block_on(async { count(body(2 * PARTS).await).await });
    let mut of_plain = || runtime.block_on(count(plain(&given)));
    let (mut pages, mut plains, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (of_page, _) = measure(&mut of_page, octets)?;
        let (of_plain, _) = measure(&mut of_plain, octets)?;
        pages.push(of_page);
        plains.push(of_plain);
        beyond.push(of_page - of_plain);
    }
    let (once, twice) = (
        measure(&mut of_page, octets)?.1,
        measure(&mut of_twice, twice)?.1,
    );
    let order = if ordered { "ordered" } else { "placeholders" };
    println!(
        "| {order}, {ready:?} | {} | {octets} | {:.2} | {:.2} | {:.2} | {:.2} | <= {GOAL_US} | {once:.0} | {:.2} | <= {GOAL_ALLOCATIONS} |",
        given.len(),
        median(&pages),
        median(&plains),
        median(&beyond),
        quantile(&beyond, 0.0),
        // The future itself is boxed: one of them.
        (twice - once) / PARTS as f64 - 1.0,
    );
    Ok(())
}

pub(crate) fn table() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let frames = Frames::new();
    println!(
        "a page of {PARTS} parts beside `endwell::stream` with the same frames, in memory; {ROUNDS} rounds of {PAGES} pages\n"
    );
    println!(
        "| page, parts | frames | octets | us | same frames | beyond: median | least | goal | allocations | for each part more, beyond its future | goal |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for ordered in [true, false] {
        for ready in [Ready::AtOnce, Ready::Later] {
            line(&runtime, &frames, ordered, ready)?;
        }
    }
    println!();
    Ok(())
}
