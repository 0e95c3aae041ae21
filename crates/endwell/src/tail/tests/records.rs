//! Lines of JSON and JSON text sequences, read with serde_json.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A record, as text: values whose beginnings may be values too.
fn record() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[1-9][0-9]{0,4}(\\.[0-9]{1,2})?",
        Just("true".to_owned()),
        Just("null".to_owned()),
        "\"[a-z é]{0,5}\"",
        "\\{\"a\":[1-9]{1,3},\"b\":\\[1,[1-9]{1,2}\\]\\}",
        Just("[12,[3,4],\"}\"]".to_owned()),
    ]
}

fn parse(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}

proptest! {
    #[test]
    fn a_cut_line_never_passes_for_a_record(
        records in proptest::collection::vec(record(), 0..5), crlf: bool,
        share: u16, ends in proptest::collection::vec(0..200_usize, 0..4),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let stream: String = records.iter().map(|record| format!("{record}{end}")).collect();
        let cut = &stream.as_bytes()[..cut_at(share, 0..stream.len())];
        let all = ended(Tail::ndjson(), cut, &ends);
        let text = all.strip_suffix(b"\n").expect("the reason is a whole line");
        let mut lines: Vec<_> = text.split(|&octet| octet == b'\n').collect();
        prop_assert_eq!(lines.pop(), Some(PROBLEM.as_bytes()));
        for (at, line) in lines.into_iter().enumerate() {
            if let Some(value) = parse(line) {
                prop_assert_eq!(Some(value), parse(records[at].as_bytes()));
            }
        }
    }

    #[test]
    fn a_cut_record_of_a_sequence_is_told_from_a_whole_one(
        records in proptest::collection::vec(record(), 0..5), share: u16,
    ) {
        let stream: String = records.iter().map(|record| format!("\u{1e}{record}\n")).collect();
        let cut = &stream.as_bytes()[..cut_at(share, 0..stream.len())];
        let all = ended(Tail::json_seq(), cut, &[]);
        let mut texts: Vec<_> = all.split(|&octet| octet == 0x1e).skip(1).collect();
        let reason = [PROBLEM.as_bytes(), b"\n"].concat();
        prop_assert_eq!(texts.pop(), Some(&reason[..]));
        for (at, text) in texts.into_iter().enumerate() {
            // RFC 7464 section 2.4: what is not closed by itself needs white space behind it.
            let closed = text.starts_with(b"{") || text.starts_with(b"[") || text.starts_with(b"\"");
            if closed || text.ends_with(b"\n") {
                if let Some(value) = parse(text) {
                    prop_assert_eq!(Some(value), parse(records[at].as_bytes()));
                }
            }
        }
    }
}

#[test]
fn a_line_is_ended_only_if_one_is_under_way() {
    let text = |octets: &[u8]| {
        let tail = tail_of(Tail::ndjson(), octets, &[]).expect("it is written");
        String::from_utf8(tail).expect("text")
    };
    assert_eq!(text(b""), format!("{PROBLEM}\n"));
    assert_eq!(text(b"{\"a\":1}\n"), format!("{PROBLEM}\n"));
    assert_eq!(text(b"{\"a\":1}\n{\"a\":"), format!("\n{PROBLEM}\n"));
    // 12 of 1200 would be a record if the line just ended.
    assert_eq!(text(b"{\"a\":1}\n12"), format!("!\n{PROBLEM}\n"));
}
