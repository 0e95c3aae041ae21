//! Observers: send a request, read with a chosen slowness, say exactly how the response ended.
//!
//! Reads: a socket, plain or under TLS.
//! Gives: a [`Seen`]: facts only, with [`Seen::is_complete`] as the RFC's answer to "was it whole?".
//! Never: repairs or forgives. Where RFC 9112, RFC 9113 or RFC 9114 lets a recipient be lenient, the observer
//! says [`SeenEnd::Malformed`], because what it judges must not count on lenience.
//!
//! ```no_run
//! use endwell_lab::observe::{Pace, http1, http1::Request};
//! let addr = "127.0.0.1:8080".parse().unwrap();
//! let seen = http1::observe(addr, None, &Request::get11("/report"), &Pace::small());
//! assert!(seen.is_complete(), "{}", seen.verdict_line());
//! ```

pub mod seen;

pub mod pace;

pub mod transport;

mod field;

mod chunked;

mod response;

pub mod http1;

mod frame;

mod stream;

mod inbound;

pub mod http2;

mod qpack;

mod frame3;

mod quic;

pub mod http3;

pub use pace::Pace;
pub use seen::{Seen, SeenEnd, SeenFraming};
pub use transport::{ClientTls, Transport};
