//! The digest of a file as a text: `?hash` and `FILE.sha256`.
//!
//! Reads: an open file. Gives: the line that `sha256sum` or `sha512sum` writes, so that their
//! `--check` reads it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use endwell::Body;
use endwell_core::fields::{Digest, DigestAlgorithm};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response};

use super::known::Known;
use super::reading::Hashing;
use crate::source::file::Opened;
use crate::validators::Validators;

/// The file and the algorithm that a name such as `FILE.sha256` stands for.
pub(super) fn named(names: &Path) -> Option<(PathBuf, DigestAlgorithm)> {
    let algorithm = match names.extension()?.to_str()? {
        "sha256" => DigestAlgorithm::Sha256,
        "sha512" => DigestAlgorithm::Sha512,
        _ => return None,
    };
    Some((names.with_extension(""), algorithm))
}

/// Answers with the digest; computes it while the client waits, unless it is known.
pub(super) fn respond(
    method: &Method,
    opened: Opened,
    name: &OsStr,
    algorithm: DigestAlgorithm,
    version: &Validators,
    known: &Arc<Known>,
) -> Response<Body> {
    let hashing = Hashing::new(opened, algorithm, version, known);
    let length = line(&"0".repeat(algorithm.octets() * 2), name).len();
    let body = if method == Method::HEAD {
        Body::full("")
    } else if let Some(digest) = hashing.known() {
        Body::full(of(&digest, name))
    } else {
        let name = name.to_owned();
        let body = endwell::stream(move |mut producer| async move {
            let digest = hashing.digest().await?;
            producer.send(of(&digest, &name)).await?;
            Ok(producer.finish())
        });
        body.promise(length as u64)
    };
    let mut response = body.into_http();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (field, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(field, HeaderValue::from_static(value));
    }
    response
}

fn of(digest: &Digest, name: &OsStr) -> Vec<u8> {
    line(&digest.to_hex(), name)
}

/// As coreutils write it: a name with a line break or a backslash is escaped, and a backslash in
/// front of the line says so.
fn line(hex: &str, name: &OsStr) -> Vec<u8> {
    let name = name.as_encoded_bytes();
    let escaped = |octet: &u8| match octet {
        b'\\' => b"\\\\".to_vec(),
        b'\n' => b"\\n".to_vec(),
        b'\r' => b"\\r".to_vec(),
        octet => vec![*octet],
    };
    let escaped: Vec<u8> = name.iter().flat_map(escaped).collect();
    let mark = if escaped == name { "" } else { "\\" };
    let mut line = format!("{mark}{hex}  ").into_bytes();
    line.extend_from_slice(&escaped);
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_files_and_algorithms() {
        let file = |name: &str| named(Path::new(name));
        let sha256 = Some((PathBuf::from("a/b.iso"), DigestAlgorithm::Sha256));
        assert_eq!(file("a/b.iso.sha256"), sha256);
        let sha512 = Some((PathBuf::from("b"), DigestAlgorithm::Sha512));
        assert_eq!(file("b.sha512"), sha512);
        for other in ["b.md5", "b", ".sha256", "sha256", ""] {
            assert_eq!(file(other), None, "{other}");
        }
    }

    #[test]
    fn lines_are_those_of_coreutils() {
        let written = |name| String::from_utf8(line("abc", OsStr::new(name))).expect("text");
        assert_eq!(written("a b.txt"), "abc  a b.txt\n");
        assert_eq!(written("a\\b\nc\rd"), "\\abc  a\\\\b\\nc\\rd\n");
    }
}
