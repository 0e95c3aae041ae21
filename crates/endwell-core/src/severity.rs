//! How bad the error of a part is.

/// What an error in one part of a response means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a line in the record; the response is complete.
    Note,
    /// The response is finished and ends as degraded.
    Degrading,
    /// The response ends here as failed.
    Fatal,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Severity; 3] = [Self::Note, Self::Degrading, Self::Fatal];

    /// The name in records: `note`, `degrading` or `fatal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Degrading => "degrading",
            Self::Fatal => "fatal",
        }
    }
}
