//! Pages of twenty parts: when they come, what they cost, and how soon they stop when nobody reads on.
//!
//! `cargo bench -p endwell --bench pages` prints three tables: the first octet and the last of a page whose slowest part takes
//! 300 ms; from the client's leaving to the drop of the last part; processor time and allocations beyond those of the same octets.
//! `--serve` answers with the page of `bench/pages`, which is measured beside React and Marko.

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod leave;
mod times;
mod words;

use std::io;

#[global_allocator]
static COUNTING: support::count::Counting = support::count::Counting;

/// Parts of every page here.
const PARTS: usize = 20;

fn main() -> io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.first().is_some_and(|first| first == "--serve") {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(words::serve());
    }
    if !support::is_asked() {
        println!("measures under `cargo bench` only");
        return Ok(());
    }
    println!("{}\n", support::machine());
    let is_wanted = |name: &str| {
        let mut filters = wanted.iter().filter(|one| !one.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|one| name.contains(one.as_str()))
    };
    if is_wanted("times") {
        times::table()?;
    }
    if is_wanted("leave") {
        leave::table()?;
    }
    if is_wanted("cost") {
        cost::table()?;
    }
    Ok(())
}
