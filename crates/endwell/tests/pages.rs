//! Pages on the wire: every kind of part, in both orders, over both protocols, to every kind of client.
//!
//! What is due is written down here: the text that a reader finds, the failures of each part, who is told.

mod support;

#[path = "support/pages.rs"]
mod pages;

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use endwell::core::{Ending, Grace};
use endwell::page::{Fragment, Page};
use endwell::{Body, Severity};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1, http2};
use http::Response;
use http::header::CACHE_CONTROL;
use pages::Does::{self, *};
use pages::{Told, told};
use support::{Loop, Server, Setup};

use Severity::{Degrading, Fatal, Note};

const SEVERITIES: [Severity; 3] = [Note, Degrading, Fatal];

/// Every page that is asked for, and what its parts do.
fn cases() -> Vec<Vec<Told>> {
    let fails = [
        Error,
        TimeOut,
        PanicInWork,
        PanicInThen,
        PanicInCatch,
        NoCatch,
        Nested,
        Repeats,
        RepeatsBadly,
    ];
    let alone = fails.into_iter().flat_map(|does| {
        SEVERITIES.map(|severity| vec![told("one", Fatal, Well), told("two", severity, does)])
    });
    let several = [
        vec![
            told("a", Fatal, Well),
            told("b", Degrading, Well),
            told("c", Note, Well),
        ],
        vec![
            told("a", Fatal, Nested).with(Well),
            told("b", Note, Repeats),
        ],
        vec![
            told("a", Note, Error),
            told("b", Degrading, TimeOut),
            told("c", Degrading, PanicInThen),
        ],
        vec![
            told("a", Note, Error),
            told("b", Note, NoCatch),
            told("c", Note, Repeats),
        ],
    ];
    alone.chain(several).collect()
}

trait With {
    fn with(self, does: Does) -> Self;
}

impl With for Told {
    fn with(self, does: Does) -> Self {
        Self { does, ..self }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Curl,
    Fetch,
    Document,
    /// It takes HTML and says nothing of a destination.
    Crawler,
}

const ALL: [Who; 4] = [Who::Curl, Who::Fetch, Who::Document, Who::Crawler];

impl Who {
    fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Curl => &[("user-agent", "curl/8.0"), ("accept", "*/*")],
            Self::Fetch => &[("sec-fetch-dest", "empty"), ("accept", "*/*")],
            Self::Document => &[("sec-fetch-dest", "document"), ("accept", "text/html,*/*")],
            Self::Crawler => &[
                (
                    "user-agent",
                    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                ),
                ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ],
        }
    }

    fn shows_a_document(self) -> bool {
        matches!(self, Self::Document | Self::Crawler)
    }
}

const PRIVATE: &str = "private, no-cache";
const PUBLIC: &str = "public, max-age=600";

