//! Records as `tracing` events.
//!
//! Reads: a [`Record`] for every response, after its end. Gives: one event. Its fields have the
//! names of OpenTelemetry's semantic conventions where these have one.

use std::net::SocketAddr;

use endwell_core::{Cause, Ending, Record};
use tracing::{Level, event};

use crate::observe::Observer;

/// One event; a macro, since each level is a place of its own to `tracing`.
macro_rules! tell {
    ($level:expr, $record:expr) => {{
        if !tracing::enabled!(target: "endwell::response", $level) {
            return;
        }
        let record: &Record = $record;
        let peer: Option<SocketAddr> = record.remote.parse().ok();
        let (path, query) = match record.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (record.target.as_str(), None),
        };
        event!(
            target: "endwell::response",
            $level,
            http.request.method = record.method.as_str(),
            url.path = path,
            url.query = query,
            server.address = record.host.as_deref(),
            http.response.status_code = record.status,
            http.response.body.size = record.tally.sent,
            network.protocol.name = "http",
            network.protocol.version = record.protocol.as_str(),
            client.address = peer.map(|peer| peer.ip().to_string()).as_deref(),
            client.port = peer.map(|peer| peer.port()),
            user_agent.original = record.user_agent.as_deref(),
            "error.type" = record.error_type(),
            endwell.ending = record.ending.as_str(),
            endwell.ended_by = record.ended_by().as_str(),
            endwell.said_by = record.said_by.as_str(),
            endwell.phase = record.phase.as_str(),
            endwell.signal_in = record.signal_in,
            endwell.signal_out = record.signal_out.as_str(),
            endwell.framing = record.framing.as_str(),
            endwell.octets_produced = record.tally.produced,
            endwell.trailers_dropped = record.trailers_dropped.len(),
            endwell.duration_ms = record.duration.as_secs_f64() * 1e3,
            endwell.trace_id = record.trace_id.as_deref(),
            endwell.request_id = record.request_id.as_deref(),
            "{}",
            Told(record),
        );
    }};
}
/// Makes an event of every record, of the target `endwell::response`.
///
/// Its level tells how bad it was: a failed response is an error, a degraded one a warning; a
/// client that left is info; a complete one is debug. There are no backtraces.
///
/// Fields, absent where they do not apply: `http.request.method`, `url.path`, `url.query`,
/// `server.address`, `http.response.status_code`, `http.response.body.size` (octets sent),
/// `network.protocol.name`, `network.protocol.version`, `client.address`, `client.port`,
/// `user_agent.original`, `error.type` (the kind of the cause); and of this project's own
/// `endwell.ending`, `endwell.ended_by`, `endwell.said_by`, `endwell.phase`, `endwell.signal_in`,
/// `endwell.signal_out`, `endwell.framing`, `endwell.octets_produced`, `endwell.trailers_dropped`
/// (how many), `endwell.duration_ms`, `endwell.trace_id`, `endwell.request_id`. The message of the
/// event is the cause, in words.
///
/// The event comes after the response has ended, outside of the span of its request: `trace_id`
/// is that of the request's `traceparent`.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// endwell::serve(endwell::listen(tcp), axum::Router::new())
///     .observer(endwell::Events)
///     .await
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Events;

impl Observer for Events {
    fn ended(&self, record: Record) {
        self.glance(&record);
    }

    fn glance(&self, record: &Record) {
        match record.ending {
            Ending::Complete => tell!(Level::DEBUG, record),
            Ending::Degraded(_) => tell!(Level::WARN, record),
            Ending::Failed(_) => tell!(Level::ERROR, record),
            Ending::Cancelled(_) => tell!(Level::INFO, record),
        }
    }
}

/// The ending and its cause, in words.
struct Told<'a>(&'a Record);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.ending.as_str())?;
        match self.0.ending.cause().map(Cause::to_string) {
            // A cause may quote what a peer sent: one event is one line.
            Some(cause) => write!(f, ": {}", cause.escape_debug()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use endwell_core::{Framing, Kind, Phase, Protocol, SaidBy, Tally};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record as Values};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    type Told = (Level, HashMap<&'static str, String>);

    /// Keeps the fields of every event.
    #[derive(Default)]
    struct Kept(Arc<Mutex<Vec<Told>>>);

    struct Fields<'a>(&'a mut HashMap<&'static str, String>);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name(), format!("{value:?}"));
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name(), value.to_owned());
        }
    }

    impl Subscriber for Kept {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Values<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut fields = HashMap::new();
            event.record(&mut Fields(&mut fields));
            let level = *event.metadata().level();
            self.0
                .lock()
                .expect("no panic holds it")
                .push((level, fields));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    fn record(ending: Ending) -> Record {
        Record {
            ts: SystemTime::UNIX_EPOCH,
            remote: "[::1]:4711".into(),
            method: "GET".into(),
            target: "/a?b=c".into(),
            host: Some("a.test".into()),
            protocol: Protocol::Http2,
            status: 200,
            ending,
            said_by: SaidBy::Producer,
            phase: Phase::Body,
            signal_in: None,
            signal_out: "reset_stream:0x2".into(),
            framing: Framing::EndStream,
            tally: Tally {
                sent: 40,
                produced: 41,
                ..Tally::default()
            },
            trailers_sent: Vec::new(),
            trailers_dropped: vec!["x-rows".into()],
            failed_parts: Vec::new(),
            duration: Duration::from_micros(1500),
            ttfb: None,
            request_id: None,
            trace_id: Some("0af7".into()),
            user_agent: None,
            referer: None,
        }
    }

    #[test]
    fn each_ending_has_its_level_and_the_names_of_opentelemetry() {
        let kept = Kept::default();
        let events = Arc::clone(&kept.0);
        let cause = || Cause::new(Kind::SourceChanged, "the file\nshrank");
        tracing::subscriber::with_default(kept, || {
            Events.ended(record(Ending::Failed(cause())));
            Events.glance(&record(Ending::Degraded(cause())));
            Events.ended(record(Ending::Cancelled(Cause::new(
                Kind::ClientGone,
                "it left",
            ))));
            Events.ended(record(Ending::Complete));
        });
        let events = events.lock().expect("no panic holds it");
        let levels: Vec<_> = events.iter().map(|(level, _)| *level).collect();
        assert_eq!(
            levels,
            [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG]
        );
        let failed = &events[0].1;
        for (name, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/a"),
            ("url.query", "b=c"),
            ("server.address", "a.test"),
            ("http.response.status_code", "200"),
            ("http.response.body.size", "40"),
            ("network.protocol.version", "2"),
            ("client.address", "::1"),
            ("client.port", "4711"),
            ("error.type", "source_changed"),
            ("endwell.ending", "failed"),
            ("endwell.signal_out", "reset_stream:0x2"),
            ("endwell.trailers_dropped", "1"),
            ("endwell.trace_id", "0af7"),
            ("message", "failed: source_changed: the file\\nshrank"),
        ] {
            assert_eq!(failed.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!failed.contains_key("user_agent.original"));
        assert!(!events[3].1.contains_key("error.type"), "nothing was wrong");
        assert_eq!(events[3].1["message"], "complete");
    }
}
