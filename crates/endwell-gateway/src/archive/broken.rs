//! What broke an archive.
//!
//! Reads: what was seen of an entry. Gives: a cause for the record, and a line for whoever opens
//! what arrived. Never: tells a client where on the server's disk a folder is.

use std::io;

use endwell::{Cause, Kind};

use super::tree::Tree;

/// What happened to an entry since it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing has its name any more.
    Gone,
    /// Something else has its name.
    NoFile,
    /// It has fewer octets.
    Shrank { from: u64, to: u64 },
    /// It has more octets.
    Grew { from: u64, to: u64 },
    /// It ended before its size.
    Short { at: u64, of: u64 },
    /// It was written.
    Rewritten,
    /// It is another file, or its status was changed: its content perhaps too.
    Touched,
    /// The system does not let it be opened or read.
    System(String),
}

impl Why {
    pub(super) fn of_open(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            // A link, a folder above that is none any more, a socket.
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::NoFile,
            _ if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => Self::NoFile,
            _ => Self::System(format!("cannot be opened: {error}")),
        }
    }

    pub(super) fn of_read(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EISDIR | libc::ESPIPE) => Self::NoFile,
            _ => Self::System(format!("cannot be read: {error}")),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::System(_) => Kind::ProducerError,
            Self::Gone
            | Self::NoFile
            | Self::Shrank { .. }
            | Self::Grew { .. }
            | Self::Short { .. }
            | Self::Rewritten
            | Self::Touched => Kind::SourceChanged,
        }
    }

    /// What a person reads after the name of the entry.
    pub(super) fn text(&self) -> String {
        let since = "since the folder was listed";
        match self {
            Self::Gone => format!("has gone {since}"),
            Self::NoFile => format!("has become something else {since}"),
            Self::Shrank { from, to } => format!("shrank from {from} to {to} octets {since}"),
            Self::Grew { from, to } => format!("grew from {from} to {to} octets {since}"),
            Self::Short { at, of } => format!("ended at octet {at} of {of}"),
            Self::Rewritten => format!("was rewritten {since}"),
            Self::Touched => format!("was replaced, or its status changed, {since}"),
            Self::System(error) => error.clone(),
        }
    }
}

/// An entry that broke an archive.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    /// Its place in the tree.
    pub(super) at: usize,
    pub(super) why: Why,
}

impl Broken {
    /// What is recorded.
    pub(super) fn cause(&self, tree: &Tree) -> Cause {
        let path = tree.path_on_disk(self.at);
        let message = format!("{} {}", path.display(), self.why.text());
        Cause::new(self.why.kind(), message)
    }

    /// What whoever opens the archive reads.
    pub(super) fn reason(&self, tree: &Tree) -> String {
        let path = tree.path(self.at);
        format!("{} {}", String::from_utf8_lossy(&path), self.why.text())
    }
}
