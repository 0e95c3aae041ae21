//! Chooses what represents a file: the file as it is, or a compressed one beside it.
//!
//! Reads: what the client accepts, and which files there are. Gives: an open file and its coding.
//! Never: a compressed file that is older than what it was made of.

use std::path::{Path, PathBuf};

use http::HeaderMap;

use super::settings::Settings;
use crate::accept::{self, Coding};
use crate::media;
use crate::source::Disk;
use crate::source::file::Opened;
use crate::source::place::{OpenError, Place};

/// Whether another request for the same file may get another coding of it.
pub(super) fn is_negotiated(settings: &Settings, names: &Path) -> bool {
    let coded = media::extension(names).is_some_and(|extension| Coding::is_extension(&extension));
    settings.precompressed && !coded
}

/// Opens what the client likes best; `None` if it excludes all there is.
pub(super) fn choose(
    settings: &Settings,
    headers: &HeaderMap,
    place: &Place,
    names: &Path,
    disk: Disk,
) -> Result<Option<(Opened, Option<Coding>)>, OpenError> {
    if !is_negotiated(settings, names) || !place.is_file() {
        return Ok(Some((settings.open(place, disk)?, None)));
    }
    for coding in accept::codings(headers) {
        let opened = match coding {
            None => Some(settings.open(place, disk)?),
            Some(coding) => sibling(settings, coding, place, names, disk)?,
        };
        if let Some(opened) = opened {
            return Ok(Some((opened, coding)));
        }
    }
    Ok(None)
}

/// The file beside it that has this coding, if there is one and it is not outdated.
fn sibling(
    settings: &Settings,
    coding: Coding,
    place: &Place,
    names: &Path,
    disk: Disk,
) -> Result<Option<Opened>, OpenError> {
    let mut name = names.as_os_str().to_owned();
    name.push(".");
    name.push(coding.extension());
    let opened = settings
        .find(&PathBuf::from(name), disk)
        .and_then(|sibling| settings.open(&sibling, disk));
    match opened {
        // One time alone that is not known makes the other one no proof.
        Ok(opened) => match (opened.modified(), place.metadata().modified()) {
            (Some(coded), Ok(original)) if coded >= original => Ok(Some(opened)),
            _ => Ok(None),
        },
        Err(OpenError::NotFound | OpenError::Forbidden) => Ok(None),
        Err(error) => Err(error),
    }
}
