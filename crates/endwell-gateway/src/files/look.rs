//! Finds what a request asks for, and answers it.
//!
//! Reads: the head of a GET or HEAD. Gives: its answer, or why there is nothing to send. All that
//! waits for a disk before the head leaves is done here, in one call.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use endwell::Body;
use endwell_core::fields::DigestAlgorithm;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::checksum;
use super::choose::{choose, is_negotiated};
use super::content::{self, Found};
use super::settings::Settings;
use crate::archive::{self, Archives, Asked, Form, Measured, Wanted};
use crate::listing::Measure;
use crate::query::Query;
use crate::source::Disk;
use crate::source::place::{OpenError, Place};
use crate::target::Target;
use crate::validators::Validators;
use crate::{accept, listing, reply};

/// What a request gets.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the one that must be quick"
)]
pub(super) enum Answer {
    /// This.
    Response(Response<Body>),
    /// An archive, which takes its time before its head.
    Archive(Box<Wanted>),
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self::Response(response)
    }
}

/// Finds the answer to a GET or HEAD; [`OpenError::Waits`] when a disk must be waited for and may
/// not be.
pub(super) fn look(settings: &Settings, request: &Parts, disk: Disk) -> Result<Answer, OpenError> {
    if disk == Disk::Cached && content::wants_digest(&request.headers) {
        return Err(OpenError::Waits);
    }
    let looking = Looking {
        settings,
        request,
        disk,
    };
    let target = Target::parse(request.uri.path(), settings.hidden);
    let found = match &target {
        Some(target) => looking.target(target),
        None => Err(OpenError::NotFound),
    };
    match found {
        Err(OpenError::NotFound) => looking.not_found(target.as_ref()).map(Answer::from),
        found => found,
    }
}

struct Looking<'a> {
    settings: &'a Settings,
    request: &'a Parts,
    disk: Disk,
}

