//! A folder as a ZIP file, made while it is sent.
//!
//! Reads: a listing, and the files in it. Gives: an archive in one pass, and its length before the
//! first octet of it, if nothing is compressed.
//!
//! | what | how |
//! |---|---|
//! | a file of up to 64 KiB, a link | read first; then its length and CRC, then its octets |
//! | a larger one | in stored blocks, or deflated; then length and CRC, in a data descriptor |
//! | a file, an archive, an offset of 4 GiB and more; more than 65 534 entries | fields of 64 bits |
//! | a name that is UTF-8 beyond ASCII | marked as that |
//! | one that is no UTF-8 | its octets as they are, not marked |
//! | a time | in seconds; in the header itself UTC |
//! | a mode, a link | as Unix has them; also before the entry, for readers that read as they go |
//! | pipes, sockets and devices | named in the comment of the archive |

mod octets;

mod time;

mod blocks;

mod deflate;

mod member;

mod records;

mod layout;

mod writer;

pub(super) use layout::length;
pub(super) use writer::Zip;

#[cfg(test)]
mod tests;
