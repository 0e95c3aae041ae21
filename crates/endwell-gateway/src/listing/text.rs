//! Names, sizes and times as text.
//!
//! Reads: octets of names, sizes in octets, times. Gives: text that is safe where it is put.

use std::fmt::Write;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use time::OffsetDateTime;

/// What a name in an address may hold as it is (RFC 3986 section 2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes a name, percent-encoded octet by octet, as a relative reference: the dot keeps a name
/// with a colon from being a scheme.
pub(super) fn address(name: &[u8], folder: bool, into: &mut String) {
    into.push_str("./");
    into.extend(percent_encode(name, PLAIN));
    if folder {
        into.push('/');
    }
}

/// Whether a character shows nothing, or moves what stands around it: controls, line ends, marks
/// of direction, blanks without width, tags. (The joiners U+200C and U+200D are part of words.)
fn is_deceiving(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Writes a name as text of a page. What would not be seen, and octets that are no text, are
/// written as marked escapes: two names never look alike for that.
pub(super) fn html(name: &[u8], into: &mut String) {
    for part in name.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '&' => into.push_str("&amp;"),
                '<' => into.push_str("&lt;"),
                '>' => into.push_str("&gt;"),
                '"' => into.push_str("&quot;"),
                '\'' => into.push_str("&#39;"),
                // Writing to a String cannot fail.
                c if is_deceiving(c) => {
                    let _ = write!(into, "<mark>{}</mark>", c.escape_unicode());
                }
                c => into.push(c),
            }
        }
        for octet in part.invalid() {
            let _ = write!(into, "<mark>\\x{octet:02x}</mark>");
        }
    }
}

/// Writes a name as a JSON string; U+FFFD stands for octets that are no text.
pub(super) fn json(name: &[u8], into: &mut String) {
    into.push('"');
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '"' | '\\' => into.extend(['\\', c]),
            c if is_deceiving(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(into, "\\u{unit:04x}");
                }
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

/// Writes octets as a person reads them: `999 B`, `1.4 MB`; never more than there are.
pub(super) fn size(octets: u64, into: &mut String) {
    if octets < 1000 {
        let _ = write!(into, "{octets} B");
        return;
    }
    let mut units = ["kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut tenths = octets / 100;
    let mut unit = units.next().unwrap_or_default();
    while tenths >= 10_000
        && let Some(larger) = units.next()
    {
        (tenths, unit) = (tenths / 1000, larger);
    }
    let _ = write!(into, "{}.{} {unit}", tenths / 10, tenths % 10);
}

/// A number as English writes it: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time in UTC, to the second, in a year of four digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    date: (u16, u8, u8),
    time: (u8, u8, u8),
}

impl Moment {
    /// `None` for a time that no such year holds.
    pub(super) fn of(time: SystemTime) -> Option<Self> {
        let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).ok(),
            Err(before) => i64::try_from(before.duration().as_secs())
                .ok()
                .map(|seconds| -seconds),
        };
        let at = OffsetDateTime::from_unix_timestamp(seconds?).ok()?;
        let year = u16::try_from(at.year()).ok()?;
        Some(Self {
            date: (year, u8::from(at.month()), at.day()),
            time: at.to_hms(),
        })
    }

    /// Writes `2026-11-20T13:55:36Z` (RFC 3339).
    pub(super) fn exact(self, into: &mut String) {
        let ((year, month, day), (hour, minute, second)) = (self.date, self.time);
        let _ = write!(
            into,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        );
    }

    /// Writes `2026-11-20 13:55`.
    pub(super) fn minute(self, into: &mut String) {
        let ((year, month, day), (hour, minute, _)) = (self.date, self.time);
        let _ = write!(into, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut text = String::new();
        write(&mut text);
        text
    }

    #[test]
    fn addresses_are_relative_and_exact() {
        for (name, folder, expected) in [
            (&b"a.txt"[..], false, "./a.txt"),
            (b"javascript:x", true, "./javascript%3Ax/"),
            (b"//evil", false, "./%2F%2Fevil"),
            (
                "été 100%?#".as_bytes(),
                false,
                "./%C3%A9t%C3%A9%20100%25%3F%23",
            ),
            (b"not utf8 \xff\n", false, "./not%20utf8%20%FF%0A"),
        ] {
            assert_eq!(written(|to| address(name, folder, to)), expected);
        }
    }

    #[test]
    fn names_in_a_page_are_text_that_is_seen() {
        for (name, expected) in [
            (&b"<b>&\"'"[..], "&lt;b&gt;&amp;&quot;&#39;"),
            (b"a\n\x1b[2J", "a<mark>\\u{a}</mark><mark>\\u{1b}</mark>[2J"),
            (
                "exe.\u{202e}gpj".as_bytes(),
                "exe.<mark>\\u{202e}</mark>gpj",
            ),
            (
                "\u{2066}\u{feff}\u{85}".as_bytes(),
                "<mark>\\u{2066}</mark><mark>\\u{feff}</mark><mark>\\u{85}</mark>",
            ),
            (b"caf\xe9", "caf<mark>\\xe9</mark>"),
            ("שלום été 👩\u{200d}🚀".as_bytes(), "שלום été 👩\u{200d}🚀"),
        ] {
            assert_eq!(written(|to| html(name, to)), expected);
        }
    }

    #[test]
    fn names_in_json_are_strings_that_a_terminal_shows() {
        for (name, expected) in [
            (&b"a\"\\\n"[..], r#""a\"\\\u000a""#),
            ("\u{202e}\u{e0041}é".as_bytes(), r#""\u202e\udb40\udc41é""#),
            (b"caf\xe9", "\"caf\u{fffd}\""),
        ] {
            let string = written(|to| json(name, to));
            assert_eq!(string, expected);
            let read: String = serde_json::from_str(&string).expect("a string");
            assert_eq!(read, String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (octets, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_450_000, "1.4 MB"),
            (999_999, "999.9 kB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(written(|to| size(octets, to)), shown);
        }
        for (number, shown) in [
            (0, "0"),
            (100, "100"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), shown);
        }
        let epoch = SystemTime::UNIX_EPOCH;
        let exact = |time| Moment::of(time).map(|moment| written(|to| moment.exact(to)));
        let at = epoch + Duration::from_secs(1_795_000_000);
        assert_eq!(exact(at).as_deref(), Some("2026-11-18T11:06:40Z"));
        let minute = Moment::of(at).map(|moment| written(|to| moment.minute(to)));
        assert_eq!(minute.as_deref(), Some("2026-11-18 11:06"));
        let before = exact(epoch - Duration::from_secs(1));
        assert_eq!(before.as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(exact(epoch + Duration::from_secs(1 << 50)), None);
    }
}
