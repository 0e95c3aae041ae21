//! A listing for programs: JSON, an entry a line.
//!
//! Reads: a [`Heading`], then rows. Gives: the three parts of a document. It is well-formed only
//! when all entries are in it. Its schema: `docs/listing.schema.json`.

use std::fmt::Write;

use super::entries::{Is, Row};
use super::heading::Heading;
use super::text::{self, Moment};

/// What stands before the first entry.
pub(super) fn head(heading: &Heading) -> String {
    let mut document = String::from("{\"path\":");
    text::json(&heading.path(), &mut document);
    if let Some(archives) = &heading.archives {
        for (at, form) in archives.forms.iter().enumerate() {
            document += if at == 0 { ",\"archives\":[" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(document, "{{\"type\":\"{form}\"");
            if let (0, Some(octets)) = (at, archives.octets) {
                let _ = write!(document, ",\"size\":{octets}");
            }
            let _ = write!(document, ",\"href\":\"./?archive={form}\"}}");
        }
        document.push(']');
    }
    document + ",\"entries\":["
}

/// Writes one entry, the first one or another.
pub(super) fn row(first: bool, row: &Row<'_>, document: &mut String) {
    let kind = match row.is {
        Is::Folder => "folder",
        Is::File { .. } => "file",
        Is::Special => "special",
        Is::Elsewhere => "link",
        Is::Unreadable => "unreadable",
    };
    document.push_str(if first { "\n" } else { ",\n" });
    document.push_str("{\"name\":");
    text::json(row.name, document);
    // Writing to a String cannot fail.
    let _ = write!(document, ",\"type\":\"{kind}\"");
    if let Is::File { octets } = row.is {
        let _ = write!(document, ",\"size\":{octets}");
    }
    if let Some(modified) = row.modified.and_then(Moment::of) {
        document.push_str(",\"modified\":\"");
        modified.exact(document);
        document.push('"');
    }
    document.push_str(",\"href\":\"");
    text::address(row.name, row.is == Is::Folder, document);
    document.push_str("\"}");
}

/// What follows the last entry.
pub(super) fn end() -> &'static str {
    "\n]}\n"
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::heading::Archives;
    use super::super::order::Order;
    use super::*;

    #[test]
    fn archives_stand_before_the_entries() {
        let mut heading = Heading::new("/a/", Order::default());
        heading.archives = Some(Archives {
            forms: vec!["tar", "zip"],
            octets: Some(10_240),
        });
        let document = head(&heading) + end();
        assert_eq!(
            document,
            r#"{"path":"/a/","archives":[{"type":"tar","size":10240,"href":"./?archive=tar"},{"type":"zip","href":"./?archive=zip"}],"entries":[
]}
"#
        );
        serde_json::from_str::<serde_json::Value>(&document).expect("well-formed");
    }

    #[test]
    fn a_document_has_an_entry_a_line() {
        let mut document = head(&Heading::new("/a%20%22b%22/", Order::default()));
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        let rows = [
            ("photos", Is::Folder, Some(time)),
            ("a: b", Is::File { octets: u64::MAX }, Some(time)),
            ("pipe", Is::Special, None),
            ("gone", Is::Elsewhere, None),
            ("shut", Is::Unreadable, None),
        ];
        for (at, (name, is, modified)) in rows.into_iter().enumerate() {
            let name = name.as_bytes();
            row(at == 0, &Row { name, is, modified }, &mut document);
        }
        // Until here it is malformed: a listing that fails is none.
        assert!(serde_json::from_str::<serde_json::Value>(&document).is_err());
        document += end();
        assert_eq!(
            document,
            r#"{"path":"/a \"b\"/","entries":[
{"name":"photos","type":"folder","modified":"2023-11-14T22:13:20Z","href":"./photos/"},
{"name":"a: b","type":"file","size":18446744073709551615,"modified":"2023-11-14T22:13:20Z","href":"./a%3A%20b"},
{"name":"pipe","type":"special","href":"./pipe"},
{"name":"gone","type":"link","href":"./gone"},
{"name":"shut","type":"unreadable","href":"./shut"}
]}
"#
        );
        let read: serde_json::Value = serde_json::from_str(&document).expect("well-formed");
        assert_eq!(read["entries"][1]["size"], u64::MAX);
    }
}
