//! Which errors of `accept` concern one connection only.

use std::io::{Error, ErrorKind};

/// The peer was gone before it could be accepted: the next one may be fine.
pub(super) fn is_of_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
