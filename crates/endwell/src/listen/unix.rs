//! Listens on a unix socket: its file is made, taken over from the dead, and removed.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Listener;

/// How many connections may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Listens on a unix socket at `path`, whose file gets these permissions.
///
/// `mode` is as chmod(2) takes it (`0o660`); `None` leaves it to the umask. A socket file that is
/// there already is removed if nobody answers on it. The file goes when the listener is dropped,
/// unless another one has taken its place. Needs a tokio runtime.
///
/// # Errors
/// Somebody answers at `path`, or something other than a socket is there (`AddrInUse`); or what
/// the operating system says.
///
/// # On the wire
/// A unix socket has no reset, so a failed close-delimited HTTP/1.0 body could not be told:
/// it is held or refused as [`Policy::http10_unprotected`](crate::Policy) says. HTTP/1.1 and
/// HTTP/2 tell every failure, as over TCP.
pub fn listen_unix(path: impl AsRef<Path>, mode: Option<u32>) -> io::Result<Listener> {
    let path = path.as_ref();
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address)? => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::of(path)?;
    if let Some(mode) = mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    // Only from here on can anybody connect.
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let unix = tokio::net::UnixListener::from_std(UnixListener::from(socket))?;
    let mut listener = Listener::from(unix);
    listener.file = Some(file);
    Ok(listener)
}

/// Whether a socket is at this path on which nobody answers.
fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full must not make us wait: it is alive.
    probe.set_nonblocking(true)?;
    let answer = probe.connect(address).map_err(|error| error.kind());
    Ok(answer == Err(io::ErrorKind::ConnectionRefused))
}

/// The file of a socket that is ours; dropped, it is removed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    is: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: std::path::absolute(path)?,
            is: identity(&fs::symlink_metadata(path)?),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| identity(&there) == self.is) {
            // Nothing is lost if it stays: the next one finds that nobody answers on it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
