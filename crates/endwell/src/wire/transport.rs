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
    Tls(Box<tokio_rustls::server::TlsStream<SharedTcp>>),
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
}

#[cfg(not(feature = "tls"))]
impl Transport {
    fn poll_handshake(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport {
    /// Runs an operation once the handshake is done.
    fn ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Stream>>> {
        std::task::ready!(self.poll_handshake(cx))?;
        Poll::Ready(match self {
            Self::Plain(tcp) => Ok(Pin::new(tcp)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Ok(Pin::new(&mut **tls)),
            #[cfg(feature = "tls")]
            Self::Handshake(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.ready(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.ready(cx))?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.ready(cx))?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.ready(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.ready(cx))?.poll_shutdown(cx)
    }
}
