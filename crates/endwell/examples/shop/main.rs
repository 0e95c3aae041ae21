//! A shop whose parts fail as you like: `cargo run --example shop`, then open <http://127.0.0.1:3000/> in a browser.
//!
//! The form on the page says what each part does: when it comes, how it fails, how bad that is. Look at the page, at
//! what `curl` says of it, and at the records on standard output. It reads the same without scripts.

mod asked;

mod html;

mod parts;

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;
use endwell::Body;
use endwell::page::Page;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

use asked::Asked;

/// The product's page, with its parts as they were asked for.
async fn product(RawQuery(query): RawQuery) -> Response<Body> {
    let asked = Asked::of(query.as_deref().unwrap_or(""));
    let nonce = nonce();
    Page::new()
        .in_order(asked.in_order)
        .nonce(&nonce)
        .header(CACHE_CONTROL, asked.cache())
        .header(
            CONTENT_SECURITY_POLICY,
            format!("default-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"),
        )
        .redirect("/sorry")
        .error_page(html::SORRY)
        .chunk(html::top(&nonce, &asked))
        .chunk(html::panel(&asked))
        .chunk("<main>")
        .must_before_head(parts::product(&asked))
        .part(parts::price(&asked))
        .part(parts::stock(&asked))
        .part(parts::fit(&asked))
        .chunk("<h2>Reviews</h2><ul class=reviews>")
        .part(parts::reviews(&asked))
        .chunk("</ul>")
        .part(parts::others(&asked))
        .chunk("</main>")
        .foot(html::foot(&nonce))
        .respond()
        .await
}

/// A new one for each response: nobody may know it before.
fn nonce() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// The application.
pub fn app() -> Router {
    Router::new()
        .route("/", get(product))
        .route("/sorry", get(|| async { Html(html::SORRY) }))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}/", tcp.local_addr()?);
    let log = endwell::Log::new(endwell::Format::Json, std::io::stdout())?;
    endwell::serve(endwell::listen(tcp), app())
        .observer(log)
        .await
}
