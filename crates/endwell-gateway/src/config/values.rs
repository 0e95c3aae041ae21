//! Values of fields that settings name.

use std::str::FromStr;

use http::HeaderValue;

/// As which type files with an extension are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// The extension, without its dot.
    pub extension: String,
    /// The value of `Content-Type`.
    pub value: HeaderValue,
}

/// Reads the value of a field: visible ASCII, and blanks within.
pub(super) fn field(text: &str) -> Result<HeaderValue, String> {
    let wrong = || "write visible ASCII, such as max-age=3600".to_owned();
    if text.is_empty() || !text.is_ascii() || text.trim() != text {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

impl FromStr for MediaType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write EXT=TYPE/SUBTYPE, such as wasm=application/wasm".to_owned();
        let (extension, value) = text.split_once('=').ok_or_else(wrong)?;
        let extension = extension.strip_prefix('.').unwrap_or(extension);
        // Only what stands behind a name's last dot is one.
        if extension.is_empty() || extension.contains(['.', '/', '\0']) {
            return Err(wrong());
        }
        Ok(Self {
            extension: extension.to_owned(),
            value: type_value(value).ok_or_else(wrong)?,
        })
    }
}

/// Reads the value of `Content-Type`.
pub(super) fn type_value(text: &str) -> Option<HeaderValue> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let (main, sub) = essence.split_once('/')?;
    field(text).ok().filter(|_| is_token(main) && is_token(sub))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_of_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read() {
        for (text, extension, value) in [
            ("wasm=application/wasm", "wasm", "application/wasm"),
            (
                ".LOG=text/plain; charset=utf-8",
                "LOG",
                "text/plain; charset=utf-8",
            ),
            ("x=a/b;c=\"d=e\"", "x", "a/b;c=\"d=e\""),
        ] {
            let read: MediaType = text.parse().expect(text);
            assert_eq!(
                (&*read.extension, read.value.as_bytes()),
                (extension, value.as_bytes())
            );
        }
        for bad in [
            "",
            "wasm",
            "=a/b",
            ".=a/b",
            "x=",
            "x=a",
            "x=a/",
            "x=/b",
            "x=a b/c",
            "x=a/b\n",
            "x= a/b",
            "tar.gz=a/b",
            "x=a/b ",
            "x=ä/b",
        ] {
            let told = bad.parse::<MediaType>().expect_err(bad);
            assert!(told.contains("wasm=application/wasm"), "{bad:?}: {told}");
        }
    }

    #[test]
    fn fields_are_visible() {
        assert!(field("public, max-age=60").is_ok());
        for bad in ["", " ", " a", "a ", "a\r\nb", "ä", "a\0"] {
            assert!(field(bad).is_err(), "{bad:?}");
        }
    }
}
