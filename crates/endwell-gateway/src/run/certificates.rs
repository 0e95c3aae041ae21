//! The certificate that new connections are shown, exchanged when its files change.

use endwell::TlsSwitch;

use super::tls::{self, Pair, Stamp};
use crate::config::{Certificate, Settings, Unusable};

/// What is shown to clients, and the files that it was read from.
#[derive(Debug)]
pub(super) struct Certificates {
    switch: TlsSwitch,
    /// `None` for a certificate that was made here.
    files: Option<Watched>,
}

/// Two files, and what they were when they were last read and last looked at.
#[derive(Debug)]
struct Watched {
    pair: Pair,
    read: Stamp,
    seen: Stamp,
}

/// A certificate that was read but is not shown yet.
pub(super) struct Fresh {
    config: std::sync::Arc<rustls::ServerConfig>,
    files: Option<Watched>,
}

impl Fresh {
    /// Reads or makes the certificate of these settings; `None` for plain HTTP.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, Vec<Unusable>> {
        let one = |unusable| vec![unusable];
        let (certificate, key) = match settings.tls.certificate().map_err(one)? {
            Certificate::None => return Ok(None),
            Certificate::SelfSigned => {
                let config = tls::self_signed(names(settings)).map_err(one)?;
                let files = None;
                return Ok(Some(Self { config, files }));
            }
            Certificate::Files { certificate, key } => (certificate.into(), key.into()),
        };
        let pair = Pair { certificate, key };
        // Looked at before they are read: what changes meanwhile is noticed later.
        let read = pair.look();
        let config = pair.load()?;
        let seen = read.clone();
        let files = Some(Watched { pair, read, seen });
        Ok(Some(Self { config, files }))
    }
}

impl Certificates {
    /// Begins with this one.
    pub(super) fn new(fresh: Fresh) -> Self {
        Self {
            switch: TlsSwitch::new(fresh.config),
            files: fresh.files,
        }
    }

    /// What listeners follow.
    pub(super) fn switch(&self) -> &TlsSwitch {
        &self.switch
    }

    /// Shows this one to new connections, and says whether it is another one.
    pub(super) fn show(&mut self, fresh: Fresh) -> bool {
        let same = match (&self.files, &fresh.files) {
            (Some(old), Some(new)) => old.pair == new.pair && old.read == new.read,
            // One that was made here stays: another would be as little trusted.
            (None, None) => return false,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.switch.set(fresh.config);
        self.files = fresh.files;
        !same
    }

    /// Looks whether the files have changed, and shows what they hold then.
    ///
    /// They are read once two looks have found them alike, so that no half of an exchange is
    /// tried; what cannot be used is tried again when it has changed again. Gives the certificate's
    /// file when another one is shown.
    pub(super) fn look(&mut self) -> Option<Result<String, Vec<Unusable>>> {
        let files = self.files.as_mut()?;
        let now = files.pair.look();
        let settled = std::mem::replace(&mut files.seen, now.clone()) == now;
        if !settled || now == files.read {
            return None;
        }
        files.read = now;
        let shown = files.pair.certificate.display().to_string();
        Some(files.pair.load().map(|config| {
            self.switch.set(config);
            shown
        }))
    }
}

/// What a certificate made for this server must name.
fn names(settings: &Settings) -> Vec<String> {
    let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let listening = settings.listening.listen.iter();
    let listening = listening
        .filter_map(|to| to.endpoint.host())
        .map(str::to_owned);
    let mut names: Vec<_> = always.into_iter().chain(listening).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    /// A certificate and its key in `c` and `k`, of which one may be left as it is.
    fn write(folder: &Path, names: &[&str]) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        for name in names {
            let text = match *name {
                "c" => made.cert.pem(),
                _ => made.signing_key.serialize_pem(),
            };
            fs::write(folder.join(name), text).unwrap();
        }
    }

    fn certificates(folder: &Path) -> Certificates {
        let (certificate, key) = (folder.join("c"), folder.join("k"));
        let pair = Pair { certificate, key };
        let (read, seen) = (pair.look(), pair.look());
        let config = pair.load().unwrap();
        let files = Some(Watched { pair, read, seen });
        Certificates::new(Fresh { config, files })
    }

    #[test]
    fn files_are_read_once_two_looks_agree() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["c", "k"]);
        let mut shown = certificates(folder.path());
        let old = shown.switch().current();
        assert!(shown.look().is_none());
        write(folder.path(), &["c", "k"]);
        assert!(shown.look().is_none());
        assert!(Arc::ptr_eq(&old, &shown.switch().current()));
        assert!(matches!(shown.look(), Some(Ok(_))));
        assert!(!Arc::ptr_eq(&old, &shown.switch().current()));
        assert!(shown.look().is_none());
    }

    #[test]
    fn files_that_cannot_be_used_are_tried_once() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["c", "k"]);
        let mut shown = certificates(folder.path());
        let old = shown.switch().current();
        write(folder.path(), &["c"]);
        assert!(shown.look().is_none());
        assert!(matches!(shown.look(), Some(Err(_))));
        for _ in 0..3 {
            assert!(shown.look().is_none());
        }
        fs::remove_file(folder.path().join("k")).unwrap();
        assert!(shown.look().is_none());
        let unusable = shown.look().unwrap().unwrap_err();
        assert_eq!(unusable[0].key, "tls-key");
        assert!(shown.look().is_none());
        assert!(Arc::ptr_eq(&old, &shown.switch().current()));
        write(folder.path(), &["c", "k"]);
        assert!(shown.look().is_none());
        assert!(matches!(shown.look(), Some(Ok(_))));
    }
}
