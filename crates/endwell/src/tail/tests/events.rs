//! Server-sent events, read as the standard says and by a parser that others wrote.

use std::time::Duration;

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Dispatched {
    kind: String,
    data: String,
    /// The last event ID string of the event source after it.
    id: String,
}

/// What a client knows after a stream: WHATWG HTML, sections 9.2.5 and 9.2.6.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Source {
    events: Vec<Dispatched>,
    id: String,
    retry: Option<u64>,
}

fn read(octets: &[u8], last_id: &str) -> Source {
    let text = String::from_utf8_lossy(octets);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut source = Source {
        id: last_id.to_owned(),
        ..Source::default()
    };
    let (mut kind, mut data, mut id) = (String::new(), String::new(), String::new());
    let mut rest = text;
    // A line that nothing ends is not processed, and an event that nothing ends is discarded.
    while let Some(at) = rest.find(['\r', '\n']) {
        let line = &rest[..at];
        let end = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[at + end..];
        if line.is_empty() {
            source.id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() { "message" } else { &kind };
                source.events.push(Dispatched {
                    kind: kind.to_owned(),
                    data: data.clone(),
                    id: id.clone(),
                });
            }
            kind.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => data = format!("{data}{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit()) => {
                source.retry = value.parse().ok();
            }
            _ => {}
        }
    }
    source
}

/// A field or a comment, without its line break.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "data:? ?[a-z{}\":é]{0,6}",
        "id:? ?[0-9a-z]{0,3}",
        "id: [0-9]{0,2}\0",
        "event: ?[a-z]{0,4}",
        "retry: ?[0-9]{1,4}",
        ":[a-z ]{0,4}",
        "i?d?[a-z]{0,3}",
    ]
}

/// A stream of events with one kind of line break, the first behind a byte order mark or not.
fn stream() -> impl Strategy<Value = String> {
    let event = proptest::collection::vec(line(), 0..5);
    let events = proptest::collection::vec(event, 0..5);
    (events, prop_oneof!["\n", "\r\n", "\r"], any::<bool>()).prop_map(|(events, end, mark)| {
        let mut text = String::from(if mark { "\u{feff}" } else { "" });
        for event in events {
            for line in event {
                text.push_str(&line);
                text.push_str(&end);
            }
            text.push_str(&end);
        }
        text
    })
}

/// A stream that eventsource-stream 0.2.3 reads as the standard says: it takes no id with a NUL for none, no CR
/// for a line break, and panics at a byte order mark.
fn plain_stream() -> impl Strategy<Value = String> {
    stream().prop_map(|text| {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        text.replace(['\0', '\u{feff}'], "")
    })
}

/// What the parser of the crate makes of a stream.
fn read_by_crate(octets: &[u8]) -> Vec<(String, String)> {
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(octets.to_vec())]);
    let events = stream.eventsource().map(|event| {
        let event = event.expect("it parses");
        (event.event, event.data)
    });
    events.collect().now_or_never().expect("it is all there")
}

proptest! {
    #[test]
    fn wherever_it_is_cut_the_client_gets_the_whole_events_and_then_the_error(
        stream in stream(), share: u16, ends in proptest::collection::vec(0..200_usize, 0..4),
    ) {
        let cut = &stream.as_bytes()[..cut_at(share, 0..stream.len())];
        let before = read(cut, "");
        let after = read(&ended(Tail::sse(), cut, &ends), "");
        let (error, whole) = after.events.split_last().expect("the error event");
        prop_assert_eq!(whole, &before.events[..], "only whole events are dispatched");
        prop_assert_eq!(&error.kind, "error");
        prop_assert_eq!(error.data.lines().last(), Some(PROBLEM));
        prop_assert_eq!(&after.id, &before.id, "what was cut does not count as received");
        prop_assert_eq!(after.retry, Some(3000));
    }

    #[test]
    fn a_parser_that_others_wrote_agrees(stream in plain_stream(), share: u16) {
        let cut = &stream.as_bytes()[..cut_at(share, 0..stream.len())];
        let Ok(cut) = std::str::from_utf8(cut) else { return Ok(()) };
        let before = read_by_crate(cut.as_bytes());
        let after = read_by_crate(&ended(Tail::sse(), cut.as_bytes(), &[]));
        let (error, whole) = after.split_last().expect("the error event");
        prop_assert_eq!(whole, &before[..]);
        prop_assert_eq!(&error.0, "error");
        prop_assert_eq!(error.1.lines().last(), Some(PROBLEM));
    }

    #[test]
    fn any_octets_are_survived(octets: Vec<u8>, ends in proptest::collection::vec(0..200_usize, 0..4)) {
        let after = read(&ended(Tail::sse(), &octets, &ends), "");
        let error = after.events.last().expect("the error event");
        prop_assert_eq!(error.data.lines().last(), Some(PROBLEM));
        prop_assert_eq!(after.id, read(&octets, "").id);
    }
}

