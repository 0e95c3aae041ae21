//! Serves HTTP/3 beside the connections of a TCP listener, or alone.
//!
//! Reads: connections of a [`QuicListener`], as many as [`Limits`] allow. Gives: their requests to
//! the application; at shutdown the same order of events as over TCP.

mod drive;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use tokio::sync::mpsc::channel;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use self::drive::Connection;
use super::connection::LAST_WORD;
use super::{Door, Serve, Stop, reached};
use crate::listen::quic::QuicListener;
use crate::producer::BoxError;
use crate::wire::http3::Http3Content;

/// A QUIC listener and the application for it.
pub(super) struct Quic<S> {
    listener: QuicListener,
    serve: fn(QuicListener, S, Door) -> Running,
}

type Running = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl<S> Quic<S> {
    pub(super) fn run(self, app: S, door: Door) -> Running {
        (self.serve)(self.listener, app, door)
    }

    /// What responses over TLS say of it.
    pub(super) fn alternative(&self) -> Option<HeaderValue> {
        let port = self.listener.local_addr().ok()?.port();
        // A day is RFC 7838's own default (section 3.1).
        HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400")).ok()
    }
}

impl<S> std::fmt::Debug for Quic<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.listener.fmt(f)
    }
}

impl<S> Serve<S> {
    /// Serves HTTP/3 as well: the same application, limits, records and shutdown.
    ///
    /// Responses over TLS tell clients of it (`Alt-Svc`, RFC 7838), unless the application has set
    /// that field itself.
    ///
    /// # Errors
    /// The server's future ends with an error (`NotConnected`) if the UDP socket was lost: without TCP at once,
    /// else when the server has stopped.
    ///
    /// # On the wire
    /// - HTTP/3: a failed response ends with RESET_STREAM after its last octet was acknowledged; see
    ///   [`listen_quic`](crate::listen_quic) for what a client may take.
    #[must_use = "a server runs while it is awaited"]
    pub fn quic<B>(mut self, listener: QuicListener) -> Self
    where
        S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.quic = Some(Quic {
            listener,
            serve: |listener, app, door| Box::pin(accept(listener, app, door)),
        });
        self
    }
}

/// Serves connections until the server is to stop; an error if the socket is lost before.
async fn accept<S, B>(mut listener: QuicListener, app: S, mut door: Door) -> io::Result<()>
where
    S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut stop = door.shutdown.0.subscribe();
    let places = Arc::clone(door.controls.places());
    // Every connection and every stream holds a sender; when all are gone, all have ended.
    let (running, mut ended) = channel::<Infallible>(1);
    let over = loop {
        let knock = tokio::select! {
            knock = async {
                places.room().await;
                listener.accept().await
            } => knock,
            () = reached(&mut stop, Stop::Draining) => break Ok(()),
        };
        let Some(knock) = knock else {
            let message = "the UDP socket is lost: HTTP/3 is not served any more";
            break Err(io::Error::new(io::ErrorKind::NotConnected, message));
        };
        let (settings, limits) = door.current();
        let client = knock.remote().ip();
        if !knock.is_proven() && places.is_scarce(client, limits.per_client) {
            // Whoever feigns the address of a client could take all of its share.
            knock.prove();
            continue;
        }
        let Some(place) = places.take(Some(client), limits.per_client) else {
            knock.refuse();
            continue;
        };
        let Some(greeting) = listener.admit(knock, &limits) else {
            continue;
        };
        let connection = Connection {
            settings,
            limits,
            places: Arc::clone(&places),
            stop: door.shutdown.0.subscribe(),
            drain: door.drain,
            running: running.clone(),
        };
        tokio::spawn(connection.run(greeting, place, app.clone()));
    };
    drop(running);
    while ended.recv().await.is_some() {}
    // How long QUIC waits for the answer to its last packet is in the hands of the clients.
    tokio::select! {
        _ = timeout(LAST_WORD, listener.closed()) => {}
        () = async {
            reached(&mut stop, Stop::Now).await;
            sleep(LAST_FLIGHT).await;
        } => {}
    }
    over
}

/// What the closing of connections may take when a server stops at once.
const LAST_FLIGHT: Duration = Duration::from_millis(100);

/// Serves an application over HTTP/3 alone.
///
/// `app` must also be a service over hyper's requests, as an `axum::Router` is: one type serves all
/// protocols.
///
/// # Examples
/// ```no_run
/// # async fn run(tls: std::sync::Arc<rustls::ServerConfig>) -> std::io::Result<()> {
/// let udp = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let app = axum::Router::new();
/// endwell::serve_quic(endwell::listen_quic(udp, tls)?, app).await
/// # }
/// ```
pub fn serve_quic<S, B>(listener: QuicListener, app: S) -> Serve<S>
where
    S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Serve::on(None, app).quic(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_whose_socket_is_lost_ends_with_an_error() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = crate::listen_quic(udp, Arc::new(tls)).unwrap();
        let endpoint = listener.endpoint();
        let served = tokio::spawn(serve_quic(listener, axum::Router::new()).into_future());
        endpoint.close(0_u32.into(), b"");
        let error = served.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        assert!(error.to_string().contains("HTTP/3"), "{error}");
    }
}
