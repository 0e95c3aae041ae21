//! Numbers, least significant octet first.

pub(super) fn put16(number: u16, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes());
}

pub(super) fn put32(number: u32, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes());
}

pub(super) fn put64(number: u64, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes());
}
