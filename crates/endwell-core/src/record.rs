//! What is written down when a response has ended.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{Cause, Ending, Framing, Party, Protocol, SaidBy, Severity, Tally};

/// How far a response had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The service had not answered yet.
    Request,
    /// The service had answered; no head had left.
    Head,
    /// The head had left; the body was running.
    Body,
    /// All octets but the end mark had been produced.
    Last,
    /// The trailer section was being sent.
    Trailers,
}

impl Phase {
    /// The name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Head => "head",
            Self::Body => "body",
            Self::Last => "last",
            Self::Trailers => "trailers",
        }
    }
}

/// A part of a response that failed, and what that meant for the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedPart {
    /// Its name.
    pub name: String,
    /// What its failure means for the whole.
    pub severity: Severity,
    /// Why it failed.
    pub cause: Cause,
    /// How long it had run.
    pub duration: Duration,
}

impl Serialize for FailedPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = Line(serializer.serialize_map(None)?);
        line.put("part", &self.name)?;
        line.put("severity", self.severity.as_str())?;
        line.put("error_type", self.cause.kind.as_str())?;
        line.put("message", &self.cause.to_string())?;
        line.put("duration_ms", &milliseconds(self.duration))?;
        line.0.end()
    }
}

/// One access record: written once for every response, after its end.
///
/// [`Record::json`] and [`Record::combined`] give it as one line without a line feed; no
/// octet of a request can break out of that line.
#[derive(Debug, Clone)]
pub struct Record {
    /// When the request's head had been read.
    pub ts: SystemTime,
    /// The peer's address, with its port.
    pub remote: String,
    /// The method.
    pub method: String,
    /// The request target as it came.
    pub target: String,
    /// `Host` or `:authority`.
    pub host: Option<String>,
    /// The version of HTTP.
    pub protocol: Protocol,
    /// The status as sent. 499 when the client left before any head.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Who said so.
    pub said_by: SaidBy,
    /// How far it had come.
    pub phase: Phase,
    /// What was seen of the peer: `fin`, `rst`, `rst_stream`, `close`, `timeout`.
    pub signal_in: Option<&'static str>,
    /// What was put on the wire to end it.
    pub signal_out: String,
    /// How the message marks its end.
    pub framing: Framing,
    /// Octets of the body.
    pub tally: Tally,
    /// Names of the trailer fields that were sent.
    pub trailers_sent: Vec<String>,
    /// Names of the trailer fields of a whole response that could not be sent, or must not be.
    pub trailers_dropped: Vec<String>,
    /// Parts of the page that failed, in the order in which they did.
    pub failed_parts: Vec<FailedPart>,
    /// From the request's head to the end.
    pub duration: Duration,
    /// From the request's head to the first octet handed to the transport.
    pub ttfb: Option<Duration>,
    /// `X-Request-Id` of the request.
    pub request_id: Option<String>,
    /// The trace id of `traceparent`.
    pub trace_id: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Referer`.
    pub referer: Option<String>,
}

impl Record {
    /// Who ended the response.
    pub fn ended_by(&self) -> Party {
        self.ending.ended_by()
    }

    /// The kind of what went wrong, absent when nothing did.
    pub fn error_type(&self) -> Option<&'static str> {
        self.ending.cause().map(|cause| cause.kind.as_str())
    }

    /// The record as one line of JSON; absent values are left out.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// The record in the combined format, with `ending=` and `error_type=` after the user agent.
    pub fn combined(&self) -> String {
        let text = |value: Option<&str>| value.map_or_else(|| "-".to_owned(), escaped);
        let address = self.remote.rsplit_once(':').map_or("-", |(ip, _)| ip);
        let mut line = format!(
            "{} - - [{}] \"{} {} {}\" {} {} \"{}\" \"{}\" ending={}",
            address.trim_matches(['[', ']']),
            common_time(self.ts),
            escaped(&self.method),
            escaped(&self.target),
            self.protocol,
            self.status,
            self.tally.sent,
            text(self.referer.as_deref()),
            text(self.user_agent.as_deref()),
            self.ending.as_str(),
        );
        if let Some(error_type) = self.error_type() {
            line += " error_type=";
            line += error_type;
        }
        line
    }
}

/// Escapes what could end a quoted field or a line (log injection).
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

fn date(ts: SystemTime) -> time::OffsetDateTime {
    time::OffsetDateTime::from(ts)
}

/// `20/Nov/2026:13:55:36 +0000`.
fn common_time(ts: SystemTime) -> String {
    let at = date(ts);
    let month = &at.month().to_string()[..3];
    format!(
        "{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000",
        at.day(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `2026-11-20T13:55:36.123Z` (RFC 3339).
fn rfc3339(ts: SystemTime) -> String {
    let at = date(ts);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = Line(serializer.serialize_map(None)?);
        line.put("ts", &rfc3339(self.ts))?;
        line.put("remote", &self.remote)?;
        line.put("method", &self.method)?;
        line.put("target", &self.target)?;
        line.some("host", self.host.as_ref())?;
        line.put("protocol", self.protocol.as_str())?;
        line.put("status", &self.status)?;
        line.put("ending", self.ending.as_str())?;
        line.put("ended_by", self.ended_by().as_str())?;
        line.put("said_by", self.said_by.as_str())?;
        line.put("phase", self.phase.as_str())?;
        line.some("error_type", self.error_type())?;
        let message = self.ending.cause().map(Cause::to_string);
        line.some("message", message.as_ref())?;
        line.some("signal_in", self.signal_in)?;
        line.put("signal_out", &self.signal_out)?;
        line.put("framing", self.framing.as_str())?;
        line.some("octets_promised", self.tally.promised.as_ref())?;
        line.put("octets_produced", &self.tally.produced)?;
        line.put("octets_sent", &self.tally.sent)?;
        line.some("octets_acked", self.tally.acked.as_ref())?;
        if !self.trailers_sent.is_empty() {
            line.put("trailers_sent", &self.trailers_sent)?;
        }
        if !self.trailers_dropped.is_empty() {
            line.put("trailers_dropped", &self.trailers_dropped)?;
        }
        if !self.failed_parts.is_empty() {
            line.put("failed_parts", &self.failed_parts)?;
        }
        line.put("duration_ms", &milliseconds(self.duration))?;
        line.some("ttfb_ms", self.ttfb.map(milliseconds).as_ref())?;
        line.some("request_id", self.request_id.as_ref())?;
        line.some("trace_id", self.trace_id.as_ref())?;
        line.some("user_agent", self.user_agent.as_ref())?;
        line.some("referer", self.referer.as_ref())?;
        line.0.end()
    }
}

/// One JSON object whose absent members are left out.
struct Line<M>(M);

impl<M: SerializeMap> Line<M> {
    fn put<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    fn some<V: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: Option<&V>,
    ) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            ts: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123),
            remote: "127.0.0.1:4711".into(),
            method: "GET".into(),
            target: "/a\" \r\nb".into(),
            host: Some("localhost".into()),
            protocol: Protocol::Http11,
            status: 200,
            ending: Ending::failed("disk\nfull"),
            said_by: SaidBy::Producer,
            phase: Phase::Body,
            signal_in: None,
            signal_out: "missing_last_chunk".into(),
            framing: Framing::Chunked,
            tally: Tally {
                promised: None,
                produced: 40,
                sent: 40,
                acked: None,
            },
            trailers_sent: Vec::new(),
            trailers_dropped: vec!["x-digest".into()],
            failed_parts: vec![FailedPart {
                name: "stock".into(),
                severity: Severity::Note,
                cause: Cause::producer("no answer"),
                duration: Duration::from_micros(1250),
            }],
            duration: Duration::from_micros(1500),
            ttfb: Some(Duration::from_micros(250)),
            request_id: None,
            trace_id: None,
            user_agent: Some("curl/7.88.1".into()),
            referer: None,
        }
    }

    #[test]
    fn json_is_one_line_with_the_fields_of_the_design() {
        assert_eq!(
            record().json(),
            r#"{"ts":"2026-11-18T11:06:40.123Z","remote":"127.0.0.1:4711","method":"GET","target":"/a\" \r\nb","host":"localhost","protocol":"1.1","status":200,"ending":"failed","ended_by":"producer","said_by":"producer","phase":"body","error_type":"producer_error","message":"producer_error: disk\nfull","signal_out":"missing_last_chunk","framing":"chunked","octets_produced":40,"octets_sent":40,"trailers_dropped":["x-digest"],"failed_parts":[{"part":"stock","severity":"note","error_type":"producer_error","message":"producer_error: no answer","duration_ms":1.25}],"duration_ms":1.5,"ttfb_ms":0.25,"user_agent":"curl/7.88.1"}"#
        );
    }

    #[test]
    fn combined_cannot_be_broken_by_a_target() {
        assert_eq!(
            record().combined(),
            r#"127.0.0.1 - - [18/Nov/2026:11:06:40 +0000] "GET /a\" \u000d\u000ab HTTP/1.1" 200 40 "-" "curl/7.88.1" ending=failed error_type=producer_error"#
        );
    }
}
