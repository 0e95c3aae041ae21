//! Where content comes from: open gives octets or a cause.
//!
//! Reads: what a [`Source`] stands for: a file, the output of a program. Gives: bodies that
//! end as complete only when what they sent is what was there when they began.
//!
//! What every source must do, whichever it is, stands in `tests/source_suite.rs`.

mod content;

pub(crate) mod blocking;

mod os;

mod kept;

pub(crate) mod frames;

pub mod place;

mod change;

#[cfg(all(test, unix))]
mod testing;

pub mod file;

#[cfg(unix)]
pub mod command;

pub use content::{About, Beginning, Content, Length, Opening, Refusal, Source};
pub use os::{Disk, Links};
pub(crate) use os::{is_in_memory, read_at};
