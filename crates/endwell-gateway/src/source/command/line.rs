//! A command line: which program, with which arguments.
//!
//! Reads: text, as one writes it for a shell. Gives: words. Never: expands or interprets anything,
//! and never takes what only a shell could do for an argument.

use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What stands between programs for a shell, and would here be handed to one of them.
const OF_SHELLS: [&str; 10] = ["|", "||", "&", "&&", ">", ">>", "<", "2>", "2>&1", "|&"];

/// A program and its arguments.
///
/// # Examples
/// ```
/// use endwell_gateway::source::command::Line;
/// let line: Line = "pg_dump --table='my rows' db".parse()?;
/// assert_eq!(line.words(), ["pg_dump", "--table=my rows", "db"]);
/// # Ok::<(), endwell_gateway::source::command::BadLine>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<String>);

/// Why a text is no command line.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It names no program.
    #[error("it names no program; write one, such as pg_dump mydb")]
    Empty,
    /// A quote is open at its end.
    #[error("a quote is not closed; write the other one, or \\' or \\\" for a quote of the text")]
    Quote,
    /// A word that only a shell understands.
    #[error("no shell is run, so {0} would be an argument; write sh -c '...' to have a shell")]
    Shell(String),
    /// No program can be given this octet.
    #[error("it holds a NUL, which no argument can")]
    Nul,
}

impl Line {
    /// The program and its arguments; at least one, and the first is not empty.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The program, as it was written.
    pub fn program(&self) -> &str {
        &self.0[0]
    }

    /// Where the program is: at its path, or in the first folder of `PATH` that has it.
    pub fn find(&self) -> Option<PathBuf> {
        let program = Path::new(self.program());
        if self.program().contains('/') {
            return is_program(program).then(|| program.to_owned());
        }
        let folders = env::var_os("PATH")?;
        let mut paths = env::split_paths(&folders).map(|folder| folder.join(program));
        paths.find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    let may_run = rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    may_run && path.is_file()
}

impl FromStr for Line {
    type Err = BadLine;

    fn from_str(text: &str) -> Result<Self, BadLine> {
        let words = shell_words::split(text).map_err(|_| BadLine::Quote)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(BadLine::Empty);
        }
        if text.contains('\0') {
            return Err(BadLine::Nul);
        }
        match words.iter().find(|word| OF_SHELLS.contains(&word.as_str())) {
            Some(word) => Err(BadLine::Shell(word.clone())),
            None => Ok(Self(words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_splits_them() {
        for (text, words) in [
            ("date", &["date"][..]),
            ("  pg_dump   my\\ db ", &["pg_dump", "my db"]),
            ("sh -c 'a | b > c'", &["sh", "-c", "a | b > c"]),
            ("sqlite3 \"a b.db\" .dump", &["sqlite3", "a b.db", ".dump"]),
            ("echo '' $HOME * ~", &["echo", "", "$HOME", "*", "~"]),
            ("find . -name x ;", &["find", ".", "-name", "x", ";"]),
            ("echo \"\\\"\" '\\'", &["echo", "\"", "\\"]),
        ] {
            let line: Line = text.parse().expect(text);
            assert_eq!(line.words(), words, "{text}");
        }
    }

    #[test]
    fn what_is_no_line_says_what_to_write() {
        let shell = |word: &str| BadLine::Shell(word.to_owned());
        for (text, error) in [
            ("", BadLine::Empty),
            ("  ", BadLine::Empty),
            ("'' x", BadLine::Empty),
            ("echo 'a", BadLine::Quote),
            ("echo \"a", BadLine::Quote),
            ("pg_dump db | gzip", shell("|")),
            ("a > b", shell(">")),
            ("a 2>&1", shell("2>&1")),
            ("a\0b", BadLine::Nul),
        ] {
            assert_eq!(text.parse::<Line>(), Err(error), "{text}");
        }
    }

    #[test]
    fn programs_are_found() {
        let is_found = |text: &str| text.parse::<Line>().expect(text).find().is_some();
        assert!(is_found("sh") && is_found("/bin/sh -c x"));
        assert!(!is_found("no-such-program") && !is_found("/bin/no-such-program"));
        assert!(!is_found("/etc") && !is_found("/etc/passwd"));
    }

    proptest! {
        #[test]
        fn any_text_is_words_or_an_error(text in "[a '\"\\\\|>$#\n\0é]{0,20}") {
            if let Ok(line) = text.parse::<Line>() {
                prop_assert!(!line.program().is_empty());
                prop_assert!(!line.words().iter().any(|word| word.contains('\0')));
            }
        }
    }
}
