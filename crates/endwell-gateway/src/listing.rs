//! The page of a folder: what is in it, to click on.
//!
//! Reads: the entries of a folder, on tokio's blocking pool. Gives: a plain page without scripts.
//! Never: looks whole when the folder could not be read to its end.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use endwell::{Body, Cause};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::source::file::blocking;
use crate::source::place::{OpenError, Place};

/// Octets of a frame: that many rows fill the first screens, and a client that leaves stops the rest.
const FRAME: usize = 32 * 1024;

/// What a name in an address may hold as it is (RFC 3986 section 2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h1{font-size:1.25rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th{text-align:left;font-weight:600;color:#666}\
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
td:first-child{width:100%;overflow-wrap:anywhere}\
th+th,td+td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
a{color:#0b57d0;text-decoration:none}a:hover{text-decoration:underline}\
i{color:#777}\
@media(prefers-color-scheme:dark){\
body{color:#ddd;background:#161616}th,i{color:#999}th,td{border-color:#333}a{color:#8ab4f8}}";

/// Makes the page of a folder. Blocks only to open it.
///
/// # Errors
/// The folder cannot be opened.
pub(crate) fn page(place: &Place, title: &str) -> Result<Body, OpenError> {
    let folder = fs::read_dir(place.path());
    let folder = folder.map_err(|error| OpenError::of(place.path(), error))?;
    let title = percent_decode_str(title).decode_utf8_lossy().into_owned();
    let (root, path) = (place.root().to_owned(), place.path().to_owned());
    Ok(endwell::stream(move |mut producer| async move {
        // The whole folder is read before the first octet: an early error is a real 500.
        let rows = blocking(move || read(&root, &path, folder)).await?;
        let mut page = head(&title);
        for row in &rows {
            row.write(&mut page);
            if page.len() >= FRAME {
                producer.send(std::mem::take(&mut page)).await?;
            }
        }
        if rows.is_empty() {
            page.push_str("<tr><td><i>nothing to show</i></td><td></td><td></td></tr>\n");
        }
        page.push_str("</table>\n</body>\n</html>\n");
        producer.send(page).await?;
        Ok(producer.finish())
    }))
}

fn head(title: &str) -> String {
    let title = html(title);
    let up = match title.as_str() {
        "/" => "",
        _ => "<tr><td><a href=\"../\">..</a></td><td></td><td></td></tr>\n",
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1><bdi>{title}</bdi></h1>\n<table>\n\
         <tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr>\n{up}"
    )
}

/// One row of the page.
#[derive(Debug)]
struct Row {
    name: OsString,
    is: Is,
    modified: Option<SystemTime>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Folder,
    File {
        octets: u64,
    },
    /// A pipe, socket or device.
    Special,
    /// A symbolic link to nothing that is served.
    Elsewhere,
    /// The system does not tell.
    Unknown,
}

/// Reads a folder to its end; blocks.
fn read(root: &Path, path: &Path, folder: ReadDir) -> Result<Vec<Row>, Cause> {
    collect(folder.map(|entry| entry.map(|entry| row(root, &entry))))
        .map_err(|error| Cause::producer(format!("cannot read folder {}: {error}", path.display())))
}

fn collect(rows: impl Iterator<Item = io::Result<Row>>) -> io::Result<Vec<Row>> {
    let hidden = |row: &Row| row.name.as_encoded_bytes().starts_with(b".");
    let visible = rows.filter(|row| !row.as_ref().is_ok_and(hidden));
    let mut rows = visible.collect::<io::Result<Vec<_>>>()?;
    rows.sort_by(Row::order);
    Ok(rows)
}

fn row(root: &Path, entry: &DirEntry) -> Row {
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let path = entry.path();
    let metadata = if is_link {
        let below = path.strip_prefix(root).unwrap_or(&path);
        Place::find(root, below).map(|place| place.metadata().clone())
    } else {
        let metadata = entry.metadata();
        metadata.map_err(|error| OpenError::of(&path, error))
    };
    let is = match &metadata {
        Ok(metadata) if metadata.is_dir() => Is::Folder,
        Ok(metadata) if metadata.is_file() => Is::File {
            octets: metadata.len(),
        },
        Ok(_) => Is::Special,
        Err(OpenError::NotFound) if is_link => Is::Elsewhere,
        Err(_) => Is::Unknown,
    };
    let sent = matches!(is, Is::Folder | Is::File { .. });
    Row {
        name: entry.file_name(),
        is,
        modified: metadata
            .ok()
            .filter(|_| sent)
            .and_then(|metadata| metadata.modified().ok()),
    }
}

impl Row {
    /// Folders first, then by name.
    fn order(&self, other: &Self) -> Ordering {
        let key = |row: &Self| {
            let name = row.name.to_string_lossy().to_lowercase();
            (row.is != Is::Folder, name)
        };
        key(self)
            .cmp(&key(other))
            .then_with(|| self.name.cmp(&other.name))
    }

    fn write(&self, page: &mut String) {
        let slash = if self.is == Is::Folder { "/" } else { "" };
        let shown = format!("<bdi>{}</bdi>{slash}", html(&self.name.to_string_lossy()));
        let address = address(&self.name);
        let (name, size) = match self.is {
            Is::Folder => (link(&address, slash, &shown), String::new()),
            Is::File { octets } => (link(&address, slash, &shown), size(octets)),
            Is::Special => (shown, "<i>not a file</i>".to_owned()),
            Is::Elsewhere => (shown, "<i>link to elsewhere</i>".to_owned()),
            Is::Unknown => (shown, "<i>not readable</i>".to_owned()),
        };
        let time = self.modified.map(minute).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{name}</td><td>{size}</td><td>{time}</td></tr>"
        );
    }
}

/// The dot keeps a name with a colon from being a scheme.
fn link(address: &str, slash: &str, shown: &str) -> String {
    format!("<a href=\"./{address}{slash}\">{shown}</a>")
}

/// A name, percent-encoded.
fn address(name: &OsStr) -> String {
    percent_encode(name.as_encoded_bytes(), PLAIN).to_string()
}

/// Octets as a person reads them, the exact number beside.
fn size(octets: u64) -> String {
    let mut units = ["kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    if octets < 1000 {
        return format!("{octets} B");
    }
    let mut tenths = octets / 100;
    let mut unit = units.next().unwrap_or_default();
    while tenths >= 10_000
        && let Some(larger) = units.next()
    {
        (tenths, unit) = (tenths / 1000, larger);
    }
    format!(
        "<span title=\"{octets} octets\">{}.{} {unit}</span>",
        tenths / 10,
        tenths % 10
    )
}

/// `2026-11-20 13:55`; empty for a time that no calendar of ours holds.
fn minute(time: SystemTime) -> String {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs())
            .ok()
            .map(|seconds| -seconds),
    };
    let date = seconds.and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let Some(date) = date else {
        return String::new();
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute()
    )
}

/// Text in a page: markup and control characters become harmless.
fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(name: &str, is: Is) -> Row {
        Row {
            name: name.into(),
            is,
            modified: None,
        }
    }

    const FILE: Is = Is::File { octets: 5 };

    #[test]
    fn folders_come_first_and_hidden_names_not_at_all() {
        let rows = [
            row("b", FILE),
            row(".hidden", Is::Folder),
            row("A", FILE),
            row("z", Is::Folder),
            row("a", FILE),
        ];
        let rows = collect(rows.into_iter().map(Ok)).expect("no error");
        let names: Vec<_> = rows.iter().map(|row| row.name.to_str()).collect();
        assert_eq!(names, [Some("z"), Some("A"), Some("a"), Some("b")]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_to_its_end_is_no_folder() {
        let rows = [
            Ok(row("a", FILE)),
            Err(io::Error::other("disk")),
            Ok(row("b", FILE)),
        ];
        assert!(collect(rows.into_iter()).is_err());
    }

    #[test]
    fn names_are_escaped() {
        let written = |name, is| {
            let mut page = String::new();
            row(name, is).write(&mut page);
            page
        };
        assert_eq!(
            written("<b>&\"'\n", FILE),
            "<tr><td><a href=\"./%3Cb%3E%26%22%27%0A\"><bdi>&lt;b&gt;&amp;&quot;&#39;\u{fffd}</bdi></a></td><td>5 B</td><td></td></tr>\n"
        );
        assert_eq!(
            written("javascript:x", Is::Folder),
            "<tr><td><a href=\"./javascript%3Ax/\"><bdi>javascript:x</bdi>/</a></td><td></td><td></td></tr>\n"
        );
        assert_eq!(
            written("pipe", Is::Special),
            "<tr><td><bdi>pipe</bdi></td><td><i>not a file</i></td><td></td></tr>\n"
        );
        assert_eq!(
            address(OsStr::new("été 100%?#")),
            "%C3%A9t%C3%A9%20100%25%3F%23"
        );
    }

    #[test]
    fn sizes_and_times_are_short() {
        let shown = |octets| size(octets).replace('>', "|");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert!(shown(1000).contains("|1.0 kB"));
        assert!(shown(1_450_000).contains("|1.4 MB"));
        assert!(shown(999_999).contains("|999.9 kB"));
        assert!(shown(u64::MAX).contains("|18.4 EB"));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(minute(at(1_795_000_000)), "2026-11-18 11:06");
        assert_eq!(minute(at(1 << 50)), "");
    }
}
