//! What an archive says in words, for whoever opens it.

use super::tree::Named;

/// The name of the file that says what is not in an archive.
pub(super) const MISSING: &str = "ENDWELL-MISSING.txt";
/// The name of the file that says why an archive stops.
pub(super) const INCOMPLETE: &str = "ENDWELL-INCOMPLETE.txt";

/// What was left out, since no archive can hold it.
pub(super) fn left_out(named: &Named) -> String {
    let mut text = format!(
        "left out, since an archive cannot hold it ({}):",
        named.count
    );
    for (path, why) in &named.first {
        text += &format!(" {} ({why})", String::from_utf8_lossy(path));
    }
    text
}

/// What the file says that is found in place of the rest.
pub(super) fn incomplete(reason: &str) -> String {
    format!(
        "This archive is incomplete: the server had to stop sending it.\n\n{reason}.\n\n\
         What stands before this file is whole; the rest is missing. Download it again.\n"
    )
}
