//! The error with which the outermost body breaks.

use std::error::Error as StdError;
use std::fmt;

use endwell_core::WireEnding;

/// Why a body breaks: what hyper gets, and h2 asks for its reason.
#[derive(Debug)]
pub struct WireBroken {
    #[cfg(feature = "listen")]
    reason: Option<h2::Error>,
    /// The code to reset the stream with, if it is to be reset.
    #[cfg(feature = "http3")]
    code: Option<u64>,
}

impl fmt::Display for WireBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response ended as broken")
    }
}

impl StdError for WireBroken {
    /// Only our own reset code: a reason from below must never choose the one on the wire.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        #[cfg(feature = "listen")]
        return self.reason.as_ref().map(|reason| reason as _);
        #[cfg(not(feature = "listen"))]
        return None;
    }
}

impl WireBroken {
    pub(crate) fn new(wire: WireEnding) -> Self {
        #[cfg(feature = "listen")]
        let reason = match wire {
            WireEnding::ResetStream(code) => u32::try_from(code)
                .ok()
                .map(|code| h2::Error::from(h2::Reason::from(code))),
            WireEnding::EndMark
            | WireEnding::Declared
            | WireEnding::MissingLastChunk
            | WireEnding::OpenChunk
            | WireEnding::ShortBody
            | WireEnding::ResetConnection
            | WireEnding::Silence
            | WireEnding::Stop => None,
        };
        #[cfg(not(feature = "listen"))]
        let _ = wire;
        Self {
            #[cfg(feature = "listen")]
            reason,
            #[cfg(feature = "http3")]
            code: match wire {
                WireEnding::ResetStream(code) => Some(code),
                _ => None,
            },
        }
    }

    /// The code to reset the stream with, if it is to be reset.
    #[cfg(feature = "http3")]
    pub(crate) fn code(&self) -> Option<u64> {
        self.code
    }
}
