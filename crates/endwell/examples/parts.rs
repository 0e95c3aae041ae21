//! A server of pages whose parts do what the request asks: `cargo run -p endwell --example parts [ADDRESS]`.
//!
//! It listens on two ports, plain and TLS, and prints their URLs. Records go to standard output as JSON.
//!
//! `/page?parts=price:fatal:ok:0,reviews:degrading:error:50&order=out&cache=private`
//!
//! | query | values |
//! |---|---|
//! | `parts` | a list of `name:severity:behaviour:delay`, severity `fatal`, `degrading` or `note`; behaviour `ok`, `error`, `timeout`, `panic` (in then), `catchpanic` (in catch, after an error), `never`, `nested` (two parts inside, one of which fails), `list` (three items, one of which has a part that fails); delay in milliseconds |
//! | `order` | `in`, `out` (the default) |
//! | `cache` | `public`, `private`, `no-store`, `none` (the default) |
//! | `csp` | `nonce`: a policy that lets only the page's own scripts run; `blocked`: one that lets none run |
//! | `scripts` | `1`: inline, async, defer and module scripts, each of which tells in `window.seen` that it ran |
//! | `redirect` | where a reader is led when the page has failed |
//! | `hold` | milliseconds that the head waits for parts that may be fatal |
//! | `before` | `ok`, `404`, `redirect`, `error`: a part that the head waits for |
//! | `tail` | `1`: the reason in band |

use std::collections::HashMap;
use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use endwell::page::{Decided, Fragment, Page, Part, each, part};
use endwell::{Body, Format, Log, Severity, Tail};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{Response, StatusCode};

#[path = "../tests/support/certificate.rs"]
mod certificate;

/// One for each response in an application of yours.
const NONCE: &str = "cGFydHM=";

const SEEN: &str = "window.seen=['inline'];window.problems=[];\
addEventListener('load',()=>seen.push('load'));\
addEventListener('DOMContentLoaded',()=>seen.push('ready'));\
addEventListener('error',e=>problems.push(String(e.message)));\
addEventListener('securitypolicyviolation',e=>problems.push('csp '+e.violatedDirective));";

type Asked = HashMap<String, String>;

fn asks<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.get(name).map_or("", String::as_str)
}

fn milliseconds(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap_or(0))
}

fn severity(name: &str) -> Severity {
    let named = |severity: &Severity| severity.as_str() == name;
    Severity::ALL
        .into_iter()
        .find(named)
        .unwrap_or(Severity::Fatal)
}

/// What all parts have in common: a placeholder, a severity, a fallback.
fn usual<W>(part: Part<W>, name: &str, severity: Severity) -> Part<W> {
    let fallback = format!("<p id=\"{name}\" class=fallback>{name} cannot be shown now</p>");
    part.severity(severity)
        .placeholder(format!("<p class=placeholder>{name} is on its way</p>"))
        .catch(move |_| fallback)
}

/// Adds a part that does as it is told.
fn told(page: Fragment, spec: &str) -> Fragment {
    let mut words = spec.split(':');
    let name = words.next().unwrap_or("part").to_owned();
    let severity = severity(words.next().unwrap_or(""));
    let behaviour = words.next().unwrap_or("ok").to_owned();
    let delay = milliseconds(words.next().unwrap_or("0"));
    let content = format!("<p id=\"{name}\" class=content>{name} is here</p>\n");
    let nap = async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    };
    match behaviour.as_str() {
        "error" | "catchpanic" => {
            let work = async {
                nap.await;
                Err::<String, _>(io::Error::other("the database is <down> & \"out\""))
            };
            let part = usual(part(name.clone(), work), &name, severity);
            page.part(match behaviour.as_str() {
                "catchpanic" => part.catch(|_| -> String { panic!("the fallback panics") }),
                _ => part,
            })
        }
        "panic" => {
            let work = async {
                nap.await;
                Ok::<_, io::Error>(())
            };
            let part = part(name.clone(), work).then(|()| -> String { panic!("then panics") });
            page.part(usual(part, &name, severity))
        }
        "timeout" => {
            let part = part(name.clone(), std::future::pending::<io::Result<String>>());
            page.part(usual(part.timeout(delay), &name, severity))
        }
        "never" => {
            let part = part(name.clone(), std::future::pending::<io::Result<String>>());
            page.part(usual(part, &name, severity))
        }
        "nested" => {
            let inner = [
                "inside:note:ok:20",
                &format!("broken:{}:error:40", severity.as_str()),
            ]
            .into_iter()
            .fold(Fragment::new().chunk(content), told);
            let work = async {
                nap.await;
                Ok::<_, io::Error>(inner)
            };
            page.part(usual(part(name.clone(), work), &name, Severity::Degrading))
        }
        "list" => {
            let items = futures_util::stream::iter((1..=3).map(Ok::<_, io::Error>));
            let each = each(name.clone(), items, move |item| {
                let inner = match item {
                    2 => format!(
                        "item{item}:{}:error:{}",
                        severity.as_str(),
                        delay.as_millis()
                    ),
                    _ => format!("item{item}:note:ok:{}", delay.as_millis()),
                };
                (
                    item,
                    told(Fragment::new().chunk("<li>"), &inner).chunk("</li>\n"),
                )
            });
            page.chunk("<ul>\n")
                .part(usual(each, &name, Severity::Degrading))
                .chunk("</ul>\n")
        }
        _ => {
            let work = async {
                nap.await;
                Ok::<_, io::Error>(content)
            };
            page.part(usual(part(name.clone(), work), &name, severity))
        }
    }
}

