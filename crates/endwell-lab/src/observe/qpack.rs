//! Field sections of HTTP/3: QPACK (RFC 9204) without a dynamic table.
//!
//! Reads: the payload of a HEADERS frame, and fields. Gives: fields, and a payload.
//! Never: takes a reference to a dynamic table, which an observer that announces none must not get.

use loona_hpack::huffman::HuffmanDecoder;

/// Fields kept of one section; far more than a server under test sends.
const FIELDS: usize = 1024;

/// The static table (RFC 9204 appendix A), a line an entry, name and value apart by one blank.
const STATIC: &str = include_str!("qpack_static.txt");

/// A decoded section.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Decodes a field section.
pub(super) fn decode(section: &[u8]) -> Result<Fields, String> {
    let mut octets = section;
    // Required Insert Count and Base (section 4.5.1): both are zero without a dynamic table.
    let required = integer(&mut octets, 8)?;
    let base = integer(&mut octets, 7)?;
    if (required, base) != (0, 0) {
        return Err(format!("a prefix of {required} and {base} without a table"));
    }
    let mut fields = Fields::new();
    while let Some(first) = octets.first().copied() {
        let field = match first {
            // Indexed, literal with a name of the table, literal.
            0xc0.. => entry(integer(&mut octets, 6)?)?,
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = entry(integer(&mut octets, 4)?)?;
                (name, string(&mut octets, 7)?)
            }
            0x20..=0x3f => (string(&mut octets, 3)?, string(&mut octets, 7)?),
            _ => return Err(format!("field line {first:#x} needs a dynamic table")),
        };
        fields.push(field);
        if fields.len() > FIELDS {
            return Err(format!("over {FIELDS} fields"));
        }
    }
    Ok(fields)
}

/// Encodes fields as literals.
pub(super) fn encode<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        put_integer(&mut section, 0x20, 3, name.len());
        section.extend_from_slice(name.as_bytes());
        put_integer(&mut section, 0, 7, value.len());
        section.extend_from_slice(value.as_bytes());
    }
    section
}

fn entry(index: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
    let line = STATIC
        .lines()
        .nth(index)
        .ok_or_else(|| format!("no entry {index}"))?;
    let (name, value) = line.split_once(' ').unwrap_or((line, ""));
    Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()))
}

/// An integer with a prefix of so many bits (RFC 7541 section 5.1).
fn integer(octets: &mut &[u8], bits: u32) -> Result<usize, String> {
    let (first, mut rest) = octets.split_first().ok_or("a section that stops short")?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (octet, after) = rest.split_first().ok_or("an integer that stops short")?;
            rest = after;
            if shift > 28 {
                return Err("an integer over 32 bits".to_owned());
            }
            value += usize::from(octet & 0x7f) << shift;
            shift += 7;
            if octet & 0x80 == 0 {
                break;
            }
        }
    }
    *octets = rest;
    Ok(value)
}

/// A string whose length has so many bits of its first octet, below the Huffman flag.
fn string(octets: &mut &[u8], bits: u32) -> Result<Vec<u8>, String> {
    let huffman = octets.first().is_some_and(|first| first >> bits & 1 == 1);
    let length = integer(octets, bits)?;
    if length > octets.len() {
        return Err(format!("a string of {length} octets in {}", octets.len()));
    }
    let (string, rest) = octets.split_at(length);
    *octets = rest;
    match huffman {
        true => HuffmanDecoder::new()
            .decode(string)
            .map_err(|error| format!("Huffman code: {error:?}")),
        false => Ok(string.to_vec()),
    }
}

fn put_integer(out: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let most = (1_usize << bits) - 1;
    if value < most {
        out.push(flags | value as u8);
        return;
    }
    out.push(flags | most as u8);
    let mut left = value - most;
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_table_has_99_entries() {
        assert_eq!(STATIC.lines().count(), 99);
        assert_eq!(entry(25), Ok((b":status".to_vec(), b"200".to_vec())));
        assert_eq!(entry(0), Ok((b":authority".to_vec(), Vec::new())));
        assert_eq!(entry(98).unwrap().1, b"sameorigin");
        assert!(entry(99).is_err());
    }

    #[test]
    fn rfc_9204_appendix_b_1() {
        let section = b"\x00\x00\x51\x0b/index.html";
        let field = (b":path".to_vec(), b"/index.html".to_vec());
        assert_eq!(decode(section), Ok(vec![field]));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let long = "x".repeat(300);
        let fields = [("a", ""), ("longer-name", &*long)];
        let section = encode(fields.into_iter());
        let decoded = decode(&section).unwrap();
        assert_eq!(decoded[1], (b"longer-name".to_vec(), long.into_bytes()));
    }

    #[test]
    fn hostile_sections_are_errors() {
        for section in [
            &b""[..],
            b"\x00",
            b"\x01\x00",
            b"\x00\x00\x80",
            b"\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x00\x00\x51\x0b/index",
            b"\x00\x00\xff\x24",
            b"\x00\x00\x10",
        ] {
            assert!(decode(section).is_err(), "{section:x?}");
        }
    }
}
