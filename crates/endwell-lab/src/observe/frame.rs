//! The HTTP/2 frame codec, RFC 9113 sections 4 and 6.
//!
//! Reads: octets in whatever pieces they come.
//! Gives: frames, their payload without padding, and a short text of each.
//! Never: knows streams or connections.

/// What a client sends first, RFC 9113 section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest payload: the protocol's default, which the observer never raises.
pub(super) const MAX_PAYLOAD: usize = 16_384;

/// Octets of a frame header.
pub(super) const HEADER: usize = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A frame type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Unknown(u8),
}

impl Kind {
    fn of(octet: u8) -> Self {
        match octet {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }

    fn octet(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::RstStream => 3,
            Self::Settings => 4,
            Self::PushPromise => 5,
            Self::Ping => 6,
            Self::GoAway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            Self::Unknown(octet) => octet,
        }
    }
}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.to_vec(),
        }
    }

    /// Appends the frame's octets.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).expect("our own frames are small");
        out.extend_from_slice(&length.to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind.octet(), self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Tells whether the frame ends its stream's direction.
    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.has(END_STREAM)
    }

    /// Gives the payload without padding and priority fields.
    pub(super) fn content(&self) -> Result<&[u8], String> {
        let mut content = &self.payload[..];
        if !matches!(self.kind, Kind::Data | Kind::Headers) {
            return Ok(content);
        }
        let too_short = || format!("{} is shorter than its flags ask for", self.name());
        let mut padding = 0;
        if self.has(PADDED) {
            let (length, rest) = content.split_first().ok_or_else(too_short)?;
            (padding, content) = (usize::from(*length), rest);
        }
        if self.kind == Kind::Headers && self.has(PRIORITY) {
            content = content.get(5..).ok_or_else(too_short)?;
        }
        let length = content.len().checked_sub(padding);
        length
            .map(|length| &content[..length])
            .ok_or_else(too_short)
    }

    /// Gives the 32-bit number at an octet of the payload.
    pub(super) fn number(&self, at: usize) -> Result<u32, String> {
        let octets = self.payload.get(at..at + 4);
        let octets = octets.and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        octets
            .map(u32::from_be_bytes)
            .ok_or_else(|| format!("{} of {} octets", self.name(), self.payload.len()))
    }

    /// Gives the 32-bit number that is the whole payload.
    pub(super) fn only_number(&self) -> Result<u32, String> {
        if self.payload.len() != 4 {
            return Err(format!("{} of {} octets", self.name(), self.payload.len()));
        }
        self.number(0)
    }

    fn name(&self) -> String {
        match self.kind {
            Kind::Data => "DATA".to_owned(),
            Kind::Headers => "HEADERS".to_owned(),
            Kind::Priority => "PRIORITY".to_owned(),
            Kind::RstStream => "RST_STREAM".to_owned(),
            Kind::Settings => "SETTINGS".to_owned(),
            Kind::PushPromise => "PUSH_PROMISE".to_owned(),
            Kind::Ping => "PING".to_owned(),
            Kind::GoAway => "GOAWAY".to_owned(),
            Kind::WindowUpdate if self.stream == 0 => "WINDOW_UPDATE(connection)".to_owned(),
            Kind::WindowUpdate => "WINDOW_UPDATE".to_owned(),
            Kind::Continuation => "CONTINUATION".to_owned(),
            Kind::Unknown(octet) => format!("UNKNOWN({octet:#x})"),
        }
    }

    /// Gives a short text: name, number, flags.
    pub(super) fn text(&self) -> String {
        let mut text = self.name();
        match self.kind {
            Kind::Data => {
                let length = self.content().map_or(self.payload.len(), <[u8]>::len);
                text.push_str(&format!(" {length}"));
                if self.has(PADDED) {
                    text.push_str(" PADDED");
                }
            }
            Kind::RstStream | Kind::WindowUpdate => {
                if let Ok(number) = self.number(0) {
                    text.push_str(&format!(" {number}"));
                }
            }
            Kind::GoAway => {
                if let (Ok(last), Ok(code)) = (self.number(0), self.number(4)) {
                    text.push_str(&format!(" {code} last={}", last & 0x7fff_ffff));
                }
            }
            Kind::Settings | Kind::Ping if self.has(ACK) => text.push_str(" ACK"),
            Kind::Headers
            | Kind::Priority
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::Continuation
            | Kind::Unknown(_) => {}
        }
        if self.ends_stream() {
            text.push_str(" END_STREAM");
        }
        text
    }
}

/// Cuts octets into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    octets: Vec<u8>,
    start: usize,
}

impl Frames {
    /// Adds octets.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.extend_from_slice(octets);
    }

    /// Gives the next whole frame.
    ///
    /// # Errors
    /// A text, when a frame is larger than the observer's SETTINGS allow.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        let octets = &self.octets[self.start..];
        let Some((header, rest)) = octets.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *header;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if length > MAX_PAYLOAD {
            return Err(format!("frame of {length} octets, type {kind}"));
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let frame = Frame::new(Kind::of(kind), flags, stream, payload);
        self.start += HEADER + length;
        Ok(Some(frame))
    }

    /// Gives how many octets of an unfinished frame are there.
    pub(super) fn left(&self) -> usize {
        self.octets.len() - self.start
    }
}

/// Appends a header field as a literal never indexed by reference, RFC 7541 section 6.2.2: no table is needed.
pub(super) fn encode_field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(0);
    for text in [name, value] {
        out.extend_from_slice(&loona_hpack::encoder::encode_integer(text.len(), 7));
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_alike_for_every_split() {
        let mut octets = Vec::new();
        Frame::new(Kind::Settings, 0, 0, &[]).encode(&mut octets);
        Frame::new(Kind::Data, END_STREAM | PADDED, 1, &[2, b'h', b'i', 0, 0]).encode(&mut octets);
        for at in 0..=octets.len() {
            let mut frames = Frames::default();
            let mut texts = Vec::new();
            for piece in [&octets[..at], &octets[at..]] {
                frames.push(piece);
                while let Ok(Some(frame)) = frames.next() {
                    texts.push(frame.text());
                }
            }
            assert_eq!(texts, ["SETTINGS", "DATA 2 PADDED END_STREAM"], "{at}");
            assert_eq!(frames.left(), 0);
        }
    }

    #[test]
    fn padding_longer_than_the_frame_is_an_error() {
        let frame = Frame::new(Kind::Data, PADDED, 1, &[9, 0, 0]);
        assert!(frame.content().is_err());
        assert!(Frame::new(Kind::Data, PADDED, 1, &[]).content().is_err());
        assert!(
            Frame::new(Kind::Headers, PRIORITY, 1, &[0; 4])
                .content()
                .is_err()
        );
    }

    #[test]
    fn long_field_is_encoded_as_hpack_wants() {
        let mut block = Vec::new();
        encode_field("x-long", &"v".repeat(300), &mut block);
        let fields = loona_hpack::Decoder::new()
            .decode(&block)
            .expect("own block");
        assert_eq!(fields, [(b"x-long".to_vec(), vec![b'v'; 300])]);
    }
}