async fn page(
    State(()): State<()>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response<Body> {
    let case: usize = asked["case"].parse().expect("a number");
    let parts = cases().remove(case);
    let content = parts
        .into_iter()
        .fold(Fragment::new(), |content, part| part.add(content));
    let cache = match asked["cache"].as_str() {
        "private" => PRIVATE,
        _ => PUBLIC,
    };
    Page::new()
        .header(CACHE_CONTROL, cache)
        .in_order(asked["order"] == "in")
        .chunk("<!DOCTYPE html><title>Page</title>\n")
        .content(content)
        .chunk("<p>the end</p>")
        .foot("</html>\n")
        .respond()
        .await
}

fn app() -> Router {
    Router::new().route("/page", get(page)).with_state(())
}

fn quick() -> Setup {
    // Clients that read at once need no grace, and there are hundreds.
    let at_once = Grace {
        default: Duration::from_millis(2),
        browser: Duration::from_millis(2),
    };
    Setup::default().policy(|policy| policy.grace = at_once)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

fn ask(server: &Server, speaks: Speaks, target: &str, fields: &[(&str, &str)]) -> Seen {
    match speaks {
        Speaks::Http1 => {
            let request = http1::Request::get11(target);
            let request = fields
                .iter()
                .fold(request, |request, (name, value)| request.with(name, value));
            http1::observe(server.addr, None, &request, &Pace::fast())
        }
        Speaks::Http2 => {
            let mut connection =
                http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
            let stream = connection.get(target, fields).expect("it reads");
            connection.observe(stream)
        }
    }
}

/// What a reader finds, and how the page ends.
fn due(parts: &[Told], in_order: bool) -> (String, Option<Severity>) {
    let worst = parts.iter().filter_map(|part| part.worst()).max();
    let mut text = "<!DOCTYPE html><title>Page</title>\n".to_owned();
    for part in parts {
        text += &part.shows();
        if in_order && part.worst() == Some(Fatal) {
            return (behind_nothing(text, part), worst);
        }
    }
    text += "<p>the end</p>";
    if worst != Some(Fatal) {
        text += "</html>\n";
    }
    (text, worst)
}

/// In order nothing follows a part that is fatal, not even the end of an element around it.
fn behind_nothing(text: String, part: &Told) -> String {
    match part.does {
        Nested => text.strip_suffix("</div>").map(str::to_owned),
        Repeats => text.strip_suffix("</li></ul>").map(str::to_owned),
        RepeatsBadly => text.strip_suffix("</ul>").map(str::to_owned),
        _ => None,
    }
    .unwrap_or(text)
}

fn check(
    server: &Server,
    case: usize,
    parts: &[Told],
    order: &str,
    speaks: Speaks,
    who: Who,
    cache: &str,
) {
    let target = format!("/page?case={case}&order={order}&cache={cache}&{speaks:?}-{who:?}");
    let seen = ask(server, speaks, &target, who.fields());
    let at = format!("{parts:?} {target}: {}", seen.verdict_line());
    let text = std::str::from_utf8(&seen.body).expect("a page is text");
    let (shown, worst) = due(parts, order == "in");
    match order {
        "in" => assert_eq!(text, shown, "{at}"),
        _ => assert_eq!(pages::read(text), shown, "{at}\n{text}"),
    }
    assert_eq!(seen.status, Some(200), "{at}");
    let clean = match worst {
        None | Some(Note) => true,
        Some(Degrading) => who.shows_a_document() && cache == "private",
        Some(Fatal) => false,
    };
    assert_eq!(seen.is_complete(), clean, "{at}");
    if !clean {
        match speaks {
            Speaks::Http1 => assert_eq!(seen.end, SeenEnd::Fin, "{at}"),
            Speaks::Http2 => assert_eq!(seen.end, SeenEnd::StreamReset(2), "{at}"),
        }
    }
    let record = server.record(&target);
    let ending = match worst {
        None | Some(Note) => "complete",
        Some(Degrading) => "degraded",
        Some(Fatal) => "failed",
    };
    assert_eq!(record.ending.as_str(), ending, "{at}");
    assert_eq!(record.tally.sent as usize, text.len(), "{at}");
    let mut told: Vec<_> = record
        .failed_parts
        .iter()
        .map(|part| (part.name.clone(), part.severity, part.cause.kind.as_str()))
        .collect();
    let mut all: Vec<_> = parts.iter().flat_map(|part| part.recorded()).collect();
    told.sort_unstable();
    all.sort_unstable();
    assert_eq!(told, all, "{at}");
    // What is noted is a metric behind the page: over HTTP/2 unasked.
    let due = match (speaks, clean, record.failed_parts.first()) {
        (Speaks::Http2, true, Some(part)) => Some(part.cause.kind.as_str()),
        _ => None,
    };
    let metric = seen.trailer("server-timing");
    assert_eq!(metric.is_some(), due.is_some(), "{at}: {metric:?}");
    if let (Some(metric), Some(kind)) = (metric, due) {
        assert!(
            metric.contains(&format!("desc=\"{kind}\"")),
            "{at}: {metric}"
        );
    }
}

/// A part of the cases on a server of its own.
fn check_all(setup: Setup, speaks: Speaks, order: &str) {
    let server = setup.start(app());
    for (case, parts) in cases().iter().enumerate() {
        for who in ALL {
            for cache in ["private", "public"] {
                check(&server, case, parts, order, speaks, who, cache);
            }
        }
    }
}

#[test]
fn h11_in_order_every_part_to_every_client() {
    check_all(quick(), Speaks::Http1, "in");
}

#[test]
fn h11_out_of_order_every_part_to_every_client() {
    check_all(quick(), Speaks::Http1, "out");
}

#[test]
fn h2_in_order_every_part_to_every_client() {
    check_all(quick(), Speaks::Http2, "in");
}

#[test]
fn h2_out_of_order_every_part_to_every_client() {
    check_all(quick(), Speaks::Http2, "out");
}

#[test]
fn a_stock_server_loop_tells_the_same() {
    let setup = Setup {
        server_loop: Loop::Stock,
        ..quick()
    };
    let server = setup.start(app());
    for (case, parts) in cases().iter().enumerate() {
        for speaks in [Speaks::Http1, Speaks::Http2] {
            check(&server, case, parts, "out", speaks, Who::Curl, "public");
        }
    }
}

#[test]
fn the_worst_decides_and_the_message_names_it() {
    let server = quick().start(app());
    let case = cases().len() - 2;
    let target = format!("/page?case={case}&order=in&cache=public");
    let _ = ask(&server, Speaks::Http1, &target, &[]);
    let Ending::Degraded(cause) = server.record(&target).ending else {
        panic!("it is degraded");
    };
    assert!(cause.message.starts_with("part "), "{cause}");
    assert!(cause.message.ends_with(", and 2 failures more"), "{cause}");
    assert!(
        !cause.message.contains("part a:"),
        "a is only a note: {cause}"
    );
}
