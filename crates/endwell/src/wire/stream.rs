//! A connected socket of tokio's: TCP, or a unix socket.
//!
//! Reads and gives: the same calls for both, and nothing more.

use std::io;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Calls the method of the same name.
macro_rules! each {
    ($this:ident.$method:ident($($argument:expr),*)$(.$wait:ident)?) => {
        match $this {
            Stream::Tcp(tcp) => tcp.$method($($argument),*)$(.$wait)?,
            #[cfg(unix)]
            Stream::Unix(unix) => unix.$method($($argument),*)$(.$wait)?,
        }
    };
}

impl Stream {
    /// Whether a close can be made a reset that the peer sees. A unix socket has none.
    pub(super) fn has_reset(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            #[cfg(unix)]
            Self::Unix(_) => false,
        }
    }

    /// For calls that tokio does not have.
    pub(super) fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(tcp) => SockRef::from(tcp),
            #[cfg(unix)]
            Self::Unix(unix) => SockRef::from(unix),
        }
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        each!(self.ready(interest).await)
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.poll_read_ready(cx))
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.poll_write_ready(cx))
    }

    pub(super) fn try_io<T>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        each!(self.try_io(interest, call))
    }
}
