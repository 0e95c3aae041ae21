//! A CSV export whose database dies half-way, twice: as it is usually written, and with a producer.
//!
//! `cargo run -p endwell --example export`, then:
//!
//! ```text
//! curl -sS -o usual.csv http://127.0.0.1:3000/usual;   echo $?
//! curl -sS -o honest.csv http://127.0.0.1:3000/honest; echo $?
//! ```

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use endwell::{Format, Log};

/// A query of 100 000 rows that loses its database at row 40 000.
async fn row(number: u32) -> Result<String, std::io::Error> {
    if number == 40_000 {
        return Err(std::io::Error::other("the database closed the connection"));
    }
    Ok(format!("{number},some text\n"))
}

/// A task fills a channel and logs what went wrong. When it stops, the channel closes, and a
/// closed channel is a complete body: `200 OK`, 40 000 rows, a last chunk.
async fn usual() -> impl IntoResponse {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        for number in 0..100_000 {
            match row(number).await {
                Ok(row) => {
                    if sender.send(Ok::<_, std::io::Error>(row)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    eprintln!("export failed: {error}");
                    return;
                }
            }
        }
    });
    let rows = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|row| (row, receiver))
    });
    axum::body::Body::from_stream(rows)
}

/// The same rows. `?` ends the response as failed; only `finish` ends it as complete.
async fn honest() -> impl IntoResponse {
    endwell::stream(|mut producer| async move {
        for number in 0..100_000 {
            producer.send(row(number).await?).await?;
        }
        Ok(producer.finish())
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/usual", get(usual))
        .route("/honest", get(honest));
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let log = Log::new(Format::Combined, std::io::stdout())?;
    endwell::serve(endwell::listen(tcp), app)
        .observer(log)
        .await
}
