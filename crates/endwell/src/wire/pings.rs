//! HTTP/2 PING: has the peer's HTTP/2 layer read everything that went before?
//!
//! Reads: what the peer sends, above TLS. Gives: the frame that asks, for the transport to send when no other frame is
//! under way, and the answer to the bodies that wait for it. Never: lets hyper see an answer that it did not ask for.
//!
//! A kernel acknowledges for a program that does not run. The answer to a PING comes from the program, and frames are
//! handled in order: what stood before the PING was read before it was answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

/// A PING: nine octets of head, eight of payload (RFC 9113 section 6.7).
const FRAME: usize = HEAD + 8;
const HEAD: usize = 9;
const PING: u8 = 6;
const ACK: u8 = 1;
/// How our payloads begin; a number follows. Other than those of h2.
const MARK: [u8; 4] = *b"endw";
/// How every client begins (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection has asked and heard. One PING at a time is on its way: it answers for all that
/// was asked before it was sent.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    due: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often somebody has asked.
    asked: u32,
    /// The number in the PING that was sent last.
    sent: u32,
    /// The number in the last answer.
    answered: u32,
    waiters: Vec<Waker>,
}

impl Pings {
    /// Asks; gives the number of the answer to wait for. The transport's task must be woken.
    pub(crate) fn ask(&self) -> u32 {
        let mut state = self.lock();
        state.asked = state.asked.wrapping_add(1);
        self.due
            .store(state.sent == state.answered, Ordering::Release);
        state.asked
    }

    /// The frame to be sent now, if one is.
    pub(crate) fn due(&self) -> Option<[u8; FRAME]> {
        if !self.due.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        self.due.store(false, Ordering::Release);
        state.sent = state.asked;
        let mut frame = [0; FRAME];
        frame[2] = 8;
        frame[3] = PING;
        frame[HEAD..HEAD + 4].copy_from_slice(&MARK);
        frame[HEAD + 4..].copy_from_slice(&state.sent.to_be_bytes());
        Some(frame)
    }

    /// Whether the answer to what was asked has come; else wakes the task when one comes.
    pub(crate) fn poll_answered(&self, number: u32, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        // Numbers go round: the answer is a later one, not a larger one.
        if state.answered.wrapping_sub(number) < u32::MAX / 2 {
            return Poll::Ready(());
        }
        let waiters = &mut state.waiters;
        if !waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiters.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Wakes who waits, for no answer will come.
    pub(crate) fn give_up(&self) {
        let waiters = std::mem::take(&mut self.lock().waiters);
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Takes an answer; `false` if nothing of ours was asked so.
    fn answer(&self, payload: &[u8]) -> bool {
        let mut state = self.lock();
        let sent = state.sent;
        if sent == state.answered || payload[..4] != MARK || payload[4..] != sent.to_be_bytes() {
            return false;
        }
        state.answered = sent;
        self.due.store(state.asked != sent, Ordering::Release);
        drop(state);
        self.give_up();
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left to write of a PING.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    frame: [u8; FRAME],
    left: usize,
}

impl Rest {
    /// Begins with a frame; the one before is through, for one PING at a time is on its way.
    pub(crate) fn begin(&mut self, frame: [u8; FRAME]) {
        self.frame = frame;
        self.left = FRAME;
    }

    /// The octets to be written next, if there are any.
    pub(crate) fn left(&self) -> Option<&[u8]> {
        (self.left > 0).then(|| &self.frame[FRAME - self.left..])
    }

    pub(crate) fn wrote(&mut self, octets: usize) {
        self.left = self.left.saturating_sub(octets);
    }
}

/// Follows the frames of a peer, to find answers among them.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// So many octets of the preface have come.
    Preface(usize),
    /// Within frames.
    Frames(Frames),
    /// Not HTTP/2.
    Other,
}

/// Where in a frame its octets stand.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Octets of a payload that are to come, and that nobody here asks for.
    skip: usize,
    /// The beginning of a frame: its head, and the payload if it may be an answer.
    begun: [u8; FRAME],
    filled: usize,
}

impl Default for Inbound {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Inbound {
    /// Looks at what was read behind `from`, and takes our answers out of it.
    ///
    /// An answer that came in two reads is heard at the second and left there: h2 ignores what it did not ask for.
    pub(crate) fn hear(&mut self, pings: &Pings, buf: &mut ReadBuf<'_>, from: usize) {
        let mut at = from;
        if let Self::Preface(seen) = self {
            let new = &buf.filled()[at..];
            let alike = new
                .iter()
                .zip(&PREFACE[*seen..])
                .take_while(|(a, b)| a == b);
            let alike = alike.count();
            *seen += alike;
            at += alike;
            if *seen == PREFACE.len() {
                *self = Self::Frames(Frames::default());
            } else if at < buf.filled().len() {
                *self = Self::Other;
            }
        }
        let Self::Frames(frames) = self else { return };
        while at < buf.filled().len() {
            at += frames.take(&buf.filled()[at..]);
            let Some(payload) = frames.payload() else {
                continue;
            };
            if pings.answer(&payload) && at - from >= FRAME {
                let whole = buf.filled().len();
                buf.filled_mut().copy_within(at.., at - FRAME);
                buf.set_filled(whole - FRAME);
                at -= FRAME;
            }
        }
    }
}

impl Frames {
    /// Takes some octets, at least one; gives how many.
    fn take(&mut self, octets: &[u8]) -> usize {
        if self.skip > 0 {
            let skipped = self.skip.min(octets.len());
            self.skip -= skipped;
            return skipped;
        }
        let wanted = if self.filled < HEAD { HEAD } else { FRAME };
        let taken = (wanted - self.filled).min(octets.len());
        self.begun[self.filled..self.filled + taken].copy_from_slice(&octets[..taken]);
        self.filled += taken;
        let [a, b, c, kind, flags, ..] = self.begun;
        if self.filled == HEAD && ([a, b, c], kind, flags & 1) != ([0, 0, 8], PING, ACK) {
            self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            self.filled = 0;
        }
        taken
    }

