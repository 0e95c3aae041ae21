//! Where content comes from: open gives octets or a cause.
//!
//! Reads: names below a folder. Gives: bodies that end as complete only when what they sent is
//! what was there when they began.

mod os;

mod kept;

pub(crate) mod frames;

pub mod place;

mod change;

pub mod file;

pub use os::{Disk, Links};
pub(crate) use os::{is_in_memory, read_at};

#[cfg(all(test, unix))]
mod testing;
