//! `endwell serve`: the files of a folder.
//!
//! Reads: flags, a folder. Gives: a server until a signal stops it, and an exit code.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use endwell::core::HalfClose;
use endwell::{Format, Listener, Log, Policy, Shutdown};
use endwell_gateway::{Admin, Files, Growing, Metrics, Readiness};
use rustls::ServerConfig;
use tokio::task::JoinSet;

use crate::activation::Passed;
use crate::endpoint::{Endpoint, shown};
use crate::log::{Output, Reopen};
use crate::say::{Usage, say};
use crate::signals::{self, Stop};
use crate::{duration, notify, tls};

/// Where to listen if nothing else is said.
const DEFAULT: &str = "127.0.0.1:8080";
/// How long connections may take to be reset after the second signal.
const AT_ONCE: Duration = Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  endwell serve                                  this folder, on http://127.0.0.1:8080
  endwell serve dumps --listen 0.0.0.0:80        a folder, to the whole network
  endwell serve --listen [::1]:0                 a free port on IPv6
  endwell serve --listen unix:/run/e.sock?mode=660  for a reverse proxy on this machine
  endwell serve --admin 127.0.0.1:8081           with /healthz, /readyz and /metrics there
  endwell serve --tls-self-signed                https, for a try
  endwell serve --tls-cert c.pem --tls-key k.pem https
  endwell serve --log-format json --log a.jsonl  one JSON object a response
  endwell serve /var/log --growing allow         logs that are written meanwhile

Signals:
  SIGINT, SIGTERM  first: accepts no more connections, lets responses run for --drain, ends the
                   rest as failed; second: resets every connection
  SIGHUP           opens the --log file again

Exit codes:
  0  stopped by one signal (a response that met the end of --drain is in the log as failed)
  1  it could not start, or a second signal ended it at once
  2  the command line asks for what cannot be";

/// Serves the files of a folder.
///
/// A response that fails never looks whole: a file that shrinks or is rewritten while it is sent
/// gives a short body over HTTP/1 and a reset stream over HTTP/2, and a line in the log that says
/// so. Names that begin with a dot, and links out of the folder, are not served.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Serve {
    /// The folder
    #[arg(default_value = ".")]
    dir: PathBuf,

    /// Where to listen: an address or a name with a port, 0 for a free one, or unix:PATH with
    /// ?mode=660 behind it if wanted; may be repeated [default: the sockets that a service manager
    /// passed, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Endpoint>,

    /// Where operators ask: /healthz, /readyz, /metrics and a page; not for the public
    #[arg(long, value_name = "ADDR")]
    admin: Option<Endpoint>,

    /// Certificate for https, with its chain: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Make a certificate for localhost and the addresses; clients will not trust it
    #[arg(long)]
    tls_self_signed: bool,

    /// How a line of the log looks
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Combined)]
    log_format: LogFormat,

    /// Where the log goes: a file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    log: PathBuf,

    /// What it means when a client closes its sending half while a response runs
    #[arg(long, value_name = "MEANING", value_enum, default_value_t = WhenHalfClosed::Cancel)]
    half_close: WhenHalfClosed,

    /// How long responses may run on after the first signal: 30s, 500ms, 2m; plain = seconds
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    drain: Duration,

    /// A client that takes no octet for so long loses its connection; 0 = never
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    stall_timeout: Duration,

    /// What to do about a file that only grows while it is sent
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenGrowing::Fail)]
    growing: WhenGrowing,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// The combined format, with ending= and error_type= at the end
    Combined,
    /// One JSON object
    Json,
}

/// What a FIN means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhenHalfClosed {
    /// The client has left: stop the work
    Cancel,
    /// The client may still read (`nc -N`): only a reset stops the work
    Tolerate,
}

