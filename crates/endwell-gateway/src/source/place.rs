//! Finds what a name below a folder stands for, and nothing outside of it.
//!
//! Reads: a folder and a relative path. Gives: a [`Place`] with every symbolic link resolved.
//! Never: a place outside the folder, be it over a symbolic link.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::os;

/// Why there is nothing to send.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No such thing, or nothing that may be sent: outside the folder, a pipe, a device.
    #[error("nothing to send there")]
    NotFound,
    /// The process may not read it.
    #[error("not readable")]
    Forbidden,
    /// The operating system cannot open it now.
    #[error("cannot open {}", path.display())]
    Failed {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn of(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ if os::is_link_loop(&error) => Self::NotFound,
            _ => Self::Failed {
                path: path.to_owned(),
                source: error,
            },
        }
    }
}

/// Something that exists below a folder.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) root: PathBuf,
    pub(super) path: PathBuf,
    metadata: Metadata,
}

impl Place {
    /// Finds `names` below `root`, following symbolic links that stay below it.
    ///
    /// The root itself may be a symbolic link, and may be another one at the next call.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] also for what lies outside of the root: whether something is
    /// there is not told.
    pub fn find(root: &Path, names: &Path) -> Result<Self, OpenError> {
        let root = root
            .canonicalize()
            .map_err(|error| OpenError::of(root, error))?;
        let asked = root.join(names);
        let path = asked
            .canonicalize()
            .map_err(|error| OpenError::of(&asked, error))?;
        if !path.starts_with(&root) {
            return Err(OpenError::NotFound);
        }
        let metadata = path
            .metadata()
            .map_err(|error| OpenError::of(&path, error))?;
        Ok(Self {
            root,
            path,
            metadata,
        })
    }

    /// Finds `names` below `root`, following symbolic links wherever they lead.
    ///
    /// # Errors
    /// As [`Place::find`], but nothing is outside.
    pub fn follow(root: &Path, names: &Path) -> Result<Self, OpenError> {
        let asked = root.join(names);
        let failed = |error| OpenError::of(&asked, error);
        let path = asked.canonicalize().map_err(failed)?;
        let metadata = path.metadata().map_err(failed)?;
        // Below the root of the file system lies everything.
        let root = path.ancestors().last().unwrap_or(&path).to_owned();
        Ok(Self {
            root,
            path,
            metadata,
        })
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.metadata.is_dir()
    }

    /// Whether it is a regular file: not a pipe, socket or device.
    pub fn is_file(&self) -> bool {
        self.metadata.is_file()
    }

    /// What was told of it when it was found.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The path, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it is below, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_what_a_client_may_know() {
        let told = |kind| OpenError::of(Path::new("x"), io::Error::from(kind));
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::InvalidFilename,
        ] {
            assert!(matches!(told(kind), OpenError::NotFound), "{kind}");
        }
        assert!(matches!(
            told(io::ErrorKind::PermissionDenied),
            OpenError::Forbidden
        ));
        assert!(matches!(
            told(io::ErrorKind::Other),
            OpenError::Failed { .. }
        ));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_below_the_root_only() -> io::Result<()> {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir()?;
        let root = tempfile::tempdir()?;
        std::fs::write(outside.path().join("secret"), "x")?;
        std::fs::write(root.path().join("file"), "x")?;
        symlink("file", root.path().join("inside"))?;
        symlink(outside.path().join("secret"), root.path().join("out"))?;
        symlink(outside.path(), root.path().join("folder"))?;
        symlink("loop", root.path().join("loop"))?;
        let find = |name| Place::find(root.path(), Path::new(name));
        assert!(find("inside").is_ok_and(|place| place.is_file()));
        for name in ["out", "folder/secret", "folder", "loop", "file/x", "none"] {
            assert!(matches!(find(name), Err(OpenError::NotFound)), "{name}");
        }
        let follow = |name| Place::follow(root.path(), Path::new(name));
        for name in ["file", "inside", "out", "folder/secret"] {
            assert!(follow(name).is_ok_and(|place| place.is_file()), "{name}");
        }
        for name in ["loop", "file/x", "none"] {
            assert!(matches!(follow(name), Err(OpenError::NotFound)), "{name}");
        }
        Ok(())
    }
}
