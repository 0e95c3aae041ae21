//! Durations, as they are written.

use std::time::Duration;

/// A year: nothing that a server waits for takes longer, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads a duration: `30s`, `500ms`, `2m`, `1h`, `1.5s`; a plain number is seconds.
///
/// # Errors
/// What to write instead, for anything else and for more than a year.
pub fn parse(text: &str) -> Result<Duration, String> {
    let how = "write a duration such as 30s, 500ms, 2m or 0";
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(how.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| how.to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) | Err(_) => Err("a year (8760h) is the longest".to_owned()),
    }
}

/// Writes it as briefly as it can be read back.
pub(crate) fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds.is_multiple_of(1000) {
        return format!("{} s", milliseconds / 1000);
    }
    format!("{milliseconds} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("7", 7000),
            ("30s", 30_000),
            ("1.5s", 1500),
            (".5", 500),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("8760h", 31_536_000_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1",
            "1d",
            "1 s",
            "1.2.3s",
            "inf",
            "1e3",
            "99999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown() {
        assert_eq!(show(Duration::from_secs(90)), "90 s");
        assert_eq!(show(Duration::from_millis(1500)), "1500 ms");
    }
}
