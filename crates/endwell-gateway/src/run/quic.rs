//! UDP sockets for HTTP/3, beside the listeners of https.
//!
//! Reads: an https listener, and UDP sockets that were passed. Gives: a QUIC listener on the UDP port of the same
//! number, with the same certificate.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use endwell::{Listener, QuicListener, TlsSwitch};

/// Why there is none.
pub(super) enum NoQuic {
    /// The UDP port is taken. Where any TCP port will do, another may have one.
    Taken(String),
    /// Something else.
    Impossible(String),
}

impl NoQuic {
    pub(super) fn why(self) -> String {
        match self {
            Self::Taken(why) | Self::Impossible(why) => why,
        }
    }
}

/// Makes the QUIC listener that belongs to an https one; a unix socket has none.
pub(super) fn beside(
    listener: &Listener,
    passed: &mut Vec<UdpSocket>,
    tls: &TlsSwitch,
) -> Result<Option<QuicListener>, NoQuic> {
    let Ok(address) = listener.local_addr() else {
        return Ok(None);
    };
    let same = |udp: &UdpSocket| {
        udp.local_addr()
            .is_ok_and(|udp| udp.port() == address.port())
    };
    let udp = match passed.iter().position(same) {
        Some(at) => passed.swap_remove(at),
        None => UdpSocket::bind(address).map_err(|error| cannot_bind(address, &error))?,
    };
    let quic = endwell::listen_quic(udp, tls.clone()).map_err(|error| {
        NoQuic::Impossible(format!(
            "cannot answer HTTP/3 on the UDP port {address} ({error}); leave out --http3, or give --tls-cert a certificate for TLS 1.3"
        ))
    })?;
    Ok(Some(quic))
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> NoQuic {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => NoQuic::Taken(format!(
            "the UDP port {address} is already in use; choose another with --listen, or leave out --http3"
        )),
        io::ErrorKind::PermissionDenied => NoQuic::Impossible(format!(
            "the UDP port {port} needs privileges; choose one from 1024 on, or have the socket passed"
        )),
        _ => NoQuic::Impossible(format!(
            "cannot use the UDP port {address} ({error}); choose another with --listen, or leave out --http3"
        )),
    }
}

/// A UDP socket that was passed and that no https listener stands beside.
pub(super) fn left_over(udp: &UdpSocket, http3: bool) -> String {
    let socket = match udp.local_addr() {
        Ok(address) => format!("the UDP socket {address}"),
        Err(_) => "a UDP socket".to_owned(),
    };
    match http3 {
        true => format!(
            "{socket} was passed in LISTEN_FDS, and no https listener has a port of its number; pass one, too"
        ),
        false => format!("{socket} was passed in LISTEN_FDS for nothing; add --http3"),
    }
}
