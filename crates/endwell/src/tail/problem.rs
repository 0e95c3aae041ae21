//! The reason as one line of JSON.
//!
//! Reads: an ending and, if the author tells one, a text. Gives: a problem details object (RFC
//! 9457) of printable ASCII, so that it is one line of data in every format. Never: tells the
//! cause's message unasked.

use std::fmt::Write;

use endwell_core::{Cause, Ending, Retry};
use http::StatusCode;

/// The longest text that is told, in octets before escaping: a reason, not a report. Longer ones are
/// cut at a character and end in `...`.
pub(super) const LONGEST_TEXT: usize = 1024;

/// What the peer is told of an ending, as a JSON object without a line break.
pub(super) fn problem(ending: &Ending, cause: &Cause, text: Option<&str>) -> String {
    let mut json = String::from("{\"title\":");
    match ending {
        Ending::Degraded(_) => string(&mut json, "The response is whole, but not all right"),
        Ending::Complete | Ending::Failed(_) | Ending::Cancelled(_) => {
            let code = cause.kind.status();
            let status = StatusCode::from_u16(code).ok();
            let phrase = status.and_then(|status| status.canonical_reason());
            string(&mut json, phrase.unwrap_or("Error"));
            let _ = write!(json, ",\"status\":{code}");
        }
    }
    for (name, value) in [
        ("ending", ending.as_str()),
        ("error", cause.kind.as_str()),
        ("retry", retry(cause.retry)),
    ] {
        let _ = write!(json, ",\"{name}\":");
        string(&mut json, value);
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        json.push_str(",\"detail\":");
        string(&mut json, &shortened(text));
    }
    json.push('}');
    json
}

/// The advice, in the words of [`Retry`].
fn retry(retry: Retry) -> &'static str {
    match retry {
        Retry::Safe => "safe",
        Retry::IfIdempotent => "if_idempotent",
        Retry::Never => "never",
    }
}

/// At most [`LONGEST_TEXT`] octets of a text, whole characters.
pub(super) fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= LONGEST_TEXT {
        return text.into();
    }
    let mut end = LONGEST_TEXT - 3;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end]).into()
}

/// A JSON string (RFC 8259 section 7) of printable ASCII.
///
/// Escaped beyond what JSON asks: everything but ASCII, so that neither U+2028 nor a wrong charset
/// matters; `<`, `>` and `&`, so that neither `-->` nor `</script>` can appear; and `'`.
fn string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '<' | '>' | '&' | '\'' | '\u{7f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            ' '..='~' => json.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use endwell_core::Kind;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_told_by_default_is_kind_and_advice() {
        let cause = Cause::new(Kind::SourceChanged, "row 17 of /var/lib/secret");
        let ending = Ending::Failed(cause.clone());
        assert_eq!(
            problem(&ending, &cause, None),
            "{\"title\":\"Internal Server Error\",\"status\":500,\"ending\":\"failed\",\
             \"error\":\"source_changed\",\"retry\":\"if_idempotent\"}"
        );
        let ending = Ending::Degraded(cause.clone().with_retry(Retry::Never));
        let cause = ending.cause().expect("a degraded ending has a cause");
        assert_eq!(
            problem(&ending, cause, Some("one part is missing")),
            "{\"title\":\"The response is whole, but not all right\",\"ending\":\"degraded\",\
             \"error\":\"source_changed\",\"retry\":\"never\",\"detail\":\"one part is missing\"}"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = "é".repeat(LONGEST_TEXT);
        let short = shortened(&text);
        assert!(short.len() <= LONGEST_TEXT && short.len() >= LONGEST_TEXT - 1);
        assert!(short.ends_with("é..."));
        assert_eq!(shortened("short"), "short");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_one_harmless_line(text in any::<String>(), more in "[<>&'\"\\\\\r\n\u{2028}/!-]{0,20}") {
            let text = text + &more;
            let cause = Cause::producer("x");
            let json = problem(&Ending::Failed(cause.clone()), &cause, Some(&text));
            prop_assert!(json.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            prop_assert!(!json.contains(['<', '>', '&', '\'']));
            let parsed: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            let detail = parsed.get("detail").and_then(|detail| detail.as_str());
            prop_assert_eq!(detail.unwrap_or(""), shortened(&text));
        }
    }
}