    /// The payload of the answer that has just become whole.
    fn payload(&mut self) -> Option<[u8; 8]> {
        if self.filled < FRAME {
            return None;
        }
        self.filled = 0;
        self.begun[HEAD..].try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What h2 is given of `octets` that come in reads of `size`.
    fn through(pings: &Pings, octets: &[u8], size: usize) -> Vec<u8> {
        let mut inbound = Inbound::default();
        let mut given = Vec::new();
        for read in octets.chunks(size) {
            let mut space = [0; 256];
            let mut buf = ReadBuf::new(&mut space);
            buf.put_slice(b"before");
            buf.put_slice(read);
            inbound.hear(pings, &mut buf, 6);
            assert!(buf.filled().starts_with(b"before"));
            given.extend_from_slice(&buf.filled()[6..]);
        }
        given
    }

    fn answer_to(ping: [u8; FRAME]) -> [u8; FRAME] {
        let mut answer = ping;
        answer[4] = ACK;
        answer
    }

    fn is_answered(pings: &Pings, number: u32) -> bool {
        let cx = Context::from_waker(Waker::noop());
        pings.poll_answered(number, &cx).is_ready()
    }

    #[test]
    fn an_answer_is_heard_at_any_cut_and_taken_out_where_it_is_whole() {
        // A frame whose payload looks like an answer, and one that is a PING of the peer's own.
        for size in 1..=200 {
            let pings = Pings::default();
            let number = pings.ask();
            let ping = pings.due().expect("it was asked");
            assert!(pings.due().is_none(), "it is on its way");
            let answer = answer_to(ping);
            let data = [&[0, 0, 17, 0, 0, 0, 0, 0, 1][..], &answer].concat();
            let theirs = [&[0, 0, 8, PING, 0, 0, 0, 0, 0][..], b"whatever"].concat();
            let other = [&[0, 0, 8, PING, ACK, 0, 0, 0, 0][..], b"h2 asked"].concat();
            let empty = [0, 0, 0, 4, 1, 0, 0, 0, 0];
            let before = [&PREFACE[..], &empty, &data, &theirs].concat();
            let after = [&other[..], &data].concat();
            let all = [&before[..], &answer, &after].concat();
            let given = through(&pings, &all, size);
            assert!(is_answered(&pings, number), "in reads of {size}");
            let without = [&before[..], &after].concat();
            assert!(given == without || given == all, "in reads of {size}");
            assert!(size < all.len() || given == without, "in one read");
        }
    }

    #[test]
    fn one_question_at_a_time_answers_for_all_before_it() {
        let pings = Pings::default();
        let (first, second) = (pings.ask(), pings.ask());
        let ping = pings.due().expect("it was asked");
        let third = pings.ask();
        assert!(pings.due().is_none(), "one is on its way");
        assert!(!pings.answer(b"endw\xff\xff\xff\xff"), "of another number");
        assert!(!is_answered(&pings, first));
        assert!(pings.answer(&ping[HEAD..]));
        assert!(!pings.answer(&ping[HEAD..]), "once");
        assert!(is_answered(&pings, first) && is_answered(&pings, second));
        assert!(!is_answered(&pings, third));
        let next = pings.due().expect("the third waits");
        assert!(pings.answer(&next[HEAD..]));
        assert!(is_answered(&pings, third));
        assert!(pings.due().is_none());
    }

    #[test]
    fn what_is_not_http2_passes() {
        for octets in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PRI * HTTP/1.1\r\n",
            b"PRI",
        ] {
            let pings = Pings::default();
            pings.ask();
            assert_eq!(through(&pings, octets, 5), octets);
        }
    }
}
