//! How many files and connections the process may have open.

use std::io;

/// Raises the limit as far as the system lets any process raise it: each connection takes a
/// descriptor, each file that is sent another one, and the usual limit of 1024 is low for that.
#[cfg(unix)]
pub(super) fn raise() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    Ok(())
}

/// How many may be open; `None` where there is no such limit.
#[cfg(unix)]
pub(super) fn limit() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current
}

/// There is no such limit.
#[cfg(not(unix))]
pub(super) fn limit() -> Option<u64> {
    None
}

/// There is no such limit.
#[cfg(not(unix))]
pub(super) fn raise() -> io::Result<()> {
    Ok(())
}
