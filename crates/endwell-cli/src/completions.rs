//! `endwell completions`: what a shell completes.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;

use crate::{USAGE, print};

pub(crate) const NAME: &str = "completions";

const AFTER_HELP: &str = "\
Examples:
  endwell completions bash > /usr/share/bash-completion/completions/endwell
  endwell completions zsh > /usr/share/zsh/site-functions/_endwell
  endwell completions fish > ~/.config/fish/completions/endwell.fish";

pub(crate) fn command() -> Command {
    let shell = Arg::new("shell")
        .value_name("SHELL")
        .required(true)
        .value_parser(clap::value_parser!(Shell))
        .help("The shell");
    Command::new(NAME)
        .about("Prints what a shell completes")
        .after_help(AFTER_HELP)
        .arg(shell)
}

pub(crate) fn run(given: &ArgMatches, mut command: Command) -> ExitCode {
    let Some(shell) = given.get_one::<Shell>("shell") else {
        return ExitCode::from(USAGE);
    };
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command, "endwell", &mut script);
    print(&script)
}
