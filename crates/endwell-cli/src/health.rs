//! `endwell health`: asks a running server whether it is well, for a container's HEALTHCHECK.
//!
//! Reads: one HTTP response of an admin listener. Gives: an exit code.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use crate::duration;
use crate::endpoint::Endpoint;
use crate::say::say;

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

/// Asks the admin listener of a running server whether it is well.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Health {
    /// The address that `endwell serve --admin` was given
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:8081")]
    admin: Endpoint,

    /// Ask whether it accepts connections, not only whether it is alive
    #[arg(long)]
    ready: bool,

    /// How long the answer may take
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    timeout: Duration,
}

impl Health {
    /// Asks, and says what is wrong.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let status = self.status(path).map_err(|error| {
            anyhow!("no answer ({error}); is it started with --admin and this address?")
        })?;
        if status == 200 {
            return Ok(ExitCode::SUCCESS);
        }
        say(&format!("{path} is answered with {status}"));
        Ok(ExitCode::FAILURE)
    }

    fn status(&self, path: &str) -> io::Result<u16> {
        let until = Instant::now() + self.timeout;
        match &self.admin {
            Endpoint::Tcp(address) => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in address.resolve().map_err(io::Error::other)? {
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
