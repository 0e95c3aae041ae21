//! A guest book with minijinja: `cargo run --example minijinja`, then open <http://127.0.0.1:3000/>.
//!
//! Its templates are read when the program runs, so each part names the one that it needs; one that is wrong is
//! the failure of that part.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use endwell::Body;
use endwell::page::{Page, part};
use http::Response;
use minijinja::{Environment, context};

const TOP: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Guest book</title>";

/// The templates. Names that end in `.html` are escaped as HTML.
fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    let entries = "<ul>{% for entry in entries %}<li>{{ entry }}</li>{% endfor %}</ul>";
    templates.add_template("entries.html", entries)?;
    templates.add_template("weather.html", "<p>{{ weather|no_such_filter }}</p>")?;
    Ok(templates)
}

/// What stands in the book; guests write what they like.
async fn entries() -> io::Result<Vec<&'static str>> {
    Ok(vec!["It was <b>lovely</b>.", "Fish & chips!"])
}

async fn weather() -> io::Result<&'static str> {
    Ok("fair")
}

async fn book(State(templates): State<Arc<Environment<'static>>>) -> Response<Body> {
    let of_weather = Arc::clone(&templates);
    Page::new()
        .chunk(TOP)
        .part(part("entries", entries()).try_then(move |entries| {
            let template = templates.get_template("entries.html")?;
            template.render(context! { entries })
        }))
        .part(
            part("weather", weather())
                .try_then(move |weather| {
                    let template = of_weather.get_template("weather.html")?;
                    template.render(context! { weather })
                })
                .degrading()
                .catch(|_| "<p>No weather today.</p>"),
        )
        .respond()
        .await
}

/// The application.
///
/// # Errors
/// A template that cannot be read.
pub fn app() -> Result<Router, minijinja::Error> {
    let templates = Arc::new(templates()?);
    Ok(Router::new().route("/", get(book)).with_state(templates))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}/", tcp.local_addr()?);
    let app = app().map_err(io::Error::other)?;
    endwell::serve(tcp, app).await
}