/// A part that the head waits for.
async fn before(what: String) -> io::Result<Decided> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    match what.as_str() {
        "404" => Ok(Decided::instead(
            StatusCode::NOT_FOUND,
            "<!DOCTYPE html><title>No</title><h1>Not here</h1>\n",
        )),
        "redirect" => Ok(Decided::redirect("/elsewhere")),
        "error" => Err(io::Error::other("nobody knows")),
        _ => Ok(Decided::content("<p id=decided>decided</p>\n").header("x-decided", "yes")),
    }
}

async fn page(Query(asked): Query<Asked>) -> Response<Body> {
    let mut page = Page::new()
        .in_order(asks(&asked, "order") == "in")
        .error_page("<!DOCTYPE html><title>Sorry</title><h1 id=sorry>Sorry, not now</h1>\n");
    page = match asks(&asked, "cache") {
        "public" => page.header(CACHE_CONTROL, "public, max-age=600"),
        "private" => page.header(CACHE_CONTROL, "private, no-cache"),
        "no-store" => page.header(CACHE_CONTROL, "no-store"),
        _ => page,
    };
    page = match asks(&asked, "csp") {
        "nonce" => page.nonce(NONCE).header(
            CONTENT_SECURITY_POLICY,
            format!(
                "default-src 'none'; script-src 'nonce-{NONCE}'; require-trusted-types-for 'script'"
            ),
        ),
        "blocked" => page.header(CONTENT_SECURITY_POLICY, "default-src 'none'"),
        _ => page,
    };
    if let Some(url) = asked.get("redirect") {
        page = page.redirect(url);
    }
    if let Some(time) = asked.get("hold") {
        page = page.head_hold(Some(milliseconds(time)));
    }
    if asked.contains_key("tail") {
        page = page.tail(Tail::html().script(Some(NONCE)));
    }
    page = page.chunk("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Parts</title>\n");
    if asked.contains_key("scripts") {
        page = page.chunk(format!(
            "<script nonce=\"{NONCE}\">{SEEN}</script>\
             <script nonce=\"{NONCE}\" async src=\"/seen/async.js\"></script>\
             <script nonce=\"{NONCE}\" defer src=\"/seen/defer.js\"></script>\
             <script nonce=\"{NONCE}\" type=module>seen.push('module')</script>\n"
        ));
    }
    page = page.chunk("<body><h1>Parts</h1>\n");
    if let Some(what) = asked.get("before") {
        page = page.must_before_head(part("before", before(what.clone())));
    }
    let specs = asks(&asked, "parts")
        .split(',')
        .filter(|spec| !spec.is_empty());
    page.content(specs.fold(Fragment::new(), told))
        .chunk("<p id=end>The end\n")
        .foot("</body></html>\n")
        .respond()
        .await
}

/// A script that tells that it ran.
async fn seen(
    axum::extract::Path(name): axum::extract::Path<String>,
) -> impl axum::response::IntoResponse {
    let name = name
        .trim_end_matches(".js")
        .replace(|c: char| !c.is_ascii_alphanumeric(), "");
    (
        [("content-type", "text/javascript")],
        format!("window.seen&&seen.push('{name}');\n"),
    )
}

async fn elsewhere() -> axum::response::Html<&'static str> {
    axum::response::Html("<!DOCTYPE html><title>Elsewhere</title><h1 id=elsewhere>Elsewhere</h1>\n")
}

/// The application.
pub fn app() -> Router {
    Router::new()
        .route("/page", get(page))
        .route("/seen/{name}", get(seen))
        .route("/elsewhere", get(elsewhere))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let log = Log::new(Format::Json, io::stdout())?;
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:0");
    let plain = tokio::net::TcpListener::bind(address).await?;
    let tls = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on http://{}", plain.local_addr()?);
    eprintln!("listening on https://{}", tls.local_addr()?);
    let plain = endwell::serve(endwell::listen(plain), app()).observer(log.clone());
    let tls = endwell::listen(tls).tls(certificate::server_config());
    let tls = endwell::serve(tls, app()).observer(log);
    tokio::try_join!(plain.into_future(), tls.into_future())?;
    Ok(())
}
