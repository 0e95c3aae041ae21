//! The Huffman code of field sections (RFC 7541 appendix B, RFC 9204 section 4.1.2).
//!
//! Reads: an encoded string. Gives: its octets. The code is canonical: with the symbols in the order of
//! their codes it is enough to know how many codes there are of each length.

/// How many codes there are of so many bits; EOS, the last of 30, is not among them.
#[rustfmt::skip]
const CODES: [u32; 31] = [
    0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 3,
];

/// The symbols in the order of their codes.
#[rustfmt::skip]
const SYMBOLS: [u8; 256] = [
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55,
    56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68,
    69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89,
    106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40, 41, 63, 39,
    43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130,
    131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129,
    132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190,
    196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157,
    158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159,
    171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219,
    238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250,
    251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20,
    21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22,
];

/// Decodes a string; `None` if it is none: EOS or no code at all in it, or padding that is not the first
/// bits of EOS or is a whole octet (RFC 7541 section 5.2).
pub(super) fn decode(string: &[u8]) -> Option<Vec<u8>> {
    // The shortest code has five bits.
    let mut decoded = Vec::with_capacity(string.len() * 8 / 5);
    let mut code = Code::default();
    for octet in string {
        for bit in (0..8).rev() {
            if let Some(symbol) = code.push(octet >> bit & 1)? {
                decoded.push(symbol);
            }
        }
    }
    code.is_padding().then_some(decoded)
}

/// The bits of a code so far.
#[derive(Default)]
struct Code {
    bits: u32,
    length: usize,
    /// The first code of this length.
    first: u32,
    /// Where its symbol stands.
    at: u32,
}

impl Code {
    /// Takes a bit: the symbol if the code is whole, `None` if there is none.
    fn push(&mut self, bit: u8) -> Option<Option<u8>> {
        // One bit more: what is no code of one length less goes on.
        let before = CODES[self.length];
        self.at += before;
        self.first = (self.first + before) << 1;
        self.bits = self.bits << 1 | u32::from(bit);
        self.length += 1;
        let codes = *CODES.get(self.length)?;
        let nth = self.bits - self.first;
        if nth >= codes {
            return Some(None);
        }
        let symbol = SYMBOLS.get((self.at + nth) as usize).copied()?;
        *self = Self::default();
        Some(Some(symbol))
    }

    fn is_padding(&self) -> bool {
        self.length < 8 && self.bits == (1 << self.length) - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_of_rfc_7541_appendix_c() {
        let www = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decode(&www).unwrap(), b"www.example.com");
        let key = [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f];
        assert_eq!(decode(&key).unwrap(), b"custom-key");
        assert_eq!(decode(&[0x64, 0x02]).unwrap(), b"302");
        assert_eq!(decode(&[]).unwrap(), b"");
    }

    #[test]
    fn what_is_no_code_is_none() {
        assert_eq!(decode(&[0xff]), None, "an octet of padding");
        assert_eq!(decode(&[0x00]), None, "padding of zeros");
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), None, "EOS");
        assert_eq!(decode(&[0x1f]).unwrap(), b"a");
    }

    #[test]
    fn all_symbols_have_one_code() {
        let mut symbols = SYMBOLS;
        symbols.sort_unstable();
        assert!(symbols.iter().copied().eq(0..=255));
        // With EOS the code is complete: no bits are left over.
        let kraft: u64 = CODES
            .iter()
            .enumerate()
            .map(|(bits, codes)| u64::from(*codes) << 30 >> bits)
            .sum();
        assert_eq!(kraft + 1, 1 << 30);
    }

    proptest! {
        #[test]
        fn as_another_implementation(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let other = loona_hpack::huffman::HuffmanDecoder::new().decode(&octets).ok();
            prop_assert_eq!(decode(&octets), other);
        }
    }
}
