//! From the path of a request to names, and from a name to a field.

use std::ffi::OsString;
use std::path::{Component, Path};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::disposition::attachment;
use crate::target::Target;

/// The path of a request: names below a folder, and one address for each file.
pub fn target(input: &[u8]) {
    let Ok(path) = std::str::from_utf8(input) else {
        return;
    };
    let [open, all] = [false, true].map(|hidden| Target::parse(path, hidden));
    if let Some(open) = &open {
        assert_eq!(all.as_ref(), Some(open), "hidden names change others");
    }
    let Some(target) = all else {
        return;
    };
    let mut canonical = String::new();
    let mut is_hidden = false;
    for (depth, component) in target.names().components().enumerate() {
        let Component::Normal(name) = component else {
            panic!("{component:?} is no plain name");
        };
        let name = name.as_encoded_bytes();
        assert!(!name.contains(&0) && !name.contains(&b'\\') && !name.contains(&b'/'));
        is_hidden |= name.starts_with(b".") && (depth > 0 || name != b".well-known");
        canonical.push('/');
        canonical.extend(percent_encode(name, NON_ALPHANUMERIC));
    }
    assert_eq!(open.is_none(), is_hidden, "hidden or not");
    assert!(Path::new("/srv").join(target.names()).starts_with("/srv"));
    let segments = path.matches('/').count() - usize::from(target.is_folder());
    let names = target.names().components().count();
    assert_eq!(names, segments, "a segment was lost or won");
    if target.is_folder() {
        canonical.push('/');
    }
    assert_eq!(Target::parse(&canonical, true).as_ref(), Some(&target));
    assert_eq!(Target::parse(&canonical, false), open);
}

/// `Content-Disposition`: a name stays within its quotes, and the full one is the name.
///
/// The input: the name of a file.
pub fn disposition(input: &[u8]) {
    let Some(name) = os_name(input) else {
        return;
    };
    let value = attachment(&name);
    let value = value.to_str().expect("visible ASCII");
    let rest = value.strip_prefix("attachment; filename=\"");
    let (ascii, rest) = rest
        .and_then(|rest| rest.split_once('"'))
        .expect("a name in quotes");
    assert!(!ascii.contains(['\\', '%', '/']));
    let full = match rest.strip_prefix("; filename*=UTF-8''") {
        Some(encoded) => {
            let allowed =
                |octet: u8| octet.is_ascii_alphanumeric() || b"!#$&+-.^_`|~%".contains(&octet);
            assert!(encoded.bytes().all(allowed), "RFC 8187 section 3.2.1");
            let decoded = percent_decode_str(encoded).decode_utf8();
            decoded.expect("it is written in UTF-8").into_owned()
        }
        None => {
            assert_eq!(rest, "");
            ascii.to_owned()
        }
    };
    let name = name.to_string_lossy();
    assert_eq!(name.chars().count(), full.chars().count());
    assert_eq!(name.chars().count(), ascii.chars().count());
    for (c, written) in name.chars().zip(full.chars()) {
        let replaced = written == '_' && !c.is_alphanumeric();
        assert!(c == written || replaced, "{c:?} became {written:?}");
        assert!(!written.is_control() && !matches!(written, '/' | '\\' | '\u{202e}'));
    }
}

#[cfg(unix)]
fn os_name(octets: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(octets.to_vec()))
}

#[cfg(not(unix))]
fn os_name(octets: &[u8]) -> Option<OsString> {
    String::from_utf8(octets.to_vec()).ok().map(OsString::from)
}
