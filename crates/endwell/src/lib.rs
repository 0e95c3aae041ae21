//! HTTP responses that end well, or say so.
//!
//! # The problem
//!
//! A streamed response commits its `200 OK` before anyone knows how it will end. When a query dies at row 40 000 of
//! 100 000, the status is out, and most servers end the body as if nothing had happened: over HTTP/1.0 a close *is* the
//! mark of a whole body; a channel whose task logged its error and went away ends the body in order on every
//! protocol; a reset over HTTP/2 overtakes rows that were read. The file is short, the exit code is 0, the log says 200.
//!
//! This crate makes the ending a value. A [`Producer`] says it, and nothing else can; the wire tells it so that no peer can
//! mistake it, with every octet produced before the failure delivered first; one [`Record`] tells it afterwards.
//!
//! # Adoption
//!
//! An axum, hyper or tower application keeps its handlers and its middleware. One line changes:
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! # let app = axum::Router::new();
//! let tcp = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! endwell::serve(tcp, app).await // was: axum::serve(tcp, app).await
//! # }
//! ```
//!
//! | way in | gives |
//! |---|---|
//! | [`serve`]`(tcp, app)` | everything: lossless abort, early failures as 5xx, records, limits, a drain that fails what it must |
//! | [`serve`]`(`[`listen`]`(tcp).tls(config), app)` | the same over TLS (feature `tls`) |
//! | `serve(..).quic(listen_quic(udp, config)?)` | HTTP/3 as well (feature `http3`) |
//! | `axum::serve(`[`listen`]`(tcp), `[`app`]`(router))` | the same wire; half-close and drain are axum's |
//! | [`layer`]`()` around any service | early failures as 5xx, caught panics, records; **not** the lossless abort |
//!
//! # Bodies that say how they end
//!
//! ```
//! # async fn rows() -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
//! async fn export() -> endwell::Body {
//!     endwell::stream(|mut producer| async move {
//!         for row in rows().await? {         // `?` ends it as failed
//!             producer.send(row).await?;     // waits for the client; an error when it has left
//!         }
//!         Ok(producer.finish())              // only this ends it as complete
//!     })
//! }
//! ```
//!
//! A producer that is dropped has failed: by a panic, an aborted task, a forgotten call. [`channel`] gives a producer for
//! another task, [`writer`] an `io::Write` for code that blocks; [`Body::from_stream`], [`Body::from_reader`] and [`Body::from_body`] take what exists, whose end is then
//! taken, not said (the record has `said_by=source`). [`Producer::degrade`] is for pages that are whole and have a fault in them.
//!
//! # On the wire
//!
#![doc = include_str!("plan_table.md")]
//!
//! A failure before the first octet is a 5xx: the head is held for that, for a second at most ([`Policy::head_hold`]). A client that
//! leaves stops the work at its last `await`.
//!
//! # Policy
//!
//! [`Policy`] is the server's: what is told and how, how long everything waits. A router changes it with [`route`], a response with an
//! [`Override`] in its extensions, and a [`Rule`] for requests: user agents and proxies that mistake a signal, a part of the targets.
//!
//! # What it tells
//!
//! Every response gives one [`Record`], also those whose client left or whose handler panicked. [`Log`] writes them; an
//! [`Observer`] does what you like.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! # let (tcp, app) = (tokio::net::TcpListener::bind("127.0.0.1:0").await?, axum::Router::new());
//! let log = endwell::Log::new(endwell::Format::Combined, std::io::stdout())?;
//! endwell::serve(tcp, app).observer(log).await
//! # }
//! ```
//!
//! ```text
//! "GET /export HTTP/1.1" 200 628890 "-" "curl/7.88.1" ending=failed error_type=producer_error
//! ```
//!
//! # Examples
//!
//! `cargo run -p endwell --example NAME`; each is run by a test, as a real server with a real client.
//!
//! | name | shows |
//! |---|---|
//! | `before`, `after` | an axum application and the one line |
//! | `export` | the same export with a channel as usual, and with a producer |
//! | `sqlite` | a table as CSV, from a thread that blocks; a damaged page fails the download |
//! | `file`, `child` | a file with its length; a command, whose exit status decides |
//! | `plain_hyper`, `plain_tower` | without axum; without our listener |
//! | `grpc` | tonic beside axum |
//! | `http3` | HTTP/3 beside HTTP/1 and 2 |
//! | `per_client` | another signal for clients and proxies that mistake it |
//! | `digest` | a digest behind the body, which a client verifies |
//! | `trailer` | a client that is told a failure and keeps its connection |
//! | `sse`, `ndjson`, `html` | the reason in band, then the abort |
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `axum` (default) | [`app`], `IntoResponse` for [`Body`], and `listen` |
//! | `listen` | [`listen`], [`serve`], [`Shutdown`], [`Controls`] |
//! | `tls` | TLS by rustls on our listener, certificates exchanged while it runs |
//! | `http3` | [`listen_quic`], [`Serve::quic`]: HTTP/3 over QUIC beside TCP, or alone |
//! | `tracing` | records as `tracing` events |
//!
//! Without any: producers, bodies and [`layer`] on http, http-body, bytes and tokio's sync and time.
//!
//! # What it cannot do
//!
//! - A foreign stream or body that merely stops is taken as complete.
//! - Some clients overlook every ending; for them only the content can tell.
//! - HTTP/1.0 resets rest on what the kernel tells; measured on Linux only.
//!
//! Inside, modules stand in the order in which the data flows; each uses only those above it.
#![deny(unsafe_code)]

