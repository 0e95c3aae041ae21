//! Finds what a name below a folder stands for, and nothing outside of it.
//!
//! Reads: a folder and a relative path. Gives: a [`Place`]. Never: a place outside the folder, be
//! it over a symbolic link, unless [`Links::Anywhere`] was asked for. On Linux the kernel sees to
//! that itself (`openat2` with `RESOLVE_BENEATH`, since 5.6), also while links are changed.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::kept::Kept;
use super::os::{self, Below, Disk, Handle, Identity, Links};

/// How long the root is used as it was found: opening it anew would cost every request 1 µs.
const HELD: Duration = Duration::from_millis(100);

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
    /// It cannot be told without waiting for a disk, and that was not allowed.
    #[error("not in the caches")]
    Waits,
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

/// The folder that everything is below, held open.
///
/// Its path may be a symbolic link that is set anew: that is seen within 100 ms, and at once where
/// nothing is found.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: Mutex<Arc<Folder>>,
    kept: Arc<Kept>,
}

/// The folder as it was found at some time.
#[derive(Debug)]
struct Folder {
    handle: Handle,
    /// Without symbolic links.
    path: PathBuf,
    at: Instant,
    is_remote: bool,
    kept: Arc<Kept>,
}

impl Root {
    /// Opens a folder. Blocks.
    ///
    /// # Errors
    /// It does not exist, is no folder, cannot be reached, or may not be entered: nothing below it
    /// could be sent.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        if !path.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // Only a name within it tells whether it may be entered.
        path.join(".").metadata()?;
        let kept = Arc::new(Kept::new());
        let folder = Folder::open(&path, &kept)?;
        Ok(Self {
            folder: Mutex::new(Arc::new(folder)),
            path,
            kept,
        })
    }

    /// Its absolute path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds `names` below it.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] also for what lies outside: whether something is there is not told.
    /// [`OpenError::Waits`] only with [`Disk::Cached`].
    pub fn find(&self, names: &Path, links: Links, disk: Disk) -> Result<Place, OpenError> {
        let held = Arc::clone(&self.folder.lock().unwrap_or_else(PoisonError::into_inner));
        let is_fresh = held.at.elapsed() < HELD;
        match disk {
            Disk::Cached if !is_fresh || held.is_remote => Err(OpenError::Waits),
            // Perhaps the link that was set anew is why nothing is there.
            Disk::Cached => match Place::below(held, names, links, disk) {
                Err(OpenError::NotFound) => Err(OpenError::Waits),
                found => found,
            },
            Disk::Any => Place::below(self.open_again()?, names, links, disk),
        }
    }

    fn open_again(&self) -> Result<Arc<Folder>, OpenError> {
        let folder = Folder::open(&self.path, &self.kept);
        let folder = Arc::new(folder.map_err(|error| OpenError::of(&self.path, error))?);
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&folder);
        Ok(folder)
    }
}

impl Folder {
    fn open(path: &Path, kept: &Arc<Kept>) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let handle = os::hold(&path)?;
        Ok(Self {
            is_remote: os::is_remote(&handle),
            handle,
            path,
            at: Instant::now(),
            kept: Arc::clone(kept),
        })
    }

    /// Finds a name by its path alone, where the kernel cannot do it or a link makes a detour.
    fn resolve(&self, names: &Path, links: Links) -> Result<PathBuf, OpenError> {
        let asked = self.path.join(names);
        let path = asked
            .canonicalize()
            .map_err(|error| OpenError::of(&asked, error))?;
        if links == Links::Below && !path.starts_with(&self.path) {
            return Err(OpenError::NotFound);
        }
        Ok(path)
    }
}

/// Something that exists below a folder.
#[derive(Debug, Clone)]
pub struct Place {
    folder: Arc<Folder>,
    links: Links,
    names: PathBuf,
    path: PathBuf,
    /// The kernel found it; else only its path is known.
    by_kernel: bool,
    metadata: Metadata,
}

impl Place {
    /// Finds `names` below `root`, following symbolic links that stay below it. Blocks.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] also for what lies outside of the root: whether something is
    /// there is not told.
    pub fn find(root: &Path, names: &Path) -> Result<Self, OpenError> {
        let folder = Folder::open(root, &Arc::new(Kept::new()));
        let folder = folder.map_err(|error| OpenError::of(root, error))?;
        Self::below(Arc::new(folder), names, Links::Below, Disk::Any)
    }

    /// Finds a name in this folder. Blocks.
    ///
    /// # Errors
    /// As [`Root::find`], but never [`OpenError::Waits`].
    pub fn look(&self, name: impl AsRef<Path>) -> Result<Self, OpenError> {
        let folder = Arc::clone(&self.folder);
        Self::below(folder, &self.names.join(name), self.links, Disk::Any)
    }

