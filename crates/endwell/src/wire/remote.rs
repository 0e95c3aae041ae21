//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remote {
    /// A TCP peer, by its address.
    Tcp(SocketAddr),
    /// A QUIC peer, by the address that it had when it connected.
    Quic(SocketAddr),
    /// A process on this machine, by a unix socket; its user where the system tells.
    Unix {
        /// The user's number.
        uid: Option<u32>,
    },
}

impl Remote {
    /// Its IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(addr) | Self::Quic(addr) => Some(addr.ip()),
            Self::Unix { .. } => None,
        }
    }
}

/// As records write it: `192.0.2.1:4711`, `[2001:db8::1]:4711`, `unix:1000`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) | Self::Quic(addr) => addr.fmt(f),
            Self::Unix { uid: Some(uid) } => write!(f, "unix:{uid}"),
            Self::Unix { uid: None } => f.write_str("unix:"),
        }
    }
}
