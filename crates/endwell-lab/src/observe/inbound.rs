//! The receiving side of an HTTP/2 connection: frames in, facts about every stream out.
//!
//! Reads: octets after TLS.
//! Gives: a [`Stream`] per request, and the frames that must be answered.
//! Never: reads or writes a socket.

use std::collections::BTreeMap;
use std::time::Instant;

use loona_hpack::Decoder;

use super::frame::{ACK, END_HEADERS, END_STREAM, Frame, Frames, HEADER, Kind};
use super::seen::SeenEnd;
use super::stream::{Fields, Stream, StreamId};

/// Largest header block, and largest field section decoded from one.
const BLOCK_LIMIT: usize = 256 * 1024;

/// Our HPACK table, the protocol's default.
const TABLE: usize = 4096;

/// A header block that still waits for END_HEADERS.
struct Block {
    stream: StreamId,
    end_stream: bool,
    octets: Vec<u8>,
}

/// What the peer has sent so far, and what that means for each stream.
pub(super) struct Inbound {
    /// Streams that were asked for and not yet taken away, with the time of their request.
    pub(super) streams: BTreeMap<StreamId, (Instant, Stream)>,
    /// The first stream that was not asked for yet.
    pub(super) next: StreamId,
    /// PINGs of ours that were answered, in order.
    pub(super) pings_answered: u64,
    /// PINGs of the peer that are not to be answered yet, if so.
    pub(super) held_pings: Option<Vec<[u8; 8]>>,
    /// How the connection ended.
    pub(super) ended: Option<SeenEnd>,
    frames: Frames,
    decoder: Decoder<'static>,
    block: Option<Block>,
    window: i64,
    settings_seen: bool,
    goaway: Option<(u32, u32)>,
    out: Vec<u8>,
}

