//! In which order entries stand.
//!
//! Reads: what is known of an entry. Gives: its [`Rank`]; folders stand before all else.

use std::ffi::OsStr;
use std::time::SystemTime;

/// What entries are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum By {
    /// Their names, as a person counts: `file2` stands before `file10`.
    #[default]
    Name,
    /// Their sizes; folders have none and stand by name.
    Size,
    /// Their times of modification.
    Time,
}

/// By what, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Order {
    pub(super) by: By,
    pub(super) descending: bool,
}

impl Order {
    /// Whether the names alone do not tell it.
    pub(super) fn needs_status(self) -> bool {
        match self.by {
            By::Name => false,
            By::Size | By::Time => true,
        }
    }

    /// The query that asks for it; nothing for the order that nobody has to ask for.
    pub(super) fn query(self) -> &'static str {
        match (self.by, self.descending) {
            (By::Name, false) => "",
            (By::Name, true) => "?sort=name&order=desc",
            (By::Size, false) => "?sort=size&order=asc",
            (By::Size, true) => "?sort=size&order=desc",
            (By::Time, false) => "?sort=time&order=asc",
            (By::Time, true) => "?sort=time&order=desc",
        }
    }

    /// Where an entry stands. What is not known counts as less than all that is; the same sizes
    /// and times stand by name.
    pub(super) fn rank(
        self,
        folder: bool,
        octets: Option<u64>,
        modified: Option<SystemTime>,
        name: &OsStr,
    ) -> Rank {
        let value = match self.by {
            By::Name => 0,
            By::Size => octets.map_or(UNKNOWN, i128::from),
            By::Time => modified.map_or(UNKNOWN, nanoseconds),
        };
        let mut name = natural(name.as_encoded_bytes());
        if self.descending && self.by == By::Name {
            // No such key begins another one: turned over, octet by octet, they stand the other way.
            name.iter_mut().for_each(|octet| *octet = !*octet);
        }
        Rank {
            after_folders: !folder,
            value: if self.descending { -value } else { value },
            name: name.into_boxed_slice(),
        }
    }
}

/// Less than any size or time, and still to be negated.
const UNKNOWN: i128 = i128::MIN + 1;

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |nanoseconds: u128| i128::try_from(nanoseconds).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after.as_nanos()),
        Err(before) => -signed(before.duration().as_nanos()),
    }
}

/// Where an entry stands: the smaller rank first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    after_folders: bool,
    value: i128,
    name: Box<[u8]>,
}

/// A key whose octets stand as the names do for a person: case does not count, and numbers count
/// as numbers. Names that are the same in this way stand by their octets.
///
/// A number is written as `0`, how many digits it has, and its digits. A name holds no NUL, so
/// two of them end the key, and no key begins another one.
fn natural(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 * name.len() + 8);
    for part in name.utf8_chunks() {
        fold(part.valid(), &mut key);
        key.extend(part.invalid());
    }
    key.push(0);
    key.extend(name);
    key.push(0);
    key
}

fn fold(text: &str, key: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !c.is_ascii_digit() {
            let mut octets = [0; 4];
            for c in c.to_lowercase() {
                key.extend(c.encode_utf8(&mut octets).as_bytes());
            }
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &rest[..rest.len() - after.len()];
        let digits = number.trim_start_matches('0');
        // A name has 255 octets at most: more digits than that come from no file system.
        let count = u8::try_from(digits.len() + 1).unwrap_or(u8::MAX);
        key.extend([b'0', count]);
        key.extend(digits.as_bytes());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NAMES: [&str; 14] = [
        "", "1", "01", "2", "9x", "10", "A", "a", "a-1", "a2", "a02b", "a10", "\u{c4}b", "\u{e4}c",
    ];

    /// The names as `order` puts them.
    fn sorted(
        order: Order,
        mut entries: Vec<(bool, Option<u64>, &'static str)>,
    ) -> Vec<&'static str> {
        entries.sort_by_cached_key(|(folder, number, name)| {
            let time = number.map(|number| SystemTime::UNIX_EPOCH + Duration::from_secs(number));
            order.rank(*folder, *number, time, OsStr::new(name))
        });
        entries.into_iter().map(|(_, _, name)| name).collect()
    }

    fn order(by: By, descending: bool) -> Order {
        Order { by, descending }
    }

    #[test]
    fn names_stand_as_a_person_counts() {
        let expected = [
            "", "01", "1", "2", "9x", "10", "A", "a", "a-1", "a2", "a02b", "a10", "\u{c4}b",
            "\u{e4}c",
        ];
        let shuffled = || {
            NAMES
                .iter()
                .rev()
                .map(|name| (false, None, *name))
                .collect()
        };
        assert_eq!(sorted(order(By::Name, false), shuffled()), expected);
        let mut backwards = expected;
        backwards.reverse();
        assert_eq!(sorted(order(By::Name, true), shuffled()), backwards);
    }

    #[test]
    fn folders_stand_first_whichever_way() {
        let entries = || {
            vec![
                (false, Some(5), "b"),
                (true, None, "y"),
                (false, None, "pipe"),
                (false, Some(7), "a"),
                (true, None, "z"),
                (false, Some(5), "c"),
            ]
        };
        for (by, descending, expected) in [
            (By::Name, false, ["y", "z", "a", "b", "c", "pipe"]),
            (By::Name, true, ["z", "y", "pipe", "c", "b", "a"]),
            (By::Size, false, ["y", "z", "pipe", "b", "c", "a"]),
            (By::Size, true, ["y", "z", "a", "b", "c", "pipe"]),
            (By::Time, false, ["y", "z", "pipe", "b", "c", "a"]),
            (By::Time, true, ["y", "z", "a", "b", "c", "pipe"]),
        ] {
            let order = order(by, descending);
            assert_eq!(sorted(order, entries()), expected, "{order:?}");
        }
    }

    #[test]
    fn times_before_1970_and_the_largest_sizes_have_their_place() {
        let rank = |by, octets, time| order(by, false).rank(false, octets, time, OsStr::new("a"));
        let epoch = SystemTime::UNIX_EPOCH;
        let before = rank(By::Time, None, Some(epoch - Duration::from_nanos(1)));
        assert!(before < rank(By::Time, None, Some(epoch)));
        assert!(before > rank(By::Time, None, None));
        assert!(rank(By::Size, Some(u64::MAX), None) > rank(By::Size, Some(u64::MAX - 1), None));
    }

    #[test]
    fn octets_that_are_no_text_and_numbers_without_end_are_sorted() {
        assert!(natural(b"a\xff") > natural(b"az"));
        let digits = |count| natural("9".repeat(count).as_bytes());
        assert!(digits(253) < digits(254) && digits(254) < digits(1000));
    }
}
