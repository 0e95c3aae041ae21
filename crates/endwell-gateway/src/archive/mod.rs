//! A folder as an archive.

mod zip;
