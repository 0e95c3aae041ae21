//! A file. Its length is promised, so a file that is cut meanwhile, or cannot be read to its end, is a short body and
//! not a shorter file.
//!
//! `cargo run -p endwell --example file FILE [ADDRESS]`, then `curl -O http://127.0.0.1:3000/file`.
//! For folders, ranges and conditions there is `endwell serve`.

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use endwell::{Body, Format, Log, Observer};
use tokio::fs::File;
use tokio::net::TcpListener;

async fn file(State(path): State<PathBuf>) -> Result<Body, StatusCode> {
    open(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

async fn open(path: &Path) -> io::Result<Body> {
    let file = File::open(path).await?;
    let octets = file.metadata().await?.len();
    Ok(Body::from_reader(file).promise(octets))
}

pub(crate) async fn run(tcp: TcpListener, path: PathBuf, records: impl Observer) -> io::Result<()> {
    let app = Router::new().route("/file", get(file)).with_state(path);
    endwell::serve(tcp, app).observer(records).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else {
        return Err(io::Error::other("usage: file FILE [ADDRESS]"));
    };
    let address = args.next();
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}/file", tcp.local_addr()?);
    let log = Log::new(Format::Combined, io::stdout())?;
    run(tcp, path.into(), log).await
}
