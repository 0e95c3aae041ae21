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

/// A name, percent-encoded octet by octet, as a relative reference: the dot keeps a name with a
/// colon from being a scheme.
pub(super) fn address(name: &[u8], folder: bool) -> String {
    let slash = if folder { "/" } else { "" };
    format!("./{}{slash}", percent_encode(name, PLAIN))
}

/// Whether a character shows nothing, or moves what stands around it: controls, line ends, marks
/// of direction, blanks without width, tags. (The joiners U+200C and U+200D are part of words.)
fn is_deceiving(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A name in a page. What would not be seen, and octets that are no text, are written as marked
/// escapes: two names never look alike for that.
pub(super) fn html(name: &[u8]) -> String {
    let mut safe = String::with_capacity(name.len());
    for part in name.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                // Writing to a String cannot fail.
                c if is_deceiving(c) => {
                    let _ = write!(safe, "<mark>{}</mark>", c.escape_unicode());
                }
                c => safe.push(c),
            }
        }
        for octet in part.invalid() {
            let _ = write!(safe, "<mark>\\x{octet:02x}</mark>");
        }
    }
    safe
}

/// A name as a JSON string; U+FFFD stands for octets that are no text.
pub(super) fn json(name: &[u8]) -> String {
    let mut string = String::with_capacity(name.len() + 2);
    string.push('"');
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '"' | '\\' => string.extend(['\\', c]),
            c if is_deceiving(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(string, "\\u{unit:04x}");
                }
            }
            c => string.push(c),
        }
    }
    string.push('"');
    string
}

/// Octets as a person reads them: `999 B`, `1.4 MB`; never more than there are.
pub(super) fn size(octets: u64) -> String {
    if octets < 1000 {
        return format!("{octets} B");
    }
    let mut units = ["kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut tenths = octets / 100;
    let mut unit = units.next().unwrap_or_default();
    while tenths >= 10_000
        && let Some(larger) = units.next()
    {
        (tenths, unit) = (tenths / 1000, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
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

/// Date, and time of day to the second, in UTC; none for years that have not four digits.
pub(super) fn date_and_time(time: SystemTime) -> Option<(String, String)> {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs())
            .ok()
            .map(|seconds| -seconds),
    };
    let at = OffsetDateTime::from_unix_timestamp(seconds?).ok()?;
    let year = u16::try_from(at.year()).ok()?;
    let (month, day) = (u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    Some((
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}"),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
            assert_eq!(address(name, folder), expected);
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
            assert_eq!(html(name), expected);
        }
    }

    #[test]
    fn names_in_json_are_strings_that_a_terminal_shows() {
        for (name, expected) in [
            (&b"a\"\\\n"[..], r#""a\"\\\u000a""#),
            ("\u{202e}\u{e0041}é".as_bytes(), r#""\u202e\udb40\udc41é""#),
            (b"caf\xe9", "\"caf\u{fffd}\""),
        ] {
            assert_eq!(json(name), expected);
            let read: String = serde_json::from_str(&json(name)).expect("a string");
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
            assert_eq!(size(octets), shown);
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
        let shown = |time| date_and_time(time).map(|(date, time)| format!("{date} {time}"));
        let at = |seconds| shown(epoch + Duration::from_secs(seconds));
        assert_eq!(at(1_795_000_000).as_deref(), Some("2026-11-18 11:06:40"));
        assert_eq!(at(1 << 50), None);
        let before = shown(epoch - Duration::from_secs(1));
        assert_eq!(before.as_deref(), Some("1969-12-31 23:59:59"));
    }
}
