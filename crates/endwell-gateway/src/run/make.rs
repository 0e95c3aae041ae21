//! Makes of settings what serves by them.

use std::io;
use std::path::{Path, PathBuf};

use endwell::core::HalfClose;
use endwell::{Controls, Limits, Policy};

use super::access::Access;
use super::certificates::Fresh;
use super::commands::{Lines, Programs};
use super::descriptors;
use crate::config::{
    Index, Settings, Unusable, WhenGrowing, WhenHalfClosed, WhenMissing, WhichArchives,
};
use crate::source::place::OpenError;
use crate::{ArchiveOnError, Archives, Files, Growing, Guard, Routes};

/// What answers requests: the folder, behind programs at paths, behind who may ask.
pub(super) type App = Guard<Routes<Files>>;

/// What is made of settings, of which nothing is in use yet.
pub(super) struct Made {
    /// What answers requests.
    pub(super) service: App,
    /// The folder that it serves.
    pub(super) root: PathBuf,
    /// The text of the file of users.
    pub(super) listed: Option<String>,
    /// The certificate, unless HTTP is plain.
    pub(super) certificate: Option<Fresh>,
}

/// Makes everything that may fail without a socket or a log, or says all that is wrong.
pub(super) fn all(settings: &Settings, programs: &Programs) -> Result<Made, Vec<Unusable>> {
    let mut wrong = Vec::new();
    let files = keep(files(settings), &mut wrong);
    let lines = keep(Lines::of(settings), &mut wrong);
    let access = keep(Access::of(&settings.access), &mut wrong);
    let certificate = keep(Fresh::of(settings), &mut wrong);
    let (Some(files), Some(lines), Some(mut access), Some(certificate)) =
        (files, lines, access, certificate)
    else {
        return Err(wrong);
    };
    let root = files.root().to_owned();
    let listed = access.listed.take();
    let service = access.guard(programs.route(files, settings, lines));
    Ok(Made {
        service,
        root,
        listed,
        certificate,
    })
}

/// What was made; else what is wrong joins the rest of it.
fn keep<T>(made: Result<T, Vec<Unusable>>, wrong: &mut Vec<Unusable>) -> Option<T> {
    made.map_err(|more| wrong.extend(more)).ok()
}

fn files(settings: &Settings) -> Result<Files, Vec<Unusable>> {
    let growing = match settings.files.growing {
        WhenGrowing::Fail => Growing::Fail,
        WhenGrowing::Allow => Growing::Allow,
    };
    let given = &settings.files;
    let mut files = folder(&settings.dir)
        .map_err(|unusable| vec![unusable])?
        .growing(growing)
        .hidden(given.hidden)
        .follow_symlinks(given.follow_symlinks)
        .precompressed(given.precompressed)
        .digests(given.digests)
        .spa(given.spa.as_ref().map(|page| page.path().to_owned()))
        .listing(settings.folder_page.listing)
        .archives(match settings.archive.archives {
            WhichArchives::Listed => Archives::Listed,
            WhichArchives::Always => Archives::Always,
            WhichArchives::Never => Archives::Never,
        })
        .archive_on_error(match settings.archive.archive_on_error {
            WhenMissing::Fail => ArchiveOnError::Fail,
            WhenMissing::Degrade => ArchiveOnError::Degrade,
        })
        .zip_level(settings.archive.zip_level)
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
    let mut wrong = Vec::new();
    for (key, page) in [("not-found", &given.not_found), ("spa", &given.spa)] {
        if let Some(page) = page {
            let found = look_for_page(&files, key, &settings.dir, page.path());
            wrong.extend(found.err());
        }
    }
    wrong.is_empty().then_some(files).ok_or(wrong)
}

/// Looks whether a page is there: to find out now is better than at the first request.
fn look_for_page(
    files: &Files,
    key: &'static str,
    dir: &Path,
    page: &Path,
) -> Result<(), Unusable> {
    files.look_for_page(page).map_err(|error| {
        let path = dir.join(page);
        let shown = path.display();
        let other = format!("give --{key} another path below the folder");
        let why = match error {
            OpenError::NotFound if path.symlink_metadata().is_err() => {
                format!("there is no page {shown}; make it, or {other}")
            }
            OpenError::NotFound => format!(
                "the page {shown} is no file, or a link that leads nowhere or out of the folder (--follow-symlinks follows it there); {other}"
            ),
            OpenError::Forbidden => {
                format!("no permission to read the page {shown}; let this user read it, or {other}")
            }
            OpenError::Failed { source, .. } => {
                format!("cannot read the page {shown} ({source}); {other}")
            }
            // It may wait, so it never says this.
            OpenError::Waits => format!("cannot read the page {shown}; {other}"),
        };
        Unusable::new(key, why)
    })
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
            io::ErrorKind::PermissionDenied => format!(
                "no permission to enter the folder {shown}; let this user read and enter it (chmod), or name another: endwell serve DIR"
            ),
            _ => format!(
                "cannot serve the folder {shown} ({error}); name another: endwell serve DIR"
            ),
        };
        Unusable::new("dir", why)
    })
}

/// The handle for policy and limits.
pub(super) fn controls(settings: &Settings) -> Controls {
    Controls::new(policy(settings), limits(settings))
}

/// What peers may take.
pub(super) fn limits(settings: &Settings) -> Limits {
    let given = &settings.limits;
    let limits = descriptors::limit().map_or_else(Limits::default, Limits::for_descriptors);
    Limits {
        connections: given.max_connections.unwrap_or(limits.connections),
        per_client: given.max_connections_per_client,
        requests: given.max_requests.unwrap_or(limits.requests),
        head: given.max_header_size,
        head_timeout: given.header_timeout,
        idle: given.idle_timeout,
        ..limits
    }
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
