//! How a body breaks: everything yielded is delivered, then the error.
//!
//! Reads: what has left, from the connection. Gives: [`WireBroken`], once nothing is lost by it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use endwell_core::{Protocol, WireEnding};
use http_body::{Body as HttpBody, Frame};

use super::{Step, WireBody};
use crate::producer::BoxError;
use crate::wire::broken::WireBroken;
use crate::wire::conn::Message as _;
use crate::wire::exchange::Chunk;
use crate::wire::http1;
use crate::wire::http2::Delivery;

impl<B> WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Waits until everything yielded is delivered, then breaks.
    pub(super) fn poll_break(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireBroken>>> {
        let Step::Breaking(wire, delivery) = &mut self.step else {
            return Poll::Ready(None);
        };
        let wire = *wire;
        let Some(conn) = &self.exchange.conn else {
            if delivery.is_none() {
                // Without a connection of ours: one round, in which hyper flushes HTTP/1.
                *delivery = Some(Delivery::new());
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.exchange.signalled();
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        };
        if wire == WireEnding::Stop || self.situation.untouched {
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        }
        if self.situation.protocol == Protocol::Http3 {
            // What drives the stream knows what has arrived, and waits for it.
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        }
        if self.situation.protocol.is_multiplexed() {
            if self.exchange.chunks.handed() == 0 {
                // A reset throws an unsent head away: an empty owned chunk tells when it left.
                let empty = Chunk::owned(Bytes::new(), &self.exchange);
                return Poll::Ready(Some(Ok(Frame::data(empty))));
            }
            let delivery = delivery.get_or_insert_with(Delivery::new);
            let delivered =
                ready!(delivery.poll(conn, &self.exchange, &self.policy, self.client, cx));
            if delivered.is_ok() {
                self.exchange.signalled();
            }
        } else if let Some(flushed) = &self.flushed
            && ready!(flushed.poll(conn, cx)).is_ok()
        {
            let round_trip = conn.round_trip();
            let grace = self.policy.grace.of(self.client, round_trip);
            let resets = wire == WireEnding::ResetConnection;
            let told = self.tail.as_ref().is_some_and(|tail| tail.has_told());
            if !resets && (told || self.client.browser || self.client.varnish) {
                // Streams of browsers and of Node drop what is queued in them when an error comes;
                // Chromium 156 lost the last chunk of 6 of 20 pages whose FIN came with it, of none
                // after 25 ms. Other programs lost nothing. Varnish 7.1.1 forgets a failure that it saw
                // before its own answer began.
                let reading = &mut self.reading;
                let reading = reading.get_or_insert_with(|| Box::pin(tokio::time::sleep(grace)));
                ready!(reading.as_mut().poll(cx));
            }
            http1::close(conn, wire, &self.exchange, grace);
        }
        Poll::Ready(Some(Err(WireBroken::new(wire))))
    }
}
