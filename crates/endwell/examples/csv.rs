//! A table of SQLite as CSV. A query that fails half-way, because the file is damaged or somebody interrupts it,
//! ends the download as failed: CSV itself has no end that a reader could miss.
//!
//! `cargo run -p endwell --example csv FILE.db TABLE [ADDRESS]`, then `curl -O http://127.0.0.1:3000/TABLE.csv`.

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use endwell::{Abort, Format, Log, Observer, Producer};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// What is exported.
#[derive(Clone)]
struct Table {
    database: PathBuf,
    name: String,
}

/// rusqlite blocks, so it has a thread of its own; `send` holds it up while the client does not read.
async fn export(State(table): State<Table>) -> impl IntoResponse {
    let (mut producer, body) = endwell::channel();
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        // Without either call, after a panic for instance, the response ends as failed too.
        let said = match write(&table, &mut producer, &runtime) {
            Ok(()) => producer.finish(),
            Err(abort) => producer.fail(abort.into_cause()),
        };
        drop(said);
    });
    ([(CONTENT_TYPE, "text/csv; charset=utf-8")], body)
}

fn write(table: &Table, producer: &mut Producer, runtime: &Handle) -> Result<(), Abort> {
    let database = open(&table.database)?;
    let name = table.name.replace('"', "\"\"");
    let mut query = database.prepare(&format!("SELECT * FROM \"{name}\""))?;
    let columns = query.column_count();
    let mut frame = query.column_names().join(",") + "\r\n";
    let mut rows = query.query([])?;
    // The row that cannot be read is an error here, and not the end of the rows.
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if column > 0 {
                frame.push(',');
            }
            field(&mut frame, row.get_ref(column)?);
        }
        frame.push_str("\r\n");
        if frame.len() >= producer.frame_size() {
            runtime.block_on(producer.send(std::mem::take(&mut frame)))?;
        }
    }
    runtime.block_on(producer.send(frame))?;
    Ok(())
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// One field, quoted where RFC 4180 asks for it.
fn field(line: &mut String, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(number) => line.push_str(&number.to_string()),
        ValueRef::Real(number) => line.push_str(&number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            let text = String::from_utf8_lossy(text);
            if text.contains(['"', ',', '\r', '\n']) {
                line.push_str(&format!("\"{}\"", text.replace('"', "\"\"")));
            } else {
                line.push_str(&text);
            }
        }
    }
}

pub(crate) async fn run(
    tcp: TcpListener,
    database: PathBuf,
    table: &str,
    records: impl Observer,
) -> io::Result<()> {
    let path = format!("/{table}.csv");
    let name = table.to_owned();
    let app = Router::new()
        .route(&path, get(export))
        .with_state(Table { database, name });
    endwell::serve(tcp, app).observer(records).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(database), Some(table)) = (args.next(), args.next()) else {
        return Err(io::Error::other("usage: csv FILE.db TABLE [ADDRESS]"));
    };
    let address = args.next();
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}/{table}.csv", tcp.local_addr()?);
    let log = Log::new(Format::Combined, io::stdout())?;
    run(tcp, database.into(), &table, log).await
}
