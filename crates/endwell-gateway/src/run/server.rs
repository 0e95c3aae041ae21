//! The server itself: it listens, serves and stops.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use endwell::{Connections, Controls, Listener, QuicListener, Shutdown, TlsSwitch};
use tokio::task::JoinSet;

use super::bind::{self, Bound, Served};
use super::commands::Programs;
use super::error::RunError;
use super::live::Live;
use super::log::Logs;
use super::make::App;
use super::notify;
use super::passed::Passed;
use super::say::say;
use super::signals::{Hangup, Stop};
use crate::config::{Loaded, show_duration};
use crate::{Admin, Metrics, Readiness};

/// How long connections may take to be reset after the second signal.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long programs may take to be gone once their responses have ended: the two seconds that each
/// has after SIGTERM, and some more. Their wardens end them whether or not anybody waits.
const PROGRAMS: Duration = Duration::from_secs(3);

/// How a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By one signal: responses had their time.
    Drained,
    /// By a second signal, which reset what was under way.
    AtOnce,
}

/// A server, before it listens.
pub(super) struct Server {
    pub(super) loaded: Loaded,
    pub(super) service: Live<App>,
    /// What answers at paths, and may still run when the last response has ended.
    pub(super) programs: Programs,
    pub(super) tls: Option<TlsSwitch>,
    pub(super) logs: Logs,
    /// Whether it accepts connections.
    pub(super) readiness: Readiness,
    /// Of policy and limits.
    pub(super) controls: Controls,
    /// What to say once it listens, before the addresses.
    pub(super) introduction: Vec<String>,
}

impl Server {
    /// Serves until a signal stops it. At SIGHUP it asks `keeper` for a reload.
    pub(super) async fn run(self, passed: Passed, keeper: Sender<()>) -> Result<Stopped, RunError> {
        let signals = RunError::system("wait for signals");
        let (stop, mut hangup) = match (Stop::new(), Hangup::new()) {
            (Ok(stop), Ok(hangup)) => (stop, hangup),
            (Err(error), _) | (_, Err(error)) => return Err(signals(error)),
        };
        tokio::spawn(async move {
            loop {
                hangup.next().await;
                let _ = keeper.send(());
            }
        });
        let passed = passed.listen();
        let passed = passed.map_err(RunError::system("use the sockets passed"))?;
        let listeners = bind::all(&self.loaded, passed, self.tls.as_ref()).await?;
        self.announce(&listeners);
        let shutdown = Shutdown::new();
        // Without anybody who could ask there is nothing to count.
        let metrics = (!listeners.admin.is_empty()).then(|| self.metrics());
        let mut watching = metrics.clone().map(|metrics| {
            let admin = Admin::new(metrics, self.readiness.clone());
            watch(listeners.admin, &admin)
        });
        let servers = self.start(listeners.serve, &shutdown, metrics);
        let stopped = self.until_stopped(stop, &shutdown, servers).await;
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
    ) -> Result<Stopped, RunError> {
        self.readiness.accepting();
        notify::ready();
        notify::feed_watchdog();
        tokio::select! {
            () = stop.next() => {}
            ended = servers.join_next() => return Err(RunError::Listener(format!("{ended:?}"))),
        }
        say(&format!(
            "stopping: responses may run for {}; a second signal ends them at once",
            show_duration(self.loaded.settings.operation.drain)
        ));
        self.readiness.draining();
        notify::stopping();
        shutdown.drain();
        let stopped = tokio::select! {
            () = all(&mut servers) => Stopped::Drained,
            () = stop.next() => Stopped::AtOnce,
        };
        if stopped == Stopped::AtOnce {
            say("stopping at once");
            shutdown.now();
            let _ = tokio::time::timeout(AT_ONCE, all(&mut servers)).await;
        }
        // Nothing that was started outlives the server.
        let _ = tokio::time::timeout(PROGRAMS, self.programs.settled()).await;
        Ok(stopped)
    }

    /// Says what it serves, and where.
    fn announce(&self, listeners: &Bound) {
        for line in &self.introduction {
            say(line);
        }
        for listener in &listeners.admin {
            say(&format!("admin on {}", bind::shown(listener)));
        }
        for Served { listener, quic } in &listeners.serve {
            say(&format!("listening on {}", bind::shown(listener)));
            if let Some(Ok(address)) = quic.as_ref().map(QuicListener::local_addr) {
                say(&format!("listening on https://{address} for HTTP/3 (UDP)"));
            }
        }
    }

    fn metrics(&self) -> Arc<Metrics> {
        let metrics = Metrics::new();
        let logs = self.logs.clone();
        metrics.counter(
            "endwell_log_records_dropped_total",
            "Records that found no room because the log was too slow.",
            move || logs.dropped(),
        );
        let programs = self.programs.clone();
        metrics.gauge(
            "endwell_commands_running",
            "Programs that run, those that are being ended included.",
            move || programs.running(),
        );
        count_connections(&metrics, &self.controls);
        metrics
    }

    fn start(
        &self,
        listeners: Vec<Served>,
        shutdown: &Shutdown,
        metrics: Option<Arc<Metrics>>,
    ) -> JoinSet<io::Result<()>> {
        let settings = &self.loaded.settings;
        let mut servers = JoinSet::new();
        for Served { listener, quic } in listeners {
            let mut server = endwell::serve(listener, self.service.clone())
                .controls(self.controls.clone())
                .observer((metrics.clone(), self.logs.clone()))
                .shutdown(shutdown.clone())
                .drain(settings.operation.drain);
            if let Some(quic) = quic {
                server = server.quic(quic);
            }
            servers.spawn(server.into_future());
        }
        servers
    }
}

/// Adds what became of the connections.
fn count_connections(metrics: &Metrics, controls: &Controls) {
    let read = |of: fn(Connections) -> u64| {
        let controls = controls.clone();
        move || of(controls.connections())
    };
    metrics.gauge(
        "endwell_connections_open",
        "Open connections, those that are being closed included.",
        read(|now| now.open as u64),
    );
    metrics.gauge(
        "endwell_requests_open",
        "Requests under way.",
        read(|now| now.requests as u64),
    );
    for (name, help, of) in [
        (
            "endwell_connections_accepted_total",
            "Connections that were accepted.",
            (|now: Connections| now.accepted) as fn(Connections) -> u64,
        ),
        (
            "endwell_connections_refused_total",
            "Connections that were reset because their client had its share.",
            |now| now.refused,
        ),
        (
            "endwell_connections_late_total",
            "Connections that were closed because a head did not come in time.",
            |now| now.late,
        ),
        (
            "endwell_connections_idle_total",
            "Connections that were closed because no further request came.",
            |now| now.idle,
        ),
    ] {
        metrics.counter(name, help, read(of));
    }
}

/// Lets operators ask until it is dropped: longer than the server serves.
fn watch(operators: Vec<Listener>, admin: &Admin) -> JoinSet<io::Result<()>> {
    let mut servers = JoinSet::new();
    for listener in operators {
        servers.spawn(endwell::serve(listener, admin.clone()).into_future());
    }
    servers
}

/// Waits until every server has stopped.
async fn all(servers: &mut JoinSet<io::Result<()>>) {
    while servers.join_next().await.is_some() {}
}
