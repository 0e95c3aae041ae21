//! The media type of a file, by its extension.
//!
//! Reads: a path. Gives: a `Content-Type`. Never: looks into the file.
//!
//! A table of our own: `nosniff` makes a wrong type worse than none, so it holds what browsers
//! act upon and what people publish, and no guess. `mime_guess` knows ten times as many types but
//! no charset, at the price of four crates.

use std::path::Path;

/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions in lower case, with their types; in groups, text first.
const TYPES: &[(&str, &str)] = &[
    ("html htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js mjs cjs", "text/javascript; charset=utf-8"),
    (
        "txt text log conf cfg ini toml yaml yml diff patch rs c h cc cpp hpp go py rb sh java kt ts tsx jsx sql tex rst",
        "text/plain; charset=utf-8",
    ),
    ("md markdown", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("json map", "application/json"),
    ("ndjson jsonl", "application/x-ndjson"),
    ("jsonld", "application/ld+json"),
    ("geojson", "application/geo+json"),
    ("webmanifest", "application/manifest+json"),
    ("xml xsl xsd", "application/xml"),
    ("xhtml", "application/xhtml+xml"),
    ("rss", "application/rss+xml"),
    ("atom", "application/atom+xml"),
    ("wasm", "application/wasm"),
    ("pdf", "application/pdf"),
    ("epub", "application/epub+zip"),
    ("rtf", "application/rtf"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("png", "image/png"),
    ("jpg jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/x-icon"),
    ("bmp", "image/bmp"),
    ("tif tiff", "image/tiff"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg oga opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("mp4 m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov", "video/quicktime"),
    ("mkv", "video/matroska"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("xz", "application/x-xz"),
    ("zst", "application/zstd"),
    ("tar", "application/x-tar"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("jar", "application/java-archive"),
    ("deb", "application/vnd.debian.binary-package"),
    ("rpm", "application/x-rpm"),
    ("iso", "application/x-iso9660-image"),
    ("parquet", "application/vnd.apache.parquet"),
    ("sqlite sqlite3", "application/vnd.sqlite3"),
    ("car", "application/vnd.ipld.car"),
    ("pem", "application/x-pem-file"),
];

/// The `Content-Type` of a file with this path.
pub(crate) fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let Some(extension) = extension.map(str::to_ascii_lowercase) else {
        return UNKNOWN;
    };
    let known = TYPES
        .iter()
        .find(|(extensions, _)| extensions.split(' ').any(|known| known == extension));
    known.map_or(UNKNOWN, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_by_the_last_extension() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.TXT", "text/plain; charset=utf-8"),
            ("site.min.js", "text/javascript; charset=utf-8"),
            ("dump.tar.gz", "application/gzip"),
            ("LICENSE", UNKNOWN),
            ("strange.xyzzy", UNKNOWN),
            ("html", UNKNOWN),
            ("a. ", UNKNOWN),
        ] {
            assert_eq!(media_type(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn no_extension_stands_twice_and_every_text_has_a_charset() {
        let mut all: Vec<_> = TYPES
            .iter()
            .flat_map(|(known, _)| known.split(' '))
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (_, media_type) in TYPES {
            let text = media_type.starts_with("text/");
            assert_eq!(
                media_type.ends_with("; charset=utf-8"),
                text,
                "{media_type}"
            );
        }
    }
}
