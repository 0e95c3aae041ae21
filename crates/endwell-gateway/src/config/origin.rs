//! Where a value came from, and what is wrong with one.

use std::fmt;
use std::path::Path;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Variable(String),
    /// A place in the configuration file.
    File {
        /// The file, as it was named.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
    },
    /// Nobody gave one.
    Default,
}

impl Origin {
    /// A place in a file, by the octets before it.
    pub(super) fn in_file(path: &Path, text: &str, offset: usize) -> Self {
        // An offset that lies within a character cannot be cut there.
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self::File {
            path: path.display().to_string(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting that cannot be used, before it is known where its value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The key of the setting.
    pub key: &'static str,
    /// Why, and the way out.
    pub why: String,
}

impl Unusable {
    /// `why` names the thing and the way out.
    pub fn new(key: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { key, why }
    }
}

/// One thing that is wrong with what was given, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where the value stands that is wrong.
    pub origin: Origin,
    /// What is wrong, and the way out.
    pub message: String,
}

/// `endwell.toml:3:9: message`, in one line; the message alone where a flag or no value is at fault.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Flag | Origin::Default => {}
            origin => write!(f, "{origin}: ")?,
        }
        // A key or a value may hold anything.
        self.message.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

/// All that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// One line each.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            write!(f, "{newline}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
