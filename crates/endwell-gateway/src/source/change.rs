//! Tells whether an open file is still what it was.
//!
//! Reads: the status of an open file, before and after. Gives: the [`Change`] between them.
//! Never: takes a rename, an unlink or a change of mode for a change of content.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::os::{self, Names};

/// What is remembered of a file when it is opened.
#[derive(Debug, Clone)]
pub(super) struct Fingerprint {
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
    /// Absent where the system has no `ctime`.
    names: Option<Names>,
    path: Noted,
}

/// What is known of the path of an open file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Noted {
    /// It was not asked for: the file is read at once, and nothing excuses a change meanwhile.
    NotYet,
    /// What the system told, if it tells it.
    As(Option<PathBuf>),
}

/// What has happened to a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It has fewer octets.
    Shrank { from: u64, to: u64 },
    /// It has as many octets and a new time of modification.
    Rewritten,
    /// It has the old time of modification, and yet its content was touched.
    TimeSetBack,
    /// It has more octets.
    Grew { from: u64, to: u64 },
}

impl Change {
    /// What a person reads, after the name of the file.
    pub(super) fn message(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Shrank { from, to } => {
                format!("{path} shrank from {from} to {to} octets while it was sent")
            }
            Self::Rewritten => format!("{path} was rewritten while it was sent"),
            Self::TimeSetBack => {
                format!("{path} was rewritten with its time set back while it was sent")
            }
            Self::Grew { from, to } => {
                format!("{path} grew from {from} to {to} octets while it was sent")
            }
        }
    }
}

impl Fingerprint {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            names: Names::of(metadata),
            path: Noted::NotYet,
        }
    }

    /// Notes the path of a file that takes long to send, so that a rename can be told from a
    /// rewrite.
    pub(super) fn note_path(&mut self, file: &File) {
        self.path = Noted::As(os::path_of(file));
    }

    /// Compares with the status now.
    ///
    /// When only names or modes have changed they are taken over, so that they excuse no later
    /// change. `path` is asked only when the answer depends on it.
    pub(super) fn compare(
        &mut self,
        now: &Metadata,
        path: impl FnOnce() -> Option<PathBuf>,
    ) -> Option<Change> {
        let (from, to) = (self.size, now.len());
        if to < from {
            return Some(Change::Shrank { from, to });
        }
        if to > from {
            return Some(Change::Grew { from, to });
        }
        if self.modified != now.modified().ok() {
            return Some(Change::Rewritten);
        }
        let (Some(before), Some(after)) = (&self.names, Names::of(now)) else {
            return None;
        };
        if before.changed == after.changed {
            return None;
        }
        let Noted::As(noted) = &self.path else {
            return (before.rest == after.rest).then_some(Change::TimeSetBack);
        };
        let path = path();
        // Without a path a rename cannot be told from a rewrite, and must not fail.
        let renamed = path.is_none() || path != *noted;
        if before.rest == after.rest && !renamed {
            return Some(Change::TimeSetBack);
        }
        (self.names, self.path) = (Some(after), Noted::As(path));
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::{self, Write};
    use std::os::unix::fs::PermissionsExt;

    use super::super::testing::{next_tick, old_file};
    use super::*;

    struct Watched {
        folder: tempfile::TempDir,
        file: File,
        before: Fingerprint,
    }

    impl Watched {
        fn new() -> io::Result<Self> {
            let folder = tempfile::tempdir()?;
            old_file(&folder.path().join("file"), "0123456789")?;
            let file = File::open(folder.path().join("file"))?;
            let mut before = Fingerprint::of(&file.metadata()?);
            before.note_path(&file);
            Ok(Self {
                folder,
                file,
                before,
            })
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("file")
        }

        fn compare(&mut self) -> io::Result<Option<Change>> {
            let now = self.file.metadata()?;
            Ok(self.before.compare(&now, || os::path_of(&self.file)))
        }
    }

    fn after(change: impl FnOnce(&mut Watched) -> io::Result<()>) -> io::Result<Option<Change>> {
        let mut watched = Watched::new()?;
        change(&mut watched)?;
        watched.compare()
    }

    fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(octets)
    }

    #[test]
    fn nothing_happened() -> io::Result<()> {
        assert_eq!(after(|_| Ok(()))?, None);
        Ok(())
    }

    #[test]
    fn content_that_changes_is_seen() -> io::Result<()> {
        let shrank = after(|w| File::options().write(true).open(w.path())?.set_len(4))?;
        assert_eq!(shrank, Some(Change::Shrank { from: 10, to: 4 }));
        let rewritten = after(|w| write(&w.path(), b"x"))?;
        assert_eq!(rewritten, Some(Change::Rewritten));
        let truncated = after(|w| fs::write(w.path(), "abcdefghij"))?;
        assert_eq!(truncated, Some(Change::Rewritten));
        let grew = after(|w| File::options().append(true).open(w.path())?.write_all(b"x"))?;
        assert_eq!(grew, Some(Change::Grew { from: 10, to: 11 }));
        Ok(())
    }

    #[test]
    fn time_that_is_set_back_is_seen() -> io::Result<()> {
        let set_back = after(|w| {
            write(&w.path(), b"x")?;
            let time = w.before.modified.ok_or(io::ErrorKind::Unsupported)?;
            File::options()
                .write(true)
                .open(w.path())?
                .set_modified(time)
        })?;
        assert_eq!(set_back, Some(Change::TimeSetBack));
        Ok(())
    }

    #[test]
    fn names_and_modes_may_change() -> io::Result<()> {
        let renamed = after(|w| fs::rename(w.path(), w.folder.path().join("other")))?;
        assert_eq!(renamed, None);
        assert_eq!(after(|w| fs::remove_file(w.path()))?, None);
        let linked = after(|w| fs::hard_link(w.path(), w.folder.path().join("other")))?;
        assert_eq!(linked, None);
        let mode = after(|w| fs::set_permissions(w.path(), Permissions::from_mode(0o600)))?;
        assert_eq!(mode, None);
        let replaced = after(|w| {
            let new = w.folder.path().join("new");
            fs::write(&new, "new")?;
            fs::rename(new, w.path())
        })?;
        assert_eq!(replaced, None);
        Ok(())
    }

    #[test]
    fn a_rename_excuses_no_later_rewrite() -> io::Result<()> {
        let mut watched = Watched::new()?;
        let other = watched.folder.path().join("other");
        fs::rename(watched.path(), &other)?;
        assert_eq!(watched.compare()?, None);
        next_tick(&other)?;
        write(&other, b"x")?;
        let time = watched.before.modified.ok_or(io::ErrorKind::Unsupported)?;
        File::options()
            .write(true)
            .open(&other)?
            .set_modified(time)?;
        assert_eq!(watched.compare()?, Some(Change::TimeSetBack));
        Ok(())
    }

    #[test]
    fn without_a_path_a_rename_is_not_taken_for_a_rewrite() -> io::Result<()> {
        let mut watched = Watched::new()?;
        watched.before.path = Noted::As(None);
        fs::rename(watched.path(), watched.folder.path().join("other"))?;
        let now = watched.file.metadata()?;
        assert_eq!(watched.before.compare(&now, || None), None);
        Ok(())
    }

    #[test]
    fn messages_name_the_file_and_the_numbers() {
        let message = Change::Shrank { from: 10, to: 4 }.message(Path::new("a/b"));
        assert_eq!(message, "a/b shrank from 10 to 4 octets while it was sent");
    }
}
