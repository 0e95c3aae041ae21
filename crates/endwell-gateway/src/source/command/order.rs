//! What a server tells a warden, and what it hears from it.
//!
//! Reads and gives: an [`Order`] as arguments, a [`Word`] as a line of text. Both ends are the same
//! binary: what does not read is a fault, and is told as one.

use std::ffi::OsString;
use std::time::Duration;

use super::line::Line;

/// The name (`argv[0]`) under which a warden runs: `ps` shows it with its program.
pub(super) const NAME: &str = "endwell-warden";

/// Where standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stderr {
    /// Its end goes to the record of a response that failed, and nothing to the client.
    #[default]
    Record,
    /// Into the body, among standard output: for what is made for people to read.
    Body,
}

/// What to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) line: Line,
    pub(super) timeout: Option<Duration>,
    pub(super) stderr: Stderr,
}

impl Order {
    /// The arguments of the warden.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        // Rounded up, so that no time at all is not "for ever".
        let timeout = self.timeout.map_or(0, |timeout| timeout.as_millis().max(1));
        let stderr = match self.stderr {
            Stderr::Record => "record",
            Stderr::Body => "body",
        };
        let words = self.line.words().iter().map(OsString::from);
        [timeout.to_string().into(), stderr.into()]
            .into_iter()
            .chain(words)
            .collect()
    }
}

/// What a warden was ordered, as it reads its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) timeout: Option<Duration>,
    pub(super) stderr: Stderr,
}

impl Ordered {
    pub(super) fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let timeout: u64 = arguments.next()?.to_str()?.parse().ok()?;
        let stderr = match arguments.next()?.to_str()? {
            "record" => Stderr::Record,
            "body" => Stderr::Body,
            _ => return None,
        };
        Some(Self {
            program: arguments.next()?,
            arguments: arguments.collect(),
            timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
            stderr,
        })
    }
}

/// What a warden says, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// It ran for longer than it may.
    Late,
    /// It could not be started, for this reason.
    Unable(String),
}

impl Word {
    pub(super) fn to_line(&self) -> String {
        match self {
            Self::Exited(status) => format!("exited {status}\n"),
            Self::Killed(signal) => format!("killed {signal}\n"),
            Self::Late => "late\n".to_owned(),
            Self::Unable(reason) => format!("unable {}\n", reason.escape_debug()),
        }
    }

    /// Reads a line without its end.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "exited" => Self::Exited(rest.parse().ok()?),
            "killed" => Self::Killed(rest.parse().ok()?),
            "late" => Self::Late,
            "unable" => Self::Unable(rest.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_given() {
        for (timeout, stderr, arrives) in [
            (None, Stderr::Record, None),
            (
                Some(Duration::from_millis(1500)),
                Stderr::Body,
                Some(Duration::from_millis(1500)),
            ),
            (
                Some(Duration::from_nanos(1)),
                Stderr::Record,
                Some(Duration::from_millis(1)),
            ),
        ] {
            let order = Order {
                line: "a 'b c' ''".parse().expect("a line"),
                timeout,
                stderr,
            };
            let ordered = Ordered::read(order.arguments().into_iter()).expect("an order");
            assert_eq!(ordered.program, "a");
            assert_eq!(ordered.arguments, ["b c", ""]);
            assert_eq!((ordered.timeout, ordered.stderr), (arrives, stderr));
        }
        for bad in [&[][..], &["x"], &["1", "x", "a"], &["1", "body"]] {
            let bad = bad.iter().map(OsString::from);
            assert_eq!(Ordered::read(bad), None);
        }
    }

    #[test]
    fn words_are_one_line_each() {
        for word in [
            Word::Exited(0),
            Word::Killed(9),
            Word::Late,
            Word::Unable("No such file".to_owned()),
        ] {
            let line = word.to_line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Word::of_line(line.trim_end()), Some(word));
        }
        let line = Word::Unable("a\nb".to_owned()).to_line();
        assert_eq!(line, "unable a\\nb\n");
        assert_eq!(Word::of_line("exited x"), None);
        assert_eq!(Word::of_line("else"), None);
    }
}
