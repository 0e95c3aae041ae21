//! `Content-Disposition`, RFC 6266: under which name a browser saves a file.
//!
//! Reads: the name of a file. Gives: the field's value. Never: anything else that a request said.

use std::ffi::OsStr;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `attr-char` of RFC 8187 section 3.2.1 stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `attachment` with this name: as it is if every client reads it alike, else once in ASCII for
/// old clients and once in full.
pub(crate) fn attachment(name: &OsStr) -> HeaderValue {
    let name: String = name.to_string_lossy().chars().map(harmless).collect();
    let ascii: String = name.chars().map(plain).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        value += &format!("; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED));
    }
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// No separators, no control characters, and nothing that turns the direction of writing, by
/// which `gpj.exe` looks like `exe.jpg`.
fn harmless(c: char) -> char {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns || matches!(c, '/' | '\\') {
        '_'
    } else {
        c
    }
}

/// Quotes and percent signs are read in different ways by different browsers (RFC 6266 appendix D).
fn plain(c: char) -> char {
    if c.is_ascii() && !matches!(c, '"' | '%') {
        c
    } else {
        '_'
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(name: &str) -> String {
        let value = attachment(OsStr::new(name));
        value.to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn names_are_written_once_or_twice() {
        for (name, expected) in [
            ("file.txt", "attachment; filename=\"file.txt\""),
            ("a b; c=d.txt", "attachment; filename=\"a b; c=d.txt\""),
            (
                "été €.txt",
                "attachment; filename=\"_t_ _.txt\"; filename*=UTF-8''%C3%A9t%C3%A9%20%E2%82%AC.txt",
            ),
            (
                "say \"hi\" 100%.txt",
                "attachment; filename=\"say _hi_ 100_.txt\"; filename*=UTF-8''say%20%22hi%22%20100%25.txt",
            ),
            (
                "a\r\nSet-Cookie: x",
                "attachment; filename=\"a__Set-Cookie: x\"",
            ),
            (
                "photo\u{202e}gpj.exe",
                "attachment; filename=\"photo_gpj.exe\"",
            ),
            ("a\\b\u{0}", "attachment; filename=\"a_b_\""),
        ] {
            assert_eq!(written(name), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_is_written() {
        use std::os::unix::ffi::OsStrExt;
        let value = attachment(OsStr::from_bytes(b"a\xff"));
        assert_eq!(
            value,
            "attachment; filename=\"a_\"; filename*=UTF-8''a%EF%BF%BD"
        );
    }

    proptest! {
        /// Nothing gets out of the quotes, and what is percent-encoded is the name.
        #[test]
        fn no_name_breaks_out(name in "\\PC{0,20}|[\"%;*'=a\\\\]{0,12}") {
            let value = written(&name);
            let rest = value.strip_prefix("attachment; filename=\"").expect("a name");
            let (ascii, rest) = rest.split_once('"').expect("a quote");
            prop_assert!(!ascii.contains(['\\', '%']));
            if let Some(full) = rest.strip_prefix("; filename*=UTF-8''") {
                prop_assert!(full.bytes().all(|o| o.is_ascii_alphanumeric() || b"!#$&+-.^_`|~%".contains(&o)));
            } else {
                prop_assert_eq!(rest, "");
            }
        }
    }
}
