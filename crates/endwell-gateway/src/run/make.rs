//! Makes of settings what serves by them.

use std::io;
use std::path::Path;

use endwell::Policy;
use endwell::core::HalfClose;

use crate::config::{Index, Settings, Unusable, WhenGrowing, WhenHalfClosed};
use crate::{Files, Growing};

/// The service that answers requests.
pub(super) fn service(settings: &Settings) -> Result<Files, Unusable> {
    let growing = match settings.files.growing {
        WhenGrowing::Fail => Growing::Fail,
        WhenGrowing::Allow => Growing::Allow,
    };
    let given = &settings.files;
    let mut files = folder(&settings.dir)?
        .growing(growing)
        .hidden(given.hidden)
        .follow_symlinks(given.follow_symlinks)
        .precompressed(given.precompressed)
        .digests(given.digests)
        .spa(given.spa.as_ref().map(|page| page.path().to_owned()))
        .listing(settings.folder_page.listing)
        .index(match &settings.folder_page.index {
            Index::None => None,
            Index::Name(name) => Some(name.path().to_owned()),
        });
    if let Some(page) = &given.not_found {
        files = files.not_found_page(page.path());
    }
    if let Some(value) = &given.cache_control {
        files = files.cache_control(value.clone());
    }
    for media in &given.media_type {
        files = files.media_type(&media.extension, media.value.clone());
    }
    Ok(files)
}

/// The folder's service, or why it cannot be served and what can.
fn folder(dir: &Path) -> Result<Files, Unusable> {
    let shown = dir.display();
    Files::new(dir).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no folder {shown}; make it, or name another: endwell serve DIR")
            }
            io::ErrorKind::NotADirectory => {
                format!("{shown} is not a folder; name the folder it is in: endwell serve DIR")
            }
            _ => format!(
                "cannot serve the folder {shown} ({error}); name another: endwell serve DIR"
            ),
        };
        Unusable::new("dir", why)
    })
}

/// What to do about endings.
pub(super) fn policy(settings: &Settings) -> Policy {
    let limits = &settings.limits;
    Policy {
        half_close: match limits.half_close {
            WhenHalfClosed::Cancel => HalfClose::Cancel,
            WhenHalfClosed::Tolerate => HalfClose::Tolerate,
        },
        stall_deadline: Some(limits.stall_timeout).filter(|timeout| !timeout.is_zero()),
        ..Policy::default()
    }
}
