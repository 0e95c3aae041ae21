//! What is in a folder: a page to click on, or JSON.
//!
//! Reads: a request for a folder, and the folder, on tokio's blocking pool. Gives: a response that
//! is streamed, head first. Never: looks whole when the folder could not be read to its end.

mod order;

mod asked;

mod entries;

mod text;

mod heading;

mod style;

mod page;

mod json;

mod pieces;

use endwell::{Abort, Body, Finished, Producer};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Response};

use self::asked::{Asked, Form};
use self::entries::Folder;
use self::pieces::{Listing, Piece};
use crate::source::blocking::blocking;
use crate::source::place::{OpenError, Place};

pub(crate) use self::heading::Archives;
pub(crate) use self::pieces::Measure;

/// Makes the response for a folder; `hidden` also lists names that begin with a dot; `archives`
/// tells of the archives of it, if there are any. Blocks only to open the folder.
///
/// # Errors
/// The folder cannot be opened.
pub(crate) fn respond(
    request: &Parts,
    place: &Place,
    hidden: bool,
    archives: Option<Measure>,
) -> Result<Response<Body>, OpenError> {
    let asked = Asked::of(request.uri.query(), &request.headers);
    let folder = Folder::open(place, hidden)?;
    let listing = Listing::new(folder, request.uri.path(), asked, archives);
    let mut response = endwell::stream(move |producer| send(producer, listing)).into_http();
    let headers = response.headers_mut();
    let media_type = match asked.form {
        Form::Page => "text/html; charset=utf-8",
        Form::Json => "application/json",
    };
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "Accept"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    match asked.form {
        Form::Page => {
            let policy = HeaderValue::from_static(style::POLICY);
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        Form::Json => {}
    }
    Ok(response)
}

/// Sends the pieces of a listing; while one is under way the next is made.
async fn send(mut producer: Producer, mut listing: Listing) -> Result<Finished, Abort> {
    loop {
        let work = blocking(move || listing.work().map(|piece| (listing, piece)));
        let piece;
        (listing, piece) = work.await?;
        match piece {
            Piece::Frame(frame) if frame.is_empty() => {}
            Piece::Frame(frame) => producer.send(frame).await?,
            Piece::End(frame) => {
                producer.send(frame).await?;
                return Ok(producer.finish());
            }
        }
    }
}
