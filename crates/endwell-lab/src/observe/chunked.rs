//! Decodes the chunked transfer coding, RFC 9112 section 7.1, strictly.
//!
//! Reads: octets in whatever pieces they come.
//! Gives: payload, trailer fields, and where exactly the coding stands.
//! Never: accepts a bare LF, a sign, a blank before the size, or a size over 64 bits.

use super::field::field_of;

/// Longest chunk-size line: room for any extension a sane peer sends.
const LINE_LIMIT: usize = 4096;

/// Largest trailer section.
const SECTION_LIMIT: usize = 64 * 1024;

/// A decoder that keeps its place between pieces.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    line: Vec<u8>,
    section: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a chunk-size line.
    #[default]
    Size,
    /// So many octets of the chunk are missing.
    Data(u64),
    /// The CRLF behind the chunk's octets is missing.
    Crlf,
    /// In the trailer section.
    Trailers,
    Done,
}

impl Chunked {
    /// Decodes up to the end of the coding; gives how many octets were used.
    ///
    /// # Errors
    /// A text that says what is wrong. The decoder is of no use afterwards.
    pub(super) fn push(
        &mut self,
        octets: &[u8],
        body: &mut Vec<u8>,
        trailers: &mut Vec<(String, String)>,
    ) -> Result<usize, String> {
        let mut used = 0;
        while used < octets.len() && self.state != State::Done {
            let rest = &octets[used..];
            used += match self.state {
                State::Data(missing) => self.data(missing, rest, body),
                State::Size | State::Crlf | State::Trailers | State::Done => {
                    self.line(rest, trailers)?
                }
            };
        }
        Ok(used)
    }

    /// Tells whether a chunk was announced and is not whole, its CRLF included.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Data(_) | State::Crlf)
    }

    /// Tells whether the final CRLF was seen.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn data(&mut self, missing: u64, octets: &[u8], body: &mut Vec<u8>) -> usize {
        let count =
            usize::try_from(missing).map_or(octets.len(), |missing| missing.min(octets.len()));
        body.extend_from_slice(&octets[..count]);
        let missing = missing - count as u64;
        self.state = if missing == 0 {
            State::Crlf
        } else {
            State::Data(missing)
        };
        count
    }

    /// Collects a line; acts on it when its LF is there.
    fn line(
        &mut self,
        octets: &[u8],
        trailers: &mut Vec<(String, String)>,
    ) -> Result<usize, String> {
        let end = octets.iter().position(|octet| *octet == b'\n');
        let count = end.map_or(octets.len(), |end| end + 1);
        self.line.extend_from_slice(&octets[..count]);
        if self.state == State::Crlf && !b"\r\n".starts_with(&self.line[..]) {
            return Err("chunk is longer than its size line says".to_owned());
        }
        if self.line.len() > LINE_LIMIT {
            return Err(format!(
                "line of the chunked coding over {LINE_LIMIT} octets"
            ));
        }
        if end.is_none() {
            return Ok(count);
        }
        let line = std::mem::take(&mut self.line);
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err("bare LF in the chunked coding".to_owned());
        };
        self.state = self.act(line, trailers)?;
        Ok(count)
    }

    fn act(&mut self, line: &[u8], trailers: &mut Vec<(String, String)>) -> Result<State, String> {
        match self.state {
            State::Size => Ok(match size_of(line)? {
                0 => State::Trailers,
                size => State::Data(size),
            }),
            State::Crlf | State::Data(_) => Ok(State::Size),
            State::Trailers | State::Done if line.is_empty() => Ok(State::Done),
            State::Trailers | State::Done => {
                self.section += line.len();
                if self.section > SECTION_LIMIT {
                    return Err(format!("trailer section over {SECTION_LIMIT} octets"));
                }
                trailers.push(field_of(line)?);
                Ok(State::Trailers)
            }
        }
    }
}

/// Reads a chunk-size line without its CRLF: digits, then nothing or an extension.
fn size_of(line: &[u8]) -> Result<u64, String> {
    let bad = || format!("bad chunk-size line {:?}", String::from_utf8_lossy(line));
    let digits = line
        .iter()
        .position(|octet| !octet.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, rest) = line.split_at(digits);
    let extension = rest.trim_ascii_start();
    if digits.is_empty()
        || rest.contains(&b'\r')
        || !(rest.is_empty() || extension.starts_with(b";"))
    {
        return Err(bad());
    }
    let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
    u64::from_str_radix(digits, 16).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Decoded = (
        Vec<u8>,
        Vec<(String, String)>,
        bool,
        bool,
        Result<usize, String>,
    );

    fn decode(pieces: &[&[u8]]) -> Decoded {
        let (mut chunked, mut body, mut trailers) = (Chunked::default(), Vec::new(), Vec::new());
        let mut total = 0;
        for piece in pieces {
            match chunked.push(piece, &mut body, &mut trailers) {
                Ok(used) => total += used,
                Err(why) => {
                    return (
                        body,
                        trailers,
                        chunked.is_open(),
                        chunked.is_done(),
                        Err(why),
                    );
                }
            }
        }
        (
            body,
            trailers,
            chunked.is_open(),
            chunked.is_done(),
            Ok(total),
        )
    }

    const SAMPLES: [&[u8]; 14] = [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x=\"y\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nEnding: complete\r\nb:c\r\n\r\nnext",
        b"5\r\nhello\r\n",
        b"5\r\nhel",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n-1\r\n",
        b"5\r\nhellox\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5\r\nhello\r\n11111111111111111\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n\n",
        b"\r\n",
    ];

    #[test]
    fn every_split_in_two_gives_the_same() {
        for sample in SAMPLES {
            let whole = decode(&[sample]);
            for at in 0..=sample.len() {
                let (left, right) = sample.split_at(at);
                assert_eq!(decode(&[left, right]), whole, "{at} of {sample:?}");
            }
        }
    }

    #[test]
    fn every_split_in_three_and_octet_by_octet_gives_the_same() {
        for sample in SAMPLES {
            let whole = decode(&[sample]);
            let single: Vec<&[u8]> = sample.chunks(1).collect();
            assert_eq!(decode(&single), whole, "{sample:?}");
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let pieces = [&sample[..first], &sample[first..second], &sample[second..]];
                    assert_eq!(decode(&pieces), whole, "{first} {second} of {sample:?}");
                }
            }
        }
    }

    #[test]
    fn samples_mean_what_they_should() {
        let (body, trailers, open, done, used) = decode(&[SAMPLES[1]]);
        assert_eq!(body, b"hello0123456789");
        assert_eq!(trailers[0], ("ending".to_owned(), "complete".to_owned()));
        assert_eq!(trailers[1], ("b".to_owned(), "c".to_owned()));
        assert_eq!((open, done, used), (false, true, Ok(SAMPLES[1].len() - 4)));
        let facts = |sample| {
            let (body, _, open, done, used) = decode(&[sample]);
            (body.len(), open, done, used.is_err())
        };
        assert_eq!(facts(SAMPLES[2]), (5, false, false, false));
        assert_eq!(facts(SAMPLES[3]), (3, true, false, false));
        assert_eq!(facts(SAMPLES[4]), (5, false, false, false));
        for sample in &SAMPLES[5..] {
            let (_, _, _, done, used) = decode(&[sample]);
            assert!(!done && used.is_err(), "{sample:?}");
        }
    }

    #[test]
    fn endless_line_is_refused() {
        let line = [b'1'; 2 * LINE_LIMIT];
        assert!(decode(&[&line]).4.is_err());
    }
}
