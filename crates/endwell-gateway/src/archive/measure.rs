//! How long the TAR of a folder would be, for who only looks at the folder.
//!
//! Reads: the folder, for a short time. Gives: [`Measured`]. Never: makes a page wait for a tree
//! that takes long to list, nor for the turn of other walks.

use std::time::{Duration, Instant};

use super::answer::State;
use super::layout::Layout;
use super::walk::{Abandoned, Options, WalkError, walk};
use super::wanted::{ArchiveOnError, Measured};
use crate::source::place::Place;

/// A tree is listed for so long, which is enough for some thousands of entries that the kernel
/// remembers. It is half of what a listing works at a time.
const MOST: Duration = Duration::from_millis(5);

/// Tells of the archives of a folder what can be told at once. Blocks for a short time.
pub(crate) fn measure(
    place: &Place,
    name: &[u8],
    hidden: bool,
    on_error: ArchiveOnError,
    state: &State,
) -> Measured {
    let Some(_turn) = state.turn_at_once() else {
        return Measured::Unknown;
    };
    let abandoned = Abandoned::after(Instant::now() + MOST);
    match walk(place, name, Options::of(on_error, hidden), &abandoned) {
        // What it would lack is not known beforehand.
        Ok(tree) if tree.missing.count > 0 => Measured::Unknown,
        Ok(tree) => match Layout::of(&tree) {
            Some(layout) => Measured::Octets(layout.length()),
            None => Measured::None,
        },
        Err(WalkError::Abandoned) => Measured::Unknown,
        Err(_) => Measured::None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_takes_long_is_not_known() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "x").expect("a file");
        let place = Place::find(folder.path(), Path::new("")).expect("a place");
        let measure = |state: &State| measure(&place, b"top", false, ArchiveOnError::Fail, state);
        let state = State::default();
        // Two headers, a block of content, and the end.
        assert_eq!(measure(&state), Measured::Octets(512 + 1024 + 1024));
        let turns: Vec<_> = std::iter::from_fn(|| state.turn_at_once()).collect();
        assert!(!turns.is_empty());
        assert_eq!(measure(&state), Measured::Unknown);

        let options = Options::of(ArchiveOnError::Fail, false);
        let over = Abandoned::after(Instant::now() - MOST);
        let walked = walk(&place, b"top", options, &over);
        assert!(matches!(walked, Err(WalkError::Abandoned)));
    }

    #[test]
    fn there_is_no_archive_of_what_is_too_deep() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("d/".repeat(300))).expect("folders");
        let place = Place::find(folder.path(), Path::new("")).expect("a place");
        let state = State::default();
        let measured = measure(&place, b"top", false, ArchiveOnError::Fail, &state);
        // A machine that is slow does not get so far.
        assert!(matches!(measured, Measured::None | Measured::Unknown));
    }
}
