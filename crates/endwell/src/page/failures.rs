//! What failed in a page, and what it makes of the page's ending.
//!
//! Reads: each failure with the part's name and severity. Gives: the ending, which the worst decides,
//! the list for the record, and metrics for those that are only noted.

use std::time::Duration;

use endwell_core::fields::Metric;
use endwell_core::{Cause, Ending, FailedPart, Severity};

use crate::trailers::Trailers;

/// Failures that are told one by one: enough to find what is wrong. More are counted.
const TOLD: usize = 32;

/// Octets of a message that are kept: a reason, not a report.
const LONGEST: usize = 1024;

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    told: Vec<FailedPart>,
    /// How many there were.
    count: usize,
    /// The first of the worst.
    worst: Option<(Severity, String, Cause)>,
}

impl Failures {
    pub(super) fn add(&mut self, part: FailedPart) {
        let mut part = part;
        shorten(&mut part.cause);
        self.count += 1;
        let worse = self
            .worst
            .as_ref()
            .is_none_or(|(worst, ..)| *worst < part.severity);
        if worse {
            self.worst = Some((part.severity, part.name.clone(), part.cause.clone()));
        }
        if self.told.len() < TOLD {
            self.told.push(part);
        }
    }

    /// Another page takes the place of the one in which they were: they are told, and decide nothing.
    pub(super) fn of_another_page(&mut self) {
        self.count = 0;
        self.worst = None;
    }

    /// Whether the page ends here.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.worst, Some((Severity::Fatal, ..)))
    }

    /// How the page ends.
    pub(super) fn ending(&self) -> Ending {
        let Some((severity, name, cause)) = &self.worst else {
            return Ending::Complete;
        };
        let others = match self.count - 1 {
            0 => String::new(),
            1 => ", and 1 failure more".to_owned(),
            others => format!(", and {others} failures more"),
        };
        let mut cause = cause.clone();
        cause.message = format!("part {name}: {}{others}", cause.message).into();
        match severity {
            Severity::Fatal => Ending::Failed(cause),
            Severity::Degrading => Ending::Degraded(cause),
            Severity::Note => Ending::Complete,
        }
    }

    /// All that are told.
    pub(super) fn told(&self) -> &[FailedPart] {
        &self.told
    }

    /// A metric for each that is told: its name, how long it ran, and what kind of failure it was.
    pub(super) fn trailers(&self) -> Option<Trailers> {
        let metrics = self.told.iter().filter_map(metric);
        let fields = metrics.fold(Trailers::new(), |fields, metric| fields.timing(&metric));
        (!self.told.is_empty()).then_some(fields)
    }
}

/// Nothing of the message: it may hold what the peer must not know.
fn metric(part: &FailedPart) -> Option<Metric> {
    let token = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '_',
    };
    let metric = Metric::new(part.name.chars().map(token).collect::<String>())
        .or_else(|| Metric::new("part"))?;
    metric
        .took(Duration::from_micros(part.duration.as_micros() as u64))
        .described(part.cause.kind.as_str())
}

fn shorten(cause: &mut Cause) {
    if cause.message.len() > LONGEST {
        let mut end = LONGEST;
        while !cause.message.is_char_boundary(end) {
            end -= 1;
        }
        cause.message = format!("{}...", &cause.message[..end]).into();
    }
}
