//! The frames of HTTP/3 (RFC 9114 section 7) as far as a server writes them by itself.

use bytes::Bytes;

pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;

/// Why a stream or a connection ends (RFC 9114 section 8.1).
pub(super) mod code {
    pub(crate) const NO_ERROR: u32 = 0x100;
    pub(crate) const INTERNAL_ERROR: u32 = 0x102;
    pub(crate) const FRAME_UNEXPECTED: u32 = 0x105;
    pub(crate) const FRAME_ERROR: u32 = 0x106;
    pub(crate) const EXCESSIVE_LOAD: u32 = 0x107;
    pub(crate) const ID_ERROR: u32 = 0x108;
    pub(crate) const MISSING_SETTINGS: u32 = 0x10a;
    pub(crate) const REQUEST_REJECTED: u32 = 0x10b;
    pub(crate) const REQUEST_CANCELLED: u32 = 0x10c;
    pub(crate) const REQUEST_INCOMPLETE: u32 = 0x10d;
    pub(crate) const MESSAGE_ERROR: u32 = 0x10e;
    /// RFC 9204 section 6.
    pub(crate) const QPACK_DECOMPRESSION_FAILED: u32 = 0x200;
}

/// The largest head, whatever is configured: it has to fit into SETTINGS, and into memory.
pub(super) const LARGEST_HEAD: usize = 1 << 30;

/// The largest DATA frame: what a stalled stream keeps beyond its window, and after how many octets
/// at least an acknowledgement is noticed.
pub(super) const LARGEST_DATA: usize = 64 * 1024;

/// HEADERS with `:status: 100`, which stands in QPACK's static table (RFC 9204 appendix A, 63).
pub(super) const CONTINUE: &[u8] = &[0x01, 0x04, 0x00, 0x00, 0xff, 0x00];
/// HEADERS with `:status: 500`, entry 71 of the static table.
pub(super) const FAILED: &[u8] = &[0x01, 0x04, 0x00, 0x00, 0xff, 0x08];
/// HEADERS with `:status: 431`: a literal with the name of entry 24 of the static table.
pub(super) const TOO_LARGE: &[u8] = &[0x01, 0x08, 0x00, 0x00, 0x5f, 0x09, 0x03, b'4', b'3', b'1'];
/// HEADERS with `:status: 408`.
pub(super) const LATE: &[u8] = &[0x01, 0x08, 0x00, 0x00, 0x5f, 0x09, 0x03, b'4', b'0', b'8'];

/// The header of the largest DATA frame, which most frames of a long body have.
const LARGEST_HEADER: &[u8] = &[0x00, 0x80, 0x01, 0x00, 0x00];

/// The header of a DATA frame of so many octets, at most [`LARGEST_DATA`].
pub(super) fn data_header(octets: usize) -> Bytes {
    if octets == LARGEST_DATA {
        return Bytes::from_static(LARGEST_HEADER);
    }
    let (header, len) = data_header_octets(octets);
    Bytes::copy_from_slice(&header[..len])
}

/// As that, in an array of which so many octets count.
pub(super) fn data_header_octets(octets: usize) -> ([u8; 5], usize) {
    let mut header = [0; 5];
    match octets {
        0..0x40 => {
            header[1] = octets as u8;
            (header, 2)
        }
        0x40..0x4000 => {
            header[1..3].copy_from_slice(&(octets as u16 | 0x4000).to_be_bytes());
            (header, 3)
        }
        _ => {
            header[1..].copy_from_slice(&(octets as u32 | 0x8000_0000).to_be_bytes());
            (header, 5)
        }
    }
}

/// A variable-length integer (RFC 9000 section 16) and how long it is; `None` if it goes on.
pub(super) fn varint(octets: &[u8]) -> Option<(u64, usize)> {
    let first = *octets.first()?;
    let len = 1 << (first >> 6);
    let rest = octets.get(1..len)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, octet| {
        value << 8 | u64::from(*octet)
    });
    Some((value, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_rfc_9000_appendix_a() {
        let eight = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(varint(&eight), Some((151_288_809_941_952_652, 8)));
        assert_eq!(varint(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
        assert_eq!(varint(&[0x7b, 0xbd]), Some((15_293, 2)));
        assert_eq!(varint(&[0x25, 9]), Some((37, 1)));
        assert_eq!(varint(&[0x7b]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn headers_of_data_frames_say_their_length() {
        for octets in [0, 1, 63, 64, 16_383, 16_384, LARGEST_DATA - 1, LARGEST_DATA] {
            let header = data_header(octets);
            assert_eq!(header[0], 0);
            let (length, len) = varint(&header[1..]).unwrap();
            assert_eq!((length, len), (octets as u64, header.len() - 1));
        }
    }
}
