//! The media type of a file, by its extension.
//!
//! Reads: a path. Gives: a `Content-Type`. Never: looks into the file.
//!
//! A table of our own: `nosniff` makes a wrong type worse than none, so it holds what browsers
//! act upon and what people publish, by its registered name where it has one, and no guess. Text is
//! said to be UTF-8; JSON has no such parameter (RFC 8259 section 11), and XML says it itself.
//! `mime_guess` knows more types but no charset, and some that nobody wants (`.ts` as an MPEG
//! stream of a television set). What is missing or wrong here, the user of the service sets.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions in lower case, with their types; in groups, text first.
const TYPES: &[(&str, &str)] = &[
    ("html htm shtml", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js mjs cjs", "text/javascript; charset=utf-8"),
    (
        "txt text log conf cfg ini toml yaml yml env lock diff patch rs c h cc cpp cxx hpp cs go py rb \
         pl lua r jl sh bash zsh fish bat ps1 java kt kts scala swift dart ex exs erl hs ml clj ts tsx \
         jsx vue svelte scss sass less sql tex bib rst adoc org nix tf mk cmake gradle properties proto \
         graphql srt nfo sha1 sha256 sha512 md5 b2 asc",
        "text/plain; charset=utf-8",
    ),
    ("md markdown", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("json map har topojson", "application/json"),
    ("json5", "application/json5"),
    ("ndjson jsonl", "application/x-ndjson"),
    ("jsonld", "application/ld+json"),
    ("geojson", "application/geo+json"),
    ("gltf", "model/gltf+json"),
    ("ipynb", "application/x-ipynb+json"),
    ("webmanifest", "application/manifest+json"),
    ("xml xsl xsd xslt", "application/xml"),
    ("xhtml xht", "application/xhtml+xml"),
    ("rss", "application/rss+xml"),
    ("atom", "application/atom+xml"),
    ("gpx", "application/gpx+xml"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("mathml", "application/mathml+xml"),
    ("opml", "text/x-opml; charset=utf-8"),
    ("ttl", "text/turtle; charset=utf-8"),
    ("nt", "application/n-triples"),
    ("nq", "application/n-quads"),
    ("rdf owl", "application/rdf+xml"),
    ("wasm", "application/wasm"),
    ("pdf", "application/pdf"),
    ("ps eps ai", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("mobi", "application/x-mobipocket-ebook"),
    ("djvu djv", "image/vnd.djvu"),
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
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("png", "image/png"),
    ("apng", "image/apng"),
    ("jpg jpeg jfif", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("jxl", "image/jxl"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("jp2", "image/jp2"),
    ("svg", "image/svg+xml"),
    ("ico cur", "image/x-icon"),
    ("bmp", "image/bmp"),
    ("tif tiff", "image/tiff"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg oga opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("flac", "audio/flac"),
    ("aif aiff", "audio/aiff"),
    ("mid midi", "audio/midi"),
    ("m3u", "audio/x-mpegurl"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("mp4 m4v", "video/mp4"),
    ("m4s", "video/iso.segment"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov qt", "video/quicktime"),
    ("mkv", "video/matroska"),
    ("avi", "video/x-msvideo"),
    ("mpg mpeg", "video/mpeg"),
    ("m2ts", "video/mp2t"),
    ("3gp", "video/3gpp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("ttc", "font/collection"),
    ("glb", "model/gltf-binary"),
    ("stl", "model/stl"),
    ("obj", "model/obj"),
    ("step stp", "model/step"),
    ("usdz", "model/vnd.usdz+zip"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2 tbz2", "application/x-bzip2"),
    ("xz txz", "application/x-xz"),
    ("zst tzst", "application/zstd"),
    ("lz", "application/x-lzip"),
    ("lz4", "application/x-lz4"),
    ("tar", "application/x-tar"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("cpio", "application/x-cpio"),
    ("jar", "application/java-archive"),
    ("apk", "application/vnd.android.package-archive"),
    ("deb", "application/vnd.debian.binary-package"),
    ("rpm", "application/x-rpm"),
    ("msi", "application/x-msi"),
    ("exe dll", "application/vnd.microsoft.portable-executable"),
    ("dmg", "application/x-apple-diskimage"),
    ("iso", "application/x-iso9660-image"),
    ("crx", "application/x-chrome-extension"),
    ("xpi", "application/x-xpinstall"),
    ("torrent", "application/x-bittorrent"),
    ("parquet", "application/vnd.apache.parquet"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("sqlite sqlite3", "application/vnd.sqlite3"),
    ("cbor", "application/cbor"),
    ("msgpack", "application/vnd.msgpack"),
    ("car", "application/vnd.ipld.car"),
    ("warc", "application/warc"),
    ("wacz", "application/wacz"),
    ("pcap", "application/vnd.tcpdump.pcap"),
    ("pem", "application/x-pem-file"),
    ("cer der", "application/pkix-cert"),
    ("crt", "application/x-x509-ca-cert"),
    ("crl", "application/pkix-crl"),
    ("p12 pfx", "application/x-pkcs12"),
    ("sig", "application/pgp-signature"),
    ("eml", "message/rfc822"),
    ("mbox", "application/mbox"),
    ("swf", "application/vnd.adobe.flash.movie"),
];

/// Names without an extension that are text wherever they are found.
const TEXTS: &[&str] = &[
    "authors",
    "changelog",
    "copying",
    "dockerfile",
    "install",
    "license",
    "makefile",
    "md5sums",
    "news",
    "notice",
    "readme",
    "sha256sums",
    "sha512sums",
    "todo",
    "version",
];

const TEXT: &str = "text/plain; charset=utf-8";

static BY_EXTENSION: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let types = TYPES.iter().flat_map(|(extensions, media_type)| {
        extensions
            .split_whitespace()
            .map(move |extension| (extension, *media_type))
    });
    types.collect()
});

/// The `Content-Type` of a file with this path.
pub(crate) fn media_type(path: &Path) -> &'static str {
    let of_name = || {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        TEXTS.contains(&name.as_str()).then_some(TEXT)
    };
    match extension(path) {
        Some(extension) => BY_EXTENSION.get(extension.as_str()).copied(),
        None => of_name(),
    }
    .unwrap_or(UNKNOWN)
}

/// The last extension of a path, in lower case.
pub(crate) fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?;
    Some(extension.to_ascii_lowercase())
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
            ("LICENSE", "text/plain; charset=utf-8"),
            ("src/Makefile", "text/plain; charset=utf-8"),
            ("binary", UNKNOWN),
            ("module.mjs", "text/javascript; charset=utf-8"),
            ("page.wasm", "application/wasm"),
            ("app.webmanifest", "application/manifest+json"),
            ("rows.jsonl", "application/x-ndjson"),
            ("font.woff2", "font/woff2"),
            ("image.avif", "image/avif"),
            ("data.json", "application/json"),
            ("dump.zst", "application/zstd"),
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
            .flat_map(|(known, _)| known.split_whitespace())
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
