//! What the first octets of a connection, and of each request on it, tell before a head is whole.
//!
//! Reads: octets as they come, while no message is under way. Gives: whether a head has begun,
//! whether it speaks HTTP/2, and whether its first line can still be within its limit: hyper
//! answers a head that fills its buffer with 431, also where 414 is meant.

/// How every HTTP/2 connection begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a request line holds besides its target: a method, which no registered one of 18 octets
/// fills, two spaces and the version.
const BESIDES: usize = 64;

/// Follows the first line of a head.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Octets of the head so far, empty lines before it left out.
    octets: usize,
    /// How many of them, from the first, are those of the preface.
    preface: usize,
    /// The line has ended.
    over: bool,
}

/// What is known of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing, or empty lines, which a server ignores (RFC 9112 section 2.2).
    Nothing,
    /// What may become HTTP/2: `PRI` begins no method that anybody registered.
    Preface,
    /// HTTP/2 is spoken.
    Http2,
    /// A head of HTTP/1.
    Head,
    /// A head of HTTP/1 whose target is too long.
    TargetTooLong,
    /// A head of HTTP/1 that is too large, and not yet whole.
    TooLarge,
}

impl Line {
    /// Looks at octets that came and made no head whole before; a target and a head may have
    /// so many.
    pub(crate) fn hear(&mut self, octets: &[u8], target: usize, head: usize) -> Heard {
        let octets = match self.octets {
            0 => without_empty_lines(octets),
            _ => octets,
        };
        if self.preface == self.octets {
            let expected = PREFACE.iter().skip(self.preface);
            let alike = octets.iter().zip(expected).take_while(|(a, b)| a == b);
            self.preface += alike.count();
        }
        if !self.over {
            let end = octets.iter().position(|octet| *octet == b'\n');
            self.over = end.is_some();
            let line = self.octets + end.unwrap_or(octets.len());
            if line > target.saturating_add(BESIDES) {
                return Heard::TargetTooLong;
            }
        }
        // The octets that came now may be those of a body behind the end of the head.
        let too_large = self.octets > head;
        self.octets += octets.len();
        match self.preface {
            _ if self.octets == 0 => Heard::Nothing,
            preface if preface == PREFACE.len() => Heard::Http2,
            preface if preface >= 3 && preface == self.octets => Heard::Preface,
            _ if too_large => Heard::TooLarge,
            _ => Heard::Head,
        }
    }
}

/// A whole answer to a head that never became a request: the connection ends after it.
pub(crate) fn answer(status: &str) -> Vec<u8> {
    // A server with a clock tells it in every 4xx (RFC 9110 section 6.6.1).
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let head = "content-type: text/plain; charset=utf-8\r\nconnection: close";
    let length = status.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\ndate: {date}\r\n\r\n{status}\n"
    )
    .into_bytes()
}

/// Whether octets end as a head does, so that the next ones begin another.
pub(crate) fn ends_head(octets: &[u8]) -> bool {
    octets.ends_with(b"\n\r\n") || octets.ends_with(b"\n\n")
}

fn without_empty_lines(octets: &[u8]) -> &[u8] {
    let empty = |octet: &&u8| matches!(octet, b'\r' | b'\n');
    &octets[octets.iter().take_while(empty).count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(parts: &[&[u8]]) -> Heard {
        let mut line = Line::default();
        let heard = parts.iter().map(|part| line.hear(part, 100, 1000));
        heard.last().unwrap_or(Heard::Nothing)
    }

    #[test]
    fn a_head_begins_with_its_first_octet_that_ends_no_line() {
        assert_eq!(heard(&[b"", b"\r\n", b"\r\n\r"]), Heard::Nothing);
        assert_eq!(heard(&[b"\r\nG"]), Heard::Head);
        assert_eq!(heard(&[b"P"]), Heard::Head);
        assert_eq!(heard(&[b"PRI"]), Heard::Preface);
        assert_eq!(heard(&[b"PRI", b"VATE / "]), Heard::Head);
    }

    #[test]
    fn the_preface_may_come_in_any_pieces() {
        for cut in 0..PREFACE.len() {
            let (start, rest) = PREFACE.split_at(cut);
            assert_eq!(heard(&[start, rest]), Heard::Http2, "{cut}");
            assert_eq!(heard(&[start, rest, b"\0\0\0\x04\0"]), Heard::Http2);
        }
    }

    #[test]
    fn only_the_first_line_may_be_too_long() {
        let long = [b'a'; 165];
        assert_eq!(heard(&[&long[..164]]), Heard::Head);
        assert_eq!(heard(&[&long]), Heard::TargetTooLong);
        assert_eq!(heard(&[b"GET /", &long]), Heard::TargetTooLong);
        assert_eq!(heard(&[b"GET / HTTP/1.1\r\na: ", &long]), Heard::Head);
    }

    #[test]
    fn a_head_that_is_not_whole_at_its_limit_is_too_large() {
        let field = [b'a'; 990];
        let line = b"GET / HTTP/1.1\r\n";
        assert_eq!(heard(&[line, &field]), Heard::Head);
        assert_eq!(heard(&[line, &field, b"a"]), Heard::TooLarge);
    }
}
