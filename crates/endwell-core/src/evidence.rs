//! What a receiver saw of a response. Facts only.

use crate::fields::{Declared, EndingField};
use crate::{Framing, Protocol};

/// What a receiver saw, before any conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// How the message said it would mark its end.
    pub framing: Framing,
    /// Whether TLS lay below.
    pub tls: bool,
    /// What `Content-Length` promised.
    pub promised: Option<u64>,
    /// How many octets of payload came.
    pub received: u64,
    /// What came last.
    pub seen: Seen,
    /// What the trailer `Ending` says, of which a receiver asks to be told.
    pub confirmation: Confirmation,
}

/// What a receiver was told of the ending, beyond the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// It did not ask: the framing is all it goes by.
    NotAsked,
    /// It asked, and the header did not announce `Ending` in `Trailer`: the server does not know
    /// the field, or a hop took the question away. A receiver that is content with the framing
    /// then may go on as if it had not asked.
    NotOffered,
    /// It was announced and did not come, or it does not parse: somebody on the way lost it.
    Missing,
    /// Everybody on the way says complete; the nearest of so many octets, if it counts them.
    Complete(Option<u64>),
    /// Somebody says that it is not complete.
    Declared,
}

impl Confirmation {
    /// What a receiver that asked was told.
    ///
    /// Shapes: `announced`, whether `Trailer` listed `Ending`; `field`, the value of the trailer
    /// field, its lines joined by commas, if it came.
    ///
    /// # Examples
    /// ```
    /// use endwell_core::Confirmation;
    /// assert_eq!(Confirmation::of(true, Some(b"complete;octets=5")), Confirmation::Complete(Some(5)));
    /// assert_eq!(Confirmation::of(true, None), Confirmation::Missing);
    /// ```
    pub fn of(announced: bool, field: Option<&[u8]>) -> Self {
        let Some(field) = field.and_then(EndingField::parse) else {
            return match announced {
                true => Self::Missing,
                false => Self::NotOffered,
            };
        };
        match field.worst().ending {
            Declared::Complete => Self::Complete(field.nearest().octets),
            Declared::Degraded | Declared::Cancelled | Declared::Failed => Self::Declared,
        }
    }
}

/// What a receiver saw last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// The framing's own mark: last chunk with its empty line, exact octets, END_STREAM.
    EndMark,
    /// The transport closed in order; over TLS without close_notify.
    Fin,
    /// TLS closed with close_notify.
    CloseNotify,
    /// The connection was reset.
    ConnectionReset,
    /// The stream was reset with this code, or a GOAWAY excluded it.
    StreamReset(u64),
    /// What came does not parse.
    Malformed,
    /// Nothing came any more until the receiver's deadline.
    TimedOut,
    /// The receiver itself stopped.
    Left,
}
