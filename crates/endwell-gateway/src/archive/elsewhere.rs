//! Archives where the system has no folders that can be held open: there are none.

use endwell::Body;
use http::{Response, StatusCode};

use super::wanted::{ArchiveOnError, Measured, Wanted};
use crate::reply;
use crate::source::place::Place;

/// What all archives of a service share.
#[derive(Debug, Default)]
pub(crate) struct State;

/// 501.
pub(crate) async fn respond(wanted: Wanted) -> Response<Body> {
    let why = "archives are not made on this operating system";
    reply::because(StatusCode::NOT_IMPLEMENTED, &wanted.path, why)
}

/// None.
pub(crate) fn measure(_: &Place, _: &[u8], _: bool, _: ArchiveOnError, _: &State) -> Measured {
    Measured::None
}
