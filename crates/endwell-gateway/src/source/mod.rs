//! Where content comes from: open gives octets or a cause.
//!
//! Reads: names below a folder. Gives: bodies that end as complete only when what they sent is
//! what was there when they began.

mod os;

mod kept;

mod frames;

pub mod place;

mod change;

pub mod file;

pub use os::{Disk, Links};

#[cfg(all(test, unix))]
mod testing;
