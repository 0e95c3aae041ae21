//! `endwell health`: asks a running server whether it is well, for a container's HEALTHCHECK.
//!
//! Reads: one HTTP response of an admin listener. Gives: an exit code.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use endwell_gateway::config::{Endpoint, parse_duration};
use endwell_gateway::run::say;

use crate::{USAGE, complain};

pub(crate) const NAME: &str = "health";

/// A head of our own is far shorter.
const LONGEST: usize = 4096;

const AFTER_HELP: &str = "\
Examples:
  endwell health                        asks http://127.0.0.1:8081/healthz
  endwell health --ready 10.0.0.7:8081  whether that one accepts connections
  endwell health unix:/run/endwell/admin.sock

Exit codes:
  0  it is well
  1  it is not, or does not answer in time
  2  the command line asks for what cannot be";

pub(crate) fn command() -> Command {
    let admin = Arg::new("admin")
        .value_name("ADDR")
        .value_parser(value_parser!(Endpoint))
        .default_value("127.0.0.1:8081")
        .help("The address that `endwell serve --admin` was given");
    let ready = Arg::new("ready")
        .long("ready")
        .action(ArgAction::SetTrue)
        .help("Ask whether it accepts connections, not only whether it is alive");
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("DURATION")
        .value_parser(parse_duration)
        .default_value("2s")
        .help("How long the answer may take");
    Command::new(NAME)
        .about("Asks the admin listener of a running server whether it is well")
        .after_help(AFTER_HELP)
        .args([admin, ready, timeout])
}

pub(crate) fn run(given: &ArgMatches) -> ExitCode {
    let admin = given.get_one::<Endpoint>("admin");
    let timeout = given.get_one::<Duration>("timeout");
    let (Some(admin), Some(timeout)) = (admin, timeout) else {
        return ExitCode::from(USAGE);
    };
    let path = if given.get_flag("ready") {
        "/readyz"
    } else {
        "/healthz"
    };
    match answer(admin, path, Instant::now() + *timeout) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(status) => {
            say(&format!("{path} is answered with {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!(
                "no answer ({error}); is it started with --admin and this address?"
            ));
            ExitCode::FAILURE
        }
    }
}

/// The status that the server answers with.
fn answer(admin: &Endpoint, path: &str, until: Instant) -> io::Result<u16> {
    match admin {
        Endpoint::Tcp(address) => {
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in (address.host(), address.port()).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, left(until)?) {
                    Ok(mut tcp) => return ask(&mut tcp, path, until),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        #[cfg(unix)]
        Endpoint::Unix { path: socket, .. } => {
            let mut unix = std::os::unix::net::UnixStream::connect(socket)?;
            ask(&mut unix, path, until)
        }
        #[cfg(not(unix))]
        Endpoint::Unix { .. } => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// What is left until the deadline; an error when nothing is.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// A socket whose waits can be limited.
trait Limited: Read + Write {
    fn limit(&self, to: Duration) -> io::Result<()>;
}

impl Limited for TcpStream {
    fn limit(&self, to: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(to))?;
        self.set_read_timeout(Some(to))
    }
}

#[cfg(unix)]
impl Limited for std::os::unix::net::UnixStream {
    fn limit(&self, to: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(to))?;
        self.set_read_timeout(Some(to))
    }
}

/// Sends a request and reads the status of its response.
fn ask(socket: &mut impl Limited, path: &str, until: Instant) -> io::Result<u16> {
    socket.limit(left(until)?)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut seen = Vec::new();
    let mut part = [0; 512];
    while !seen.windows(2).any(|two| two == b"\r\n") && seen.len() < LONGEST {
        socket.limit(left(until)?)?;
        match socket.read(&mut part)? {
            0 => break,
            octets => seen.extend_from_slice(&part[..octets]),
        }
    }
    status(&seen).ok_or_else(|| io::Error::other("what came is not HTTP"))
}

/// The status in a status line (RFC 9112 section 4).
fn status(seen: &[u8]) -> Option<u16> {
    let line = seen.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    let ends = matches!(line.get(5), Some(b' ' | b'\r'));
    let is_status = line.get(1) == Some(&b' ') && digits.iter().all(u8::is_ascii_digit) && ends;
    is_status
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_nothing_else() {
        for (seen, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Some(200)),
            (b"HTTP/1.0 503 \r\n", Some(503)),
            (b"HTTP/1.1 204\r\n", Some(204)),
            (b"HTTP/1.1 2000\r\n", None),
            (b"HTTP/1.1 20", None),
            (b"HTTP/1.1 +20 \r\n", None),
            (b"HTTP/1.12 200 \r\n", None),
            (b"SSH-2.0-x\r\n", None),
            (b"", None),
        ] {
            let shown = String::from_utf8_lossy(seen);
            assert_eq!(status(seen), expected, "{shown}");
        }
    }
}
