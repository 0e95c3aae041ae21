//! What is not a response with a body passes untouched: WebSockets, and gRPC with its trailers.

mod support;

#[path = "support/client.rs"]
mod client;

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use client::{Speaks, block_on};
use endwell_core::Ending;
use futures_util::stream::{self, Stream};
use futures_util::{SinkExt, StreamExt};
use support::{Loop, Server, Setup};
use tokio_tungstenite::tungstenite;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

fn on(server_loop: Loop, app: Router) -> Server {
    let setup = Setup {
        server_loop,
        ..Setup::default()
    };
    setup.start(app)
}

/// Says back what comes, until "bye".
async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.next().await {
        let bye = matches!(&message, Message::Text(text) if text.as_str() == "bye");
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && socket.send(message).await.is_err()
        {
            return;
        }
        if bye {
            let _ = socket.send(Message::Close(None)).await;
            return;
        }
    }
}

fn sockets() -> Router {
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) };
    Router::new().route("/socket", get(upgrade))
}

#[test]
fn a_websocket_carries_messages_both_ways_and_closes_in_order() {
    for server_loop in [Loop::Ours, Loop::Stock] {
        let server = on(server_loop, sockets());
        block_on(async {
            let url = format!("ws://{}/socket", server.addr);
            let (mut socket, response) = tokio_tungstenite::connect_async(url)
                .await
                .expect("an upgrade");
            assert_eq!(response.status().as_u16(), 101);
            // More than a head, or one frame of ours, may have.
            for octets in [1, 300_000] {
                let sent = tungstenite::Message::binary(vec![b'x'; octets]);
                socket.send(sent.clone()).await.expect("it reads");
                let back = socket.next().await.expect("a message").expect("a good one");
                assert!(back == sent, "{octets} octets");
            }
            socket.send("bye".into()).await.expect("it reads");
            let back = socket.next().await.expect("a message").expect("a good one");
            assert_eq!(back, "bye".into());
            let close = socket.next().await.expect("a message").expect("a good one");
            assert!(close.is_close(), "{close:?}");
            assert!(socket.next().await.is_none(), "the connection is closed");
        });
        let record = server.record("/socket");
        assert_eq!(record.status, 101);
        assert!(record.ending.is_complete(), "{}", record.json());
    }
}

/// Health, asked for by name: what a service does that works, fails before, and fails in the middle.
struct Moody;

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving.into(),
    }
}

#[tonic::async_trait]
impl Health for Moody {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "good" => Ok(Response::new(serving())),
            other => Err(Status::not_found(format!("no service {other}"))),
        }
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let fails = request.into_inner().service != "good";
        let last = fails.then(|| Err(Status::data_loss("the disk failed")));
        let messages = stream::iter([Ok(serving()), Ok(serving()), Ok(serving())])
            .chain(stream::iter(last))
            .then(async |message| {
                tokio::time::sleep(Duration::from_millis(5)).await;
                message
            });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// gRPC beside pages, on one port.
fn grpc() -> Router {
    tonic::service::Routes::new(HealthServer::new(Moody))
        .prepare()
        .into_axum_router()
        .route("/page", get(|| async { "a page\n" }))
}

async fn connect(server: &Server) -> HealthClient<Channel> {
    let channel = Channel::from_shared(format!("http://{}", server.addr));
    let channel = channel.expect("a URI").connect().await;
    HealthClient::new(channel.expect("it listens"))
}

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[test]
fn grpc_unary_calls_keep_their_answers_and_their_errors() {
    for server_loop in [Loop::Ours, Loop::Stock] {
        let server = on(server_loop, grpc());
        block_on(async {
            let mut health = connect(&server).await;
            let good = health.check(named("good")).await.expect("it is known");
            assert_eq!(good.get_ref().status(), ServingStatus::Serving);
        });
        let record = server.record(CHECK);
        assert!(record.ending.is_complete(), "{}", record.json());

        let server = on(server_loop, grpc());
        block_on(async {
            let mut health = connect(&server).await;
            let status = health.check(named("none")).await.expect_err("unknown");
            assert_eq!(status.code(), Code::NotFound);
            assert_eq!(status.message(), "no service none");
        });
        let record = server.record(CHECK);
        assert!(
            matches!(record.ending, Ending::Failed(_)),
            "{}",
            record.json()
        );
        assert_eq!(
            record.error_type(),
            Some("grpc_status"),
            "{}",
            record.json()
        );
        assert_eq!(record.status, 200);
    }
}

#[test]
fn grpc_streams_keep_their_messages_and_their_trailers() {
    for server_loop in [Loop::Ours, Loop::Stock] {
        for (service, code) in [("good", None), ("bad", Some(Code::DataLoss))] {
            let server = on(server_loop, grpc());
            let ended = block_on(async {
                let mut health = connect(&server).await;
                let stream = health.watch(named(service)).await.expect("a head");
                let mut stream = stream.into_inner();
                for _ in 0..3 {
                    let message = stream.message().await.expect("a good one");
                    assert!(message.is_some(), "three messages come");
                }
                let ended = stream.message().await;
                if ended.is_ok() {
                    let trailers = stream.trailers().await.expect("trailers come");
                    assert!(trailers.is_some(), "grpc-status is one");
                }
                ended
            });
            let record = server.record(WATCH);
            match code {
                None => {
                    assert!(ended.expect("a good end").is_none());
                    assert!(record.ending.is_complete(), "{}", record.json());
                }
                Some(code) => {
                    let status = ended.expect_err("grpc-status tells it");
                    assert_eq!(status.code(), code);
                    assert_eq!(status.message(), "the disk failed");
                    assert_eq!(record.error_type(), Some("grpc_status"));
                }
            }
            assert_eq!(record.signal_out.to_string(), "end_stream");
            assert!(
                record
                    .trailers_sent
                    .iter()
                    .any(|name| name == "grpc-status")
            );
        }
    }
}

#[test]
fn pages_beside_grpc_are_pages() {
    let server = on(Loop::Ours, grpc());
    for speaks in client::BOTH {
        let got = client::get(server.addr, speaks, "/page", &[]);
        assert_eq!((got.text(), got.is_whole()), ("a page\n", true));
    }
    let got = client::get(server.addr, Speaks::Http2, "/none", &[]);
    // tonic answers what it does not know itself.
    assert_eq!(got.status.as_u16(), 200);
    assert_eq!(got.header("grpc-status"), Some("12"));
}
