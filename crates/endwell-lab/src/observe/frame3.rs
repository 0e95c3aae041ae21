//! Frames of HTTP/3 (RFC 9114 section 7) and the integers in them (RFC 9000 section 16).
//!
//! Reads: octets of a stream in any pieces. Gives: frames that are whole, and DATA as it comes.

/// Octets of a stream that are no whole frame yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) held: Vec<u8>,
    /// Octets of a DATA frame that have not come.
    pub(super) data: u64,
}

impl Frames {
    pub(super) fn take_data(&mut self) -> Vec<u8> {
        let part =
            usize::try_from(self.data).map_or(self.held.len(), |left| left.min(self.held.len()));
        self.data -= part as u64;
        self.held.drain(..part).collect()
    }

    pub(super) fn take_payload(&mut self, at: usize, length: u64) -> Option<Vec<u8>> {
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        let payload = self.held.get(at..end)?.to_vec();
        self.held.drain(..end);
        Some(payload)
    }
}

/// The header of a frame: type, length, where its payload begins.
pub(super) fn header(octets: &[u8]) -> Option<(u64, u64, usize)> {
    let (kind, at) = varint(octets)?;
    let (length, len) = varint(&octets[at..])?;
    Some((kind, length, at + len))
}

/// A variable-length integer (RFC 9000 section 16), and how long it is.
pub(super) fn varint(octets: &[u8]) -> Option<(u64, usize)> {
    let first = *octets.first()?;
    let len = 1 << (first >> 6);
    let mut value = u64::from(first & 0x3f);
    for octet in octets.get(1..len)? {
        value = value << 8 | u64::from(*octet);
    }
    Some((value, len))
}

/// Appends a frame.
pub fn put_frame(out: &mut Vec<u8>, kind: u64, payload: &[u8]) {
    put_varint(out, kind);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// Appends a variable-length integer, in its shortest form.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_are_written() {
        for value in [
            0,
            0x3f,
            0x40,
            0x3fff,
            0x4000,
            0x3fff_ffff,
            0x4000_0000,
            (1 << 62) - 1,
        ] {
            let mut octets = Vec::new();
            put_varint(&mut octets, value);
            assert_eq!(varint(&octets), Some((value, octets.len())), "{value:#x}");
            assert_eq!(varint(&octets[..octets.len() - 1]), None);
        }
    }

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut frames = Frames::default();
        put_frame(&mut frames.held, 1, b"fields");
        let last = frames.held.pop().unwrap_or(0);
        assert_eq!(header(&frames.held), Some((1, 6, 2)));
        assert_eq!(frames.take_payload(2, 6), None);
        assert_eq!(frames.take_payload(2, u64::MAX), None);
        frames.held.push(last);
        assert_eq!(frames.take_payload(2, 6), Some(b"fields".to_vec()));
        assert!(frames.held.is_empty());
    }
}