impl Looking<'_> {
    fn target(&self, target: &Target) -> Result<Answer, OpenError> {
        let path = self.request.uri.path();
        let place = match self.settings.find(target.names(), self.disk) {
            Err(OpenError::NotFound) if self.settings.digests && !target.is_folder() => {
                return self.named_digest(target.names()).map(Answer::from);
            }
            found => found?,
        };
        match (place.is_folder(), target.is_folder()) {
            (true, true) => self.folder(&place, target.names()),
            (true, false) => Ok(reply::add_slash(path, self.request.uri.query()).into()),
            (false, true) => Err(OpenError::NotFound),
            (false, false) => self.file(&place, target.names(), None).map(Answer::from),
        }
    }

    fn folder(&self, place: &Place, names: &Path) -> Result<Answer, OpenError> {
        let asked = Form::asked(self.request.uri.query());
        let always = self.settings.archives == Archives::Always;
        match asked {
            Asked::For(form) if always => return Ok(self.archive(place, names, form)),
            Asked::No | Asked::For(_) | Asked::Unknown => {}
        }
        if let Some(index) = &self.settings.index {
            let index = names.join(index);
            match self.settings.find(&index, self.disk) {
                Ok(page) if page.is_file() => {
                    return match asked {
                        Asked::No => self.file(&page, &index, None).map(Answer::from),
                        Asked::For(_) | Asked::Unknown => Ok(self.no_archive(asked)),
                    };
                }
                Ok(_) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.settings.listing {
            return Err(OpenError::NotFound);
        }
        match asked {
            Asked::No if self.disk == Disk::Cached => Err(OpenError::Waits),
            Asked::No => {
                let archives = self.archives(place, names);
                listing::respond(self.request, place, self.settings.hidden, archives)
                    .map(Answer::from)
            }
            Asked::For(form) if self.settings.archives == Archives::Listed => {
                Ok(self.archive(place, names, form))
            }
            Asked::For(_) | Asked::Unknown => Ok(self.no_archive(asked)),
        }
    }

    fn archive(&self, place: &Place, names: &Path, form: Form) -> Answer {
        let name = called(names);
        Answer::Archive(Box::new(Wanted {
            place: place.clone(),
            form,
            name: name.as_encoded_bytes().to_vec(),
            method: self.request.method.clone(),
            path: self.request.uri.path().to_owned(),
            headers: self.request.headers.clone(),
            hidden: self.settings.hidden,
            growing: self.settings.growing,
            on_error: self.settings.archive_on_error,
            zip_level: self.settings.zip_level,
            state: Arc::clone(&self.settings.archiving),
        }))
    }

    /// Tells the listing of a folder which archives there are of it.
    fn archives(&self, place: &Place, names: &Path) -> Option<Measure> {
        if self.settings.archives == Archives::Never {
            return None;
        }
        let (place, name) = (place.clone(), called(names).to_owned());
        let (hidden, on_error) = (self.settings.hidden, self.settings.archive_on_error);
        let state = Arc::clone(&self.settings.archiving);
        Some(Box::new(move || {
            let name = name.as_encoded_bytes();
            let octets = match archive::measure(&place, name, hidden, on_error, &state) {
                Measured::Octets(octets) => Some(octets),
                Measured::Unknown => None,
                Measured::None => return None,
            };
            let forms = Form::names();
            Some(listing::Archives { forms, octets })
        }))
    }

    /// 400 for a form that there is not; 404 where there is no archive.
    fn no_archive(&self, asked: Asked) -> Answer {
        let path = self.request.uri.path();
        if asked == Asked::Unknown {
            let why = format!("what there is: {}", Form::choices());
            return reply::because(StatusCode::BAD_REQUEST, path, &why).into();
        }
        let why = "there is no archive of this folder";
        reply::because(StatusCode::NOT_FOUND, path, why).into()
    }

    /// `names` is the file as it was asked for; `vary` what else than codings it depends on.
    fn file(
        &self,
        place: &Place,
        names: &Path,
        vary: Option<&'static str>,
    ) -> Result<Response<Body>, OpenError> {
        let query = Query::parse(self.request.uri.query().unwrap_or_default());
        if let (true, Some(algorithm)) = (self.settings.digests, query.hash) {
            return self.digest(place, names, algorithm);
        }
        let vary = match (is_negotiated(self.settings, names), vary) {
            (true, None) => Some("Accept-Encoding"),
            (true, Some(_)) => Some("Accept, Accept-Encoding"),
            (false, vary) => vary,
        };
        let chosen = choose(
            self.settings,
            &self.request.headers,
            place,
            names,
            self.disk,
        )?;
        let Some((opened, coding)) = chosen else {
            let path = self.request.uri.path();
            let mut response = reply::status(StatusCode::NOT_ACCEPTABLE, path);
            response.headers_mut().extend(vary_field(vary));
            return Ok(response);
        };
        let version = Validators::of(opened.octets(), opened.modified(), SystemTime::now());
        let found = Found {
            opened,
            version: match coding {
                Some(coding) => version.coded(coding.as_str()),
                None => version,
            },
            coding,
            vary,
            names,
            download: query.download,
        };
        Ok(content::respond(self.request, self.settings, found))
    }

    /// `FILE.sha256`, which is no file itself.
    fn named_digest(&self, names: &Path) -> Result<Response<Body>, OpenError> {
        let (names, algorithm) = checksum::named(names).ok_or(OpenError::NotFound)?;
        let place = self.settings.find(&names, self.disk)?;
        self.digest(&place, &names, algorithm)
    }

    fn digest(
        &self,
        place: &Place,
        names: &Path,
        algorithm: DigestAlgorithm,
    ) -> Result<Response<Body>, OpenError> {
        let opened = self.settings.open(place, self.disk)?;
        let version = Validators::of(opened.octets(), opened.modified(), SystemTime::now());
        Ok(checksum::respond(
            &self.request.method,
            opened,
            names.file_name().unwrap_or_default(),
            algorithm,
            &version,
            &self.settings.known,
        ))
    }

    /// The application's page with 200, or the page for what is not found with 404.
    fn not_found(&self, target: Option<&Target>) -> Result<Response<Body>, OpenError> {
        let is_route = target.is_some_and(|target| is_route(target.names()));
        if let (Some(page), true) = (&self.settings.spa, is_route) {
            if accept::wants_page(&self.request.headers) {
                let place = self.settings.find(page, self.disk)?;
                return self.file(&place, page, Some("Accept"));
            }
            let mut response = self.not_found_page()?;
            response.headers_mut().extend(vary_field(Some("Accept")));
            return Ok(response);
        }
        self.not_found_page()
    }

    /// Without validators: it is not what was asked for, and must not be taken for a version of it.
    fn not_found_page(&self) -> Result<Response<Body>, OpenError> {
        let path = self.request.uri.path();
        let page = self.settings.not_found_page.as_ref();
        let opened = page.map(|page| {
            let place = self.settings.find(page, self.disk)?;
            Ok((page, self.settings.open(&place, self.disk)?))
        });
        let (page, opened) = match opened {
            Some(Ok(opened)) => opened,
            Some(Err(OpenError::NotFound)) | None => {
                return Ok(reply::status(StatusCode::NOT_FOUND, path));
            }
            Some(Err(error)) => return Err(error),
        };
        let octets = opened.octets();
        let body = if self.request.method == Method::HEAD {
            Body::full("")
        } else {
            match opened.body(0..octets) {
                Ok(body) => body,
                Err(cause) => return Ok(reply::failed(cause)),
            }
        };
        let mut response = body.into_http();
        *response.status_mut() = StatusCode::NOT_FOUND;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(octets));
        headers.insert(CONTENT_TYPE, self.settings.media_type(page));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }
}

/// What a folder is called in its archive. The name of the one that is served is nobody's business.
fn called(names: &Path) -> &OsStr {
    names.file_name().unwrap_or(OsStr::new("archive"))
}

/// Whether an application may know the way: no extension, and nothing that begins with a dot.
fn is_route(names: &Path) -> bool {
    let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    names.extension().is_none() && !names.iter().any(hidden)
}

fn vary_field(vary: Option<&'static str>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    vary.map(|vary| (VARY, HeaderValue::from_static(vary)))
        .into_iter()
}
