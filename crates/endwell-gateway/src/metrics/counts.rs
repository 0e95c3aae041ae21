//! Counts of responses, which many threads add to at once.
//!
//! Every label has a closed list of values, so a response finds its counters by arithmetic: no
//! lock, no hash, no allocation. Each thread adds to one of several copies; a scrape adds them up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use endwell::core::Protocol;
use endwell::{Ending, Kind, Record};

/// The names of the endings, in the order of their numbers.
pub(super) const ENDINGS: [&str; 4] = ["complete", "degraded", "failed", "cancelled"];

/// The classes of status codes; `other` is what no class of RFC 9110 section 15 holds.
pub(super) const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the histograms, in microseconds: half a millisecond to half an hour. Short
/// answers take the first five, large downloads the last five.
pub(super) const BOUNDS: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
];

/// At most so many copies: beyond, cores that add at the same instant are rare enough.
const MOST_SHARDS: usize = 16;

/// How a response can end: whole, or in one of the other ways for one of the kinds.
const WAYS: usize = 1 + (ENDINGS.len() - 1) * Kind::ALL.len();

/// Which responses a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) protocol: Protocol,
    /// Which of [`ENDINGS`].
    pub(super) ending: usize,
    /// Unless it is complete.
    pub(super) kind: Option<Kind>,
    /// Which of [`CLASSES`].
    pub(super) class: usize,
}

impl Labels {
    pub(super) fn of(record: &Record) -> Self {
        let class = usize::from(record.status / 100);
        Self {
            protocol: record.protocol,
            ending: match record.ending {
                Ending::Complete => 0,
                Ending::Degraded(_) => 1,
                Ending::Failed(_) => 2,
                Ending::Cancelled(_) => 3,
            },
            kind: record.ending.cause().map(|cause| cause.kind),
            class: if class < CLASSES.len() { class } else { 0 },
        }
    }

    /// Where the counter stands.
    fn index(self) -> usize {
        // Declared in the order of their lists: see the test.
        let way = self.kind.map_or(0, |kind| {
            1 + (self.ending - 1) * Kind::ALL.len() + kind as usize
        });
        (self.protocol as usize * WAYS + way) * CLASSES.len() + self.class
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let kinds = (1..ENDINGS.len())
            .flat_map(|ending| Kind::ALL.iter().map(move |kind| (ending, Some(*kind))));
        let ways = std::iter::once((0, None)).chain(kinds);
        Protocol::ALL.into_iter().flat_map(move |protocol| {
            ways.clone().flat_map(move |(ending, kind)| {
                (0..CLASSES.len()).map(move |class| Self {
                    protocol,
                    ending,
                    kind,
                    class,
                })
            })
        })
    }
}

/// Counts of one kind of duration.
#[derive(Debug, Default)]
struct Spread {
    /// How many fell under each bound, and above the last.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Microseconds in all.
    sum: AtomicU64,
}

impl Spread {
    fn add(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < microseconds);
        add(&self.buckets[bucket], 1);
        add(&self.sum, microseconds);
    }
}

/// One copy of all counters, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    responses: Box<[AtomicU64]>,
    octets: [AtomicU64; ENDINGS.len()],
    durations: [Spread; ENDINGS.len()],
    heads: Spread,
}

impl Shard {
    fn new() -> Self {
        let counters = Protocol::ALL.len() * WAYS * CLASSES.len();
        Self {
            responses: (0..counters).map(|_| AtomicU64::new(0)).collect(),
            octets: Default::default(),
            durations: Default::default(),
            heads: Spread::default(),
        }
    }
}

/// Counts of all responses.
#[derive(Debug)]
pub(super) struct Counts(Box<[Shard]>);

/// A histogram as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// How many fell under each bound, and above the last; not cumulated.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    /// Microseconds in all.
    pub(super) sum: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self((0..cores.min(MOST_SHARDS)).map(|_| Shard::new()).collect())
    }

    pub(super) fn add(&self, record: &Record) {
        let shard = &self.0[this_thread() % self.0.len()];
        let labels = Labels::of(record);
        add(&shard.responses[labels.index()], 1);
        add(&shard.octets[labels.ending], record.tally.sent);
        shard.durations[labels.ending].add(record.duration);
        if let Some(ttfb) = record.ttfb {
            shard.heads.add(ttfb);
        }
    }

    pub(super) fn responses(&self, labels: Labels) -> u64 {
        self.sum(|shard| &shard.responses[labels.index()])
    }

    /// Octets of bodies that were sent, for one of [`ENDINGS`].
    pub(super) fn octets(&self, ending: usize) -> u64 {
        self.sum(|shard| &shard.octets[ending])
    }

    /// Durations of the responses with one of [`ENDINGS`].
    pub(super) fn durations(&self, ending: usize) -> Histogram {
        self.histogram(|shard| &shard.durations[ending])
    }

    /// Times until a head was let go.
    pub(super) fn heads(&self) -> Histogram {
        self.histogram(|shard| &shard.heads)
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let values = self
            .0
            .iter()
            .map(|shard| counter(shard).load(Ordering::Relaxed));
        values.fold(0, u64::wrapping_add)
    }

    fn histogram(&self, spread: impl Fn(&Shard) -> &Spread) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|at| self.sum(|shard| &spread(shard).buckets[at])),
            sum: self.sum(|shard| &spread(shard).sum),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// A number of this thread's, so that threads spread over the copies.
fn this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    // A response may end while its thread does.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_labels_has_a_counter_of_its_own() {
        let all: Vec<_> = Labels::all().map(Labels::index).collect();
        let expected: Vec<_> = (0..Protocol::ALL.len() * WAYS * CLASSES.len()).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_duration_falls_under_the_first_bound_that_is_not_below_it() {
        let spread = Spread::default();
        for microseconds in [0, 500, 501, 1_800_000_000, 1_800_000_001] {
            spread.add(Duration::from_micros(microseconds));
        }
        let buckets = spread.buckets.map(AtomicU64::into_inner);
        assert_eq!((buckets[0], buckets[1]), (2, 1));
        assert_eq!(buckets[BOUNDS.len() - 1..], [1, 1]);
        assert_eq!(spread.sum.into_inner(), 3_600_001_002);
    }
}
