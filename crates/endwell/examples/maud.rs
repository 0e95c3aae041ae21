//! A guest book with maud: `cargo run --example maud`, then open <http://127.0.0.1:3000/>.
//!
//! maud's markup is a string, and a string is content. What it shows is escaped by its macro.

use std::io;

use axum::Router;
use axum::routing::get;
use endwell::Body;
use endwell::page::{Page, part};
use http::Response;
use maud::{DOCTYPE, html};

/// What stands in the book; guests write what they like.
async fn entries() -> io::Result<Vec<&'static str>> {
    Ok(vec!["It was <b>lovely</b>.", "Fish & chips!"])
}

/// A service that is down today.
async fn weather() -> io::Result<String> {
    tokio::task::yield_now().await;
    Err(io::Error::other("the weather station does not answer"))
}

async fn book() -> Response<Body> {
    let top = html! { (DOCTYPE) meta charset="utf-8"; title { "Guest book" } };
    Page::new()
        .chunk(top.into_string())
        .part(part("entries", entries()).then(|entries| {
            html! { ul { @for entry in entries { li { (entry) } } } }.into_string()
        }))
        .part(
            part("weather", weather())
                .then(|weather| html! { p { (weather) } }.into_string())
                .degrading()
                .catch(|_| html! { p { "No weather today." } }.into_string()),
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
