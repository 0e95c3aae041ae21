//! Why there is no server.

use std::io;

use crate::config::Faults;

/// Why there is no server, or none any more.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The sources are wrong in themselves, or together with the sockets that were passed.
    #[error("{0}")]
    Settings(#[from] Faults),
    /// What a setting names cannot be used: a folder, an address, a certificate, a log.
    #[error("{0}")]
    Unusable(Faults),
    /// A socket that a service manager has passed cannot be used.
    #[error("{0}")]
    Passed(String),
    /// The operating system refuses something.
    #[error("cannot {what} ({source})")]
    System {
        /// What cannot be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A listener ended although nobody had stopped it.
    #[error("a listener stopped by itself: {0}")]
    Listener(String),
}

impl RunError {
    /// Whether the command line, the environment or the file asks for what cannot be.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_))
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
