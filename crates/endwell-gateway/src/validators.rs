//! What tells one version of a file from another: entity tag and time of modification.
//!
//! Reads: size and time of modification, and the time now. Gives: field values and comparisons,
//! RFC 9110 section 8.8. Never: asks a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file younger than this may still change without a new time: some file systems count in
/// steps of 2 s, and RFC 9110 section 8.8.2.2 asks for a second at least.
const YOUNG: Duration = Duration::from_secs(2);

/// From the year 10000 on the time cannot be written in a field.
const LAST_TIME: u64 = 253_402_300_799;

/// The validators of one version: its `ETag` and `Last-Modified` (RFC 9110 section 8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    tag: EntityTag,
    /// Whole seconds since 1970.
    modified: Option<u64>,
}

impl Validators {
    /// Those of something that can tell its versions apart by itself.
    ///
    /// `name` is the same for the same octets only: letters, digits and `-._`; whatever else is in
    /// it is replaced. `certain` says that nothing can change without another name; if not, the
    /// entity tag is weak, and no range is given of it by `If-Range`.
    pub fn new(name: &str, certain: bool, modified: Option<SystemTime>, now: SystemTime) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let opaque = name.chars().map(|c| if plain(c) { c } else { '_' });
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).ok()?;
            Some(since.as_secs()).filter(|seconds| *seconds <= LAST_TIME)
        };
        Self {
            tag: EntityTag {
                weak: !certain,
                opaque: opaque.collect(),
            },
            // RFC 9110 section 8.8.2.1: never later than the message.
            modified: modified.and_then(|time| seconds(time.min(now))),
        }
    }

    /// Those of a file.
    pub(crate) fn of(octets: u64, modified: Option<SystemTime>, now: SystemTime) -> Self {
        let age = modified.map(|modified| now.duration_since(modified).unwrap_or_default());
        let old = age.is_some_and(|age| age >= YOUNG);
        let name = format!("{octets:x}-{:x}", modified.map_or(0, nanoseconds));
        Self::new(&name, old, modified, now)
    }

    /// Of something that is known by this alone: it must be another one for every other version.
    pub(crate) fn named(opaque: String, weak: bool) -> Self {
        Self {
            tag: EntityTag { weak, opaque },
            modified: None,
        }
    }

    /// The same for another content coding of it: each has its own tag (RFC 9110 section 8.8.3.3).
    pub(crate) fn coded(mut self, coding: &str) -> Self {
        self.tag.opaque = format!("{}-{coding}", self.tag.opaque);
        self
    }

    /// Whether the version is known for certain: nothing can change without a new time any more.
    pub(crate) fn is_certain(&self) -> bool {
        !self.tag.weak
    }

    /// The value of `ETag`.
    pub(crate) fn tag(&self) -> String {
        self.tag.to_string()
    }

    /// The value of `Last-Modified`, if the time can be written.
    pub(crate) fn last_modified(&self) -> Option<String> {
        let time = UNIX_EPOCH + Duration::from_secs(self.modified?);
        Some(httpdate::fmt_http_date(time))
    }

    /// Whether a list of entity tags names this version, by weak comparison.
    pub(crate) fn is_in_weakly(&self, list: &str) -> bool {
        names(list, |tag| tag.opaque == self.tag.opaque)
    }

    /// Whether a list of entity tags names this version for certain.
    pub(crate) fn is_in_strongly(&self, list: &str) -> bool {
        names(list, |tag| {
            !tag.weak && !self.tag.weak && tag.opaque == self.tag.opaque
        })
    }

    /// Whether the file was modified after this date; `None` where that cannot be said.
    pub(crate) fn is_modified_since(&self, date: &str) -> Option<bool> {
        Some(self.modified? > parse_date(date)?)
    }

    /// Whether the value of `If-Range` stands for exactly this version (RFC 9110 section 13.1.5).
    pub(crate) fn is_exactly(&self, tag_or_date: &str) -> bool {
        let value = tag_or_date.trim();
        if value.starts_with('"') || value.starts_with("W/") {
            return EntityTag::parse(value)
                .is_some_and(|(tag, rest)| rest.is_empty() && !tag.weak && tag == self.tag);
        }
        // A date is as strong as the tag: the file has stood still for long enough.
        !self.tag.weak && self.modified.is_some() && parse_date(value) == self.modified
    }
}

