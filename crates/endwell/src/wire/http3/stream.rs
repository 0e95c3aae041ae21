//! One request over HTTP/3.
//!
//! Reads: the head of a request. Gives: the request to the application, and its response to [`Respond`]; to the client the
//! refusal of what no application shall see.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h3::error::StreamError;
use h3::server::{RequestResolver, RequestStream};
use http::header::{CONTENT_LENGTH, EXPECT, TE};
use http::{HeaderMap, Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::adapter::{Opened, Quic};
use super::content::{Http3Content, Wanted};
use super::frame::{LATE, TOO_LARGE, code};
use super::inbound::{Broken, Inbound, Piece};
use super::letters::Letters;
use super::malformed::is_malformed_head;
use super::respond::{Respond, answer_by_server, at_once};
use super::section::Undecodable;
use super::sending::Sending;
use super::window::Window;
use crate::limits::Limits;
use crate::producer::BoxError;
use crate::wire::body::WireBody;
use crate::wire::broken::WireBroken;
use crate::wire::conn::Conn;

/// A request stream on which no head has come yet.
pub(crate) struct Stream {
    pub(super) opened: Opened,
    pub(super) resolver: RequestResolver<Quic, Bytes>,
    pub(super) quic: quinn::Connection,
    pub(super) conn: Arc<Conn>,
    pub(super) limits: Arc<Limits>,
    pub(super) window: Arc<Window>,
}

impl Stream {
    /// Serves the request that comes on it, to the end of its response.
    pub(crate) async fn serve<S, B>(self, mut app: S)
    where
        S: Service<Request<Http3Content>, Response = Response<WireBody<B>>, Error = WireBroken>,
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let conn = Arc::clone(&self.conn);
        let Some((request, mut respond, wanted)) = self.head().await else {
            // h3 remembers it as long as the connection lives: it counts with the cancelled ones.
            conn.note_request_over(true);
            return;
        };
        // There is no record before the call; a client that leaves ends this wait, too.
        let answer = async {
            poll_fn(|cx| app.poll_ready(cx)).await?;
            app.call(request).await
        };
        match respond.answer(answer, wanted).await {
            Some(Ok(response)) => respond.send(response).await,
            // No part of the application has seen it.
            Some(Err(broken)) => respond.refuse(broken.code()),
            None => respond.refuse(None),
        }
    }

    /// Reads the head of the request; answers it here where there is none for the application.
    async fn head(mut self) -> Option<(Request<Http3Content>, Respond, Option<Arc<Wanted>>)> {
        let (send, recv) = self.opened.take()?;
        let letters = self.opened.letters.clone();
        let mut sending =
            Sending::new(send, Arc::clone(&self.conn), self.quic.clone(), self.window);
        let mut inbound = Inbound::new(recv, self.quic.clone(), self.limits.head);
        let read = read(
            &mut inbound,
            &letters,
            self.resolver,
            &self.quic,
            &self.limits,
        );
        let (request, stream) = match read.await {
            Ok(read) => read,
            Err(Refusal::Reset(code)) => {
                sending.reset(code);
                return None;
            }
            Err(Refusal::Answer(head)) => {
                answer_by_server(sending, head).await;
                return None;
            }
            Err(Refusal::Closing) => return None,
        };
        let (fields, trailers) = stream.split();
        let (content, wanted) = content(&request, inbound, &letters, trailers);
        let respond = Respond::new(sending, letters, fields, self.conn);
        Some((request.map(|()| content), respond, wanted))
    }
}

/// What becomes of a request that no application sees.
enum Refusal {
    /// Its stream is reset with this code.
    Reset(u64),
    /// It gets this head.
    Answer(Bytes),
    /// The connection is closed, and says why.
    Closing,
}

