//! The page that tells a person how the server is.

use std::fmt::Write;
use std::time::Duration;

use crate::metrics::Total;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.25rem}\
table{border-collapse:collapse}\
th,td{text-align:right;padding:.25rem 1rem .25rem 0;font-variant-numeric:tabular-nums}\
th:first-child{text-align:left}";

/// Makes the page. Nothing in it comes from a client.
pub(super) fn page(state: &str, uptime: Duration, totals: &[Total]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>endwell: {state}</title>\n<style>{STYLE}</style>\n\
         <h1>endwell {version}: {state}</h1>\n<p>Up for {}.</p>\n\
         <table>\n<tr><th scope=\"col\">Responses</th><th scope=\"col\">Count</th>\
         <th scope=\"col\">Octets sent</th></tr>\n",
        up(uptime)
    );
    for total in totals {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            total.ending, total.responses, total.octets
        );
    }
    page += "</table>\n<ul>\n\
        <li><a href=\"/healthz\">/healthz</a>: the process answers</li>\n\
        <li><a href=\"/readyz\">/readyz</a>: it accepts connections</li>\n\
        <li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n</ul>\n</html>\n";
    page
}

/// The two largest units: `3 d 4 h`, `12 min 5 s`.
fn up(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_are_read_at_a_glance() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_599, "59 min 59 s"),
            (7_265, "2 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(up(Duration::from_secs(seconds)), expected);
        }
    }
}
