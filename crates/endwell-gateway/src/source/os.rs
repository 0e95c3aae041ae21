//! What only some operating systems tell about files.
//!
//! Reads: paths, open files and their metadata. Gives: the same facts everywhere, some of them
//! absent where the system does not know them.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

pub(super) use imp::{is_link_loop, open, path_of, read_at};

/// What else than content changes the time of the last status change (`ctime`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `ctime` in seconds and nanoseconds.
    pub(super) changed: (i64, i64),
    /// Links, mode, owner, group.
    pub(super) rest: (u64, u32, u32, u32),
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

    use super::{File, Metadata, Names, Path, PathBuf, io};

    /// Opens for reading; a pipe that was put there meanwhile does not block.
    pub(in super::super) fn open(path: &Path) -> io::Result<File> {
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
    }

    /// `pread`.
    pub(in super::super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        file.read_at(into, at)
    }

    /// The path of an open file now, where there is a `/proc`.
    pub(in super::super) fn path_of(file: &File) -> Option<PathBuf> {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    }

    pub(in super::super) fn is_link_loop(error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::ELOOP)
    }

    impl Names {
        pub(in super::super) fn of(metadata: &Metadata) -> Option<Self> {
            Some(Self {
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                rest: (
                    metadata.nlink(),
                    metadata.mode(),
                    metadata.uid(),
                    metadata.gid(),
                ),
            })
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::os::windows::fs::FileExt;

    use super::{File, Metadata, Names, Path, PathBuf, io};

    pub(in super::super) fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(in super::super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        file.seek_read(into, at)
    }

    pub(in super::super) fn path_of(_: &File) -> Option<PathBuf> {
        None
    }

    pub(in super::super) fn is_link_loop(_: &io::Error) -> bool {
        false
    }

    impl Names {
        pub(in super::super) fn of(_: &Metadata) -> Option<Self> {
            None
        }
    }
}