mod observe;

#[cfg(feature = "tracing")]
mod trace;

mod trailers;

mod producer;

mod tail;

mod body;

mod limits;

mod wire;

mod layer;

#[cfg(feature = "listen")]
mod listen;

#[cfg(feature = "listen")]
mod serve;

#[cfg(feature = "axum")]
mod app;

/// The examples of the pages, compiled.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../docs/policy.md")]
#[doc = include_str!("../../../docs/fields.md")]
struct Pages;

/// As those, with what it needs.
#[cfg(all(doctest, feature = "axum", feature = "http3"))]
#[doc = include_str!("../../../docs/http3.md")]
struct PageOfHttp3;

#[cfg(feature = "listen")]
pub use body::writer;
pub use body::{Body, Broken, channel, stream, with_tail};
pub use endwell_core as core;
pub use endwell_core::{
    Cause, Ending, Kind, Override, Party, Policy, Record, Retry, SaidBy, Severity, Signal,
};
pub use layer::{Answer, Endings, Layer, Peer, Route, RouteAnswer, RouteLayer, Rule, layer, route};
pub use limits::{Http2Limits, Http3Limits, Limits};
pub use observe::{Format, Log, Observer};
pub use producer::{
    Abort, BoxError, Cancellation, ClientGone, Ended, Finished, Producer, TrySendError, Writer,
};
pub use tail::{InvalidBoundary, Tail};
#[cfg(feature = "tracing")]
pub use trace::Events;
pub use trailers::{NotATrailer, Trailers};
pub use wire::body::WireBody;
pub use wire::broken::WireBroken;
pub use wire::exchange::protocol;
pub use wire::remote::Remote;

#[cfg(feature = "axum")]
pub use app::{App, BoxedAnswer, ConnectionApp, app};
#[cfg(feature = "tls")]
pub use listen::TlsSwitch;
#[cfg(all(feature = "listen", unix))]
pub use listen::listen_unix;
#[cfg(feature = "http3")]
pub use listen::quic::{QuicListener, listen_quic};
#[cfg(feature = "listen")]
pub use listen::{Listener, listen};
#[cfg(feature = "http3")]
pub use serve::serve_quic;
#[cfg(feature = "listen")]
pub use serve::{Connections, Controls, Serve, Shutdown, serve};
#[cfg(feature = "http3")]
pub use wire::http3::{Http3Content, Http3ContentError};
#[cfg(feature = "listen")]
pub use wire::{close::settled, io::WireIo};
