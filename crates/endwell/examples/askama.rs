//! A guest book with askama: `cargo run --example askama`, then open <http://127.0.0.1:3000/>.
//!
//! Its templates are checked when the program is compiled; rendering one may still fail, which is `try_then`'s.

use std::io;

use askama::Template;
use axum::Router;
use axum::routing::get;
use endwell::Body;
use endwell::page::{Page, part};
use http::Response;

const TOP: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Guest book</title>";

/// What stands in the book; guests write what they like.
#[derive(Template)]
#[template(
    ext = "html",
    source = "<ul>{% for entry in entries %}<li>{{ entry }}</li>{% endfor %}</ul>"
)]
struct Entries {
    entries: Vec<&'static str>,
}

async fn entries() -> io::Result<Entries> {
    let entries = vec!["It was <b>lovely</b>.", "Fish & chips!"];
    Ok(Entries { entries })
}

/// A service that is down today.
async fn weather() -> io::Result<String> {
    tokio::task::yield_now().await;
    Err(io::Error::other("the weather station does not answer"))
}

async fn book() -> Response<Body> {
    Page::new()
        .chunk(TOP)
        .part(part("entries", entries()).try_then(|entries| entries.render()))
        .part(
            part("weather", weather())
                .degrading()
                .catch(|_| "<p>No weather today.</p>"),
        )
        .respond()
        .await
}

/// The application.
pub fn app() -> Router {
    Router::new().route("/", get(book))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}/", tcp.local_addr()?);
    endwell::serve(tcp, app()).await
}
