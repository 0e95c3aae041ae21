//! A page that is streamed and breaks; its own script tells the person who reads it.
//!
//! `cargo run -p endwell --example html`, then open <http://127.0.0.1:3000/page> in a browser.

use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::routing::get;
use endwell::Tail;

/// One for each response in an application of yours.
const NONCE: &str = "ZW5kd2VsbA==";

const HEAD: &str = "<!DOCTYPE html><html lang=en><title>Orders</title>
<script nonce=\"ZW5kd2VsbA==\">
window.onending = ({ ending, detail }) => {
  const note = document.createElement('p');
  note.setAttribute('role', 'alert');
  note.textContent = `This page is not all there (${ending}): ${detail}`;
  document.body.prepend(note);
};
</script>
<h1>Orders</h1>
<ul>
";

/// A list whose source breaks, on a page whose policy lets only its own scripts run.
async fn page() -> endwell::Body {
    let body = endwell::stream(|mut producer| async move {
        producer.send(HEAD).await?;
        for order in 1..=3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            producer.send(format!("<li>Order {order}\n")).await?;
        }
        Err("SELECT * FROM orders: deadlock detected".into())
    });
    let tail = Tail::html()
        .detail(|_| Some("please load it again".to_owned()))
        .script(Some(NONCE));
    body.content_type("text/html; charset=utf-8")
        .header(CACHE_CONTROL, "no-store")
        .header(
            CONTENT_SECURITY_POLICY,
            format!("default-src 'none'; script-src 'nonce-{NONCE}'"),
        )
        .tail(tail)
}

/// The application.
pub fn app() -> Router {
    Router::new().route("/page", get(page))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}", tcp.local_addr()?);
    let log = endwell::Log::new(endwell::Format::Combined, std::io::stdout())?;
    endwell::serve(endwell::listen(tcp), app())
        .observer(log)
        .await
}
