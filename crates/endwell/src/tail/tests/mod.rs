//! What each format's readers make of a tail, wherever the body was cut.

mod events;
mod pages;
mod parts;
mod records;

use std::ops::Range;

use endwell_core::{Cause, Ending};

use super::*;

/// What is told of this failure by default.
const PROBLEM: &str = "{\"title\":\"Internal Server Error\",\"status\":500,\"ending\":\"failed\",\
                       \"error\":\"producer_error\",\"retry\":\"if_idempotent\"}";

fn failure() -> Ending {
    Ending::Failed(Cause::producer("the disk /dev/sda failed"))
}

/// The tail of a body of these octets, given in frames that end at `ends`.
fn tail_of(tail: Tail, octets: &[u8], ends: &[usize]) -> Option<Vec<u8>> {
    let mut tailing = Tailing::new(tail);
    let _ = tailing.announce();
    tailing.link.let_go();
    let mut start = 0;
    for end in ends.iter().copied().chain([octets.len()]) {
        let end = end.clamp(start, octets.len());
        tailing.watch(&octets[start..end]);
        start = end;
    }
    tailing
        .last_octets(&failure(), None)
        .map(|octets| octets.to_vec())
}

/// The body and its tail.
fn ended(tail: Tail, octets: &[u8], ends: &[usize]) -> Vec<u8> {
    let tail = tail_of(tail, octets, ends).expect("this tail is written");
    [octets, &tail].concat()
}

/// Where to cut something: a position by its share, so that it shrinks well.
fn cut_at(share: u16, all: Range<usize>) -> usize {
    all.start + (all.len() * usize::from(share)) / usize::from(u16::MAX)
}

#[test]
fn the_tail_is_chosen_by_content_type() {
    let format = |value: &str| {
        let mut fields = HeaderMap::new();
        fields.insert("content-type", value.parse().expect("a field's value"));
        Tail::for_fields(&fields).map(|tail| match tail.format {
            Format::Sse(_) => "sse",
            Format::Ndjson(_) => "ndjson",
            Format::JsonSeq => "json-seq",
            Format::Html(_) => "html",
            Format::Multipart(_) => "multipart",
            Format::Tagged(_) => "tagged",
        })
    };
    for (value, due) in [
        ("text/event-stream", Some("sse")),
        ("Text/Event-Stream; charset=utf-8", Some("sse")),
        ("application/x-ndjson", Some("ndjson")),
        ("application/jsonl;charset=utf-8", Some("ndjson")),
        ("application/json-seq", Some("json-seq")),
        ("application/geo+json-seq", Some("json-seq")),
        ("text/html", Some("html")),
        ("text/html; charset=\"UTF-8\"", Some("html")),
        ("text/html; charset=utf-16le", None),
        ("multipart/mixed; boundary=\"a b\"", Some("multipart")),
        ("multipart/mixed", None),
        ("multipart/mixed; boundary=\"<>\"", None),
        ("multipart/byteranges; boundary=a", None),
        ("application/json", None),
        ("text/csv", None),
        ("text/plain", None),
        ("application/x-tar", None),
        ("", None),
    ] {
        assert_eq!(format(value), due, "{value}");
    }
    for field in ["content-encoding", "content-range"] {
        let mut fields = HeaderMap::new();
        fields.insert("content-type", HeaderValue::from_static("text/html"));
        fields.insert(field, HeaderValue::from_static("x"));
        assert!(Tail::for_fields(&fields).is_none(), "{field}");
    }
}

#[test]
fn a_tail_is_written_once_and_only_for_what_broke() {
    let written = |ending: &Ending| {
        let mut tailing = Tailing::new(Tail::ndjson());
        tailing.watch(b"1\n");
        let first = tailing.last_octets(ending, None).is_some();
        (first, tailing.last_octets(ending, None).is_some())
    };
    assert_eq!(written(&failure()), (true, false));
    assert_eq!(written(&Ending::degraded("a part")), (true, false));
    assert_eq!(written(&Ending::Complete), (false, false));
    let left = Ending::Cancelled(Cause::producer("x"));
    assert_eq!(written(&left), (false, false));
}

#[test]
fn a_tail_fits_below_a_promise_or_is_not_written() {
    let written = |own: Option<u64>, layer: Option<u64>| {
        let mut tailing = Tailing::new(Tail::ndjson());
        tailing.link.hold(layer, None);
        tailing.link.let_go();
        tailing.watch(b"1\n");
        tailing.last_octets(&failure(), own).is_some()
    };
    let end = 2 + PROBLEM.len() as u64 + 1;
    assert!(written(Some(end + 1), Some(end + 1)));
    assert!(!written(Some(end), None));
    assert!(!written(None, Some(end)));
}

#[test]
fn a_tail_waits_for_a_head_that_left() {
    let written = |tell: fn(&Link), frame: Option<&[u8]>| {
        let mut tailing = Tailing::new(Tail::ndjson());
        tell(&tailing.link);
        if let Some(octets) = frame {
            tailing.watch(octets);
        }
        tailing.last_octets(&failure(), None).is_some()
    };
    let nobody_tells = |_: &Link| {};
    assert!(!written(nobody_tells, None));
    assert!(written(nobody_tells, Some(b"")));
    assert!(!written(|link| link.hold(None, None), Some(b"1\n")));
    assert!(written(|link| link.let_go(), None));
}

#[test]
fn what_is_told_is_the_authors_choice() {
    let detail = |tail: Tail| {
        let octets = ended(tail, b"", &[]);
        let json: serde_json::Value = serde_json::from_slice(&octets).expect("one line of JSON");
        json["detail"].as_str().map(str::to_owned)
    };
    assert_eq!(detail(Tail::ndjson()), None);
    let message = detail(Tail::ndjson().message());
    assert_eq!(message.as_deref(), Some("the disk /dev/sda failed"));
    let own = detail(Tail::ndjson().detail(|cause| Some(format!("{:?}", cause.kind))));
    assert_eq!(own.as_deref(), Some("ProducerError"));
    assert_eq!(detail(Tail::ndjson().detail(|_| None)), None);
}

#[test]
fn text_behind_a_marker_is_read_as_clients_of_clickhouse_do() {
    let tail = Tail::tagged();
    let (_, value) = tail.field().expect("a tagged tail needs a field");
    let tag = value.to_str().expect("letters").to_owned();
    let text = String::from_utf8(ended(tail, b"1,2\n3,", &[])).expect("text");
    let frame = text.strip_prefix("1,2\n3,").expect("the rows are kept");
    let frame = frame.strip_prefix(&format!("\r\n__exception__\r\n{tag}\r\n"));
    let end = format!(" {tag}\r\n__exception__\r\n");
    let frame = frame
        .and_then(|frame| frame.strip_suffix(&end))
        .expect("the marker");
    let (message, length) = frame.split_once('\n').expect("a line break");
    assert_eq!(message, PROBLEM);
    assert_eq!(length.parse(), Ok(message.len() + 1));
    assert_eq!(tag.len(), 16);
    assert!(tag.bytes().all(|octet| octet.is_ascii_lowercase()));
    let other = Tail::tagged().field().expect("a field").1;
    assert_ne!(value, other, "a tag that can be guessed");
}

#[test]
fn text_behind_a_marker_is_not_written_unannounced() {
    let mut tailing = Tailing::new(Tail::tagged());
    tailing.watch(b"1,2\n");
    assert_eq!(tailing.last_octets(&failure(), None), None);
}