    fn below(
        folder: Arc<Folder>,
        names: &Path,
        links: Links,
        disk: Disk,
    ) -> Result<Self, OpenError> {
        let (path, metadata, by_kernel);
        match os::status_below(&folder.handle, names, links, disk) {
            Ok(found) => {
                (path, metadata, by_kernel) = (folder.path.join(names), found, true);
            }
            Err(Below::Waits) => return Err(OpenError::Waits),
            Err(Below::Unclear) => {
                let found = folder.resolve(names, links)?;
                // A detour, such as an absolute link: without it the kernel can see to it that
                // nothing is exchanged for what lies outside.
                if let Ok(straight) = found.strip_prefix(&folder.path)
                    && let Ok(metadata) = os::status_below(&folder.handle, straight, links, disk)
                {
                    let names = straight.to_owned();
                    return Ok(Self {
                        folder,
                        links,
                        names,
                        path: found,
                        by_kernel: true,
                        metadata,
                    });
                }
                let status = found.metadata();
                metadata = status.map_err(|error| OpenError::of(&found, error))?;
                (path, by_kernel) = (found, false);
            }
            Err(Below::Failed(error)) => {
                return Err(OpenError::of(&folder.path.join(names), error));
            }
        }
        Ok(Self {
            folder,
            links,
            names: names.to_owned(),
            path,
            by_kernel,
            metadata,
        })
    }

    /// What it holds, if that was kept and is still so.
    pub(super) fn kept(&self) -> Option<Bytes> {
        let identity = Identity::of(&self.metadata);
        self.folder.kept.get(&self.names, identity.as_ref())
    }

    /// Keeps what it held when it was this.
    pub(super) fn keep(&self, identity: Identity, octets: Bytes) {
        self.folder.kept.put(&self.names, identity, octets);
    }

    /// Opens it for reading. What was put in its place since it was found is opened where the
    /// kernel found it; else it is [`OpenError::NotFound`].
    pub(super) fn open(&self, disk: Disk) -> Result<(File, Metadata), OpenError> {
        let failed = |error| OpenError::of(&self.path, error);
        let folder = &self.folder;
        let file = if self.by_kernel {
            match os::open_below(&folder.handle, &self.names, self.links, disk) {
                Ok(file) => file,
                Err(Below::Waits) => return Err(OpenError::Waits),
                Err(Below::Unclear) => return Err(OpenError::NotFound),
                Err(Below::Failed(error)) => return Err(failed(error)),
            }
        } else {
            os::open(&self.path).map_err(failed)?
        };
        let metadata = file.metadata().map_err(failed)?;
        // What the kernel opened is below the folder, be it a file that was put there meanwhile.
        let identity = |metadata| Identity::of(metadata).map(|identity| identity.file);
        if !self.by_kernel && identity(&metadata) != identity(&self.metadata) {
            return Err(OpenError::NotFound);
        }
        Ok((file, metadata))
    }

    /// Opens a folder, to read the names in it and what is below them. Blocks.
    #[cfg(unix)]
    pub(crate) fn open_folder(&self) -> Result<File, OpenError> {
        let (folder, metadata) = self.open(Disk::Any)?;
        if metadata.is_dir() {
            Ok(folder)
        } else {
            Err(OpenError::NotFound)
        }
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

    /// Its path, for messages: symbolic links below the root may still be in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it is below, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.folder.path
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

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_put_in_its_place_meanwhile_is_opened() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let path = |name| root.path().join(name);
        std::fs::write(path("file"), "old")?;
        let place = Place::find(root.path(), Path::new("file")).map_err(io::Error::other)?;
        std::fs::write(path("new"), "newer")?;
        std::fs::rename(path("new"), path("file"))?;
        let (_, metadata) = place.open(Disk::Any).map_err(io::Error::other)?;
        assert_eq!(metadata.len(), 5);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_absolute_link_leads_nowhere_else_once_it_was_found() -> io::Result<()> {
        let (root, outside) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let path = |name| root.path().join(name);
        std::fs::write(outside.path().join("secret"), "x")?;
        std::fs::write(path("file"), "x")?;
        std::os::unix::fs::symlink(path("file"), path("absolute"))?;
        let place = Place::find(root.path(), Path::new("absolute")).map_err(io::Error::other)?;
        assert!(place.by_kernel);
        std::fs::remove_file(path("file"))?;
        std::os::unix::fs::symlink(outside.path().join("secret"), path("file"))?;
        assert!(matches!(place.open(Disk::Any), Err(OpenError::NotFound)));
        Ok(())
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
        symlink(root.path().join("file"), root.path().join("absolute"))?;
        let find = |name| Place::find(root.path(), Path::new(name));
        for name in ["inside", "absolute"] {
            assert!(find(name).is_ok_and(|place| place.is_file()), "{name}");
        }
        for name in ["out", "folder/secret", "folder", "loop", "file/x", "none"] {
            assert!(matches!(find(name), Err(OpenError::NotFound)), "{name}");
        }
        Ok(())
    }
}
