//! The server itself: it listens, serves and stops.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use endwell::{Listener, Shutdown, TlsSwitch};
use tokio::task::JoinSet;

use super::error::RunError;
use super::live::Live;
use super::log::Logs;
use super::say::say;
use super::signals::{Hangup, Stop};
use super::{bind, make};
use crate::Files;
use crate::config::{Loaded, show_duration};

/// How long connections may take to be reset after the second signal.
const AT_ONCE: Duration = Duration::from_secs(2);

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
    pub(super) service: Live<Files>,
    pub(super) tls: Option<TlsSwitch>,
    pub(super) logs: Logs,
    /// What to say once it listens, before the addresses.
    pub(super) introduction: Vec<String>,
}

impl Server {
    /// Serves until a signal stops it. At SIGHUP it asks `keeper` for a reload.
    pub(super) async fn run(self, keeper: Sender<()>) -> Result<Stopped, RunError> {
        let signals = RunError::system("wait for signals");
        let (mut stop, mut hangup) = match (Stop::new(), Hangup::new()) {
            (Ok(stop), Ok(hangup)) => (stop, hangup),
            (Err(error), _) | (_, Err(error)) => return Err(signals(error)),
        };
        tokio::spawn(async move {
            loop {
                hangup.next().await;
                let _ = keeper.send(());
            }
        });
        let listeners = self.bind().await?;
        self.announce(&listeners)?;
        let shutdown = Shutdown::new();
        let mut servers = self.start(listeners, &shutdown);
        tokio::select! {
            () = stop.next() => {}
            ended = servers.join_next() => return Err(RunError::Listener(format!("{ended:?}"))),
        }
        say(&format!(
            "stopping: responses may run for {}; a second signal ends them at once",
            show_duration(self.loaded.settings.operation.drain)
        ));
        shutdown.drain();
        tokio::select! {
            () = all(&mut servers) => return Ok(Stopped::Drained),
            () = stop.next() => {}
        }
        say("stopping at once");
        shutdown.now();
        let _ = tokio::time::timeout(AT_ONCE, all(&mut servers)).await;
        Ok(Stopped::AtOnce)
    }

    async fn bind(&self) -> Result<Vec<Listener>, RunError> {
        let mut listeners = Vec::new();
        for address in &self.loaded.settings.listening.listen {
            let bound = bind::bind(address).await;
            let bound = bound.map_err(|error| RunError::Unusable(self.loaded.fault(error)))?;
            for tcp in bound {
                let listener = endwell::listen(tcp);
                listeners.push(match &self.tls {
                    Some(switch) => listener.tls_switch(switch),
                    None => listener,
                });
            }
        }
        Ok(listeners)
    }

    /// Says what it serves, and where.
    fn announce(&self, listeners: &[Listener]) -> Result<(), RunError> {
        for line in &self.introduction {
            say(line);
        }
        for listener in listeners {
            let scheme = if listener.is_tls() { "https" } else { "http" };
            let address = listener.local_addr();
            let address = address.map_err(RunError::system("tell the address"))?;
            say(&format!("listening on {scheme}://{address}"));
        }
        Ok(())
    }

    fn start(&self, listeners: Vec<Listener>, shutdown: &Shutdown) -> JoinSet<io::Result<()>> {
        let settings = &self.loaded.settings;
        let mut servers = JoinSet::new();
        for listener in listeners {
            let server = endwell::serve(listener, self.service.clone())
                .policy(make::policy(settings))
                .observer(self.logs.clone())
                .shutdown(shutdown.clone())
                .drain(settings.operation.drain);
            servers.spawn(server.into_future());
        }
        servers
    }
}

/// Waits until every server has stopped.
async fn all(servers: &mut JoinSet<io::Result<()>>) {
    while servers.join_next().await.is_some() {}
}
