//! What a command prints. Its exit status decides how the response ends, and a client that leaves ends the command.
//!
//! `cargo run -p endwell --example child -- pg_dump shop`, then `curl -O http://127.0.0.1:3000/output`.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use endwell::{Body, Format, Log, Observer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

async fn output(State(command): State<Arc<[String]>>) -> Body {
    endwell::stream(|mut producer| async move {
        let (program, args) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Dropped with this future when the client leaves.
            .kill_on_drop(true)
            .spawn()?;
        let mut stdout = child.stdout.take().ok_or("no pipe")?;
        loop {
            let mut octets = Vec::with_capacity(producer.frame_size());
            if stdout.read_buf(&mut octets).await? == 0 {
                break;
            }
            producer.send(octets).await?;
        }
        // A pipe that ends says nothing: a command that was killed in the middle ends it too.
        match child.wait().await? {
            status if status.success() => Ok(producer.finish()),
            status => Err(format!("{program}: {status}").into()),
        }
    })
}

pub(crate) async fn run(
    tcp: TcpListener,
    command: Vec<String>,
    records: impl Observer,
) -> io::Result<()> {
    let app = Router::new()
        .route("/output", get(output))
        .with_state(command.into());
    endwell::serve(tcp, app).observer(records).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let command: Vec<_> = std::env::args().skip(1).collect();
    let tcp = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/output", tcp.local_addr()?);
    let log = Log::new(Format::Combined, io::stdout())?;
    run(tcp, command, log).await
}
