//! Holds a head until it is known that it may go.
//!
//! Reads: the application's body, up to its first octet or, on HTTP/1.0, up to a length worth
//! knowing. Gives: leave to go, or the ending that takes the head's place.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Ending, Framing, Hold, Kind, Policy, SaidBy, Unprotected};
use http_body::Body as HttpBody;

use crate::producer::BoxError;
use crate::wire::body::{WireBody, gone};
use crate::wire::exchange::Exchange;
use crate::wire::intake::First;

/// How long and for what a head is held.
pub(super) struct HowToHold {
    /// It may go once so many octets are there.
    octets: usize,
    /// Or after this time; `None` waits without limit.
    time: Option<Duration>,
    /// Unless the body is over by then, it is refused.
    or_refuse: bool,
    /// A promise of nothing is fulfilled by the head itself: only the proven end lets it go.
    to_the_end: bool,
    _budget: Option<Budget>,
}

impl HowToHold {
    /// Decides for a response of this framing.
    ///
    /// Shapes: `at_once`, its head must not wait; `owned`, a failure can be told by a reset of the
    /// connection; `held`, the octets that all responses of the server hold already.
    pub(super) fn new(
        policy: &Policy,
        framing: Framing,
        promised: Option<u64>,
        at_once: bool,
        owned: bool,
        held: &Arc<AtomicUsize>,
    ) -> Self {
        let to_the_end = promised == Some(0);
        let time = match (to_the_end, at_once) {
            (true, _) => None,
            (false, true) => Some(Duration::ZERO),
            (false, false) => policy.head_hold,
        };
        let mut how = Self {
            octets: 1,
            time,
            or_refuse: false,
            to_the_end,
            _budget: None,
        };
        if framing != Framing::CloseDelimited {
            return how;
        }
        if owned {
            how.budget(held, policy.http10_hold);
            return how;
        }
        match policy.http10_unprotected {
            Unprotected::Stream => {}
            Unprotected::Refuse => how.or_refuse = true,
            Unprotected::Hold(octets) => {
                how.or_refuse = true;
                how.time = None;
                how.octets = octets;
            }
        }
        how
    }

    /// Holds the head until the first octet, the end, the producer's wish or the deadline.
    pub(super) async fn hold<B>(
        self,
        body: &mut WireBody<B>,
        framing: Framing,
    ) -> Result<(), (Ending, SaidBy)>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let first = self.first(body).await?;
        let held = body.intake().held() as u64;
        match (first, body.promised()) {
            (First::Broken(ending, said_by), _) if held > 0 => {
                body.release(ending, said_by, !self.or_refuse)
            }
            (First::Broken(ending, said_by), _) => Err((ending, said_by)),
            (First::Go | First::Whole, Some(0)) if held > 0 => Err(failed(
                Kind::LengthExceeded,
                "more octets than the 0 promised".to_owned(),
            )),
            (First::Whole, Some(promised)) if held < promised => Err(failed(
                Kind::LengthShort,
                format!("the body ended at octet {held} of {promised} promised"),
            )),
            (First::Whole, None) if framing == Framing::CloseDelimited => {
                body.promise(held);
                Ok(())
            }
            (First::Go, _) if self.or_refuse => Err(failed(
                Kind::Unprotected,
                "a failure could not be told over HTTP/1.0 here; ask with HTTP/1.1".to_owned(),
            )),
            (First::Go | First::Whole, _) => Ok(()),
        }
    }

    async fn first<B>(&self, body: &mut WireBody<B>) -> Result<First, (Ending, SaidBy)>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let exchange = Arc::clone(body.exchange());
        let mut alarm = None;
        poll_fn(|cx| {
            while let Poll::Ready(first) = body.intake().poll_first(self.octets, cx) {
                let goes_on = self.to_the_end && matches!(first, First::Go);
                if !goes_on || body.intake().held() > 0 || body.intake().knows_its_end() {
                    return Poll::Ready(Ok(first));
                }
            }
            if let Poll::Ready(ended) = poll_interruption(&exchange, cx) {
                return Poll::Ready(Err(ended));
            }
            let time = match self.time {
                Some(Duration::ZERO) => return Poll::Ready(Ok(First::Go)),
                Some(time) => time,
                None => return Poll::Pending,
            };
            let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            alarm.as_mut().poll(cx).map(|()| Ok(First::Go))
        })
        .await
    }

    /// Holds as many octets as the server has left for that.
    fn budget(&mut self, held: &Arc<AtomicUsize>, hold: Hold) {
        let budget = Budget::take(held, hold);
        if budget.is_some() {
            self.octets = hold.octets;
        }
        self._budget = budget;
    }
}

/// Octets of HTTP/1.0 bodies that all responses together may hold; dropped, it gives them back.
struct Budget {
    held: Arc<AtomicUsize>,
    octets: usize,
}

impl Budget {
    fn take(held: &Arc<AtomicUsize>, hold: Hold) -> Option<Self> {
        let before = held.fetch_add(hold.octets, Ordering::AcqRel);
        let budget = Self {
            held: Arc::clone(held),
            octets: hold.octets,
        };
        (before.saturating_add(hold.octets) <= hold.budget).then_some(budget)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.held.fetch_sub(self.octets, Ordering::AcqRel);
    }
}

fn failed(kind: Kind, message: String) -> (Ending, SaidBy) {
    (Ending::Failed(Cause::new(kind, message)), SaidBy::Server)
}

/// Whether the server or the peer ends the exchange while its head is still out.
pub(super) fn poll_interruption(
    exchange: &Arc<Exchange>,
    cx: &mut Context<'_>,
) -> Poll<(Ending, SaidBy)> {
    let Some(conn) = &exchange.conn else {
        return Poll::Pending;
    };
    exchange.register(cx);
    if let Some(cause) = conn.killed().or(conn.ordered()) {
        return Poll::Ready((Ending::Failed(cause.clone()), SaidBy::Server));
    }
    if exchange.protocol.is_multiplexed() {
        // hyper sees a reset stream and a lost connection itself.
        return Poll::Pending;
    }
    conn.poll_departure(cx)
        .map(|departure| (gone(exchange, departure), SaidBy::Server))
}
