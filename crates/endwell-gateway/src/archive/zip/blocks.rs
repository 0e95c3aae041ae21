//! A large file as it is, in a form that tells its own end.
//!
//! Gives: blocks of RFC 1951 section 3.2.4, which are stored and not compressed.
//!
//! A file of the method "stored" whose length and CRC stand behind it is refused by readers that
//! read as they go (`java.util.zip.ZipInputStream`: "only DEFLATED entries can have EXT
//! descriptor"; Python's `stream-unzip`), because nothing in it tells where it ends. In stored
//! blocks it costs 5 octets more for every 61 440, and they all read it.

/// Octets of a block: at most 65 535, and whole pages of the cache that they are copied from.
pub(super) const BLOCK: u64 = 15 * 4096;

/// Octets before each block.
pub(super) const HEADER: u64 = 5;

/// The block that ends a file: it holds nothing, and goes out when the file is proven.
pub(super) const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// All octets of a file of this size; `None` beyond 16 EiB.
pub(super) fn length(size: u64) -> Option<u64> {
    let headers = size.div_ceil(BLOCK).checked_mul(HEADER)?;
    size.checked_add(headers)?.checked_add(LAST.len() as u64)
}

/// What stands before the octet `at` of a file of this size, if a block begins there.
pub(super) fn header(at: u64, size: u64) -> Option<[u8; 5]> {
    if !at.is_multiple_of(BLOCK) {
        return None;
    }
    let length = (size - at).min(BLOCK) as u16;
    let [low, high] = length.to_le_bytes();
    Some([0, low, high, !low, !high])
}

/// How many octets of the block that the octet `at` belongs to begin there.
pub(super) fn left(at: u64) -> u64 {
    BLOCK - at % BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up() {
        for (size, blocks) in [
            (0, 0),
            (1, 1),
            (61_440, 1),
            (61_441, 2),
            (1 << 40, 17_895_698),
        ] {
            assert_eq!(length(size), Some(size + 5 * blocks + 5), "{size}");
        }
        assert_eq!(length(u64::MAX), None);
    }

    #[test]
    fn headers_hold_the_length_twice() {
        assert_eq!(header(0, 100_000), Some([0, 0x00, 0xf0, 0xff, 0x0f]));
        assert_eq!(header(61_440, 61_441), Some([0, 1, 0, 0xfe, 0xff]));
        assert_eq!(header(1, 100_000), None);
    }
}
