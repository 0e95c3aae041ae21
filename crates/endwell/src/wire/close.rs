//! Closes a connection after its last octet, so that no octet is lost and no end is feigned.
//!
//! Reads: the transport and the way to close it. Gives: FIN, close_notify or RST, and the
//! exchange back once that is out. Closing connections are counted until they are closed: see [`settled`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use endwell_core::Policy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::conn::{Close, Conn, Departed};
use super::head::answer;
use super::http2::in_ticks;
use super::socket::SharedTcp;
use super::transport::Transport;

static CLOSING: AtomicUsize = AtomicUsize::new(0);
static CLOSED: Notify = Notify::const_new();

/// A chunk-size line that promises octets which never come.
const OPEN_CHUNK: &[u8] = b"400\r\n";

/// Waits until every connection of ours that is being closed has been closed.
///
/// A server that exits at once would cut what closing connections still deliver. Our own
/// [`serve`](crate::serve) waits by itself; call this after a stock server has stopped. It
/// takes as long as their last octets need, and the policy's stall deadline where a peer takes none.
pub async fn settled() {
    loop {
        let closed = CLOSED.notified();
        if CLOSING.load(Ordering::Acquire) == 0 {
            return;
        }
        closed.await;
    }
}

/// The answer to a head that did not come in time (RFC 9110 section 15.5.9).
pub(crate) fn request_timeout() -> Vec<u8> {
    answer("408 Request Timeout")
}

/// How many connections are being closed.
pub(crate) fn closing() -> usize {
    CLOSING.load(Ordering::Acquire)
}

/// Counts a closing connection while it lives.
struct Closing;

impl Closing {
    fn new() -> Self {
        CLOSING.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if CLOSING.fetch_sub(1, Ordering::AcqRel) == 1 {
            CLOSED.notify_waiters();
        }
    }
}

/// Closes a transport that the HTTP implementation has let go.
///
/// Needs a runtime for what takes time; without one it is a plain close, and a reset where a
/// plain close would make a body look whole.
pub(crate) fn close(transport: Transport, conn: Arc<Conn>, shut: bool) {
    let way = conn.take_close();
    let tcp = conn.tcp();
    conn.release();
    let Some(tcp) = tcp else { return };
    conn.note_unacknowledged(tcp.unacknowledged());
    let unproven = conn.is_unproven();
    let lasting = match &way {
        Close::Kill => {
            let _ = tcp.arm_reset();
            false
        }
        Close::Reset(..) => true,
        // There is nothing that could be lost, and no way to say goodbye.
        _ if !transport.is_open() => false,
        // The armed reset is the truth about a close-delimited body that was left half-way.
        Close::InOrder | Close::Cut(_) | Close::OpenChunk(_) | Close::Answer(_) if unproven => {
            false
        }
        // hyper did not get to its flush and shutdown: the body may not have left.
        Close::InOrder if conn.is_armed() && !shut => false,
        // The peer has closed its side: nothing of it is unread that could turn our FIN into a reset.
        Close::InOrder => !conn.read_end() && conn.departed() != Some(Departed::Rst),
        Close::Cut(_) | Close::OpenChunk(_) | Close::Answer(_) => true,
    };
    let runtime = tokio::runtime::Handle::try_current();
    let (true, Ok(runtime)) = (lasting, runtime) else {
        return;
    };
    let closing = Closing::new();
    runtime.spawn(async move {
        let policy = conn.policy().cloned().unwrap_or_default();
        match way {
            Close::Reset(exchange, grace) => {
                // A reset by the peer leaves the queue as it was: it must be looked for.
                let departed = tokio::select! {
                    () = acknowledged(&tcp, &policy, 0) => false,
                    _ = tcp.clone().departure(false) => true,
                };
                conn.note_unacknowledged(tcp.unacknowledged());
                if !departed {
                    sleep(in_ticks(grace)).await;
                }
                // The last handle closes the socket, and the armed linger makes that a reset.
                drop((transport, tcp));
                if !departed {
                    exchange.signalled();
                }
                drop(closing);
            }
            Close::Cut(exchange) => {
                let told = move || exchange.signalled();
                half_close(transport, tcp, &policy, shut, &[], closing, told).await;
            }
            Close::OpenChunk(exchange) => {
                let told = move || exchange.signalled();
                half_close(transport, tcp, &policy, shut, OPEN_CHUNK, closing, told).await;
            }
            Close::Answer(answer) => {
                half_close(transport, tcp, &policy, shut, &answer, closing, || {}).await;
            }
            Close::InOrder | Close::Kill => {
                half_close(transport, tcp, &policy, shut, &[], closing, || {}).await;
            }
        }
    });
}

/// FIN, over TLS after close_notify; then reads and discards what the peer still sends, so
/// that the kernel does not turn the close into a reset (RFC 9112 section 9.6).
async fn half_close(
    mut transport: Transport,
    tcp: SharedTcp,
    policy: &Policy,
    shut: bool,
    last: &[u8],
    closing: Closing,
    told: impl FnOnce(),
) {
    let sent = timeout(policy.linger.total, async {
        if !last.is_empty() {
            transport.write_all(last).await?;
            transport.flush().await?;
        }
        if !shut {
            transport.shutdown().await?;
        }
        io::Result::Ok(())
    });
    let ok = matches!(sent.await, Ok(Ok(())));
    if !ok {
        return;
    }
    told();
    let acknowledged_all = AtomicBool::new(false);
    let delivered = async {
        // The FIN counts as an octet on its way.
        acknowledged(&tcp, policy, 1).await;
        acknowledged_all.store(true, Ordering::Release);
        // A server that stops waits no longer: what is left is courtesy to a peer that still sends.
        drop(closing);
        sleep(policy.linger.total).await;
    };
    tokio::select! {
        () = discard(tcp.clone(), policy.linger.idle, &acknowledged_all) => {}
        () = delivered => {}
    }
}

/// Reads and throws away until the peer has closed, or is silent with everything acknowledged.
async fn discard(mut tcp: SharedTcp, idle: Duration, acknowledged: &AtomicBool) {
    let mut scratch = vec![0_u8; 8 * 1024];
    loop {
        match timeout(idle, tcp.read(&mut scratch)).await {
            Ok(Ok(octets)) if octets > 0 => {}
            Ok(Ok(_) | Err(_)) => return,
            Err(_) if acknowledged.load(Ordering::Acquire) => return,
            Err(_) => {}
        }
    }
}

/// Waits until the peer's kernel has everything but so many octets, as long as it makes progress.
async fn acknowledged(tcp: &SharedTcp, policy: &Policy, besides: u64) {
    let still = policy.stall_deadline.unwrap_or(Duration::from_secs(60));
    let mut left = u64::MAX;
    let mut at = Instant::now();
    let mut pause = Duration::from_millis(1);
    // On a short path the acknowledgement is here before a timer could be.
    let mut glances = 3;
    while let Some(queued) = tcp.unacknowledged().filter(|queued| *queued > besides) {
        if queued < left {
            left = queued;
            at = Instant::now();
        } else if at.elapsed() >= still {
            return;
        }
        if glances > 0 {
            glances -= 1;
            tokio::task::yield_now().await;
            continue;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(4));
    }
}
