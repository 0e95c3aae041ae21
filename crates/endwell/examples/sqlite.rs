//! A table of SQLite as CSV. A query that fails half-way, because the file is damaged or somebody interrupts it,
//! ends the download as failed: CSV itself has no end that a reader could miss.
//!
//! `cargo run -p endwell --example sqlite FILE.db TABLE [ADDRESS]`, then `curl -O http://127.0.0.1:3000/TABLE.csv`.

use std::io;
use std::path::PathBuf;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use endwell::{Abort, Body, Format, Log, Observer, Writer};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::net::TcpListener;

/// What is exported.
#[derive(Clone)]
struct Table {
    database: PathBuf,
    name: String,
}

/// rusqlite blocks, so it has a thread of its own, which waits while the client does not read.
async fn export(State(table): State<Table>) -> Body {
    let body = endwell::writer(move |out| {
        let out = write(&table, csv::Writer::from_writer(out))?;
        // Only this ends it as complete: after a `?`, or a panic, it ends as failed.
        Ok(out.finish())
    });
    body.content_type("text/csv; charset=utf-8")
}

fn write(table: &Table, mut csv: csv::Writer<Writer>) -> Result<Writer, Abort> {
    let database = Connection::open_with_flags(&table.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let name = table.name.replace('"', "\"\"");
    let mut query = database.prepare(&format!("SELECT * FROM \"{name}\""))?;
    csv.write_record(query.column_names())?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    // The row that cannot be read is an error here, and not the end of the rows.
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => csv.write_field("")?,
                ValueRef::Integer(number) => csv.write_field(number.to_string())?,
                ValueRef::Real(number) => csv.write_field(number.to_string())?,
                ValueRef::Text(octets) | ValueRef::Blob(octets) => csv.write_field(octets)?,
            }
        }
        csv.write_record(None::<&[u8]>)?;
    }
    Ok(csv.into_inner()?)
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
        return Err(io::Error::other("usage: sqlite FILE.db TABLE [ADDRESS]"));
    };
    let address = args.next();
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}/{table}.csv", tcp.local_addr()?);
    let log = Log::new(Format::Combined, io::stdout())?;
    run(tcp, database.into(), &table, log).await
}
