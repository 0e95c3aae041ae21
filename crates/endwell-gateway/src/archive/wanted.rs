//! What a request wants of an archive, and what the service allows.
//!
//! Reads: the query, and what the builder was told. Gives: a [`Form`]. Never: keeps text of a query.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::State;
use crate::source::file::Growing;
use crate::source::place::Place;

/// Of which folders there are archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Archives {
    /// Of those that are listed: an index page that stands for its folder hides what else is in
    /// it. (An archive of a folder above holds it all the same.)
    #[default]
    Listed,
    /// Of all.
    Always,
    /// Of none.
    Never,
}

/// What to do about an entry that cannot be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveOnError {
    /// The archive fails, visibly.
    #[default]
    Fail,
    /// The entry is left out as long as none of it was sent, and named in a file at the end. The
    /// response ends as degraded. No length is promised, and there are no ranges.
    Degrade,
}

/// What can be told of the archives of a folder without making any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    /// The TAR has so many octets.
    Octets(u64),
    /// It would take too long.
    Unknown,
    /// There can be none.
    None,
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Tar,
    TarGz,
    TarZst,
    Zip,
}

/// All forms, by their names in a query, which are the extensions of their files too.
const FORMS: [(&str, Form, &str); 4] = [
    ("tar", Form::Tar, "application/x-tar"),
    ("tar.gz", Form::TarGz, "application/gzip"),
    ("tar.zst", Form::TarZst, "application/zstd"),
    ("zip", Form::Zip, "application/zip"),
];

/// What the query says about an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing.
    No,
    /// This form.
    For(Form),
    /// One that there is not.
    Unknown,
}

impl Form {
    /// Reads `archive=FORM`, the first of them.
    pub(crate) fn asked(query: Option<&str>) -> Asked {
        let mut members = query.unwrap_or_default().split('&');
        let Some(name) = members.find_map(|member| member.strip_prefix("archive=")) else {
            return Asked::No;
        };
        let known = FORMS.iter().find(|(known, ..)| *known == name);
        known.map_or(Asked::Unknown, |(_, form, _)| Asked::For(*form))
    }

    fn row(self) -> &'static (&'static str, Self, &'static str) {
        let row = FORMS.iter().find(|(_, form, _)| *form == self);
        row.expect("every form has its row")
    }

    /// The extension of a file in this form.
    pub(crate) fn extension(self) -> &'static str {
        self.row().0
    }

    /// The value of `Content-Type`.
    pub(crate) fn media_type(self) -> &'static str {
        self.row().2
    }

    /// What all forms are called, the one of known octets first.
    pub(crate) fn names() -> Vec<&'static str> {
        FORMS.iter().map(|(name, ..)| *name).collect()
    }

    /// What may stand behind `archive=`, for a person.
    pub(crate) fn choices() -> String {
        let names: Vec<_> = FORMS
            .iter()
            .map(|(name, ..)| format!("archive={name}"))
            .collect();
        names.join(", ")
    }
}

/// An archive that a request asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    pub(crate) form: Form,
    /// What the folder is called in the archive.
    pub(crate) name: Vec<u8>,
    pub(crate) method: Method,
    /// The path of the request.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) hidden: bool,
    pub(crate) growing: Growing,
    pub(crate) on_error: ArchiveOnError,
    /// 0 stores, 1 to 9 deflate.
    pub(crate) zip_level: u32,
    pub(crate) state: Arc<State>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_asked_for_by_name() {
        for (query, asked) in [
            (None, Asked::No),
            (Some(""), Asked::No),
            (Some("archives=tar"), Asked::No),
            (Some("archive"), Asked::No),
            (Some("archive=tar"), Asked::For(Form::Tar)),
            (Some("sort=size&archive=tar.gz&x"), Asked::For(Form::TarGz)),
            (
                Some("archive=tar.zst&archive=tar"),
                Asked::For(Form::TarZst),
            ),
            (Some("archive=zip"), Asked::For(Form::Zip)),
            (Some("archive="), Asked::Unknown),
            (Some("archive=TAR"), Asked::Unknown),
            (Some("archive=rar"), Asked::Unknown),
        ] {
            assert_eq!(Form::asked(query), asked, "{query:?}");
        }
    }
}
