//! Times as the format has them.
//!
//! Reads: seconds since 1970. Gives: the time of a header, and the extra field that tells it
//! exactly.

use time::OffsetDateTime;

use super::octets::{put16, put32, put64};

/// 1980-01-01 00:00:00, the first time of a header.
const FIRST: (u16, u16) = (0, 0x0021);
/// 2107-12-31 23:59:58, the last one.
const LAST: (u16, u16) = (0xbf7d, 0xff9f);

/// The time and the date of a header, in steps of 2 s.
///
/// The format has no zone for them, and readers take them as their own. Written in UTC they depend
/// on no setting of this machine; who reads the extra field does not need them.
pub(super) fn of_header(modified: i64) -> (u16, u16) {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(modified) else {
        return if modified < 0 { FIRST } else { LAST };
    };
    let Ok(year) = u16::try_from(time.year() - 1980) else {
        return FIRST;
    };
    if year > 127 {
        return LAST;
    }
    let (hour, minute, second) = time.to_hms();
    let month = u16::from(u8::from(time.month()));
    let date = year << 9 | month << 5 | u16::from(time.day());
    let time = u16::from(hour) << 11 | u16::from(minute) << 5 | u16::from(second / 2);
    (time, date)
}

/// Octets of [`put`].
pub(super) fn length(modified: i64) -> u64 {
    if i32::try_from(modified).is_ok() {
        9
    } else {
        36
    }
}

/// Writes the extra field: seconds since 1970 (0x5455), and beyond 2038, which that cannot hold,
/// steps of 100 ns since 1601 (0x000a).
pub(super) fn put(modified: i64, out: &mut Vec<u8>) {
    if let Ok(seconds) = i32::try_from(modified) {
        put16(0x5455, out);
        put16(5, out);
        // Only the time of modification follows.
        out.push(1);
        out.extend(seconds.to_le_bytes());
        return;
    }
    const SECONDS_TO_1970: i128 = 11_644_473_600;
    let steps = (i128::from(modified) + SECONDS_TO_1970) * 10_000_000;
    let steps = u64::try_from(steps.max(0)).unwrap_or(u64::MAX);
    put16(0x000a, out);
    put16(32, out);
    put32(0, out);
    put16(1, out);
    put16(24, out);
    // Of modification, of access, of creation: the last two are not ours to tell.
    for _ in 0..3 {
        put64(steps, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_headers_are_in_utc_and_stay_within_their_range() {
        for (modified, time, date) in [
            // 2023-11-14 22:13:21
            (
                1_700_000_001,
                22 << 11 | 13 << 5 | 10,
                43 << 9 | 11 << 5 | 14,
            ),
            (315_532_800, 0, 0x0021),
            (315_532_799, 0, 0x0021),
            (-1, 0, 0x0021),
            (i64::MIN, 0, 0x0021),
            (4_354_819_198, 0xbf7d, 0xff9f),
            (4_354_819_200, 0xbf7d, 0xff9f),
            (i64::MAX, 0xbf7d, 0xff9f),
        ] {
            assert_eq!(of_header(modified), (time, date), "{modified}");
        }
    }

    #[test]
    fn extra_fields_tell_the_second() {
        let written = |modified| {
            let mut out = Vec::new();
            put(modified, &mut out);
            assert_eq!(out.len() as u64, length(modified));
            out
        };
        assert_eq!(written(1_700_000_001), b"UT\x05\x00\x01\x01\xf1\x53\x65");
        assert_eq!(written(-1), b"UT\x05\x00\x01\xff\xff\xff\xff");
        let late = written(4_102_444_800);
        assert_eq!(late[..12], *b"\x0a\x00\x20\x00\0\0\0\0\x01\x00\x18\x00");
        // 2100-01-01 is 157 469 184 000 000 000 steps after 1601.
        assert_eq!(late[12..20], 157_469_184_000_000_000u64.to_le_bytes());
        for extreme in [i64::MIN, i64::MAX] {
            assert_eq!(written(extreme).len(), 36);
        }
    }
}
