//! The response to a request over HTTP/3.
//!
//! Reads: the frames and the ending of the response's body. Gives: to the client every octet produced, and then the signal
//! that [`plan`](endwell_core::plan) decided. The work is dropped at once when the client stops the stream.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::Bytes;
use endwell_core::{Cause, Framing, Kind};
use h3::server::RequestStream;
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Response, StatusCode, response};
use http_body::{Body as HttpBody, Frame};

use super::content::Wanted;
use super::frame::{CONTINUE, FAILED, code};
use super::letters::Letters;
use super::malformed::CONNECTION_SPECIFIC;
use super::sending::{Gone, Sending};
use crate::producer::BoxError;
use crate::wire::body::WireBody;
use crate::wire::broken::WireBroken;
use crate::wire::conn::{Conn, Message as _};
use crate::wire::exchange::{Exchange, Flown};
use crate::wire::http2::in_ticks;

/// So much of a small body is awaited before anything is written, so that it leaves with its head.
const TOGETHER: usize = 16 * 1024;

/// A response's way out.
pub(super) struct Respond {
    sending: Sending,
    letters: Letters,
    fields: RequestStream<Letters, Bytes>,
    conn: Arc<Conn>,
}

impl Respond {
    pub(super) fn new(
        sending: Sending,
        letters: Letters,
        fields: RequestStream<Letters, Bytes>,
        conn: Arc<Conn>,
    ) -> Self {
        Self {
            sending,
            letters,
            fields,
            conn,
        }
    }

    /// Resets the stream of a request that has no response: as told, else as cancelled.
    pub(super) fn refuse(&mut self, code: Option<u64>) {
        self.sending
            .reset(code.unwrap_or(code::REQUEST_CANCELLED.into()));
    }

