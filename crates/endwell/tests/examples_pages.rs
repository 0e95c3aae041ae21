//! The examples of pages, run as real servers and asked by real clients.

#[path = "support/client.rs"]
mod client;

#[path = "../examples/askama.rs"]
#[allow(dead_code, unreachable_pub)]
mod askama_book;

#[path = "../examples/maud.rs"]
#[allow(dead_code, unreachable_pub)]
mod maud_book;

#[path = "../examples/minijinja.rs"]
#[allow(dead_code, unreachable_pub)]
mod minijinja_book;

#[path = "../examples/shop/main.rs"]
#[allow(dead_code, unreachable_pub)]
mod shop;

#[path = "../examples/static_export.rs"]
#[allow(dead_code, unreachable_pub)]
mod static_export;

use axum::Router;
use client::{BOTH, Got, Records, Served, Speaks};

fn serve(app: Router, records: &Records) -> Served {
    let observer = records.observer();
    Served::start(move |tcp| async move {
        let server = endwell::serve(endwell::listen(tcp), app);
        server.observer(observer).await
    })
}

/// As a browser asks that shows it.
const DOCUMENT: &[(&str, &str)] = &[("sec-fetch-dest", "document"), ("accept", "text/html")];

#[test]
fn a_guest_book_of_each_engine_is_escaped_and_degraded() {
    let books = [
        ("maud", maud_book::app()),
        ("askama", askama_book::app()),
        (
            "minijinja",
            minijinja_book::app().expect("its templates can be read"),
        ),
    ];
    for (engine, app) in books {
        let records = Records::default();
        let server = serve(app, &records);
        for speaks in BOTH {
            let got = client::get(server.addr, speaks, "/", &[]);
            let at = format!("{engine} {speaks:?}: {}", got.line());
            assert!(!got.is_whole(), "{at}");
            let text = got.text();
            assert!(text.starts_with("<!DOCTYPE html>"), "{at}");
            assert!(text.contains("<ul><li>It was &"), "{at}: {text}");
            assert!(!text.contains("<b>lovely"), "{at}: {text}");
            assert!(text.ends_with("<p>No weather today.</p>"), "{at}: {text}");
        }
        let record = records.of("/");
        assert_eq!(record.ending.as_str(), "degraded", "{engine}");
        assert_eq!(record.failed_parts.len(), 1, "{engine}");
        assert_eq!(record.failed_parts[0].name, "weather", "{engine}");
    }
}

fn shop(query: &str, fields: &[(&str, &str)]) -> (Got, endwell::Record) {
    let records = Records::default();
    let server = serve(shop::app(), &records);
    let quick = "stock.after=0&price.after=0&fit.after=0&reviews.after=0";
    let target = format!("/?{query}&{quick}");
    let got = client::get(server.addr, Speaks::Http2, &target, fields);
    (got, records.of(&target))
}

const WELL: &str = "reviews.does=well&others.does=well";

#[test]
fn shop_a_good_page_is_whole_and_readable_without_scripts() {
    let (got, record) = shop(&format!("{WELL}&order=in"), &[]);
    assert!(got.is_whole(), "{}", got.line());
    assert!(record.failed_parts.is_empty(), "{}", record.json());
    let text = got.text();
    for shown in [
        "Hex bolts M8",
        "12.90 €",
        "17 boxes left",
        "customer 103",
        "A bridge",
    ] {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(!text.contains("endwell("), "no script moves anything");
    assert!(text.contains("One of them was &lt;b&gt;M6&lt;/b&gt;. &amp; so what."));
    let policy = got.header("content-security-policy").expect("a policy");
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let scripts = text.matches("<script nonce=").count();
    let with_it = format!("<script nonce=\"{}\">", nonce.expect("a nonce"));
    assert_eq!(text.matches(&with_it).count(), scripts);
}

#[test]
fn shop_each_severity_ends_as_it_is_to() {
    let (got, record) = shop("others.does=error&reviews.does=well", &[]);
    assert!(got.is_whole(), "{}", got.line());
    let metric = got.trailer("server-timing").expect("it is noted");
    assert!(metric.starts_with("others;dur="), "{metric}");
    assert_eq!(record.ending.as_str(), "complete");

    let degraded = "reviews.does=error&others.does=well";
    let (got, record) = shop(degraded, &[]);
    assert!(!got.is_whole(), "{}", got.line());
    assert!(got.text().contains("Some reviews cannot be shown now."));
    assert!(got.text().ends_with("</body></html>\n"));
    assert_eq!(record.ending.as_str(), "degraded");
    assert!(shop(degraded, DOCUMENT).0.is_whole());
    assert!(
        !shop(&format!("{degraded}&cache=public"), DOCUMENT)
            .0
            .is_whole()
    );

    let (got, record) = shop(&format!("{WELL}&price.does=panic&price.after=300"), &[]);
    assert!(!got.is_whole(), "{}", got.line());
    assert!(got.text().contains("location.replace(\"/sorry\")"));
    assert_eq!(record.error_type(), Some("producer_panicked"));
}

#[test]
fn shop_the_product_decides_the_status() {
    let (got, _) = shop("product.does=missing", &[]);
    assert_eq!((got.status.as_u16(), got.is_whole()), (404, true));
    assert!(got.text().contains("No such product"));
    let (got, record) = shop("product.does=error", &[]);
    assert_eq!((got.status.as_u16(), got.is_whole()), (500, true));
    assert!(got.text().contains("Sorry, not now"));
    assert_eq!(record.ending.as_str(), "failed");
}

#[test]
fn shop_nothing_of_a_query_is_shown() {
    let (got, _) = shop(
        "order=%3Cscript%3E&price.is=%22%3E&stock.does=&=&price.after=99999999&cache=xyzzy",
        &[],
    );
    for said in ["%3C", "%22", "99999999", "xyzzy"] {
        assert!(!got.text().contains(said), "{said}");
    }
}

#[test]
fn static_export_fails_if_a_part_did_and_keeps_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let build = |broken| {
        client::block_on(static_export::build(folder.path(), broken)).expect("files can be written")
    };
    let read =
        |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    assert!(build(false), "a part that is only noted fails no build");
    assert_eq!(
        read("index.html"),
        "<!DOCTYPE html><title>Bolts</title><ul><li>M6<li>M8<li>M10</ul>\n"
    );
    let prices = read("prices.html");
    assert!(prices.ends_with("12.90 €\n"));
    assert!(!build(true), "the build fails");
    assert_eq!(read("prices.html"), prices);
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files, 2, "no half file is left");
}
