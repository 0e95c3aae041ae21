//! `endwell man`: the manual pages.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use clap_mangen::Man;

use crate::{USAGE, complain, print};

pub(crate) const NAME: &str = "man";

const AFTER_HELP: &str = "\
Examples:
  endwell man > endwell.1
  endwell man serve > endwell-serve.1
  endwell man config check > endwell-config-check.1
  endwell man serve | man -l -";

pub(crate) fn command() -> Command {
    let verb = Arg::new("verb")
        .value_name("VERB")
        .num_args(0..)
        .help("The verb whose page is meant, such as serve or config check");
    Command::new(NAME)
        .about("Prints a manual page")
        .after_help(AFTER_HELP)
        .arg(verb)
}

pub(crate) fn run(given: &ArgMatches, mut command: Command) -> ExitCode {
    // Gives every verb its full name, as in `endwell-serve`.
    command.build();
    let mut above = String::new();
    for verb in given.get_many::<String>("verb").into_iter().flatten() {
        let Some(found) = command.find_subcommand(verb).cloned() else {
            complain(&no_page(&command, &above, verb));
            return ExitCode::from(USAGE);
        };
        command = found;
        above += &format!(" {verb}");
    }
    let mut page = Vec::new();
    match Man::new(command).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => {
            complain(&format!("cannot make the page ({error})"));
            ExitCode::FAILURE
        }
    }
}

/// What to write instead of `verb`; `above` are the verbs before it.
fn no_page(command: &Command, above: &str, verb: &str) -> String {
    let verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    let way_out = match &verbs[..] {
        // It has one page, and no verbs that could have their own.
        [] => format!("write endwell man{above}"),
        verbs => format!("write one of {}", verbs.join(", ")),
    };
    format!("there is no page for '{verb}'; {way_out}")
}