impl Inbound {
    /// Starts with this window for the connection.
    pub(super) fn new(window: u32) -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE);
        Self {
            streams: BTreeMap::new(),
            next: 1,
            pings_answered: 0,
            held_pings: None,
            ended: None,
            frames: Frames::default(),
            decoder,
            block: None,
            window: i64::from(window),
            settings_seen: false,
            goaway: None,
            out: Vec::new(),
        }
    }

    /// Takes octets, works off the whole frames and gives what to answer.
    pub(super) fn push(&mut self, octets: &[u8]) -> Vec<u8> {
        self.frames.push(octets);
        if let Err(why) = self.work_off() {
            self.end(SeenEnd::Malformed(why));
        }
        std::mem::take(&mut self.out)
    }

    /// Ends the connection and every stream on it that has not ended.
    pub(super) fn end(&mut self, end: SeenEnd) {
        let left = self.frames.left();
        for (started, stream) in self
            .streams
            .values_mut()
            .filter(|(_, stream)| !stream.ended)
        {
            if left > 0 {
                stream
                    .seen
                    .note_frame(format!("{left} octets of a cut frame"));
            }
            let closed = matches!(end, SeenEnd::Fin | SeenEnd::CloseNotify | SeenEnd::Reset);
            if let Some((code, last)) = self.goaway.filter(|_| closed) {
                stream.seen.after = Some(end.clone());
                stream.finish(SeenEnd::GoAway { code, last }, started.elapsed());
            } else {
                stream.finish(end.clone(), started.elapsed());
            }
        }
        self.ended = Some(end);
    }

    fn work_off(&mut self) -> Result<(), String> {
        while let Some(frame) = self.frames.next()? {
            self.note(&frame);
            if !self.settings_seen && (frame.kind != Kind::Settings || frame.has(ACK)) {
                return Err(format!("first frame is {}, not SETTINGS", frame.text()));
            }
            self.settings_seen = true;
            if self.block.is_some() && frame.kind != Kind::Continuation {
                return Err(format!("{} inside a header block", frame.text()));
            }
            if frame.stream >= self.next || (frame.stream != 0 && frame.stream.is_multiple_of(2)) {
                return Err(format!(
                    "{} on stream {}, which is idle",
                    frame.text(),
                    frame.stream
                ));
            }
            self.act(&frame)?;
        }
        Ok(())
    }

    /// Notes a frame on its stream, or on all streams.
    fn note(&mut self, frame: &Frame) {
        let text = frame.text();
        for (id, (started, stream)) in &mut self.streams {
            if frame.stream == *id {
                stream.seen.raw_len += (HEADER + frame.payload.len()) as u64;
                stream
                    .seen
                    .first_octet_after
                    .get_or_insert_with(|| started.elapsed());
                if stream.ended {
                    stream.seen.note_late(text.clone());
                }
            }
            if frame.stream == *id || frame.stream == 0 {
                stream.seen.note_frame(text.clone());
            }
        }
    }

    fn act(&mut self, frame: &Frame) -> Result<(), String> {
        let on_stream = !matches!(frame.kind, Kind::Settings | Kind::Ping | Kind::GoAway);
        let anywhere = matches!(frame.kind, Kind::WindowUpdate | Kind::Unknown(_));
        if !anywhere && on_stream == (frame.stream == 0) {
            return Err(format!("{} on stream {}", frame.text(), frame.stream));
        }
        match frame.kind {
            Kind::Data => self.on_data(frame),
            Kind::Headers => {
                let block = Block {
                    stream: frame.stream,
                    end_stream: frame.has(END_STREAM),
                    octets: frame.content()?.to_vec(),
                };
                self.on_block(block, frame.has(END_HEADERS))
            }
            Kind::Continuation => {
                let block = self
                    .block
                    .take()
                    .filter(|block| block.stream == frame.stream);
                let mut block = block.ok_or("CONTINUATION without HEADERS")?;
                block.octets.extend_from_slice(&frame.payload);
                self.on_block(block, frame.has(END_HEADERS))
            }
            Kind::RstStream => {
                let code = frame.only_number()?;
                if let Some((started, stream)) = self.streams.get_mut(&frame.stream) {
                    stream.finish(SeenEnd::StreamReset(code), started.elapsed());
                }
                Ok(())
            }
            Kind::Settings => self.on_settings(frame),
            Kind::Ping => self.on_ping(frame),
            Kind::GoAway => self.on_goaway(frame),
            Kind::PushPromise => Err("PUSH_PROMISE, which our SETTINGS forbid".to_owned()),
            Kind::WindowUpdate => match frame.only_number()? & 0x7fff_ffff {
                0 => Err("WINDOW_UPDATE of 0".to_owned()),
                _ => Ok(()),
            },
            Kind::Priority | Kind::Unknown(_) => Ok(()),
        }
    }

    fn on_settings(&mut self, frame: &Frame) -> Result<(), String> {
        if !frame.payload.len().is_multiple_of(6) || (frame.has(ACK) && !frame.payload.is_empty()) {
            return Err(format!("SETTINGS of {} octets", frame.payload.len()));
        }
        if !frame.has(ACK) {
            Frame::new(Kind::Settings, ACK, 0, &[]).encode(&mut self.out);
        }
        Ok(())
    }

    fn on_ping(&mut self, frame: &Frame) -> Result<(), String> {
        let payload = <[u8; 8]>::try_from(&frame.payload[..]);
        let payload = payload.map_err(|_| format!("PING of {} octets", frame.payload.len()))?;
        if !frame.has(ACK) {
            match &mut self.held_pings {
                Some(held) => held.push(payload),
                None => Frame::new(Kind::Ping, ACK, 0, &payload).encode(&mut self.out),
            }
        } else if u64::from_be_bytes(payload) == self.pings_answered + 1 {
            self.pings_answered += 1;
        }
        Ok(())
    }

    fn on_goaway(&mut self, frame: &Frame) -> Result<(), String> {
        let (last, code) = (frame.number(0)? & 0x7fff_ffff, frame.number(4)?);
        self.goaway = Some((code, last));
        for (_, (started, stream)) in self.streams.range_mut(last.saturating_add(1)..) {
            stream.finish(SeenEnd::GoAway { code, last }, started.elapsed());
        }
        Ok(())
    }

    fn on_data(&mut self, frame: &Frame) -> Result<(), String> {
        let content = frame.content()?;
        // Padding counts for flow control, RFC 9113 section 6.9.1.
        let flow = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        self.window -= i64::from(flow);
        let mut give_back = vec![0];
        if let Some((started, stream)) = self.streams.get_mut(&frame.stream) {
            stream.window -= i64::from(flow);
            if stream.window < 0 {
                return Err(format!("flow control of stream {} overrun", frame.stream));
            }
            if !stream.ended {
                stream.data(content, frame.has(END_STREAM), started.elapsed());
            }
            if !stream.ended {
                stream.window += i64::from(flow);
                give_back.push(frame.stream);
            }
        }
        if self.window < 0 {
            return Err("flow control of the connection overrun".to_owned());
        }
        self.window += i64::from(flow);
        for id in give_back.into_iter().filter(|_| flow > 0) {
            Frame::new(Kind::WindowUpdate, 0, id, &flow.to_be_bytes()).encode(&mut self.out);
        }
        Ok(())
    }

    fn on_block(&mut self, block: Block, whole: bool) -> Result<(), String> {
        if block.octets.len() > BLOCK_LIMIT {
            return Err(format!("header block over {BLOCK_LIMIT} octets"));
        }
        if !whole {
            self.block = Some(block);
            return Ok(());
        }
        // Also for a stream that nobody wants: the table is the connection's.
        let fields = decode(&mut self.decoder, &block.octets)?;
        if let Some((started, stream)) = self.streams.get_mut(&block.stream)
            && !stream.ended
        {
            stream.headers(fields, block.end_stream, started.elapsed());
        }
        Ok(())
    }
}

fn decode(decoder: &mut Decoder<'static>, block: &[u8]) -> Result<Fields, String> {
    let mut fields = Vec::new();
    let mut size = 0;
    let outcome = decoder.decode_with_cb(block, |name, value| {
        size += name.len() + value.len() + 32;
        if size <= BLOCK_LIMIT {
            fields.push((name.into_owned(), value.into_owned()));
        }
    });
    match outcome {
        Ok(()) if size <= BLOCK_LIMIT => Ok(fields),
        Ok(()) => Err(format!("field section over {BLOCK_LIMIT} octets")),
        Err(error) => Err(format!("HPACK: {error}")),
    }
}