/// An entity tag, RFC 9110 section 8.8.3.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    opaque: String,
}

impl EntityTag {
    /// Takes a tag from the front; gives what follows.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        let opaque = opaque.to_owned();
        Some((Self { weak, opaque }, rest))
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = if self.weak { "W/" } else { "" };
        write!(f, "{weak}\"{}\"", self.opaque)
    }
}

/// Whether one of a list of tags is meant; `*` means every version. Stops at what is no tag.
fn names(list: &str, is_meant: impl Fn(&EntityTag) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        match EntityTag::parse(rest) {
            Some((tag, _)) if is_meant(&tag) => return true,
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}

/// Seconds since 1970 of a date in any of the three forms of RFC 9110 section 5.6.7.
fn parse_date(date: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(date.trim()).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(error) => -i128::try_from(error.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn old() -> Validators {
        Validators::of(8000, Some(at(784_111_777)), at(1_700_000_000))
    }

    fn young() -> Validators {
        Validators::of(8000, Some(at(784_111_777)), at(784_111_778))
    }

    #[test]
    fn fields_are_written() {
        assert_eq!(old().tag(), "\"1f40-ae1b981bc490a00\"");
        assert_eq!(young().tag(), "W/\"1f40-ae1b981bc490a00\"");
        assert_eq!(old().last_modified().as_deref(), Some(DATE));
        let coded = old().coded("br");
        assert_eq!(coded.tag(), "\"1f40-ae1b981bc490a00-br\"");
        assert!(!coded.is_in_weakly(&old().tag()) && !coded.is_exactly(&old().tag()));
        assert!(coded.is_exactly(&coded.tag()) && coded.is_certain() && !young().is_certain());
    }

    #[test]
    fn times_that_cannot_be_written_are_left_out() {
        let ancient = UNIX_EPOCH - Duration::from_secs(1);
        let ancient = Validators::of(1, Some(ancient), at(1_700_000_000));
        assert_eq!(ancient.last_modified(), None);
        assert!(!ancient.tag().starts_with("W/"));
        let future = Validators::of(1, Some(at(300_000_000_000)), at(1_700_000_000));
        let now = "Tue, 14 Nov 2023 22:13:20 GMT";
        assert_eq!(future.last_modified().as_deref(), Some(now));
        assert!(future.tag().starts_with("W/"));
        let none = Validators::of(1, None, at(1_700_000_000));
        assert_eq!(
            (none.tag().as_str(), none.last_modified()),
            ("W/\"1-0\"", None)
        );
        assert_eq!(none.is_modified_since(DATE), None);
    }

    #[test]
    fn lists_of_tags_are_compared() {
        let tag = old().tag();
        for (list, weakly, strongly) in [
            ("*".to_owned(), true, true),
            (tag.clone(), true, true),
            (format!("W/{tag}"), true, false),
            (format!("\"a,b\" , W/\"c\",{tag}"), true, true),
            ("\"1f40\"".to_owned(), false, false),
            (format!("nonsense, {tag}"), false, false),
            (String::new(), false, false),
            ("\"open".to_owned(), false, false),
        ] {
            assert_eq!(old().is_in_weakly(&list), weakly, "{list}");
            assert_eq!(old().is_in_strongly(&list), strongly, "{list}");
        }
        assert!(young().is_in_weakly(&tag) && !young().is_in_strongly(&tag));
    }

    #[test]
    fn dates_are_compared() {
        assert_eq!(old().is_modified_since(DATE), Some(false));
        let earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(old().is_modified_since(earlier), Some(true));
        assert_eq!(old().is_modified_since("yesterday"), None);
    }

    #[test]
    fn a_range_needs_exactly_this_version() {
        assert!(old().is_exactly(&old().tag()) && old().is_exactly(DATE));
        let weak = format!("W/{}", old().tag());
        for other in [
            weak.as_str(),
            "\"x\"",
            "Sun, 06 Nov 1994 08:49:38 GMT",
            "",
            "*",
        ] {
            assert!(!old().is_exactly(other), "{other}");
        }
        assert!(!young().is_exactly(&young().tag()) && !young().is_exactly(DATE));
    }
}
