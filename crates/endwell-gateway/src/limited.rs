//! Small files that a person names: read whole, never without end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file of up to so many octets.
///
/// # Errors
/// It cannot be read, or it is longer.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > most {
        return Err(io::Error::other(format!("it is longer than {most} octets")));
    }
    Ok(octets)
}
