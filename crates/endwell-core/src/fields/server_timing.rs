//! `Server-Timing` (W3C): durations and notes that browsers show to developers.
//!
//! Reads: the value of a field, its lines joined by commas. Gives: metrics. It is no structured
//! field: values are tokens or quoted strings, and what a parser does not know it skips.

use std::fmt::Write;
use std::time::Duration;

use super::text::{Scanner, is_token, quoted};

/// One metric of `Server-Timing`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use endwell_core::fields::Metric;
/// let metric = Metric::new("db").expect("a token")
///     .took(Duration::from_micros(53_200))
///     .described("two \"slow\" queries").expect("printable");
/// assert_eq!(metric.to_field(), r#"db;dur=53.2;desc="two \"slow\" queries""#);
/// assert_eq!(Metric::parse(metric.to_field().as_bytes()), [metric]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    name: String,
    duration: Option<Duration>,
    description: Option<String>,
}

impl Metric {
    /// `None` if the name is no token (RFC 9110 section 5.6.2).
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        is_token(name.as_bytes()).then_some(Self {
            name,
            duration: None,
            description: None,
        })
    }

    /// With a duration, to the microsecond.
    #[must_use]
    pub fn took(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// With a description; `None` if a character of it is not printable ASCII.
    pub fn described(mut self, text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let printable = |octet| matches!(octet, b' '..=b'~' | b'\t');
        if !text.bytes().all(printable) {
            return None;
        }
        self.description = Some(text);
        Some(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it took, if that is told.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// What it is, for a person.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The value of a field with this metric alone; values of several are joined by commas.
    pub fn to_field(&self) -> String {
        let mut field = self.name.clone();
        if let Some(duration) = self.duration {
            let micros = duration.as_micros();
            let _ = write!(field, ";dur={}", micros / 1000);
            let part = format!("{:03}", micros % 1000);
            let part = part.trim_end_matches('0');
            if !part.is_empty() {
                let _ = write!(field, ".{part}");
            }
        }
        if let Some(text) = &self.description {
            field += ";desc=";
            quoted(text, &mut field);
        }
        field
    }

    /// Reads the value of the field.
    ///
    /// As the specification asks, what cannot be read is skipped: parameters that are not known or
    /// come a second time, and metrics without a name. A duration that is no number from zero on is none.
    pub fn parse(value: &[u8]) -> Vec<Self> {
        let mut metrics = Vec::new();
        let mut scan = Scanner::new(value);
        loop {
            let metric = scan
                .token()
                .and_then(|name| Self::new(String::from_utf8_lossy(name)));
            let mut metric = metric;
            while scan.skip_to(b';') {
                let name = scan.token().map(<[u8]>::to_ascii_lowercase);
                if !scan.take(b'=') {
                    continue;
                }
                let value = scan.value();
                if let (Some(metric), Some(name)) = (&mut metric, name) {
                    metric.read(&name, &value);
                }
            }
            metrics.extend(metric);
            if !scan.skip_to(b',') {
                return metrics;
            }
        }
    }

    fn read(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"dur" if self.duration.is_none() => {
                let text = std::str::from_utf8(value).unwrap_or("");
                let number = text
                    .parse::<f64>()
                    .ok()
                    .filter(|ms| *ms >= 0.0 && ms.is_finite());
                self.duration =
                    number.map(|ms| Duration::from_micros((ms * 1000.0).round() as u64));
            }
            b"desc" if self.description.is_none() => {
                let text = String::from_utf8_lossy(value).into_owned();
                if let Some(described) = self.clone().described(text) {
                    *self = described;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Vec<(String, Option<u128>, Option<String>)> {
        let metrics = Metric::parse(value.as_bytes()).into_iter();
        let told = metrics.map(|it| (it.name, it.duration.map(|d| d.as_micros()), it.description));
        told.collect()
    }

    #[test]
    fn metrics_are_read_as_browsers_read_them() {
        let metric =
            |name: &str, dur, desc: Option<&str>| (name.to_owned(), dur, desc.map(str::to_owned));
        // After the examples of the W3C text.
        for (value, metrics) in [
            (
                "miss, db;dur=53, app;dur=47.2",
                vec![
                    metric("miss", None, None),
                    metric("db", Some(53_000), None),
                    metric("app", Some(47_200), None),
                ],
            ),
            (
                "cache; desc = \"a, \\\"b\\\"; c\" ; DUR=23.2",
                vec![metric("cache", Some(23_200), Some("a, \"b\"; c"))],
            ),
            (
                "a;dur=1;dur=2;x=y;desc=d",
                vec![metric("a", Some(1000), Some("d"))],
            ),
            (
                "a;dur=-1, b;dur=inf, c;dur=x, d;dur",
                vec![
                    metric("a", None, None),
                    metric("b", None, None),
                    metric("c", None, None),
                    metric("d", None, None),
                ],
            ),
            ("", vec![]),
            (",;dur=1,a", vec![metric("a", None, None)]),
            ("a;desc=\"open, b", vec![metric("a", None, Some("open, b"))]),
        ] {
            assert_eq!(read(value), metrics, "{value}");
        }
    }

    #[test]
    fn what_would_break_a_line_is_refused() {
        assert_eq!(Metric::new("a b"), None);
        assert_eq!(Metric::new(""), None);
        let metric = Metric::new("a").expect("a token");
        assert_eq!(metric.clone().described("a\r\nSet-Cookie: b"), None);
        assert_eq!(metric.described("é"), None);
    }

    proptest! {
        #[test]
        fn every_metric_is_read_as_it_was_written(
            name in "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,8}",
            micros in proptest::option::of(0..1_000_000_000_000_u64),
            text in proptest::option::of("[ -~\\t]{0,12}"),
        ) {
            let mut metric = Metric::new(name).expect("a token");
            metric.duration = micros.map(Duration::from_micros);
            if let Some(text) = text {
                metric = metric.described(text).expect("printable");
            }
            let twice = format!("{}, {}", metric.to_field(), metric.to_field());
            prop_assert_eq!(Metric::parse(twice.as_bytes()), vec![metric.clone(), metric]);
        }

        #[test]
        fn no_octets_break_a_parser(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            for metric in Metric::parse(&value) {
                prop_assert_eq!(Metric::parse(metric.to_field().as_bytes()), vec![metric]);
            }
        }
    }
}
