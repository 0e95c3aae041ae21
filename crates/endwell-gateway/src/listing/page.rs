//! A listing for people: HTML without scripts.
//!
//! Reads: a [`Heading`], then rows. Gives: the three parts of a page. The line that ends a list
//! stands only where the list did end.

use super::entries::{Count, Is, Row};
use super::heading::Heading;
use super::order::{By, Order};
use super::style::STYLE;
use super::text::{self, Moment};

/// What the root is called where a name is needed.
const ROOT: &str = "Home";

/// All that stands above the first row.
pub(super) fn head(heading: &Heading) -> String {
    // A title is text: there are no marks in it.
    let title = shown(&heading.path())
        .replace("<mark>", "")
        .replace("</mark>", "");
    let name = heading.names.last();
    let name = name.map_or_else(|| ROOT.to_owned(), |name| shown(name));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n{}</header>\n<main>\n\
         <h1><bdi>{name}</bdi></h1>\n{}<table>\n<caption>{}</caption>\n<thead>\n<tr>\n",
        breadcrumb(heading),
        archives(heading),
        caption(heading.count),
    );
    for (by, title) in [
        (By::Name, "Name"),
        (By::Size, "Size"),
        (By::Time, "Modified (UTC)"),
    ] {
        page += &column(heading.order, by, title);
    }
    page += "</tr>\n</thead>\n<tbody>\n";
    if !heading.names.is_empty() {
        page += "<tr><th scope=\"row\" class=\"u\"><a href=\"../";
        page += &query(heading.order);
        page += "\">Parent folder</a></th><td></td><td></td></tr>\n";
    }
    page
}

fn shown(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    text::html(name, &mut shown);
    shown
}

/// Each folder above, as a link.
fn breadcrumb(heading: &Heading) -> String {
    let query = query(heading.order);
    let depth = heading.names.len();
    let mut list = String::from("<nav aria-label=\"Breadcrumb\">\n<ol>\n");
    for above in (0..=depth).rev() {
        let name = (depth - above).checked_sub(1);
        let name = name.and_then(|at| heading.names.get(at));
        let name = name.map_or_else(|| ROOT.to_owned(), |name| shown(name));
        list += &if above == 0 {
            format!("<li aria-current=\"page\"><bdi>{name}</bdi></li>\n")
        } else {
            let up = "../".repeat(above);
            format!("<li><a href=\"{up}{query}\"><bdi>{name}</bdi></a></li>\n")
        };
    }
    list + "</ol>\n</nav>\n"
}

/// Links to archives of the folder, unless there is nothing in it. Who only follows links is asked
/// not to follow these: to make an archive is work.
fn archives(heading: &Heading) -> String {
    let Some(archives) = &heading.archives else {
        return String::new();
    };
    if heading.count == Count::default() {
        return String::new();
    }
    let mut list = String::from("<p>Download all as");
    for (at, form) in archives.forms.iter().enumerate() {
        list += match at {
            0 => " ",
            at if at + 1 < archives.forms.len() => ", ",
            _ => " or ",
        };
        list += &format!("<a href=\"./?archive={form}\" rel=\"nofollow\">{form}</a>");
        if let (0, Some(octets)) = (at, archives.octets) {
            list += &format!(" <span title=\"{} octets\">(", text::grouped(octets));
            text::size(octets, &mut list);
            list += ")</span>";
        }
    }
    list + "</p>\n"
}

fn caption(count: Count) -> String {
    let parts = [
        (count.folders, "folder", "folders"),
        (count.files, "file", "files"),
        (count.others, "other entry", "other entries"),
    ];
    let parts = parts.into_iter().filter(|(count, _, _)| *count > 0);
    let parts: Vec<_> = parts
        .map(|(count, one, many)| number(count, one, many))
        .collect();
    match parts.is_empty() {
        true => "Nothing to show".to_owned(),
        false => parts.join(", "),
    }
}

fn number(count: usize, one: &str, many: &str) -> String {
    let count = count as u64;
    format!(
        "{} {}",
        text::grouped(count),
        if count == 1 { one } else { many }
    )
}

/// The query of an order, in an attribute.
fn query(order: Order) -> String {
    order.query().replace('&', "&amp;")
}

