//! Calls to the operating system about one connected socket. The only room with `unsafe`.
//!
//! Reads: a socket. Gives: what the kernel holds and knows of it, and reads and writes that
//! several owners can share. Without the Linux calls a portable fallback answers "unknown".

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::stream::Stream;

/// A connected socket, TCP or unix, that the connection drives while bodies of it watch for the peer's leaving.
///
/// It reads and writes like tokio's own stream, with the same saving: a read or write that
/// did less than it could clears the readiness, so that no further call has to learn
/// `EWOULDBLOCK`.
#[derive(Debug, Clone)]
pub(crate) struct SharedTcp(Arc<Stream>);

/// Names a task.
pub(crate) type TaskId = tokio::task::Id;

/// The task this runs in.
pub(crate) fn current_task() -> Option<TaskId> {
    tokio::task::try_id()
}

/// What the peer did to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It closed its side.
    Fin,
    /// It reset the connection.
    Rst,
}

/// What wakes at a FIN and at an error, and not when octets come.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn fin_or_error() -> Interest {
    Interest::PRIORITY.add(Interest::ERROR)
}

/// No other system tells a FIN apart from octets: it is left to hyper, which sees it when it has no octets to read
/// before it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn fin_or_error() -> Interest {
    Interest::ERROR
}

impl SharedTcp {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Arc::new(stream))
    }

    /// Whether a close can be made a reset.
    pub(crate) fn has_reset(&self) -> bool {
        self.0.has_reset()
    }

    /// Waits until the peer has reset, or (if `fin` counts) closed its side.
    ///
    /// Unread octets in front of a FIN neither hide it nor wake this: read-closed is a
    /// readiness of its own, never cleared.
    pub(crate) async fn departure(self, fin_counts: bool) -> Departure {
        let interest = if fin_counts {
            fin_or_error()
        } else {
            Interest::ERROR
        };
        loop {
            match self.0.ready(interest).await {
                Ok(ready) if ready.is_error() => return Departure::Rst,
                Ok(ready) if fin_counts && ready.is_read_closed() => return Departure::Fin,
                Ok(_) => tokio::task::yield_now().await,
                Err(_) => return Departure::Rst,
            }
        }
    }

    /// Octets in the kernel that the peer's kernel has not acknowledged. `None` where unknown.
    ///
    /// Of a unix socket: the memory of what the peer has not read, which is more than its octets.
    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        os::unacknowledged(&self.0)
    }

    /// What the kernel knows of the connection. `None` where it does not tell.
    pub(crate) fn facts(&self) -> Option<TcpFacts> {
        os::facts(&self.0)
    }

    /// Waits until the kernel says that the socket is writable: it then takes half of what
    /// [`SharedTcp::limit_unsent`] allows, at least. An error is left to the next write.
    ///
    /// The runtime takes a socket for writable until a write falls short; asking the kernel
    /// spares a frame that could not be written.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if ready!(self.0.poll_write_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let asked = self.0.try_io(Interest::WRITABLE, || {
                if os::is_writable(&self.0) {
                    return Ok(());
                }
                Err(io::ErrorKind::WouldBlock.into())
            });
            if asked.is_ok() {
                return Poll::Ready(());
            }
        }
    }

    /// Limits what the kernel holds and has not sent yet; what is in flight does not count. Only
    /// TCP has this limit.
    pub(crate) fn limit_unsent(&self, octets: usize) {
        os::limit_unsent(&self.0, octets);
    }

    /// From now on a close resets the connection instead of ending it in order.
    ///
    /// Also when the process dies: the kernel closes its sockets then.
    pub(crate) fn arm_reset(&self) -> io::Result<()> {
        if !self.has_reset() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.0.socket().set_linger(Some(Duration::ZERO))
    }

    /// From now on a close ends the connection in order.
    pub(crate) fn disarm_reset(&self) -> io::Result<()> {
        self.0.socket().set_linger(None)
    }

    fn read_once(&self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        // SAFETY: `recv` writes initialised octets only, and none is ever un-initialised.
        let room: &mut [MaybeUninit<u8>] = unsafe { buf.unfilled_mut() };
        let len = room.len();
        let socket = self.0.socket();
        let mut got = None;
        let result = self.0.try_io(Interest::READABLE, || {
            let n = socket.recv(room)?;
            got = Some(n);
            drained(n, len)
        });
        match got {
            Some(n) => {
                // SAFETY: `recv` has just initialised the first `n` octets of the unfilled part.
                unsafe { buf.assume_init(n) };
                buf.advance(n);
                Ok(n)
            }
            None => result.map(|()| 0),
        }
    }

    fn write_once(
        &self,
        len: usize,
        write: impl FnOnce(SockRef<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut put = None;
        let result = self.0.try_io(Interest::WRITABLE, || {
            let n = write(self.0.socket())?;
            put = Some(n);
            drained(n, len)
        });
        match put {
            Some(n) => Ok(n),
            None => result.map(|()| 0),
        }
    }

    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut write: impl FnMut(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.write_once(len, &mut write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Clears the readiness when less was done than could have been: the kernel has no more for now.
///
/// The readiness that `try_io` clears is the one it read before the call, so an event that
/// comes in between is not lost.
fn drained(done: usize, len: usize) -> io::Result<()> {
    if 0 < done && done < len {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}

impl AsyncRead for SharedTcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.read_once(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SharedTcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, buf.len(), |socket| {
            socket.send_with_flags(buf, NO_SIGNAL)
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_write_with(cx, len, |socket| {
            socket.send_vectored_with_flags(bufs, NO_SIGNAL)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.socket().shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

/// A write to a closed connection is an error, not a signal.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const NO_SIGNAL: i32 = 0;

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TcpFacts {
    /// Octets of ours that the peer's kernel has acknowledged, since the connection began.
    pub(crate) acked: u64,
    /// The smoothed round-trip time.
    pub(crate) round_trip: Duration,
}

#[cfg(target_os = "linux")]
mod os {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::{Stream, TcpFacts};

    /// Where `tcp_info` holds `tcpi_rtt` (u32, microseconds) and `tcpi_bytes_acked` (u64):
    /// the layout is part of the kernel's ABI (include/uapi/linux/tcp.h).
    const RTT: usize = 68;
    const BYTES_ACKED: usize = 120;

    pub(super) fn unacknowledged(stream: &Stream) -> Option<u64> {
        let mut octets: libc::c_int = 0;
        // SAFETY: the descriptor is open while `stream` lives, and TIOCOUTQ writes one int.
        let result =
            unsafe { libc::ioctl(stream.socket().as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
        if result < 0 {
            return None;
        }
        u64::try_from(octets).ok()
    }

    /// Whether the kernel would take more now.
    pub(super) fn is_writable(stream: &Stream) -> bool {
        let mut asked = libc::pollfd {
            fd: stream.socket().as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: `asked` is one `pollfd`, and a time-out of 0 returns at once.
        let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
        // An error or a hang-up is for the next write to find.
        ready != 0
    }

    /// `TCP_NOTSENT_LOWAT`. Where it fails the kernel holds more, and nothing is lost.
    pub(super) fn limit_unsent(stream: &Stream, octets: usize) {
        // A unix socket holds what its send buffer may, and has sent it at once.
        let Stream::Tcp(tcp) = stream else { return };
        let limit = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
        // SAFETY: the descriptor is open while `tcp` lives; the kernel reads one int.
        unsafe {
            libc::setsockopt(
                tcp.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_NOTSENT_LOWAT,
                (&raw const limit).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }

    pub(super) fn facts(stream: &Stream) -> Option<TcpFacts> {
        let mut info = [0_u8; 256];
        let mut len = info.len() as libc::socklen_t;
        // SAFETY: the descriptor is open while `stream` lives; the kernel writes at most `len`
        // octets to `info` and stores in `len` how many.
        let result = unsafe {
            libc::getsockopt(
                stream.socket().as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        if result < 0 || (len as usize) < BYTES_ACKED + 8 {
            return None;
        }
        let rtt = u32::from_ne_bytes(info[RTT..RTT + 4].try_into().ok()?);
        let acked = u64::from_ne_bytes(info[BYTES_ACKED..BYTES_ACKED + 8].try_into().ok()?);
        Some(TcpFacts {
            acked,
            round_trip: Duration::from_micros(u64::from(rtt)),
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Stream, TcpFacts};

    pub(super) fn unacknowledged(_: &Stream) -> Option<u64> {
        None
    }

    pub(super) fn facts(_: &Stream) -> Option<TcpFacts> {
        None
    }

    pub(super) fn is_writable(_: &Stream) -> bool {
        true
    }

    pub(super) fn limit_unsent(_: &Stream, _: usize) {}
}
