//! The page of `bench/pages/page.mjs`, and a server of it.

use std::convert::Infallible;
use std::io;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use endwell::page::{Page, part};
use http::{Response, StatusCode};
use maud::{Markup, html};

use super::PARTS;

pub(crate) const TITLE: &str = "A page of twenty parts";
const SENTENCE: &str = "Everything on this page that is known is sent at once, and what takes longer comes when it is there. ";
const ROWS: usize = 5;

/// What a part shows.
pub(crate) struct Row {
    name: String,
    price: String,
}

/// What there is to show: the same octets for every request, as from a cache of the application.
pub(crate) static TEXT: LazyLock<String> = LazyLock::new(|| SENTENCE.repeat(10).trim().to_owned());

pub(crate) static ALL: LazyLock<Vec<Vec<Row>>> = LazyLock::new(|| {
    let row = |part: usize, row: usize| Row {
        name: format!(
            "Thing {} of part {}, \"large\" & <light>",
            row + 1,
            part + 1
        ),
        price: format!("{}.50", part * 7 + row),
    };
    (0..PARTS)
        .map(|part| (0..ROWS).map(|number| row(part, number)).collect())
        .collect()
});

/// What stands before the first part.
pub(crate) fn before() -> Markup {
    html! {
        (maud::PreEscaped("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"))
        title { (TITLE) }
        (maud::PreEscaped("</head><body>"))
        h1 { (TITLE) }
        p { (TEXT.as_str()) }
        (maud::PreEscaped("<main>"))
    }
}

/// The rows of a part.
pub(crate) fn rows(rows: &[Row]) -> Markup {
    html! {
        ul {
            @for row in rows {
                li { b { (row.name) } i { (row.price) } }
            }
        }
    }
}

/// What stands before the rows of a part.
pub(crate) fn heading(number: usize) -> Markup {
    html! {
        (maud::PreEscaped("<section>"))
        h2 { "Part " (number + 1) }
    }
}

pub(crate) const AFTER_PART: &str = "</section>";
pub(crate) const AFTER: &str = "</main><footer>This is all.</footer></body></html>";
pub(crate) const PLACEHOLDER: &str = "<p>One moment</p>";

/// The rows of a part, as a database gives them: at once, or after two turns of the event loop.
async fn find(number: usize, late: bool) -> Result<&'static [Row], Infallible> {
    if late {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    Ok(&ALL[number])
}

/// The whole page.
pub(crate) fn page(late: bool, ordered: bool) -> Page {
    let mut page = Page::new().chunk(before().into_string());
    for number in 0..PARTS {
        let mut part = part("rows", find(number, late)).then(|found| rows(found).into_string());
        if !ordered {
            part = part.placeholder(PLACEHOLDER);
        }
        page = page
            .chunk(heading(number).into_string())
            .part(part)
            .chunk(AFTER_PART);
    }
    page.chunk(AFTER)
}

async fn answer(Path((when, how)): Path<(String, String)>) -> Response<endwell::Body> {
    let late = match when.as_str() {
        "now" => false,
        "late" => true,
        _ => return missing(),
    };
    match how.as_str() {
        "ordered" => page(late, true).respond().await,
        "placeholders" => page(late, false).respond().await,
        _ => missing(),
    }
}

fn missing() -> Response<endwell::Body> {
    let mut response = endwell::stream(|producer| async move { Ok(producer.finish()) }).into_http();
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Answers until it is killed; prints its port first.
pub(crate) async fn serve() -> io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", tcp.local_addr()?.port());
    let app = Router::new().route("/{when}/{how}", get(answer));
    endwell::serve(endwell::listen(tcp), app).await
}