/// A column's head: a link that sorts by it, or turns the order round if it is sorted by it.
///
/// Sizes and times begin with the largest and the latest: that is what they are sorted for.
fn column(order: Order, by: By, title: &str) -> String {
    let is_this = order.by == by;
    let next = Order {
        by,
        descending: if is_this {
            !order.descending
        } else {
            by != By::Name
        },
    };
    let sorted = match (is_this, order.descending) {
        (false, _) => "",
        (true, false) => " aria-sort=\"ascending\"",
        (true, true) => " aria-sort=\"descending\"",
    };
    let query = query(next);
    // An empty reference would keep the query there is.
    let address = if query.is_empty() { "./" } else { &query };
    format!("<th scope=\"col\"{sorted}><a href=\"{address}\">{title}</a></th>\n")
}

/// Writes one row.
pub(super) fn row(heading: &Heading, row: &Row<'_>, page: &mut String) {
    match row.is {
        Is::Folder => {
            *page += "<tr><th scope=\"row\" class=\"d\">";
            link(row.name, Some(heading.order), page);
            *page += "<td></td>";
        }
        Is::File { octets } => {
            *page += "<tr><th scope=\"row\">";
            link(row.name, None, page);
            size(octets, page);
        }
        Is::Special => no_link(row.name, "not a file", page),
        Is::Elsewhere => no_link(row.name, "link to elsewhere", page),
        Is::Unreadable => no_link(row.name, "not readable", page),
    }
    *page += "<td>";
    if let Some(modified) = row.modified.and_then(Moment::of) {
        *page += "<time datetime=\"";
        modified.exact(page);
        *page += "\">";
        modified.minute(page);
        *page += "</time>";
    }
    *page += "</td></tr>\n";
}

/// The rest of a name's cell: a link to a file, or to a folder that keeps the order.
fn link(name: &[u8], folder: Option<Order>, page: &mut String) {
    *page += "<a href=\"";
    text::address(name, folder.is_some(), page);
    if let Some(order) = folder {
        *page += &query(order);
    }
    *page += "\"><bdi>";
    text::html(name, page);
    *page += if folder.is_some() {
        "</bdi>/"
    } else {
        "</bdi>"
    };
    *page += "</a></th>";
}

/// The cells of name and size for what is no link, and why.
fn no_link(name: &[u8], why: &str, page: &mut String) {
    *page += "<tr><th scope=\"row\" class=\"x\"><bdi>";
    text::html(name, page);
    *page += "</bdi> <small>";
    *page += why;
    *page += "</small></th><td></td>";
}

/// The cell of a size; where that is rounded, its title is exact.
fn size(octets: u64, page: &mut String) {
    *page += "<td";
    if octets >= 1000 {
        *page += " title=\"";
        *page += &text::grouped(octets);
        *page += " octets\"";
    }
    *page += ">";
    text::size(octets, page);
    *page += "</td>";
}

