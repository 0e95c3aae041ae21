//! The command `endwell`: one verb a file.
//!
//! Reads: the command line. Gives: an exit code; errors as lines on standard error.
#![forbid(unsafe_code)]

mod serve;

mod config;

mod health;

mod completions;

mod man;

use std::process::ExitCode;

use clap::Command;
use clap::error::ErrorKind;
use endwell_gateway::run::say;

/// A server makes and drops many small things on all its threads, and should give memory back when
/// its clients have left; the system's allocator does neither well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code of a command line, an environment or a file that asks for what cannot be.
const USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Examples:
  endwell serve                    this folder, on http://127.0.0.1:8080
  endwell serve --help             everything that `serve` can do

Exit codes:
  0  done
  1  it could not be done, or was ended at once
  2  the command line, the environment or the configuration asks for what cannot be";

fn command() -> Command {
    Command::new("endwell")
        .version(env!("CARGO_PKG_VERSION"))
        .about("HTTP responses that end well, or say so")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(config::command())
        .subcommand(health::command())
        .subcommand(completions::command())
        .subcommand(man::command())
}

fn main() -> ExitCode {
    // Beside each program that `serve` runs, this binary runs once more.
    #[cfg(unix)]
    if let Some(done) = endwell_gateway::source::command::warden() {
        return done;
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return misunderstood(&error),
    };
    match matches.subcommand() {
        Some((serve::NAME, given)) => serve::run(given),
        Some((config::NAME, given)) => config::run(given),
        Some((health::NAME, given)) => health::run(given),
        Some((completions::NAME, given)) => completions::run(given, command()),
        Some((man::NAME, given)) => man::run(given, command()),
        // clap knows no other verb, and wants one.
        Some(_) | None => ExitCode::from(USAGE),
    }
}

/// Says what is wrong, a line each.
fn complain(error: &impl ToString) {
    for line in error.to_string().lines() {
        say(&format!("error: {line}"));
    }
}

/// Writes to standard output, all or nothing of which is read by somebody.
fn print(text: &[u8]) -> ExitCode {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: cannot write to standard output ({error})"));
            ExitCode::FAILURE
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
    say(&format!(
        "{}; see {}",
        sentence(&error.render().to_string()),
        help()
    ));
    ExitCode::from(USAGE)
}

/// The help of the verb that was given.
fn help() -> String {
    let mut command = command();
    let mut help = "endwell".to_owned();
    for word in std::env::args().skip(1) {
        let Some(verb) = command.find_subcommand(&word) else {
            break;
        };
        help += &format!(" {word}");
        command = verb.clone();
    }
    help + " --help"
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
