//! What only some operating systems tell about files, and can do with them.
//!
//! Reads: paths, open folders and files and their metadata. Gives: the same facts everywhere, some
//! of them absent where the system does not know them.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

pub(super) use below::{Handle, hold, is_remote, open_below, status_below};
pub(crate) use imp::{is_in_memory, read_at};
pub(super) use imp::{is_link_loop, open, path_of};

/// Whether a disk, or a network behind it, may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Only what the kernel's caches hold: never blocks.
    Cached,
    /// Blocks: for tokio's blocking pool.
    Any,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// Those that lead to something below the folder.
    #[default]
    Below,
    /// All: whoever writes to the folder can publish whatever this process can read.
    Anywhere,
}

/// What else than content changes the time of the last status change (`ctime`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `ctime` in seconds and nanoseconds.
    pub(super) changed: (i64, i64),
    /// Links, mode, owner, group.
    pub(super) rest: (u64, u32, u32, u32),
}

/// What tells one content from another: device, inode, size, and the two times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why the kernel did not find a name below a folder by itself.
#[derive(Debug)]
pub(super) enum Below {
    /// It cannot without waiting for a disk.
    Waits,
    /// It has no such call, or the name leads out of the folder, perhaps only to come back.
    Unclear,
    /// There is nothing, or it may not be reached.
    Failed(io::Error),
}

#[cfg(target_os = "linux")]
mod below {
    use std::os::fd::OwnedFd;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    use super::{Below, Disk, File, Links, Metadata, Path, io};

    /// An open folder.
    pub(in super::super) type Handle = OwnedFd;

    /// A folder changes while names below it are looked for: try again so often.
    const TRIES: usize = 8;

    pub(in super::super) fn hold(folder: &Path) -> io::Result<Handle> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(CWD, folder, flags, Mode::empty())?)
    }

    /// Whether its files are those of another machine or process, whose caches answer nothing.
    pub(in super::super) fn is_remote(folder: &Handle) -> bool {
        /// NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS, Coda (linux/magic.h).
        const REMOTE: [u64; 9] = [
            0x6969,
            0x517b,
            0xff53_4d42,
            0xfe53_4d42,
            0x6573_5546,
            0x0102_1997,
            0x00c3_6400,
            0x5346_414f,
            0x7375_7245,
        ];
        rustix::fs::fstatfs(folder)
            .is_ok_and(|system| REMOTE.contains(&(system.f_type as u64 & 0xffff_ffff)))
    }

    pub(in super::super) fn status_below(
        folder: &Handle,
        names: &Path,
        links: Links,
        disk: Disk,
    ) -> Result<Metadata, Below> {
        let found = find(folder, names, links, disk, OFlags::PATH)?;
        found.metadata().map_err(Below::Failed)
    }

    /// Opens for reading; a pipe that was put there meanwhile does not block.
    pub(in super::super) fn open_below(
        folder: &Handle,
        names: &Path,
        links: Links,
        disk: Disk,
    ) -> Result<File, Below> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        find(folder, names, links, disk, flags)
    }

    /// `openat2`: the kernel itself refuses to leave the folder.
    fn find(
        folder: &Handle,
        names: &Path,
        links: Links,
        disk: Disk,
        flags: OFlags,
    ) -> Result<File, Below> {
        let names = if names.as_os_str().is_empty() {
            Path::new(".")
        } else {
            names
        };
        let mut resolve = ResolveFlags::NO_MAGICLINKS;
        if links == Links::Below {
            resolve |= ResolveFlags::BENEATH;
        }
        if disk == Disk::Cached {
            // What is mounted below may be a network's, whose files make even a look wait.
            resolve |= ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        }
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let error = match rustix::fs::openat2(folder, names, flags, Mode::empty(), resolve) {
                Ok(found) => return Ok(found.into()),
                Err(error) => error,
            };
            match (error, disk) {
                (Errno::INTR, _) | (Errno::AGAIN, Disk::Any) => {}
                // Not in the caches, or nothing that can be decided from them.
                (
                    Errno::AGAIN | Errno::XDEV | Errno::NOSYS | Errno::PERM | Errno::INVAL,
                    Disk::Cached,
                ) => return Err(Below::Waits),
                // A sandbox may answer EPERM to a call it does not know.
                (Errno::XDEV | Errno::NOSYS | Errno::PERM | Errno::INVAL, Disk::Any) => {
                    return Err(Below::Unclear);
                }
                (error, _) => return Err(Below::Failed(error.into())),
            }
        }
        Err(Below::Unclear)
    }
}

