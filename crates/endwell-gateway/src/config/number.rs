//! Numbers and times that must not be nothing.

use std::time::Duration;

use super::duration;

/// The smallest head: its target alone may have so many (RFC 9110 section 4.1 asks for 8000).
const SMALLEST_HEAD: usize = 8 * 1024;
/// The largest head: each connection may make the server hold so much.
const LARGEST_HEAD: usize = 1024 * 1024;

/// Reads how many of something there may be: at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// Reads how long something may take: some time.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("it must be more than 0; write for example 10s".to_owned()),
        time => Ok(time),
    }
}

/// Reads how many octets a head may have.
pub(super) fn head(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(octets) if (SMALLEST_HEAD..=LARGEST_HEAD).contains(&octets) => Ok(octets),
        Ok(_) | Err(_) => Err(format!(
            "write a number of octets from {SMALLEST_HEAD} to {LARGEST_HEAD}"
        )),
    }
}

/// Reads how much is compressed.
pub(super) fn zip_level(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(level @ 0..=9) => Ok(level),
        Ok(_) | Err(_) => Err("write a whole number from 0 (not at all) to 9 (most)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_limit() {
        assert_eq!(count("1"), Ok(1));
        assert_eq!(time("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(head("8192"), Ok(8192));
        for bad in ["", "0", "-1", "x", "18446744073709551616"] {
            assert!(count(bad).is_err() && head(bad).is_err(), "{bad}");
        }
        assert_eq!((zip_level("0"), zip_level("9")), (Ok(0), Ok(9)));
        for bad in ["", "10", "-1", "fast"] {
            assert!(zip_level(bad).is_err(), "{bad}");
        }
        assert!(time("0").is_err() && time("0ms").is_err() && time("x").is_err());
        assert!(head("8191").is_err() && head("1048577").is_err());
    }
}
