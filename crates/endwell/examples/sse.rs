//! Tokens of a language model as server-sent events; the model dies in the middle.
//!
//! `cargo run -p endwell --example sse`, then open <http://127.0.0.1:3000/> in a browser, or:
//!
//! ```text
//! curl -N http://127.0.0.1:3000/tokens
//! curl -N http://127.0.0.1:3000/tokens -H 'Last-Event-ID: 4'
//! ```
//!
//! The tokens that were made arrive; then an event `error` says why no more do, and when to ask again; then
//! the connection breaks as a failed response does. `EventSource` reconnects by itself and goes on where it was.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::map_response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get};
use endwell::{Abort, Cause, Kind, Tail};

const TOKENS: [&str; 10] = [
    "What", " failed", " must", " not", " look", " whole", ",", " ever", ".", "\n",
];

/// The model dies before this token, unless the client has come back for the rest.
const DIES_AT: usize = 5;

/// A model, at its own pace.
async fn token(number: usize, resumed: bool) -> Result<&'static str, Cause> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    if number == DIES_AT && !resumed {
        let message = "out of memory on gpu-7.internal";
        return Err(Cause::new(Kind::ConnectionTerminated, message));
    }
    Ok(TOKENS[number])
}

/// Where the client goes on: behind the last event that it got.
fn first(fields: &HeaderMap) -> usize {
    let last = fields.get("last-event-id").and_then(|id| id.to_str().ok());
    last.and_then(|id| id.parse::<usize>().ok())
        .map_or(0, |last| last.saturating_add(1))
}

fn events(body: endwell::Body) -> endwell::Body {
    body.content_type("text/event-stream")
        .header(CACHE_CONTROL, "no-store")
        .tail(tail())
}

/// What the client is told: the kind of failure, and a text of ours. The message stays in the log.
fn tail() -> Tail {
    Tail::sse()
        .detail(|_| Some("the model is being restarted".to_owned()))
        .reconnect_after(Duration::from_millis(500))
}

/// Each event is a frame of its own.
async fn tokens(fields: HeaderMap) -> endwell::Body {
    let first = first(&fields);
    let body = endwell::stream(move |mut producer| async move {
        for number in first..TOKENS.len() {
            let token = token(number, first > 0).await?;
            let event = format!("id: {number}\ndata: {{\"token\":{token:?}}}\n\n");
            producer.send(event).await?;
        }
        producer.send("event: done\ndata: {}\n\n").await?;
        Ok(producer.finish())
    });
    events(body)
}

/// The same by a producer that sends as the octets come: the event that is cut must not count.
async fn halves(fields: HeaderMap) -> endwell::Body {
    let first = first(&fields);
    let body = endwell::stream(move |mut producer| async move {
        for number in first..TOKENS.len() {
            producer
                .send(format!("id: {number}\ndata: {{\"token\":"))
                .await?;
            let token = token(number, first > 0).await?;
            producer.send(format!("{token:?}}}\n\n")).await?;
        }
        producer.send("event: done\ndata: {}\n\n").await?;
        Ok(producer.finish())
    });
    events(body)
}

/// The same with axum's own type, which knows nothing of endings: its stream ends with an error, and the
/// layer in [`app`] writes the tail that fits its content type.
async fn with_axum(fields: HeaderMap) -> impl IntoResponse {
    let first = first(&fields);
    let events = futures_util::stream::unfold(first, move |number| async move {
        let event = match number {
            ..10 => token(number, first > 0).await.map(|token| {
                let data = format!("{{\"token\":{token:?}}}");
                Event::default().id(number.to_string()).data(data)
            }),
            10 => Ok(Event::default().event("done").data("{}")),
            _ => return None,
        };
        Some((event, number + 1))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// The way of the large APIs: no ids, no event types, `[DONE]` at the end. Their clients look for `error` in
/// the data, and for `[DONE]`.
async fn chat() -> endwell::Body {
    let body = endwell::stream(|mut producer| async move {
        for number in 0..TOKENS.len() {
            let token = token(number, false).await?;
            let chunk = format!(
                "{{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"m\",\
                 \"choices\":[{{\"index\":0,\"delta\":{{\"content\":{token:?}}},\"finish_reason\":null}}]}}"
            );
            producer.send(format!("data: {chunk}\n\n")).await?;
        }
        producer.send("data: [DONE]\n\n").await?;
        Ok::<_, Abort>(producer.finish())
    });
    events(body)
}

async fn page() -> Html<&'static str> {
    Html(
        "<!DOCTYPE html><title>Tokens</title><pre id=out></pre><script>
        const out = document.getElementById('out');
        const source = new EventSource('/tokens');
        const say = (text) => (out.textContent += text);
        source.onmessage = ({ data }) => say(JSON.parse(data).token);
        source.addEventListener('error', ({ data }) => say(data ? `\\n[${data}]\\n` : '[reconnecting]\\n'));
        source.addEventListener('done', () => source.close());
        </script>",
    )
}

/// The application.
pub fn app() -> Router {
    Router::new()
        .route("/axum", get(with_axum))
        .layer(map_response(endwell::with_tail))
        .route("/", get(page))
        .route("/tokens", get(tokens))
        .route("/halves", get(halves))
        .route("/v1/chat/completions", any(chat))
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
