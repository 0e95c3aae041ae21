//! Where a page goes: into a response, a file, a pipe, a string.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use endwell_core::{Ending, FailedPart};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use tokio::io::AsyncWrite;

use super::Page;
use super::engine::{Engine, Step};
use crate::body::Body;
use crate::producer::{Abort, Finished, Producer};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What is shown if the author gave nothing else.
const ERROR_PAGE: &[u8] = b"<!DOCTYPE html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>Error</title>\
<h1>This page cannot be shown now</h1><p>Something went wrong on our side.\n";

impl Page {
    /// Starts all parts, waits for those that decide the head, and gives the response.
    ///
    /// # Cancel safety
    /// Dropped, it drops all parts.
    ///
    /// # On the wire
    /// As [`stream`](crate::stream): what was written arrives first, then a failed or degraded end is
    /// told. A page never promises a length.
    pub async fn respond(self) -> Response<Body> {
        let Self {
            content,
            manner,
            mut head,
            mut wrong,
            error_page,
            changes,
            tail,
        } = self;
        let mut engine = Engine::new(content, manner);
        if wrong.is_none() {
            let mut decided = poll_fn(|cx| engine.poll_head(cx)).await;
            wrong = decided.wrong.take();
            head = decided.over(head);
        }
        let failed = engine.failures().is_fatal();
        head.fields.entry(CONTENT_TYPE).or_insert(HTML);
        if let (true, Some(cause)) = (failed, engine.failures().ending().cause()) {
            // Under our layer another response takes its place; elsewhere the status at least is told.
            let status = StatusCode::from_u16(cause.kind.status()).ok();
            head.status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let mut body = crate::stream(|mut producer| {
            // Those are known already, also if nobody ever reads the body.
            let told = tell(&engine, &mut producer, 0);
            write(engine, producer, told)
        })
        .may_trail([SERVER_TIMING])
        .with_head(head, wrong)
        .error_page(error_page.unwrap_or(Bytes::from_static(ERROR_PAGE)));
        if let Some(tail) = tail {
            body = body.tail(tail);
        }
        let mut response = body.into_http();
        if changes != endwell_core::Override::new() {
            response.extensions_mut().insert(changes);
        }
        response
    }

    /// Writes the page to a file, a pipe or a socket, in order; gives how it ended.
    ///
    /// Status and fields go nowhere, nor does an error page or a redirect. A fatal part ends the page where it
    /// is: a file that is to be whole is written under another name first. See [`Written`].
    ///
    /// # Errors
    /// What the writer said; the parts are dropped then.
    ///
    /// # Cancel safety
    /// Dropped, it drops all parts; what was written stays.
    pub async fn write_to<W>(self, out: &mut W) -> io::Result<Written>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let mut writing = Writing::of(self).await;
        while let Some(octets) = writing.next().await {
            let mut rest = &octets[..];
            while !rest.is_empty() {
                let taken = poll_fn(|cx| Pin::new(&mut *out).poll_write(cx, rest)).await?;
                if taken == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = &rest[taken..];
            }
        }
        poll_fn(|cx| Pin::new(&mut *out).poll_flush(cx)).await?;
        Ok(writing.written())
    }

    /// The same with a writer that blocks: `&mut Vec<u8>`, standard output, a file.
    ///
    /// # Errors
    /// What the writer said.
    pub async fn write_into<W>(self, mut out: W) -> io::Result<Written>
    where
        W: io::Write,
    {
        let mut writing = Writing::of(self).await;
        while let Some(octets) = writing.next().await {
            out.write_all(&octets)?;
        }
        out.flush()?;
        Ok(writing.written())
    }

    /// The page as a string, as far as it came, and how it ended.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is no UTF-8.
    ///
    /// # Examples
    /// ```
    /// use endwell::page::{Page, part};
    /// # async fn run() -> std::io::Result<()> {
    /// let page = Page::new().chunk("<p>").part(part("name", async { Ok::<_, std::io::Error>("M8") }));
    /// let (html, written) = page.write_string().await?;
    /// assert_eq!(html, "<p>M8");
    /// assert!(written.ending.is_complete());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    pub async fn write_string(self) -> io::Result<(String, Written)> {
        let mut octets = Vec::new();
        let written = self.write_into(&mut octets).await?;
        let html = String::from_utf8(octets)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((html, written))
    }
}

/// How a page ended that was written elsewhere than into a response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "it says whether the page is whole"]
pub struct Written {
    /// How it ended. Only [`Ending::Complete`] is a page with nothing wrong in it.
    pub ending: Ending,
    /// The parts that failed, those that were only noted among them; the first 32.
    pub failed_parts: Vec<FailedPart>,
    /// How many octets were written.
    pub octets: u64,
    /// The status that its response would have.
    pub status: StatusCode,
}

/// A page on its way to a writer.
struct Writing {
    engine: Engine,
    wrong: Option<endwell_core::Cause>,
    octets: u64,
    status: StatusCode,
}

impl Writing {
    async fn of(page: Page) -> Self {
        let mut manner = page.manner;
        manner.in_order = true;
        manner.redirect = None;
        let mut engine = Engine::new(page.content, manner);
        let mut decided = poll_fn(|cx| engine.poll_head(cx)).await;
        let wrong = page.wrong.or(decided.wrong.take());
        let mut head = decided.over(page.head);
        if let Some(cause) = engine.failures().ending().cause()
            && engine.failures().is_fatal()
        {
            let status = StatusCode::from_u16(cause.kind.status()).ok();
            head.status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        // There is no other response that could take its place.
        engine.given = true;
        Self {
            engine,
            wrong,
            octets: 0,
            status: head.status,
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.wrong.is_some() {
            return None;
        }
        match poll_fn(|cx| self.engine.poll(cx)).await {
            Step::Octets(octets) => {
                self.octets += octets.len() as u64;
                Some(octets)
            }
            Step::End => None,
        }
    }

    fn written(self) -> Written {
        let failures = self.engine.failures();
        let ending = self.wrong.map_or_else(|| failures.ending(), Ending::Failed);
        Written {
            failed_parts: failures.told().to_vec(),
            octets: self.octets,
            status: self.status,
            ending,
        }
    }
}

/// Puts the failures behind the first `told` into the record; gives how many are there then.
fn tell(engine: &Engine, producer: &mut Producer, told: usize) -> usize {
    let all = engine.failures().told();
    for part in &all[told..] {
        producer.part_failed(part.clone());
    }
    all.len()
}

/// Writes a page into its body.
async fn write(
    mut engine: Engine,
    mut producer: Producer,
    mut told: usize,
) -> Result<Finished, Abort> {
    loop {
        let step = poll_fn(|cx| {
            let step = engine.poll(cx);
            // At once, so that the record has them also if the client leaves now.
            told = tell(&engine, &mut producer, told);
            step
        });
        match step.await {
            Step::Octets(octets) => producer.send(octets).await?,
            Step::End => break,
        }
    }
    match engine.failures().ending() {
        Ending::Complete => {}
        Ending::Degraded(cause) => producer.degrade(cause),
        Ending::Failed(cause) | Ending::Cancelled(cause) => return Ok(producer.fail(cause)),
    }
    if let Some(fields) = engine.failures().trailers() {
        producer.trailers(fields);
    }
    Ok(producer.finish())
}
