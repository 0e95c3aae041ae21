//! The command `endwell`: one verb a file.
//!
//! Reads: the command line. Gives: an exit code; errors as one line on standard error.
#![forbid(unsafe_code)]

mod say;

mod duration;

mod address;

mod endpoint;

mod activation;

mod notify;

mod tls;

mod log;

mod signals;

mod serve;

mod health;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::say::{Usage, say};

/// The exit code of a command line that asks for what cannot be.
const USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Examples:
  endwell serve                    this folder, on http://127.0.0.1:8080
  endwell serve --help             everything that `serve` can do
  endwell health                   whether a server with --admin is well

Exit codes:
  0  done
  1  it could not be done, or was ended at once
  2  the command line asks for what cannot be";

/// HTTP responses that end well, or say so.
#[derive(Debug, Parser)]
#[command(name = "endwell", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Health(health::Health),
}

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(Cli { verb }) => match verb {
            Verb::Serve(serve) => serve.run(),
            Verb::Health(health) => health.run(),
        },
        Err(error) => return misunderstood(&error),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            match error.is::<Usage>() {
                true => ExitCode::from(USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// Prints a help text that was asked for; makes one sentence of anything else.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let asked = !error.use_stderr();
    if asked || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return if asked {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(USAGE)
        };
    }
    let help = match std::env::args().nth(1).as_deref() {
        Some("serve") => "endwell serve --help",
        Some("health") => "endwell health --help",
        Some(_) | None => "endwell --help",
    };
    say(&format!(
        "{}; see {help}",
        sentence(&error.render().to_string())
    ));
    ExitCode::from(USAGE)
}

/// What is wrong, and a name that was perhaps meant; without usage lines.
fn sentence(rendered: &str) -> String {
    let mut paragraphs = rendered.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let similar = paragraphs.filter(|text| text.contains("similar"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    similar.fold(words(first), |all, text| {
        all + "; " + words(text).trim_start_matches("tip: ")
    })
}
