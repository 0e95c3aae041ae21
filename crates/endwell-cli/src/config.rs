//! `endwell config`: what `serve` would be told.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use endwell_gateway::config::{Loaded, Origin, Sources, arguments};
use endwell_gateway::run::{self, say};

use crate::{USAGE, complain, print};

pub(crate) const NAME: &str = "config";

const CHECK: &str = "\
Looks for errors in a configuration file.

Reads it as `endwell serve --config FILE` would, with the environment. Looks at the values, then at \
what must hold between them, then at what they name: the folder and its pages, programs, users and \
certificates. Each step says all that it finds, a line with its place each, and one that found \
something is the last; the exit code is then 2. Listens nowhere and opens no log.";

const SHOW: &str = "\
Prints what would be in force, and where it comes from.

Takes the flags of `endwell serve`. What it prints is a configuration file; behind each value \
stands its origin: flag, a variable, a place in a file, or default.";

pub(crate) fn command() -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("The configuration file; else the one that ENDWELL_CONFIG names");
    let check = Command::new("check")
        .about("Looks for errors in a configuration file")
        .long_about(CHECK)
        .arg(file);
    let show = arguments(Command::new("show"))
        .about("Prints what would be in force, and where it comes from")
        .long_about(SHOW);
    Command::new(NAME)
        .about("Checks or shows the configuration of `serve`")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check)
        .subcommand(show)
}

pub(crate) fn run(given: &ArgMatches) -> ExitCode {
    match given.subcommand() {
        Some(("check", given)) => check(&Sources::of_file(given.get_one("file").cloned())),
        Some(("show", given)) => show(&Sources::new(given)),
        // clap knows no other verb, and wants one.
        Some(_) | None => ExitCode::from(USAGE),
    }
}

fn check(sources: &Sources) -> ExitCode {
    let Some(file) = sources.file() else {
        complain(&"no file is named; write endwell config check FILE, or set ENDWELL_CONFIG");
        return ExitCode::from(USAGE);
    };
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(faults) => {
            complain(&faults);
            return ExitCode::from(USAGE);
        }
    };
    if let Err(fault) = run::check(&loaded) {
        complain(&fault);
        return ExitCode::from(USAGE);
    }
    say(&format!("{}: {}", file.display(), summary(&loaded)));
    ExitCode::SUCCESS
}

/// How many keys came from where.
fn summary(loaded: &Loaded) -> String {
    let count = |is: fn(&Origin) -> bool| {
        let all = loaded.values().iter();
        all.filter(|value| is(&value.origin)).count()
    };
    let of_file = count(|origin| matches!(origin, Origin::File { .. }));
    let keys = if of_file == 1 { "key" } else { "keys" };
    match count(|origin| matches!(origin, Origin::Variable(_))) {
        0 => format!("{of_file} {keys}, no error"),
        some => format!("{of_file} {keys} and {some} from the environment, no error"),
    }
}

fn show(sources: &Sources) -> ExitCode {
    match sources.load() {
        Ok(loaded) => print(loaded.to_string().as_bytes()),
        Err(faults) => {
            complain(&faults);
            ExitCode::from(USAGE)
        }
    }
}
