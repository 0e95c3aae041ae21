//! Files for tests, with a past.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Writes a file that was last modified in 2023, and lets the clock of the file system move on
/// from its `ctime`.
pub(super) fn old_file(path: &Path, octets: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, octets)?;
    set_back(path)?;
    next_tick(path)
}

/// Sets the time of modification to the one of [`old_file`].
pub(super) fn set_back(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

/// Waits until a change of this file would get another `ctime`.
pub(super) fn next_tick(path: &Path) -> io::Result<()> {
    let changed = |path: &Path| path.metadata().map(|is| (is.ctime(), is.ctime_nsec()));
    let until = Instant::now() + Duration::from_secs(20);
    let probe = path.with_extension("probe");
    while Instant::now() < until {
        fs::write(&probe, "x")?;
        if changed(&probe)? > changed(path)? {
            return fs::remove_file(&probe);
        }
    }
    Err(io::Error::other("the clock of the file system stands"))
}
