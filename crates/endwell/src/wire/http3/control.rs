//! The control stream of a client, of which h3 is given what it needs: the type and SETTINGS.
//!
//! Reads: octets of a unidirectional stream. Gives: whole pieces for h3, or why the connection ends.
//! h3's own reader takes a chunk before it decodes one frame and keeps the rest, without limit and
//! without a turn for others. The frames after SETTINGS are about pushes, of which this server makes
//! none: they are checked and counted here and go no further. A client's GOAWAY names a push, too
//! (RFC 9114 section 5.2): h3 would answer it with a GOAWAY that disowns requests under way.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{DATA, HEADERS, code, varint};

/// The largest frame of a control stream: SETTINGS has a dozen integers.
pub(super) const LARGEST_CONTROL: usize = 4 * 1024;

/// Frames that a client may send without a request, and with each: browsers say priorities
/// (PRIORITY_UPDATE, RFC 9218 section 7.2), two or three a request.
const FRAMES: u64 = 1024;
const FRAMES_A_REQUEST: u64 = 16;

const CANCEL_PUSH: u64 = 0x3;
const SETTINGS: u64 = 0x4;
const GOAWAY: u64 = 0x7;
const MAX_PUSH_ID: u64 = 0xd;

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) u32, pub(super) &'static str);

/// Where in a unidirectional stream the next octet stands, and what has come.
#[derive(Debug)]
pub(super) struct Reads {
    state: State,
    /// SETTINGS have come.
    settings: bool,
    frames: u64,
    /// The push that GOAWAY has named.
    goaway: Option<u64>,
    /// The push that MAX_PUSH_ID has named.
    most: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// In the type of the stream.
    Type([u8; 8], usize),
    /// In the header of a frame.
    Header([u8; 16], usize),
    /// In SETTINGS, which are to be so long.
    Settings(BytesMut, usize),
    /// In a frame of this type, which is one integer of so many octets.
    Integer(u64, [u8; 8], usize, usize),
    /// In a frame of a type that nobody knows.
    Skip(usize),
    /// In a stream that has no frames.
    Other,
}

const START: State = State::Header([0; 16], 0);

impl Reads {
    pub(super) fn new() -> Self {
        Self {
            state: State::Type([0; 8], 0),
            settings: false,
            frames: 0,
            goaway: None,
            most: None,
        }
    }

