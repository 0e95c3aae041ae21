//! The two text formats in which metrics are read: that of Prometheus and OpenMetrics 1.0.

use std::fmt::{Display, Write};

use http::header::{ACCEPT, HeaderMap, HeaderValue};

/// Media type of OpenMetrics, without parameters.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// In which format metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposition {
    /// The text format 0.0.4 of Prometheus.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// What a scraper's `Accept` asks for: OpenMetrics only where it is named and not below
    /// `text/plain`.
    pub fn of(headers: &HeaderMap) -> Self {
        let members = || {
            let values = headers.get_all(ACCEPT).iter();
            let values = values.filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(str::trim)
        };
        let best = |media: &str| {
            let weights = members().filter_map(|member| weight(member, media));
            weights.fold(0.0, f64::max)
        };
        let open = best(OPEN_METRICS);
        if open > 0.0 && open >= best("text/plain") {
            return Self::OpenMetrics;
        }
        Self::Prometheus
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }
}

/// The weight that a member of `Accept` gives to a media type, if it is about that one
/// (RFC 9110 section 12.5.1).
fn weight(member: &str, media: &str) -> Option<f64> {
    let mut parts = member.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(media) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// It only grows; the name ends with `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations sorted by size.
    Histogram,
}

/// Metrics, written one after the other.
pub(super) struct Text {
    exposition: Exposition,
    text: String,
}

impl Text {
    pub(super) fn new(exposition: Exposition) -> Self {
        let text = String::with_capacity(16 * 1024);
        Self { exposition, text }
    }

    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, name: &str, is: Type, help: &str) {
        // OpenMetrics names a counter without the suffix that its samples have.
        let name = match (self.exposition, is) {
            (Exposition::OpenMetrics, Type::Counter) => name.trim_end_matches("_total"),
            (_, _) => name,
        };
        let is = match is {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}");
        let _ = writeln!(self.text, "# TYPE {name} {is}");
    }

    /// Writes one sample. Labels come from closed lists: nothing in them needs an escape.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text += name;
        for (at, (label, is)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{is}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.exposition == Exposition::OpenMetrics {
            self.text += "# EOF\n";
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_chooses_the_format() {
        let prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            ("", Exposition::Prometheus),
            ("*/*", Exposition::Prometheus),
            ("text/html, */*;q=0.1", Exposition::Prometheus),
            ("text/plain", Exposition::Prometheus),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            (prometheus3, Exposition::OpenMetrics),
            ("application/openmetrics-text;q=0", Exposition::Prometheus),
            ("application/openmetrics-text;q=nan", Exposition::Prometheus),
            (
                "application/openmetrics-text;q=0.2, text/plain",
                Exposition::Prometheus,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Exposition::of(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn the_formats_differ_in_the_name_of_a_counter_and_in_the_end() {
        let written = |exposition| {
            let mut text = Text::new(exposition);
            text.metric("a_total", Type::Counter, "How many.");
            text.sample("a_total", &[("b", "c"), ("d", "")], 7);
            text.end()
        };
        assert_eq!(
            written(Exposition::Prometheus),
            "# HELP a_total How many.\n# TYPE a_total counter\na_total{b=\"c\",d=\"\"} 7\n"
        );
        assert_eq!(
            written(Exposition::OpenMetrics),
            "# HELP a How many.\n# TYPE a counter\na_total{b=\"c\",d=\"\"} 7\n# EOF\n"
        );
    }
}
