//! From the path of a request to names below a folder.
//!
//! Reads: the path of a request target, percent-encoded. Gives: a relative path of plain names.
//! Never: a path that could lead upwards, elsewhere, or to a hidden file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// What a request asks for, as names below the folder that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    names: PathBuf,
    folder: bool,
}

impl Target {
    /// Decodes a path once and takes it apart.
    ///
    /// `None` for whatever cannot be a name below the folder: an empty segment (`//`), a
    /// hidden one or one that leads upwards (`.git`, `.`, `..`, `%2e%2e`), and one that holds an
    /// encoded slash, a backslash or NUL. So every file has one address only.
    pub(crate) fn parse(path: &str) -> Option<Self> {
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
        let names = path.split('/').map(name).collect::<Option<PathBuf>>()?;
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
    let hidden = octets.first().is_none_or(|first| *first == b'.');
    let strange =
        |octet: &u8| matches!(octet, 0 | b'/' | b'\\') || (cfg!(windows) && *octet == b':');
    if hidden || octets.iter().any(strange) {
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
        ] {
            let target = Target::parse(path).expect(path);
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
            "/.git/config",
            "/a/.hidden",
            "/%2egit",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
