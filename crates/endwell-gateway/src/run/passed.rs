//! Sockets that a service manager has opened for this process (sd_listen_fds(3)).
//!
//! Reads: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES` and the descriptors from 3 on. Gives:
//! listeners; those with the name `admin` apart, and UDP sockets for HTTP/3.

use std::io;
use std::net::UdpSocket;

use endwell::Listener;

/// More sockets than any unit has: a larger number is a mistake.
const MOST: usize = 256;
/// The name (`FileDescriptorName=`) of sockets that operators ask.
const ADMIN: &str = "admin";

/// Sockets that were passed, before there is a runtime.
#[derive(Debug, Default)]
pub(super) struct Passed {
    serve: Vec<Socket>,
    admin: Vec<Socket>,
    quic: Vec<UdpSocket>,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// The listeners of [`Passed`] sockets.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// For clients.
    pub(super) serve: Vec<Listener>,
    /// For operators.
    pub(super) admin: Vec<Listener>,
    /// For HTTP/3.
    pub(super) quic: Vec<UdpSocket>,
}

/// What a descriptor turned out to be.
enum Taken {
    Stream(Socket),
    Udp(UdpSocket),
}

impl Passed {
    /// Takes what was passed to this process. To be called once, before there are threads: it
    /// clears the variables.
    pub(super) fn take() -> Result<Self, String> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let count = std::env::var("LISTEN_FDS").unwrap_or_default();
        if count.parse::<usize>().is_ok_and(|count| count > MOST) {
            return Err(format!(
                "LISTEN_FDS says {count} sockets, more than {MOST}; unset it if no service manager set it"
            ));
        }
        let mut passed = listenfd::ListenFd::from_env();
        let mut names = names.split(':');
        let mut taken = Self::default();
        for at in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let socket = take(&mut passed, at).map_err(|error| {
                format!(
                    "socket {at} ({name}) that was passed in LISTEN_FDS cannot be used: {error}; \
                     it must be a listening TCP or unix stream socket (Accept=no), or a UDP socket"
                )
            })?;
            match (socket, name) {
                (Taken::Udp(udp), _) => taken.quic.push(udp),
                (Taken::Stream(socket), ADMIN) => taken.admin.push(socket),
                (Taken::Stream(socket), _) => taken.serve.push(socket),
            }
        }
        Ok(taken)
    }

    /// Makes listeners of them; inside a runtime.
    pub(super) fn listen(self) -> io::Result<Listeners> {
        Ok(Listeners {
            serve: listen(self.serve)?,
            admin: listen(self.admin)?,
            quic: self.quic,
        })
    }
}

fn listen(sockets: Vec<Socket>) -> io::Result<Vec<Listener>> {
    sockets.into_iter().map(Socket::listen).collect()
}

fn take(passed: &mut listenfd::ListenFd, at: usize) -> io::Result<Taken> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    if let Ok(udp) = passed.take_udp_socket(at) {
        return Ok(Taken::Udp(udp.ok_or_else(gone)?));
    }
    #[cfg(unix)]
    if let Ok(unix) = passed.take_unix_listener(at) {
        let unix = unix.ok_or_else(gone)?;
        is_listening(socket2::SockRef::from(&unix))?;
        unix.set_nonblocking(true)?;
        return Ok(Taken::Stream(Socket::Unix(unix)));
    }
    let tcp = passed.take_tcp_listener(at)?.ok_or_else(gone)?;
    is_listening(socket2::SockRef::from(&tcp))?;
    tcp.set_nonblocking(true)?;
    Ok(Taken::Stream(Socket::Tcp(tcp)))
}

/// A connection instead of a listener (`Accept=yes`) would never give one.
fn is_listening(socket: socket2::SockRef<'_>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if !socket.is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

impl Socket {
    fn listen(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(tcp) => endwell::listen(tokio::net::TcpListener::from_std(tcp)?),
            #[cfg(unix)]
            Self::Unix(unix) => endwell::listen(tokio::net::UnixListener::from_std(unix)?),
        })
    }
}