/// What to do about a file that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhenGrowing {
    /// The response fails
    Fail,
    /// The response is complete with what was there when it began
    Allow,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let passed = Passed::take().map_err(anyhow::Error::msg)?;
        let tls = self.tls()?;
        let files = files(&self.dir)?.growing(match self.growing {
            WhenGrowing::Fail => Growing::Fail,
            WhenGrowing::Allow => Growing::Allow,
        });
        let output = Output::open(&self.log)?;
        let reopen = output.reopen();
        let format = match self.log_format {
            LogFormat::Combined => Format::Combined,
            LogFormat::Json => Format::Json,
        };
        let log = Log::new(format, output).context("cannot start the log")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start")?;
        let code = runtime.block_on(self.serve(passed, files, tls, &log, reopen));
        // A read that hangs on a dead disk must not keep the process.
        runtime.shutdown_background();
        log.close().context("cannot write the log")?;
        if log.dropped() > 0 {
            say(&format!(
                "the log was too slow for {} records",
                log.dropped()
            ));
        }
        code
    }

    async fn serve(
        &self,
        passed: Passed,
        files: Files,
        tls: Option<Arc<ServerConfig>>,
        log: &Arc<Log>,
        reopen: Option<Reopen>,
    ) -> anyhow::Result<ExitCode> {
        let stop = Stop::new().context("cannot wait for signals")?;
        let readiness = Readiness::new();
        let accepting = readiness.clone();
        let again = move || {
            if let Some(reopen) = &reopen {
                reopen.ask();
            }
            // Before it starts and once it stops, the service manager awaits another word.
            if accepting.is_accepting() {
                notify::reloading();
                notify::ready("accepting connections");
            }
        };
        signals::at_hangup(again).context("cannot wait for signals")?;
        let passed = passed.listen().context("cannot use the sockets passed")?;
        let mut operators = passed.admin;
        if let Some(admin) = &self.admin {
            operators.extend(admin.bind().await?);
        }
        let listeners = self.bind(passed.serve, tls).await?;
        announce(&files, &listeners, &operators);
        let shutdown = Shutdown::new();
        // Without anybody who could ask there is nothing to count.
        let metrics = (!operators.is_empty()).then(Metrics::new);
        let mut watching = metrics.as_ref().map(|metrics| {
            let log = Arc::clone(log);
            let help = "Records that found no room because the log was too slow.";
            let dropped = move || log.dropped();
            metrics.counter("endwell_log_records_dropped_total", help, dropped);
            watch(
                operators,
                Admin::new(Arc::clone(metrics), readiness.clone()),
            )
        });
        let mut servers = JoinSet::new();
        for listener in listeners {
            let server = endwell::serve(listener, files.clone())
                .policy(self.policy())
                .observer((metrics.clone(), Arc::clone(log)))
                .shutdown(shutdown.clone())
                .drain(self.drain);
            servers.spawn(server.into_future());
        }
        let stopped = self
            .until_stopped(stop, &shutdown, servers, &readiness)
            .await;
        if let Some(watching) = &mut watching {
            // The file of a unix socket goes with its listener.
            watching.shutdown().await;
        }
        stopped
    }

    /// Serves until a signal comes, and stops.
    async fn until_stopped(
        &self,
        mut stop: Stop,
        shutdown: &Shutdown,
        mut servers: JoinSet<io::Result<()>>,
        readiness: &Readiness,
    ) -> anyhow::Result<ExitCode> {
        readiness.accepting();
        notify::ready("accepting connections");
        notify::feed_watchdog();
        tokio::select! {
            () = stop.next() => {}
            ended = servers.join_next() => {
                return Err(anyhow!("a listener stopped by itself: {ended:?}"));
            }
        }
        say(&format!(
            "stopping: responses may run for {}; a second signal ends them at once",
            duration::show(self.drain)
        ));
        readiness.draining();
        notify::stopping("draining");
        shutdown.drain();
        tokio::select! {
            () = all(&mut servers) => return Ok(ExitCode::SUCCESS),
            () = stop.next() => {}
        }
        say("stopping at once");
        shutdown.now();
        let _ = tokio::time::timeout(AT_ONCE, all(&mut servers)).await;
        Ok(ExitCode::FAILURE)
    }

    /// Listens where it is told to, beside the sockets that were passed.
    async fn bind(
        &self,
        passed: Vec<Listener>,
        tls: Option<Arc<ServerConfig>>,
    ) -> anyhow::Result<Vec<Listener>> {
        let mut listeners = passed;
        let default = [DEFAULT.parse().map_err(anyhow::Error::msg)?];
        let endpoints = match (self.listen.is_empty(), listeners.is_empty()) {
            (true, true) => &default[..],
            (_, _) => &self.listen,
        };
        for endpoint in endpoints {
            listeners.extend(endpoint.bind().await?);
        }
        let encrypted = |listener: Listener| match &tls {
            Some(tls) => listener.tls(Arc::clone(tls)),
            None => listener,
        };
        Ok(listeners.into_iter().map(encrypted).collect())
    }

    fn tls(&self) -> anyhow::Result<Option<Arc<ServerConfig>>> {
        let usage = |text| Err(Usage(text).into());
        match (&self.tls_cert, &self.tls_key, self.tls_self_signed) {
            (None, None, false) => Ok(None),
            (None, None, true) => tls::self_signed(self.names()).map(Some),
            (Some(certificate), Some(key), false) => tls::from_files(certificate, key).map(Some),
            (Some(_), None, false) => usage("--tls-cert needs its key; add --tls-key FILE"),
            (None, Some(_), false) => usage("--tls-key needs its certificate; add --tls-cert FILE"),
            (_, _, true) => usage(
                "--tls-self-signed makes its own certificate; leave it out to use --tls-cert and --tls-key",
            ),
        }
    }

    /// What a certificate for this server must name.
    fn names(&self) -> Vec<String> {
        let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let listening = self.listen.iter().filter_map(Endpoint::host);
        let listening = listening.map(str::to_owned);
        let mut names: Vec<_> = always.into_iter().chain(listening).collect();
        names.sort();
        names.dedup();
        names
    }

    fn policy(&self) -> Policy {
        Policy {
            half_close: match self.half_close {
                WhenHalfClosed::Cancel => HalfClose::Cancel,
                WhenHalfClosed::Tolerate => HalfClose::Tolerate,
            },
            stall_deadline: Some(self.stall_timeout).filter(|timeout| !timeout.is_zero()),
            ..Policy::default()
        }
    }
}

