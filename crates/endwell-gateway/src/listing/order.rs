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
            By::Name => turn(natural(one.name, other.name)),
            By::Size => turn(one.octets.cmp(&other.octets)),
            By::Time => turn(one.modified.cmp(&other.modified)),
        };
        let folders_first = other.folder.cmp(&one.folder);
        folders_first
            .then(by)
            .then_with(|| natural(one.name, other.name))
    }
}

/// What decides where an entry stands.
#[derive(Debug)]
pub(super) struct Rank<'a> {
    pub(super) folder: bool,
    pub(super) octets: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    pub(super) name: &'a [u8],
}

/// Compares names as a person does: case does not count, and numbers count as numbers. Names that
/// are the same in this way stand by their octets.
fn natural(one: &[u8], other: &[u8]) -> Ordering {
    Parts(one).cmp(Parts(other)).then_with(|| one.cmp(other))
}

/// The parts of a name that are compared: a number stands where `0` does, then by how many digits
/// it has; anything else is a character in lower case, and an octet that is no text comes last.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = (u32, usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0;
        let first = *name.first()?;
        if first.is_ascii_digit() {
            let zeros = leading(name, |octet| octet == b'0');
            let (_, number) = name.split_at(zeros);
            let (digits, rest) = number.split_at(leading(number, |octet| octet.is_ascii_digit()));
            self.0 = rest;
            return Some((u32::from(b'0'), digits.len() + 1, digits));
        }
        if first.is_ascii() {
            self.0 = &name[1..];
            return Some((u32::from(first.to_ascii_lowercase()), 0, &[]));
        }
        // No character has more than four octets.
        let start = &name[..name.len().min(4)];
        let start = start.utf8_chunks().next().map(|part| part.valid());
        let Some(c) = start.and_then(|text| text.chars().next()) else {
            self.0 = &name[1..];
            return Some((u32::from(char::MAX) + u32::from(first), 0, &[]));
        };
        self.0 = &name[c.len_utf8()..];
        let lower = c.to_lowercase().next().unwrap_or(c);
        Some((u32::from(lower), 0, &[]))
    }
}

/// How many octets at the beginning are so.
fn leading(octets: &[u8], are: impl Fn(u8) -> bool) -> usize {
    let other = octets.iter().position(|octet| !are(*octet));
    other.unwrap_or(octets.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NAMES: [&str; 14] = [
        "", "1", "01", "2", "9x", "10", "A", "a", "a-1", "a2", "a02b", "a10", "\u{c4}b", "\u{e4}c",
    ];

    fn rank(folder: bool, number: Option<u64>, name: &str) -> Rank<'_> {
        Rank {
            folder,
            octets: number,
            modified: number.map(|number| SystemTime::UNIX_EPOCH + Duration::from_secs(number)),
            name: name.as_bytes(),
        }
    }

    /// The names as `order` puts them.
    fn sorted(
        order: Order,
        mut entries: Vec<(bool, Option<u64>, &'static str)>,
    ) -> Vec<&'static str> {
        entries.sort_by(|one, other| {
            order.compare(&rank(one.0, one.1, one.2), &rank(other.0, other.1, other.2))
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
    fn octets_that_are_no_text_and_numbers_without_end_are_compared() {
        assert!(natural(b"a\xff", "a\u{10ffff}".as_bytes()).is_gt());
        assert!(natural("a\u{10ffff}".as_bytes(), b"a\xe4").is_lt());
        assert!(natural(b"a\xe4", b"a\xe4b").is_lt());
        let nines = |count| "9".repeat(count);
        assert!(natural(nines(300).as_bytes(), format!("1{}", nines(300)).as_bytes()).is_lt());
        assert!(natural(b"0", b"00").is_lt() && natural(b"00", b"1").is_lt());
        assert!(natural(b"a", b"a").is_eq());
    }
}
