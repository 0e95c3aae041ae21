//! Counts what has ended, and writes it for a scraper.
//!
//! Reads: a look at each record, on the thread that drives its connection. Gives: text for
//! Prometheus. Never: waits, locks or allocates for a response.

mod text;

mod counts;

mod process;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use endwell::{Observer, Record};

use self::counts::{BOUNDS, CLASSES, Counts, ENDINGS, Histogram, Labels};
pub use self::text::Exposition;
use self::text::{Text, Type};

/// Counts of responses, and of whatever else a server can tell.
///
/// It is an [`Observer`] that only looks: `(Arc::clone(&metrics), log)` counts and logs. The
/// labels have closed lists of values (protocol, ending, kind, class of the status), so that no
/// client can make new series.
///
/// # Examples
/// ```
/// use endwell_gateway::{Exposition, Metrics};
/// let metrics = Metrics::new();
/// metrics.gauge("endwell_connections_open", "Open connections.", || 3);
/// let text = metrics.write(Exposition::Prometheus);
/// assert!(text.contains("\nendwell_connections_open 3\n"));
/// ```
pub struct Metrics {
    counts: Counts,
    began: SystemTime,
    further: Mutex<Vec<Further>>,
}

/// A figure that somebody else keeps.
struct Further {
    name: &'static str,
    is: Type,
    help: &'static str,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// How many responses have ended, and with how many octets sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// `complete`, `degraded`, `failed` or `cancelled`.
    pub ending: &'static str,
    /// How many responses ended so.
    pub responses: u64,
    /// Octets of their bodies that were sent.
    pub octets: u64,
}

impl Metrics {
    /// Counts from nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            counts: Counts::new(),
            began: SystemTime::now(),
            further: Mutex::default(),
        })
    }

    /// Adds a figure that only grows; `name` ends with `_total`. It is read at every scrape.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, Type::Counter, help, Box::new(read));
    }

    /// Adds a figure that goes up and down. It is read at every scrape.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, Type::Gauge, help, Box::new(read));
    }

    fn add(
        &self,
        name: &'static str,
        is: Type,
        help: &'static str,
        read: Box<dyn Fn() -> u64 + Send + Sync>,
    ) {
        self.further().push(Further {
            name,
            is,
            help,
            read,
        });
    }

    fn further(&self) -> MutexGuard<'_, Vec<Further>> {
        self.further.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has ended so far, for each ending.
    pub fn totals(&self) -> [Total; 4] {
        let mut totals = [0, 1, 2, 3].map(|ending| Total {
            ending: ENDINGS[ending],
            responses: 0,
            octets: self.counts.octets(ending),
        });
        for labels in Labels::all() {
            totals[labels.ending].responses += self.counts.responses(labels);
        }
        totals
    }

    /// Writes all of it. Reads a few small files of `/proc`.
    pub fn write(&self, exposition: Exposition) -> String {
        let mut text = Text::new(exposition);
        self.write_responses(&mut text);
        for further in &*self.further() {
            text.metric(further.name, further.is, further.help);
            text.sample(further.name, &[], (further.read)());
        }
        let name = "endwell_build_info";
        text.metric(name, Type::Gauge, "The version that runs.");
        text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        process::write(&mut text, self.began);
        text.end()
    }

    fn write_responses(&self, text: &mut Text) {
        let name = "endwell_responses_total";
        text.metric(name, Type::Counter, "Responses that have ended.");
        for labels in Labels::all() {
            let count = self.counts.responses(labels);
            if count == 0 {
                continue;
            }
            let labels = [
                ("protocol", labels.protocol.as_str()),
                ("ending", ENDINGS[labels.ending]),
                ("error_type", labels.kind.map_or("", |kind| kind.as_str())),
                ("status", CLASSES[labels.class]),
            ];
            text.sample(name, &labels, count);
        }
        let name = "endwell_response_bytes_total";
        let help = "Octets of bodies that were given to the transport.";
        text.metric(name, Type::Counter, help);
        for (ending, is) in ENDINGS.into_iter().enumerate() {
            text.sample(name, &[("ending", is)], self.counts.octets(ending));
        }
        let name = "endwell_response_duration_seconds";
        let help = "From a request's head to the end of its response.";
        text.metric(name, Type::Histogram, help);
        for (ending, is) in ENDINGS.into_iter().enumerate() {
            let durations = self.counts.durations(ending);
            write_histogram(text, name, Some(("ending", is)), &durations);
        }
        let name = "endwell_response_ttfb_seconds";
        let help = "From a request's head until the head of its response was let go.";
        text.metric(name, Type::Histogram, help);
        write_histogram(text, name, None, &self.counts.heads());
    }
}

fn write_histogram(text: &mut Text, name: &str, label: Option<(&str, &str)>, is: &Histogram) {
    let bounds = BOUNDS.iter().map(|bound| format!("{:?}", seconds(*bound)));
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (bound, more) in bounds.zip(is.buckets) {
        count += more;
        let labels: Vec<_> = label.into_iter().chain([("le", &*bound)]).collect();
        text.sample(&format!("{name}_bucket"), &labels, count);
    }
    text.sample(&format!("{name}_sum"), label.as_slice(), seconds(is.sum));
    text.sample(&format!("{name}_count"), label.as_slice(), count);
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

impl Observer for Metrics {
    fn ended(&self, record: Record) {
        self.glance(&record);
    }

    fn glance(&self, record: &Record) {
        self.counts.add(record);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}