#[cfg(not(target_os = "linux"))]
mod below {
    use super::{Below, Disk, File, Links, Metadata, Path, io};

    /// Nothing is held here.
    pub(in super::super) type Handle = ();

    pub(in super::super) fn hold(_: &Path) -> io::Result<Handle> {
        Ok(())
    }

    pub(in super::super) fn is_remote((): &Handle) -> bool {
        true
    }

    pub(in super::super) fn status_below(
        _: &Handle,
        _: &Path,
        _: Links,
        disk: Disk,
    ) -> Result<Metadata, Below> {
        Err(unclear(disk))
    }

    pub(in super::super) fn open_below(
        _: &Handle,
        _: &Path,
        _: Links,
        disk: Disk,
    ) -> Result<File, Below> {
        Err(unclear(disk))
    }

    fn unclear(disk: Disk) -> Below {
        match disk {
            Disk::Cached => Below::Waits,
            Disk::Any => Below::Unclear,
        }
    }
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

    use super::{Disk, File, Identity, Metadata, Names, Path, PathBuf, io};

    /// Opens for reading; a pipe that was put there meanwhile does not block.
    pub(in super::super) fn open(path: &Path) -> io::Result<File> {
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
    }

    /// `pread`; `WouldBlock` where the octets are not in memory and no disk may be waited for.
    pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64, disk: Disk) -> io::Result<usize> {
        match disk {
            Disk::Any => file.read_at(into, at),
            Disk::Cached => read_cached(file, into, at),
        }
    }

    #[cfg(target_os = "linux")]
    fn read_cached(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        match preadv2(
            file,
            &mut [io::IoSliceMut::new(into)],
            at,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(octets) => Ok(octets),
            // Not every file system can tell, but one that is in memory need not.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) if is_in_memory(file) => {
                file.read_at(into, at)
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether its file system is `tmpfs` or `ramfs`.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_in_memory(file: &File) -> bool {
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58f6;
        rustix::fs::fstatfs(file).is_ok_and(|system| {
            // The type of the field is another one on other machines, its 32 bits are the same.
            let kind = system.f_type as u64 & 0xffff_ffff;
            kind == TMPFS || kind == RAMFS
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn read_cached(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn is_in_memory(_: &File) -> bool {
        false
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

    impl Identity {
        pub(in super::super) fn of(metadata: &Metadata) -> Option<Self> {
            Some(Self {
                file: (metadata.dev(), metadata.ino()),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            })
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::os::windows::fs::FileExt;

    use super::{Disk, File, Identity, Metadata, Names, Path, PathBuf, io};

    pub(in super::super) fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64, disk: Disk) -> io::Result<usize> {
        match disk {
            Disk::Any => file.seek_read(into, at),
            Disk::Cached => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) fn is_in_memory(_: &File) -> bool {
        false
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

    impl Identity {
        pub(in super::super) fn of(_: &Metadata) -> Option<Self> {
            None
        }
    }
}

impl Identity {
    /// Seconds since 1970 of its last change.
    pub(super) fn last_change(&self) -> i64 {
        self.modified.0.max(self.changed.0)
    }

    /// As if it had last changed an hour ago.
    #[cfg(test)]
    pub(super) fn age_for_tests(&mut self) {
        self.modified.0 -= 3600;
        self.changed.0 -= 3600;
    }
}