fn text(tail: Tail, octets: &str) -> String {
    let tail = tail_of(tail, octets.as_bytes(), &[]).expect("it is written");
    String::from_utf8(tail).expect("text")
}

#[test]
fn between_events_the_tail_is_an_event_and_nothing_else() {
    assert_eq!(
        text(Tail::sse(), "data: 1\n\n"),
        format!("event: error\nretry: 3000\ndata: {PROBLEM}\n\n")
    );
    assert_eq!(
        text(Tail::sse(), ""),
        format!("event: error\nretry: 3000\ndata: {PROBLEM}\n\n")
    );
}

#[test]
fn a_cut_event_becomes_the_error_event_and_its_id_does_not_count() {
    let tail = text(
        Tail::sse(),
        "id: 7\ndata: a\n\nid: 8\nevent: token\ndata: {\"par",
    );
    assert_eq!(
        tail,
        format!("\nid: 7\nevent: error\nretry: 3000\ndata: {PROBLEM}\n\n")
    );
    // A cut id is one too: 1 of 17.
    let tail = text(Tail::sse(), "id: 1");
    assert!(tail.starts_with("\nid\nevent: error\n"), "{tail}");
    // Behind CR a LF would be part of the same line break, not a blank line.
    let tail = text(Tail::sse(), "data: a\r");
    assert!(tail.starts_with("event: error\n"), "{tail}");
}

#[test]
fn a_stream_that_was_resumed_keeps_its_place() {
    let mut tailing = Tailing::new(Tail::sse());
    let value = HeaderValue::from_static("41");
    tailing.link.hold(None, Some(value));
    tailing.link.let_go();
    tailing.watch(b"id: 42\ndata: x");
    let tail = tailing.last_octets(&failure(), None).expect("a tail");
    let after = read(&[b"id: 42\ndata: x", &tail[..]].concat(), "41");
    assert_eq!(after.id, "41");
}

#[test]
fn an_id_too_long_to_be_set_back_is_left_undispatched() {
    let long = "9".repeat(2000);
    let whole = format!("id: {long}\ndata: a\n\n");
    let cut = format!("{whole}id: 8\ndata: b");
    assert_eq!(text(Tail::sse(), &cut), format!("\n: {PROBLEM}\n"));
    // Nothing was cut: nothing needs to be set back.
    assert!(text(Tail::sse(), &whole).starts_with("event: error\n"));
    let longest = "9".repeat(1024);
    let cut = format!("id: {longest}\ndata: a\n\nid: 8");
    assert!(text(Tail::sse(), &cut).starts_with(&format!("\nid: {longest}\n")));
}

#[test]
fn the_pause_before_the_next_request_is_the_authors_or_fits_the_advice() {
    let pause = |tail: Tail, retry: Retry| {
        let mut tailing = Tailing::new(tail);
        tailing.link.let_go();
        let ending = Ending::Failed(Cause::producer("x").with_retry(retry));
        let tail = tailing.last_octets(&ending, None).expect("a tail");
        read(&tail, "").retry
    };
    assert_eq!(pause(Tail::sse(), Retry::Safe), Some(3_000));
    assert_eq!(pause(Tail::sse(), Retry::Never), Some(3_600_000));
    let own = Tail::sse().reconnect_after(Duration::from_millis(250));
    assert_eq!(pause(own, Retry::Never), Some(250));
}
