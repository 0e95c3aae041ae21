//! The same pages as files: `cargo run --example static_export -- FOLDER [broken]`.
//!
//! A site is built from parts that may fail. One that has failed in a page that is not `complete` fails the build: exit
//! status 1, and the file of that page is not replaced. With `broken` one of the pages is.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use endwell::page::{Page, Written, each, part};

/// The pages of the site, by their file names.
fn pages(broken: bool) -> Vec<(&'static str, Page)> {
    vec![("index.html", index()), ("prices.html", prices(broken))]
}

fn index() -> Page {
    let bolts = futures_util::stream::iter(["M6", "M8", "M10"].map(Ok::<_, io::Error>));
    Page::new()
        .chunk("<!DOCTYPE html><title>Bolts</title><ul>")
        .part(each("bolts", bolts, |bolt| (bolt, format!("<li>{bolt}"))))
        .chunk("</ul>\n")
        // Nobody misses it: the build goes on.
        .part(part("weather", async { Err::<String, _>("no answer") }).note())
}

fn prices(broken: bool) -> Page {
    let prices = async move {
        match broken {
            false => Ok("<p>M8: 12.90 €\n"),
            true => Err(io::Error::other("prices.csv: no such file")),
        }
    };
    Page::new()
        .chunk("<!DOCTYPE html><title>Prices</title>")
        .part(
            part("prices", prices)
                .degrading()
                .catch(|_| "<p>Ask us for prices.\n"),
        )
}

/// Writes a page to a new file, which takes the old one's place only if nothing in it is wrong.
async fn export(folder: &Path, name: &str, page: Page) -> io::Result<Written> {
    let new = folder.join(format!(".{name}.new"));
    let mut file = tokio::fs::File::create(&new).await?;
    let written = page.write_to(&mut file).await?;
    file.sync_all().await?;
    match written.ending.is_complete() {
        true => tokio::fs::rename(&new, folder.join(name)).await?,
        false => tokio::fs::remove_file(&new).await?,
    }
    Ok(written)
}

/// Builds the site; tells whether all of it is there.
///
/// # Errors
/// What the file system said.
pub async fn build(folder: &Path, broken: bool) -> io::Result<bool> {
    let mut whole = true;
    for (name, page) in pages(broken) {
        let written = export(folder, name, page).await?;
        println!(
            "{name}: {}, {} octets",
            written.ending.as_str(),
            written.octets
        );
        for part in &written.failed_parts {
            let severity = part.severity.as_str();
            println!("  part {} ({severity}): {}", part.name, part.cause);
        }
        whole &= written.ending.is_complete();
    }
    Ok(whole)
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("static_export: name a folder: static_export FOLDER [broken]");
        return Ok(ExitCode::from(2));
    };
    let broken = arguments.next().as_deref() == Some("broken");
    match build(Path::new(&folder), broken).await? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}
