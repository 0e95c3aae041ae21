//! From the path of a request to names below a folder.
//!
//! Reads: the path of a request target, percent-encoded. Gives: a relative path of plain names.
//! Never: a path that could lead upwards or elsewhere, or, unless asked for, to a hidden file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Begins with a dot and is meant to be found: RFC 8615 (certificates, `security.txt`).
const WELL_KNOWN: &str = ".well-known";

/// What a request asks for, as names below the folder that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    names: PathBuf,
    folder: bool,
}

impl Target {
    /// Decodes a path once and takes it apart.
    ///
    /// `None` for whatever cannot be a name below the folder: an empty segment (`//`), one that
    /// leads upwards (`.`, `..`, `%2e%2e`), and one that holds an encoded slash, a backslash or
    /// NUL. So every file has one address only. `None` also for a hidden segment (`.git`), unless
    /// `hidden` ones are asked for; `/.well-known` is none.
    pub(crate) fn parse(path: &str, hidden: bool) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() {
            return Some(Self {
                names: PathBuf::new(),
                folder: true,
            });
        }
        let (path, folder) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let mut names = PathBuf::new();
        for (depth, segment) in path.split('/').enumerate() {
            let name = name(segment)?;
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if is_hidden && !hidden && !(depth == 0 && name == WELL_KNOWN) {
                return None;
            }
            names.push(name);
        }
        Some(Self { names, folder })
    }

    /// The relative path; empty for the folder itself.
    pub(crate) fn names(&self) -> &Path {
        &self.names
    }

    /// Whether it ends in a slash: it means a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.folder
    }
}

/// Decodes one segment into a name, if it is one.
fn name(segment: &str) -> Option<OsString> {
    let octets: Vec<u8> = percent_decode_str(segment).collect();
    let elsewhere = matches!(octets.as_slice(), b"" | b"." | b"..");
    let strange =
        |octet: &u8| matches!(octet, 0 | b'/' | b'\\') || (cfg!(windows) && *octet == b':');
    if elsewhere || octets.iter().any(strange) {
        return None;
    }
    os_name(octets)
}

#[cfg(unix)]
fn os_name(octets: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(octets))
}

#[cfg(not(unix))]
fn os_name(octets: Vec<u8>) -> Option<OsString> {
    String::from_utf8(octets).ok().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        for (path, names, folder) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/b%20c.txt", "a/b c.txt", false),
            ("/%C3%A9t%C3%A9", "été", false),
            ("/100%25", "100%", false),
            ("/%252e%252e", "%2e%2e", false),
            ("/a..b/c.", "a..b/c.", false),
            ("/.well-known/acme", ".well-known/acme", false),
            ("/%2Ewell-known/", ".well-known", true),
        ] {
            let target = Target::parse(path, false).expect(path);
            assert_eq!(
                (target.names(), target.is_folder()),
                (Path::new(names), folder),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_name_is_refused() {
        for path in [
            "",
            "*",
            "a",
            "//",
            "//evil",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/../x",
            "/a/../x",
            "/%2e%2e/x",
            "/%2E./x",
            "/..%2fx",
            "/a%2fb",
            "/a%2Fb",
            "/..\\x",
            "/a\\b",
            "/a%5cb",
            "/a/%00",
            "/a%00.txt",
            "/.well-known/..",
            "/.well-known/../x",
        ] {
            for hidden in [false, true] {
                assert_eq!(Target::parse(path, hidden), None, "{path}");
            }
        }
    }

    #[test]
    fn hidden_names_are_refused_unless_asked_for() {
        for path in [
            "/.git/config",
            "/a/.hidden",
            "/%2egit",
            "/...",
            "/a/.well-known/x",
            "/.well-known/.x",
            "/.well-known2",
        ] {
            assert_eq!(Target::parse(path, false), None, "{path}");
            assert!(Target::parse(path, true).is_some(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_leads_upwards(path in "/[-a.%2efFcC5/\\\\]{0,24}", hidden: bool) {
            if let Some(target) = Target::parse(&path, hidden) {
                let plain = |part| matches!(part, std::path::Component::Normal(_));
                proptest::prop_assert!(target.names().components().all(plain), "{:?}", target);
            }
        }
    }
}
