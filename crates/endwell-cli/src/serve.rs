//! `endwell serve`: the files of a folder.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use endwell_gateway::config::{Sources, arguments};
use endwell_gateway::run::{self, Stopped};

use crate::{USAGE, complain};

pub(crate) const NAME: &str = "serve";

const ABOUT: &str = "\
Serves the files of a folder.

A response that fails never looks whole: a file that shrinks or is rewritten while it is sent gives \
a short body over HTTP/1 and a reset stream over HTTP/2 and HTTP/3, and a line in the log that says so. Names \
that begin with a dot, and links out of the folder, are not served unless a flag says so.";

const AFTER_HELP: &str = "\
Examples:
  endwell serve                                  this folder, on http://127.0.0.1:8080
  endwell serve dumps --listen 0.0.0.0:80        a folder, to the whole network
  endwell serve --listen [::1]:0                 a free port on IPv6
  endwell serve --tls-self-signed                https, for a try
  endwell serve --tls-cert c.pem --tls-key k.pem https
  endwell serve --tls-self-signed --http3        HTTP/3 as well, on the UDP port of the same number
  endwell serve --log-format json --log a.jsonl  one JSON object a response
  endwell serve /var/log --growing allow         logs that are written meanwhile
  endwell serve --listen unix:e.sock?mode=660    for a proxy on this machine
  endwell serve --admin 127.0.0.1:8081           also /healthz, /readyz and /metrics there
  endwell serve --command '/db.sql=pg_dump mydb' what a program writes; it fails if that fails
  endwell serve --config endwell.toml            as the file says

Configuration:
  Every flag is a key of the --config file (TOML) and an environment variable: --log-format is
  log-format = \"json\" and ENDWELL_LOG_FORMAT, the folder is dir and ENDWELL_DIR. A flag wins over
  the environment, that over the file. A switch is taken back with --no-..., as in
  --no-tls-self-signed. No file is read unless --config or ENDWELL_CONFIG names it.
  `endwell config check` looks for errors, `endwell config show` tells what is in force and why.

Signals:
  SIGINT, SIGTERM  first: accepts no more connections, lets responses run for --drain, ends the
                   rest as failed; second: resets every connection
  SIGHUP           reads the --config file and certificates, opens the --log file again; what is
                   wrong is said, and everything stays as it was

Privileges:
  It runs as the user who starts it and gives up nothing by itself: start it as one who may read
  the folder and nothing more. It raises its limit of open files as far as it may.

Service managers:
  It takes sockets that systemd passes, and tells it of start, reload and stop (sd_notify).

Exit codes:
  0  stopped by one signal (a response that met the end of --drain is in the log as failed)
  1  it could not start, or a second signal ended it at once
  2  the command line, the environment or the configuration asks for what cannot be";

pub(crate) fn command() -> Command {
    arguments(Command::new(NAME))
        .about("Serves the files of a folder")
        .long_about(ABOUT)
        .after_help(AFTER_HELP)
}

pub(crate) fn run(given: &ArgMatches) -> ExitCode {
    match run::run(Sources::new(given)) {
        Ok(Stopped::Drained) => ExitCode::SUCCESS,
        Ok(Stopped::AtOnce) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            match error.is_usage() {
                true => ExitCode::from(USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}
