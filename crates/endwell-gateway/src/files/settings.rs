//! How a folder is served, and the only way to its files.
//!
//! Reads: what the builder was told. Gives: places and open files as the settings allow them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderValue;

use super::known::Known;
use crate::archive::{self, ArchiveOnError, Archives};
use crate::media;
use crate::source::file::{Growing, Opened};
use crate::source::place::{OpenError, Place, Root};
use crate::source::{Disk, Links};

/// The page that is sent for its folder.
const INDEX: &str = "index.html";

/// What the builder was told.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) root: Arc<Root>,
    pub(super) growing: Growing,
    pub(super) hidden: bool,
    pub(super) follow_symlinks: bool,
    pub(super) listing: bool,
    pub(super) precompressed: bool,
    pub(super) digests: bool,
    pub(super) index: Option<PathBuf>,
    pub(super) spa: Option<PathBuf>,
    pub(super) not_found_page: Option<PathBuf>,
    pub(super) cache_control: Option<HeaderValue>,
    /// Extensions in lower case; the first that fits counts.
    pub(super) media_types: Vec<(String, HeaderValue)>,
    pub(super) known: Arc<Known>,
    pub(super) archives: Archives,
    pub(super) archive_on_error: ArchiveOnError,
    pub(super) zip_level: u32,
    pub(super) archiving: Arc<archive::State>,
}

impl Settings {
    pub(super) fn new(root: Root) -> Self {
        Self {
            root: Arc::new(root),
            growing: Growing::default(),
            hidden: false,
            follow_symlinks: false,
            listing: true,
            precompressed: false,
            digests: false,
            index: Some(INDEX.into()),
            spa: None,
            not_found_page: None,
            cache_control: None,
            media_types: Vec::new(),
            known: Arc::default(),
            archives: Archives::default(),
            archive_on_error: ArchiveOnError::default(),
            zip_level: 0,
            archiving: Arc::default(),
        }
    }

    /// What names below the folder stand for. Every look-up goes through here.
    pub(super) fn find(&self, names: &Path, disk: Disk) -> Result<Place, OpenError> {
        let links = if self.follow_symlinks {
            Links::Anywhere
        } else {
            Links::Below
        };
        self.root.find(names, links, disk)
    }

    /// Opens the file of a place. Every file is opened here.
    pub(super) fn open(&self, place: &Place, disk: Disk) -> Result<Opened, OpenError> {
        Opened::open(place, self.growing, disk)
    }

    /// The `Content-Type` of a file with this name.
    pub(super) fn media_type(&self, names: &Path) -> HeaderValue {
        let extension = media::extension(names).unwrap_or_default();
        let mut told = self.media_types.iter();
        match told.find(|(known, _)| *known == extension) {
            Some((_, media_type)) => media_type.clone(),
            None => HeaderValue::from_static(media::media_type(names)),
        }
    }
}
