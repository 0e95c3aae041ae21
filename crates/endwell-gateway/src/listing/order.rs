//! In which order entries stand.
//!
//! Reads: what is known of two entries. Gives: which stands first; folders stand before all else.

use std::cmp::Ordering;
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

    /// Which of two entries stands first. What is not known counts as less than all that is; the
    /// same sizes and times stand by name.
    pub(super) fn compare(self, one: &Rank<'_>, other: &Rank<'_>) -> Ordering {
        let turn = |ordering: Ordering| match self.descending {
            true => ordering.reverse(),
            false => ordering,
        };
        let by = match self.by {
            By::Name => turn(one.by_name(other)),
            By::Size => turn(one.octets.cmp(&other.octets)),
            By::Time => turn(one.modified.cmp(&other.modified)),
        };
        let folders_first = other.folder.cmp(&one.folder);
        folders_first.then(by).then_with(|| one.by_name(other))
    }
}

/// What decides where an entry stands.
#[derive(Debug)]
pub(super) struct Rank<'a> {
    pub(super) folder: bool,
    pub(super) octets: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    /// What [`natural`] makes of the name.
    pub(super) key: &'a [u8],
    pub(super) name: &'a [u8],
}

impl Rank<'_> {
    /// Names that are the same to a person stand by their octets.
    fn by_name(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(other.key);
        by_key.then_with(|| self.name.cmp(other.name))
    }
}

/// Writes a key whose octets stand as names do for a person: case does not count, and numbers
/// count as numbers. A number is written as `0`, how many digits it has, and its digits.
pub(super) fn natural(name: &[u8], key: &mut Vec<u8>) {
    for part in name.utf8_chunks() {
        fold(part.valid(), key);
        key.extend(part.invalid());
    }
}

fn fold(text: &str, key: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = &rest[..rest.len() - after.len()];
            let digits = number.trim_start_matches('0');
            // Longer numbers than that are in no name of 255 octets: they stand by their digits.
            let count = u8::try_from(digits.len()).unwrap_or(u8::MAX);
            key.extend([b'0', count]);
            key.extend(digits.as_bytes());
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c.is_ascii() {
            key.extend(u8::try_from(c.to_ascii_lowercase()));
            continue;
        }
        for c in c.to_lowercase() {
            key.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NAMES: [&str; 14] = [
        "", "1", "01", "2", "9x", "10", "A", "a", "a-1", "a2", "a02b", "a10", "\u{c4}b", "\u{e4}c",
    ];

    fn key(name: &[u8]) -> Vec<u8> {
        let mut key = Vec::new();
        natural(name, &mut key);
        key
    }

    /// The names as `order` puts them.
    fn sorted(
        order: Order,
        mut entries: Vec<(bool, Option<u64>, &'static str)>,
    ) -> Vec<&'static str> {
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        entries.sort_by(|one, other| {
            let keys = [one, other].map(|entry| key(entry.2.as_bytes()));
            let rank =
                |at: usize, (folder, number, name): &(bool, Option<u64>, &'static str)| Rank {
                    folder: *folder,
                    octets: *number,
                    modified: number.map(time),
                    key: &keys[at],
                    name: name.as_bytes(),
                };
            order.compare(&rank(0, one), &rank(1, other))
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
    fn octets_that_are_no_text_and_numbers_without_end_have_their_place() {
        assert!(key(b"a\xff") > key("a\u{10ffff}".as_bytes()));
        assert!(key(b"a\xe4") < key(b"a\xe4b"));
        let nines = |count| "9".repeat(count).into_bytes();
        assert!(key(&nines(253)) < key(&nines(254)) && key(&nines(254)) < key(&nines(1000)));
        assert_eq!(key(b"A007"), key(b"a7"));
    }
}