    /// Follows the stream to the next piece for h3, while the client has made so many requests. `None`
    /// when there is none in these octets, all of which are then taken.
    pub(super) fn read(
        &mut self,
        octets: &mut Bytes,
        requests: u64,
    ) -> Result<Option<Bytes>, Violation> {
        while octets.has_remaining() {
            match &mut self.state {
                State::Type(header, have) => {
                    header[*have] = octets.get_u8();
                    *have += 1;
                    let header = &header[..*have];
                    if let Some((kind, _)) = varint(header) {
                        let header = Bytes::copy_from_slice(header);
                        // RFC 9114 section 6.2.1: only a control stream has frames that we read.
                        self.state = if kind == 0 { START } else { State::Other };
                        return Ok(Some(header));
                    }
                }
                State::Header(header, have) => {
                    header[*have] = octets.get_u8();
                    *have += 1;
                    let (header, have) = (*header, *have);
                    self.header(&header[..have], requests)?;
                }
                State::Settings(frame, whole) => {
                    let part = octets.len().min(*whole - frame.len());
                    frame.extend_from_slice(&octets.split_to(part));
                }
                State::Integer(kind, integer, have, length) => {
                    integer[*have] = octets.get_u8();
                    *have += 1;
                    if have == length {
                        let read = varint(&integer[..*length]);
                        let (kind, length) = (*kind, *length);
                        self.state = START;
                        match read {
                            Some((id, len)) if len == length => self.integer(kind, id)?,
                            _ => return Err(wrong_length()),
                        }
                    }
                }
                State::Skip(left) => {
                    let part = octets.len().min(*left);
                    octets.advance(part);
                    *left -= part;
                    if *left == 0 {
                        self.state = START;
                    }
                }
                State::Other => return Ok(Some(octets.split_to(octets.len()))),
            }
            if let State::Settings(frame, whole) = &mut self.state
                && frame.len() == *whole
            {
                let frame = std::mem::take(frame).freeze();
                self.state = START;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Whether the stream may be said to end here: not inside of a frame.
    pub(super) fn is_between(&self) -> bool {
        matches!(
            self.state,
            State::Type(..) | State::Header(_, 0) | State::Other
        )
    }

    /// Looks at the header of a frame, as far as it has come.
    fn header(&mut self, header: &[u8], requests: u64) -> Result<(), Violation> {
        let Some((kind, at)) = varint(header) else {
            return Ok(());
        };
        let Some((length, len)) = varint(&header[at..]) else {
            return Ok(());
        };
        self.frames += 1;
        if self.frames > FRAMES.saturating_add(requests.saturating_mul(FRAMES_A_REQUEST)) {
            return Err(Violation(code::EXCESSIVE_LOAD, "too many control frames"));
        }
        let unexpected = |why| Err(Violation(code::FRAME_UNEXPECTED, why));
        self.state = match kind {
            // And what HTTP/2 had there (RFC 9114 sections 7.2 and 7.2.8).
            DATA | HEADERS | 0x2 | 0x5 | 0x6 | 0x8 | 0x9 => {
                return unexpected("a frame that belongs on no control stream");
            }
            SETTINGS if self.settings => return unexpected("SETTINGS twice"),
            CANCEL_PUSH | GOAWAY | MAX_PUSH_ID if !self.settings => {
                let why = "SETTINGS do not come first";
                return Err(Violation(code::MISSING_SETTINGS, why));
            }
            CANCEL_PUSH | GOAWAY | MAX_PUSH_ID => match length {
                1..=8 => State::Integer(kind, [0; 8], 0, length as usize),
                _ => return Err(wrong_length()),
            },
            _ if length > LARGEST_CONTROL as u64 => {
                let why = "a control frame is too long";
                return Err(Violation(code::EXCESSIVE_LOAD, why));
            }
            SETTINGS => {
                self.settings = true;
                let header = &header[..at + len];
                State::Settings(BytesMut::from(header), header.len() + length as usize)
            }
            _ if length == 0 => START,
            _ => State::Skip(length as usize),
        };
        Ok(())
    }

    /// Checks a frame that names a push (RFC 9114 sections 5.2, 7.2.3 and 7.2.7).
    fn integer(&mut self, kind: u64, id: u64) -> Result<(), Violation> {
        let wrong = match kind {
            GOAWAY => self.goaway.replace(id).is_some_and(|before| id > before),
            MAX_PUSH_ID => self.most.replace(id).is_some_and(|before| id < before),
            // Nothing was promised that could be cancelled.
            _ => true,
        };
        match wrong {
            true => Err(Violation(code::ID_ERROR, "a push that cannot be named")),
            false => Ok(()),
        }
    }
}

fn wrong_length() -> Violation {
    Violation(
        code::FRAME_ERROR,
        "a control frame is not as long as its integer",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Type and SETTINGS.
    const OPENED: &[u8] = &[0x00, 0x04, 0x02, 0x06, 0x20];

    /// What h3 gets of octets that come in these parts.
    fn given(parts: &[&[u8]]) -> Result<Vec<u8>, u32> {
        let mut reads = Reads::new();
        let mut given = Vec::new();
        for part in parts {
            let mut octets = Bytes::copy_from_slice(part);
            while let Some(piece) = reads.read(&mut octets, 0).map_err(|it| it.0)? {
                given.extend_from_slice(&piece);
            }
            assert!(octets.is_empty());
        }
        Ok(given)
    }

    #[test]
    fn h3_gets_the_type_and_settings() {
        let opened = Ok(OPENED.to_vec());
        assert_eq!(given(&[OPENED]), opened);
        assert_eq!(given(&[&OPENED[..3], &OPENED[3..]]), opened);
        assert_eq!(given(&[&[0, 4, 0]]), Ok(vec![0, 4, 0]), "empty SETTINGS");
        let pushes: &[u8] = &[0x0d, 1, 3, 0x0d, 2, 0x40, 4, 0x07, 1, 9, 0x07, 1, 0];
        assert_eq!(given(&[OPENED, pushes, &[0x21, 0, 0x21, 2, 1, 2]]), opened);
        let encoder: &[u8] = &[0x02, 0xff, 0xff];
        assert_eq!(given(&[encoder]), Ok(encoder.to_vec()));
    }

    #[test]
    fn what_no_client_may_send_ends_the_connection() {
        for (what, octets, code) in [
            ("DATA", &[0x00, 0][..], 0x105),
            ("HEADERS", &[0x01, 0], 0x105),
            ("PUSH_PROMISE", &[0x05, 1, 0], 0x105),
            ("SETTINGS twice", &[0x04, 0], 0x105),
            ("CANCEL_PUSH", &[0x03, 1, 0], 0x108),
            ("GOAWAY grows", &[0x07, 1, 1, 0x07, 1, 2], 0x108),
            ("MAX_PUSH_ID shrinks", &[0x0d, 1, 2, 0x0d, 1, 1], 0x108),
            ("GOAWAY is empty", &[0x07, 0], 0x106),
            ("GOAWAY is long", &[0x07, 2, 1, 1], 0x106),
            ("GOAWAY is short", &[0x07, 1, 0x40], 0x106),
            ("4097 octets", &[0x21, 0x50, 0x01], 0x107),
            (
                "2^62 octets",
                &[0x21, 0xff, 255, 255, 255, 255, 255, 255, 255],
                0x107,
            ),
        ] {
            assert_eq!(given(&[OPENED, octets]), Err(code), "{what}");
        }
        assert_eq!(given(&[OPENED, &[0x21, 0x50, 0x00]]).err(), None, "4096");
        assert_eq!(given(&[&[0, 7, 1, 0]]), Err(0x10a), "GOAWAY first");
    }

    #[test]
    fn control_frames_are_counted_against_requests() {
        for requests in [0, 1, 100, u64::MAX] {
            let mut reads = Reads::new();
            let mut octets = Bytes::from_static(OPENED);
            while reads.read(&mut octets, requests).unwrap().is_some() {}
            let mut frames = 1;
            while frames < 5000
                && reads
                    .read(&mut Bytes::from_static(&[0x21, 0]), requests)
                    .is_ok()
            {
                frames += 1;
            }
            assert_eq!(frames, (1024 + requests.min(9999) * 16).min(5000));
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(parts: Vec<Vec<u8>>, control: bool) {
            let mut all: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            if control {
                all.insert(0, OPENED);
            }
            let whole = all.concat();
            // However they come, they say the same.
            prop_assert_eq!(given(&all), given(&[&whole]));
        }
    }
}
