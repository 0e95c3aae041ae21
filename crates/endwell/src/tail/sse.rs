//! Server-sent events (WHATWG HTML, section 9.2): the reason as an `error` event.
//!
//! Reads: the octets of the stream. Gives: an event that a client dispatches as one of type `error`,
//! wherever the stream was cut. Never: lets a client dispatch a cut event as if it were whole, or
//! take its `id` for the last one received.
//!
//! A blank line dispatches what has gathered, and nothing in the format takes gathered data back. So
//! a cut event is not ended: it *becomes* the error event. The fields that follow give it its type
//! and, as the last line of its data, the reason; its `id` is set back to that of the last whole
//! event, so that a client that reconnects asks for the cut one again.

use std::time::Duration;

use bytes::Bytes;

/// The longest `id` that is remembered, in octets. Beyond it an `id` that was cut off cannot be set
/// back, and the reason is written as a comment, which no client dispatches.
const LONGEST_ID: usize = 1024;

/// What browsers wait by themselves before they reconnect (Chromium; Firefox waits 5 s).
const RECONNECT: Duration = Duration::from_secs(3);

/// The pause for [`Retry::Never`](endwell_core::Retry::Never): `EventSource` reconnects whatever it is
/// told, unless it is answered 204; an hour keeps it from asking in vain.
const RECONNECT_NEVER: Duration = Duration::from_secs(60 * 60);

/// Where in a stream of events the octets stopped.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// How many octets of a byte order mark at the start of the stream were skipped; `3`: no more.
    mark: usize,
    /// The line under way, as far as it may be an `id`.
    line: Vec<u8>,
    /// The line under way has more octets than `line`.
    other: bool,
    /// The last octet was CR: a LF now belongs to it.
    cr: bool,
    /// Of the event under way; `None`, it has named none.
    id: Option<Id>,
    /// Of the last event that was dispatched.
    last: Option<Id>,
}

/// An `id`, or that it was longer than what is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Known(Vec<u8>),
    TooLong,
}

impl Id {
    fn of(value: &[u8]) -> Self {
        if value.len() > LONGEST_ID {
            return Self::TooLong;
        }
        Self::Known(value.to_vec())
    }
}

impl Events {
    /// The stream goes on after an event that the client names in `Last-Event-ID`.
    pub(super) fn resume(&mut self, id: &[u8]) {
        if self.last.is_none() {
            self.last = Some(Id::of(id));
        }
    }

    pub(super) fn watch(&mut self, octets: &[u8]) {
        const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        for &octet in octets {
            if self.mark < MARK.len() {
                if octet == MARK[self.mark] {
                    self.mark += 1;
                    continue;
                }
                // What began like a mark is an unknown field.
                self.other = self.mark > 0;
                self.mark = MARK.len();
            }
            let lf_of_crlf = octet == b'\n' && self.cr;
            self.cr = octet == b'\r';
            match octet {
                b'\n' if lf_of_crlf => {}
                b'\n' | b'\r' => self.end_line(),
                _ => self.extend_line(octet),
            }
        }
    }

    fn extend_line(&mut self, octet: u8) {
        const FIELD: &[u8] = b"id:";
        if self.other {
            return;
        }
        let at = self.line.len();
        if at < FIELD.len() && octet != FIELD[at] {
            self.other = true;
            return;
        }
        // One more than is remembered tells that it is too long; and the space.
        if at < FIELD.len() + LONGEST_ID + 2 {
            self.line.push(octet);
        }
    }

    /// The `id` that the line under way sets, if it ends here.
    fn id_of_line(&self) -> Option<Id> {
        if self.other {
            return None;
        }
        let value = match self.line.strip_prefix(b"id:") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if self.line == b"id" => b"",
            None => return None,
        };
        (!value.contains(&0)).then(|| Id::of(value))
    }

    fn is_in_line(&self) -> bool {
        self.other || !self.line.is_empty() || (1..3).contains(&self.mark)
    }

    fn end_line(&mut self) {
        if !self.is_in_line() {
            // A blank line dispatches; the id stays in force until another one is named.
            if let Some(id) = self.id.take() {
                self.last = Some(id);
            }
            return;
        }
        if let Some(id) = self.id_of_line() {
            self.id = Some(id);
        }
        self.line.clear();
        self.other = false;
    }

    /// The `error` event.
    pub(super) fn write(&self, problem: &str, reconnect: Option<Duration>, never: bool) -> Bytes {
        let mut text = Vec::with_capacity(problem.len() + 80);
        if self.is_in_line() {
            text.push(b'\n');
        }
        let cut_id = self.id.is_some() || self.id_of_line().is_some();
        match (&self.last, cut_id) {
            (Some(Id::TooLong), true) => {
                text.extend_from_slice(format!(": {problem}\n").as_bytes());
                return text.into();
            }
            // Said even if nothing was cut: by the standard a resumed stream begins with none.
            (Some(Id::Known(id)), _) => {
                text.extend_from_slice(b"id: ");
                text.extend_from_slice(id);
                text.push(b'\n');
            }
            (None, true) => text.extend_from_slice(b"id\n"),
            (Some(Id::TooLong), false) | (None, false) => {}
        }
        let pause = match (reconnect, never) {
            (Some(pause), _) => pause,
            (None, true) => RECONNECT_NEVER,
            (None, false) => RECONNECT,
        };
        let pause = pause.as_millis();
        let fields = format!("event: error\nretry: {pause}\ndata: {problem}\n\n");
        text.extend_from_slice(fields.as_bytes());
        text.into()
    }
}