/// What follows the last row, of so many.
pub(super) fn end(rows: usize) -> String {
    let rows = number(rows, "entry", "entries");
    format!("</tbody>\n</table>\n<p>End of the list: {rows}</p>\n</main>\n</body>\n</html>\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::heading::Archives;
    use super::*;

    fn heading(path: &str, order: Order) -> Heading {
        Heading::new(path, order)
    }

    fn written(order: Order, name: &str, is: Is, seconds: Option<u64>) -> String {
        let mut page = String::new();
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let of = Row {
            name: name.as_bytes(),
            is,
            modified: seconds.map(time),
        };
        row(&heading("/", order), &of, &mut page);
        page
    }

    const LARGEST: Order = Order {
        by: By::Size,
        descending: true,
    };

    #[test]
    fn rows_say_what_an_entry_is() {
        let written = |name, is, time| written(Order::default(), name, is, time);
        assert_eq!(
            written(
                "<b>:\n",
                Is::File { octets: 1_234_567 },
                Some(1_700_000_000)
            ),
            "<tr><th scope=\"row\"><a href=\"./%3Cb%3E%3A%0A\"><bdi>&lt;b&gt;:<mark>\\u{a}</mark></bdi></a></th>\
             <td title=\"1,234,567 octets\">1.2 MB</td>\
             <td><time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13</time></td></tr>\n"
        );
        assert_eq!(
            written("a b", Is::Folder, None),
            "<tr><th scope=\"row\" class=\"d\"><a href=\"./a%20b/\"><bdi>a b</bdi>/</a></th><td></td><td></td></tr>\n"
        );
        for (is, why) in [
            (Is::Special, "not a file"),
            (Is::Elsewhere, "link to elsewhere"),
            (Is::Unreadable, "not readable"),
        ] {
            assert_eq!(
                written("x", is, None),
                format!(
                    "<tr><th scope=\"row\" class=\"x\"><bdi>x</bdi> <small>{why}</small></th><td></td><td></td></tr>\n"
                )
            );
        }
    }

    #[test]
    fn heads_of_columns_sort_and_turn_round() {
        let page = head(&heading("/", Order::default()));
        for column in [
            "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name</a></th>",
            "<th scope=\"col\"><a href=\"?sort=size&amp;order=desc\">Size</a></th>",
            "<th scope=\"col\"><a href=\"?sort=time&amp;order=desc\">Modified (UTC)</a></th>",
        ] {
            assert!(page.contains(column), "{column}");
        }
        let page = head(&heading("/", LARGEST));
        for column in [
            "<th scope=\"col\"><a href=\"./\">Name</a></th>",
            "<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">Size</a></th>",
        ] {
            assert!(page.contains(column), "{column}");
        }
        assert_eq!(page.matches("aria-sort=\"").count(), 1);
    }

    #[test]
    fn each_folder_above_is_a_link_that_keeps_the_order() {
        let page = head(&heading("/a%20b/%3Ci%3E/c/", LARGEST));
        for part in [
            "<title>/a b/&lt;i&gt;/c/</title>",
            "<li><a href=\"../../../?sort=size&amp;order=desc\"><bdi>Home</bdi></a></li>\n\
             <li><a href=\"../../?sort=size&amp;order=desc\"><bdi>a b</bdi></a></li>\n\
             <li><a href=\"../?sort=size&amp;order=desc\"><bdi>&lt;i&gt;</bdi></a></li>\n\
             <li aria-current=\"page\"><bdi>c</bdi></li>\n</ol>",
            "<h1><bdi>c</bdi></h1>",
            "<a href=\"../?sort=size&amp;order=desc\">Parent folder</a>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(
            written(LARGEST, "d", Is::Folder, None).contains("\"./d/?sort=size&amp;order=desc\"")
        );
        assert!(written(LARGEST, "f", Is::File { octets: 1 }, None).contains("\"./f\""));
        let root = head(&heading("/", Order::default()));
        assert!(root.contains("<li aria-current=\"page\"><bdi>Home</bdi></li>\n</ol>"));
        assert!(!root.contains("Parent folder") && root.contains("<title>/</title>"));
    }

    #[test]
    fn archives_are_links_with_the_size_that_is_known() {
        let mut heading = heading("/a/", LARGEST);
        heading.archives = Some(Archives {
            forms: vec!["tar", "tar.gz", "zip"],
            octets: Some(1_234_567),
        });
        // Nothing is in it.
        assert!(!head(&heading).contains("?archive="));
        heading.count.files = 1;
        assert!(head(&heading).contains(
            "<p>Download all as <a href=\"./?archive=tar\" rel=\"nofollow\">tar</a> \
             <span title=\"1,234,567 octets\">(1.2 MB)</span>, \
             <a href=\"./?archive=tar.gz\" rel=\"nofollow\">tar.gz</a> or \
             <a href=\"./?archive=zip\" rel=\"nofollow\">zip</a></p>\n<table>"
        ));
        heading.archives = None;
        assert!(head(&heading).contains("</h1>\n<table>"));
    }

    #[test]
    fn captions_count() {
        let caption = |folders, files, others| {
            caption(Count {
                folders,
                files,
                others,
            })
        };
        assert_eq!(caption(0, 0, 0), "Nothing to show");
        assert_eq!(caption(1, 1, 1), "1 folder, 1 file, 1 other entry");
        assert_eq!(caption(0, 12_345, 2), "12,345 files, 2 other entries");
        assert!(end(1).contains("End of the list: 1 entry</p>"));
    }
}
