//! Programs that answer at paths, as settings name them.

use std::str::FromStr;

use http::HeaderValue;

use super::values::type_value;
use crate::target::Target;

/// A program that answers at a path, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandAt {
    /// The path, from its slash on.
    pub path: String,
    /// The command line.
    pub line: String,
}

/// As which type the output of a program is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandType {
    /// The path at which it answers.
    pub path: String,
    /// The value of `Content-Type`.
    pub value: HeaderValue,
}

impl FromStr for CommandAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, line) = at_path(text).ok_or(
            "write PATH=COMMAND, such as '/dump.sql=pg_dump mydb'; the path begins with / and ends in a name",
        )?;
        #[cfg(unix)]
        {
            let read = line.parse::<crate::source::command::Line>();
            read.map_err(|error| error.to_string())?;
        }
        Ok(Self {
            path: path.to_owned(),
            line: line.to_owned(),
        })
    }
}

impl FromStr for CommandType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write PATH=TYPE/SUBTYPE, such as /dump=application/sql".to_owned();
        let (path, value) = at_path(text).ok_or_else(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            value: type_value(value).ok_or_else(wrong)?,
        })
    }
}

/// A path that can be a file's, and what stands behind the first `=`.
fn at_path(text: &str) -> Option<(&str, &str)> {
    let (path, rest) = text.split_once('=')?;
    let target = Target::parse(path, true).filter(|target| !target.is_folder());
    target.map(|_| (path, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_what_is_there_are_read() {
        let at: CommandAt = "/a/dump.sql=pg_dump --file=- 'my db'".parse().unwrap();
        let CommandAt { path, line } = at;
        assert_eq!(
            (&*path, &*line),
            ("/a/dump.sql", "pg_dump --file=- 'my db'")
        );
        let typed: CommandType = "/dump=text/plain; charset=utf-8".parse().unwrap();
        assert_eq!(typed.path, "/dump");
        assert_eq!(typed.value, "text/plain; charset=utf-8");
        for bad in ["", "/x", "x=date", "/=date", "/a/=date", "/../a=date"] {
            let told = bad.parse::<CommandAt>().unwrap_err();
            assert!(told.starts_with("write PATH=COMMAND"), "{bad}: {told}");
        }
        for bad in ["/x=", "/x=date |", "/x='date"] {
            assert!(bad.parse::<CommandAt>().is_err(), "{bad}");
        }
        for bad in ["/x=", "/x=text", "x=a/b", "/x=a/b\n"] {
            assert!(bad.parse::<CommandType>().is_err(), "{bad}");
        }
    }
}