    /// Waits for the application's answer; `None` if the client leaves first.
    pub(super) async fn answer<F, B>(
        &mut self,
        answer: F,
        mut wanted: Option<Arc<Wanted>>,
    ) -> Option<Result<Response<WireBody<B>>, WireBroken>>
    where
        F: Future<Output = Result<Response<WireBody<B>>, WireBroken>>,
    {
        let mut answer = pin!(answer);
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            if wanted.as_ref().is_some_and(|wanted| wanted.poll(cx)) {
                wanted = None;
                self.sending.push(Bytes::from_static(CONTINUE));
            }
            // Nothing waits here but 100 (Continue); an error is seen below, too.
            let _ = self.sending.poll_write(cx);
            self.sending.poll_gone(cx).map(|_gone| None)
        })
        .await
    }

    /// Sends the response, and ends it as its body says.
    pub(super) async fn send<B>(&mut self, response: Response<WireBody<B>>)
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = response.into_parts();
        complete_head(&mut head, &body);
        let exchange = Arc::clone(body.exchange());
        let mut body = Box::pin(body);
        if let Err(cause) = self.push_head(head) {
            drop(body);
            self.send_failure(&exchange, cause).await;
            return;
        }
        let over = self.send_body(body.as_mut(), &exchange).await;
        match &over {
            Ok(Over::Whole) => {}
            Ok(Over::Broken(code)) => self.sending.reset(*code),
            Err(_) => self.sending.reset(code::REQUEST_CANCELLED.into()),
        }
        // The work stops here. What the body counts when it goes is more than what was sent of it.
        drop(body);
        let signalled = over.is_ok();
        exchange.flown(Flown {
            sent: self.sending.sent(),
            acked: self.sending.flight.acked(),
            lost: over.err().map(|gone| (gone.cause, gone.signal)),
        });
        if signalled {
            exchange.signalled();
        }
    }

    /// Sends 500 in the place of a response whose head cannot be sent.
    async fn send_failure(&mut self, exchange: &Exchange, cause: Cause) {
        exchange.refused(cause, StatusCode::INTERNAL_SERVER_ERROR.as_u16());
        self.sending.push(Bytes::from_static(FAILED));
        let sent = match self.written(exchange).await {
            Ok(()) => {
                let conn = Arc::clone(&self.conn);
                let killed = |cx: &mut Context<'_>| killed(&conn, exchange, cx);
                self.sending.finish(killed).await
            }
            Err(gone) => Err(gone),
        };
        exchange.flown(Flown {
            sent: 0,
            acked: 0,
            lost: sent.err().map(|gone| (gone.cause, gone.signal)),
        });
    }

    /// Queues the head of a response.
    fn push_head(&mut self, head: response::Parts) -> Result<(), Cause> {
        if head.status.is_informational() {
            // RFC 9114 section 4.5: nothing is switched to; RFC 9110 section 15.2: no other is final either.
            let message = format!("over HTTP/3 no response ends with {}", head.status);
            return Err(Cause::new(Kind::InternalError, message));
        }
        let written = at_once(self.fields.send_response(Response::from_parts(head, ())));
        if self.push_fields(matches!(written, Some(Ok(())))) {
            return Ok(());
        }
        let message = "the head is larger than the client takes (SETTINGS_MAX_FIELD_SECTION_SIZE)";
        Err(Cause::new(Kind::InternalError, message))
    }

    /// Queues what h3 has written; not so fields that are more than the client says that it takes (RFC
    /// 9114 section 4.2.2).
    fn push_fields(&mut self, written: bool) -> bool {
        let frames = self.letters.take();
        if written {
            for frame in frames {
                self.sending.push(frame);
            }
        }
        written
    }

    /// Sends the frames of a body until it ends, and its end; whole, all of it has arrived.
    async fn send_body<B>(
        &mut self,
        mut body: Pin<&mut WireBody<B>>,
        exchange: &Exchange,
    ) -> Result<Over, Gone>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let mut undeclared = false;
        let broken = loop {
            match poll_fn(|cx| self.poll_body(body.as_mut(), cx)).await? {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(octets) => self.sending.push_content(octets),
                    Err(frame) => {
                        let fields = frame.into_trailers().unwrap_or_default();
                        let written = at_once(self.fields.send_trailers(fields));
                        if !self.push_fields(matches!(written, Some(Ok(())))) {
                            undeclared = exchange.trailers_refused(code::REQUEST_CANCELLED.into());
                        }
                    }
                },
                Some(Err(broken)) => break broken.code(),
                // The trailers would have said how it ended.
                None if undeclared => break Some(code::REQUEST_CANCELLED.into()),
                None => {
                    self.written(exchange).await?;
                    let conn = Arc::clone(&self.conn);
                    let killed = |cx: &mut Context<'_>| killed(&conn, exchange, cx);
                    self.sending.finish(killed).await?;
                    return Ok(Over::Whole);
                }
            }
            if self.sending.queued() >= TOGETHER {
                self.written(exchange).await?;
            }
        };
        let Some(code) = broken else {
            // Nobody is there who could be told.
            return Ok(Over::Broken(code::REQUEST_CANCELLED.into()));
        };
        self.written(exchange).await?;
        poll_fn(|cx| self.poll_delivered(exchange, cx)).await?;
        let grace = body.grace(self.sending.round_trip());
        tokio::time::sleep(in_ticks(grace)).await;
        Ok(Over::Broken(code))
    }

    /// The next frame of the body, while what is queued leaves.
    fn poll_body<B>(
        &mut self,
        body: Pin<&mut WireBody<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next, Gone>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        if let Poll::Ready(frame) = body.poll_frame(cx) {
            return Poll::Ready(Ok(frame));
        }
        if let Poll::Ready(Err(gone)) = self.sending.poll_write(cx) {
            return Poll::Ready(Err(gone));
        }
        self.sending.poll_gone(cx).map(Err)
    }

    /// Waits until QUIC has taken all that is queued.
    async fn written(&mut self, exchange: &Exchange) -> Result<(), Gone> {
        poll_fn(|cx| {
            if let Some(gone) = killed(&self.conn, exchange, cx) {
                return Poll::Ready(Err(gone));
            }
            self.sending.poll_write(cx)
        })
        .await
    }

    fn poll_delivered(
        &mut self,
        exchange: &Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        if let Some(gone) = killed(&self.conn, exchange, cx) {
            return Poll::Ready(Err(gone));
        }
        self.sending.poll_delivered(cx)
    }
}

/// What a body gives when it is asked.
type Next = Option<Result<Frame<Bytes>, WireBroken>>;

/// How a response's stream ends, once the client has all of it.
enum Over {
    Whole,
    /// To be reset with this code.
    Broken(u64),
}

/// Whether the server ends the connection now.
fn killed(conn: &Conn, exchange: &Exchange, cx: &Context<'_>) -> Option<Gone> {
    exchange.register(cx);
    conn.killed()?;
    let (cause, signal) = conn.why_gone();
    Some(Gone { cause, signal })
}

/// A head of the server's own, for a request of which there is no record.
pub(super) async fn answer_by_server(mut sending: Sending, head: Bytes) {
    sending.push(head);
    if poll_fn(|cx| sending.poll_write(cx)).await.is_ok() {
        let _ = sending.finish(|_| None).await;
    }
}

/// What hyper adds to a head, and what HTTP/3 has no place for (RFC 9114 section 4.2).
fn complete_head<B>(head: &mut response::Parts, body: &WireBody<B>)
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let headers = &mut head.headers;
    for name in CONNECTION_SPECIFIC {
        headers.remove(name);
    }
    if !headers.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(DATE, date);
    }
    if head.status == StatusCode::NO_CONTENT {
        // RFC 9110 section 8.6.
        headers.remove(CONTENT_LENGTH);
    }
    if let Some(length) = body.length()
        && body.situation.framing != Framing::NoBody
    {
        headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| length.into());
    }
}

/// The output of a future that has nothing to wait for.
pub(super) fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut nobody = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut nobody) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
