//! TCP, or TLS over TCP whose handshake runs at the first read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::SharedTcp;

/// What carries the octets of a connection.
pub(crate) enum Transport {
    /// TCP.
    Plain(SharedTcp),
    /// TLS whose handshake is under way.
    #[cfg(feature = "tls")]
    Handshake(Box<Handshake>),
    /// TLS.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

/// A TLS handshake and its deadline.
#[cfg(feature = "tls")]
pub(crate) struct Handshake {
    accept: tokio_rustls::Accept<SharedTcp>,
    deadline: Pin<Box<tokio::time::Sleep>>,
}

#[cfg(feature = "tls")]
impl Transport {
    /// TLS over `tcp`; the handshake must be done within `deadline`.
    pub(crate) fn tls(
        tcp: SharedTcp,
        config: std::sync::Arc<rustls::ServerConfig>,
        deadline: std::time::Duration,
    ) -> Self {
        let accept = tokio_rustls::TlsAcceptor::from(config).accept(tcp);
        Self::Handshake(Box::new(Handshake {
            accept,
            deadline: Box::pin(tokio::time::sleep(deadline)),
        }))
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        use std::future::Future;
        let Self::Handshake(handshake) = self else {
            return Poll::Ready(Ok(()));
        };
        if handshake.deadline.as_mut().poll(cx).is_ready() {
            let message = "no TLS handshake within the deadline";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
        let stream = std::task::ready!(Pin::new(&mut handshake.accept).poll(cx))?;
        *self = Self::Tls(Box::new(stream));
        Poll::Ready(Ok(()))
    }

    /// The TLS stream, once its handshake is done.
    fn ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream>>> {
        std::task::ready!(self.poll_handshake(cx))?;
        Poll::Ready(match self {
            Self::Tls(tls) => Ok(Pin::new(&mut **tls)),
            Self::Plain(_) | Self::Handshake(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl Transport {
    /// Whether octets can be carried: not while TLS still shakes hands.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            #[cfg(feature = "tls")]
            Self::Handshake(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
        }
    }
}

#[cfg(feature = "tls")]
type TlsStream = tokio_rustls::server::TlsStream<SharedTcp>;

/// Polls the stream that carries the octets: TCP directly, TLS once its handshake is done.
macro_rules! poll_stream {
    ($this:ident, $cx:ident, $poll:ident($($argument:expr),*)) => {
        match $this.get_mut() {
            Transport::Plain(tcp) => Pin::new(tcp).$poll($cx $(, $argument)*),
            #[cfg(feature = "tls")]
            tls => std::task::ready!(tls.ready($cx))?.$poll($cx $(, $argument)*),
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_stream!(self, cx, poll_read(buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_stream!(self, cx, poll_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_stream!(self, cx, poll_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream!(self, cx, poll_flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream!(self, cx, poll_shutdown())
    }
}
