//! What goes wrong in other people's code, as a cause.

use std::error::Error as StdError;
use std::io;

use endwell_core::{Cause, Kind};

use super::ClientGone;

/// Any error, as it comes out of other people's code.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a [`stream`](crate::stream) closure gave up; `?` turns any error into one.
///
/// A [`Cause`] inside the error is found again, also inside an [`io::Error`]; any other error
/// becomes [`Kind::ProducerError`] with its text as message.
///
/// # Examples
/// ```
/// use endwell::{Abort, Cause, Kind};
/// let abort = Abort::from(Cause::new(Kind::SourceChanged, "the file shrank"));
/// assert_eq!(abort.cause().kind, Kind::SourceChanged);
/// let abort = Abort::from(std::io::Error::other("disk"));
/// assert_eq!(abort.cause().to_string(), "producer_error: disk");
/// ```
#[derive(Debug)]
pub struct Abort(Cause);

impl Abort {
    /// What it will be recorded as.
    pub fn cause(&self) -> &Cause {
        &self.0
    }

    /// The cause, taken out.
    pub fn into_cause(self) -> Cause {
        self.0
    }
}

impl<E: Into<BoxError>> From<E> for Abort {
    fn from(error: E) -> Self {
        Self(cause_of(&*error.into()))
    }
}

/// Finds the cause inside an error, or makes one of its text.
pub(crate) fn cause_of(error: &(dyn StdError + 'static)) -> Cause {
    let known = find(error, |error| {
        if let Some(cause) = error.downcast_ref::<Cause>() {
            return Some(cause.clone());
        }
        error
            .is::<ClientGone>()
            .then(|| Cause::new(Kind::ClientGone, error.to_string()))
    });
    known.unwrap_or_else(|| Cause::producer(in_full(error)))
}

/// Looks through an error and all that lies below it.
pub(crate) fn find<T>(
    error: &(dyn StdError + 'static),
    is_it: impl Fn(&(dyn StdError + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = is_it(error) {
            return Some(found);
        }
        next = below(error);
    }
    None
}

/// What lies below an error. The `source` of an [`io::Error`] skips the error that it was made of.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

/// The cause of a panic, with its message if it had one.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Cause {
    let message = panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned());
    Cause::new(Kind::ProducerPanicked, message)
}

/// The error's text with what lies below it.
fn in_full(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        let more = below.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = below.source();
    }
    text
}
