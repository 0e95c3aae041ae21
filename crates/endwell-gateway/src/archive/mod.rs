//! Folders as archives, made while they are sent.
//!
//! Reads: a folder, whose listing is fixed first. Gives: an archive whose every entry is what was
//! listed. Never: looks whole when an entry could not be read or changed meanwhile.
//!
//! How the data flows:
//!
//! ```text
//! wanted ---> kept or walk ---> tree ---> layout: length and places of a TAR
//!                                 |
//!                                 +-----> folders, open: the files, each proven
//!                                              |
//!                 tar or zip (a Format) ---> pack: frames ---> encode ---> send ---> body
//! ```
//!
//! What a client sees: `docs/archives.md`.

mod wanted;

#[cfg(unix)]
mod tree;

#[cfg(unix)]
mod folders;

#[cfg(unix)]
mod walk;

#[cfg(unix)]
mod notes;

#[cfg(unix)]
mod broken;

#[cfg(unix)]
mod open;

#[cfg(unix)]
mod ahead;

#[cfg(unix)]
mod format;

#[cfg(unix)]
mod filling;

#[cfg(unix)]
mod pack;

#[cfg(unix)]
mod tar;

#[cfg(unix)]
mod layout;

#[cfg(unix)]
mod zip;

#[cfg(unix)]
mod encode;

#[cfg(unix)]
mod send;

#[cfg(unix)]
mod kept;

#[cfg(unix)]
mod answer;

#[cfg(unix)]
mod measure;

#[cfg(not(unix))]
mod elsewhere;

#[cfg(all(test, unix))]
mod tests;

#[cfg(unix)]
pub(crate) use answer::{State, respond};
#[cfg(not(unix))]
pub(crate) use elsewhere::{State, measure, respond};
#[cfg(unix)]
pub(crate) use measure::measure;
pub use wanted::{ArchiveOnError, Archives};
pub(crate) use wanted::{Asked, Form, Measured, Wanted};
