//! The end of a text that may be long.

/// What is kept, in octets: the last lines of a program that explains itself, and no more than a
/// record should hold.
pub(super) const KEPT: usize = 2 * 1024;

/// The last octets of what went by.
#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: Vec<u8>,
    cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, octets: &[u8]) {
        let last = &octets[octets.len().saturating_sub(KEPT)..];
        let over = (self.kept.len() + last.len()).saturating_sub(KEPT);
        self.cut |= over > 0 || last.len() < octets.len();
        self.kept.drain(..over);
        self.kept.extend_from_slice(last);
    }

    /// As text, without white space around it; `...` stands for what went before.
    pub(super) fn text(&self) -> String {
        // A character that was cut in two is not shown as a damaged one.
        let begins = |octet: &u8| !(self.cut && (0x80..0xc0).contains(octet));
        let start = self.kept.iter().position(begins).unwrap_or_default();
        let text = String::from_utf8_lossy(&self.kept[start..]);
        match (text.trim(), self.cut) {
            ("", _) => String::new(),
            (text, true) => format!("...{text}"),
            (text, false) => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(pieces: &[&[u8]]) -> String {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.push(piece);
            assert!(tail.kept.len() <= KEPT);
        }
        tail.text()
    }

    #[test]
    fn the_end_stays() {
        assert_eq!(tail(&[]), "");
        assert_eq!(tail(&[b"no such ", b"table\n"]), "no such table");
        assert_eq!(tail(&[b"caf\xe9"]), "caf\u{fffd}");
        let long = tail(&[&[b'a'; KEPT], b"end"]);
        assert!(long.starts_with("...aaa") && long.ends_with("aend"));
        assert_eq!(long.len(), 3 + KEPT);
        assert_eq!(tail(&[&[b'a'; 9000]]).len(), 3 + KEPT);
        let cut = tail(&["é".repeat(KEPT).as_bytes(), b"x"]);
        assert!(cut.starts_with("...é") && cut.ends_with("éx"), "{cut}");
    }
}