/// Reads the fields of a request, and lets h3 make a head of them.
async fn read(
    inbound: &mut Inbound,
    letters: &Letters,
    resolver: RequestResolver<Quic, Bytes>,
    quic: &quinn::Connection,
    limits: &Limits,
) -> Result<(Request<()>, RequestStream<Letters, Bytes>), Refusal> {
    let frame = fields(inbound, limits).await?;
    let malformed = is_malformed_head(&frame);
    letters.put(frame);
    let malformed = malformed.map_err(|Undecodable(why)| {
        inbound.violate(code::QPACK_DECOMPRESSION_FAILED, why);
        Refusal::Closing
    })?;
    // h3 has the whole frame: it needs not wait.
    let (request, stream) = match at_once(resolver.resolve_request()) {
        Some(Ok(resolved)) => resolved,
        Some(Err(StreamError::ConnectionError { .. })) => {
            // h3 closes the connection: what could be said of the stream would only hide why.
            let _ = tokio::time::timeout(limits.head_timeout, quic.closed()).await;
            return Err(Refusal::Closing);
        }
        Some(Err(_)) | None => {
            if !malformed && let Some(head) = letters.take().pop() {
                // Its fields are more than may be: 431, RFC 6585 section 5.
                inbound.stop(code::NO_ERROR);
                return Err(Refusal::Answer(head));
            }
            inbound.stop(code::MESSAGE_ERROR);
            let refused = letters.refused().unwrap_or(code::MESSAGE_ERROR.into());
            return Err(Refusal::Reset(refused));
        }
    };
    if malformed || is_malformed(request.headers()) {
        inbound.stop(code::MESSAGE_ERROR);
        return Err(Refusal::Reset(code::MESSAGE_ERROR.into()));
    }
    Ok((request, stream))
}

/// The first frame of a request, which has its fields.
async fn fields(inbound: &mut Inbound, limits: &Limits) -> Result<Bytes, Refusal> {
    let piece = tokio::time::timeout(limits.head_timeout, poll_fn(|cx| inbound.poll_next(cx)));
    match piece.await {
        Ok(Ok(Piece::Fields(frame))) => Ok(frame),
        Ok(Ok(Piece::Data(_) | Piece::End)) => Err(Refusal::Reset(code::REQUEST_INCOMPLETE.into())),
        Ok(Err(Broken::TooLarge)) => Err(Refusal::Answer(Bytes::from_static(TOO_LARGE))),
        Ok(Err(Broken::Reset(_) | Broken::Lost | Broken::Violation(..))) => {
            Err(Refusal::Reset(code::REQUEST_REJECTED.into()))
        }
        Err(_late) => {
            inbound.stop(code::NO_ERROR);
            Err(Refusal::Answer(Bytes::from_static(LATE)))
        }
    }
}

/// The content of a request, and whether it is wanted where the client asks first.
fn content(
    request: &Request<()>,
    mut inbound: Inbound,
    letters: &Letters,
    trailers: RequestStream<Letters, Bytes>,
) -> (Http3Content, Option<Arc<Wanted>>) {
    let promised = request.headers().get(CONTENT_LENGTH);
    let promised = promised.and_then(|length| length.to_str().ok()?.parse().ok());
    if promised.unwrap_or(0) == 0 && inbound.is_at_end() {
        return (Http3Content::none(), None);
    }
    let expects = request.headers().get(EXPECT);
    let wanted = expects
        .is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        .then(Arc::<Wanted>::default);
    let content = Http3Content::new(inbound, letters.clone(), trailers, promised, wanted.clone());
    (content, wanted)
}

/// Whether values are what RFC 9114 sections 4.1.2 and 4.2 call malformed.
fn is_malformed(headers: &HeaderMap) -> bool {
    let te = headers.get_all(TE).iter().any(|te| te != "trailers");
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    let bad_length = lengths.next().is_some()
        || length.is_some_and(|length| {
            let digits = length.as_bytes();
            digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit)
        });
    te || bad_length
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    fn malformed(fields: &[(&'static str, &'static str)]) -> bool {
        let fields = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        is_malformed(&fields.collect())
    }

    #[test]
    fn bad_lengths_and_codings_are_malformed() {
        assert!(!malformed(&[("te", "trailers"), ("content-length", "0")]));
        assert!(malformed(&[("te", "gzip")]));
        for bad in ["", "-1", "+1", "1,1", "0x1", "9999999999999999999"] {
            assert!(malformed(&[("content-length", bad)]), "{bad}");
        }
        assert!(malformed(&[
            ("content-length", "1"),
            ("content-length", "1")
        ]));
    }
}