/// The folder's service, or why it cannot be served and what can.
fn files(dir: &Path) -> anyhow::Result<Files> {
    let shown = dir.display();
    Files::new(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow!("there is no folder {shown}; make it, or name another: endwell serve DIR")
        }
        io::ErrorKind::NotADirectory => {
            anyhow!("{shown} is not a folder; name the folder it is in: endwell serve DIR")
        }
        _ => anyhow!("cannot serve the folder {shown} ({error}); name another: endwell serve DIR"),
    })
}

/// Lets operators ask until it is dropped: longer than the server serves.
fn watch(operators: Vec<Listener>, admin: Admin) -> JoinSet<io::Result<()>> {
    let mut servers = JoinSet::new();
    for listener in operators {
        servers.spawn(endwell::serve(listener, admin.clone()).into_future());
    }
    servers
}

/// Says what is served, and where.
fn announce(files: &Files, listeners: &[Listener], operators: &[Listener]) {
    let root = files.root();
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    say(&format!("serving {}", root.display()));
    for listener in operators {
        say(&format!("admin on {}", shown(listener)));
    }
    for listener in listeners {
        say(&format!("listening on {}", shown(listener)));
    }
}

/// Waits until every server has stopped.
async fn all(servers: &mut JoinSet<io::Result<()>>) {
    while servers.join_next().await.is_some() {}
}
