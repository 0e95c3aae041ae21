//! What a server says to the person who started it.

use std::io::Write;

/// Writes a line to standard error. That nobody reads it is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
