//! Keeps a running server as it is configured: reads again, at SIGHUP and when certificates change.
//!
//! Never: leaves a server between two configurations. All that may fail is done first; what is
//! wrong is said, and everything stays as it was.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use endwell::{Controls, Log};

use super::certificates::Certificates;
use super::commands::Programs;
use super::live::Live;
use super::log::{self, Logs};
use super::make::{self, App, Made};
use super::notify;
use super::say::say;
use crate::Readiness;
use crate::config::{Faults, Loaded, Sources, Unusable};

/// How often to look whether certificates have changed: two looks that agree make a change known
/// within 4 s, and a look costs two calls of the system.
const LOOK: Duration = Duration::from_secs(2);
/// Keys whose new values are used from the next start on.
const AT_START: [&str; 4] = ["listen", "http3", "drain", "admin"];
/// Keys that decide whether connections are encrypted, which no listener changes.
const TLS: [&str; 3] = ["tls-cert", "tls-key", "tls-self-signed"];

/// Whoever changes a server that runs.
pub(super) struct Keeper {
    pub(super) sources: Sources,
    /// What was read last.
    pub(super) loaded: Loaded,
    /// What was read at the start.
    pub(super) started: Loaded,
    /// The text of the file of users that was read last.
    pub(super) listed: Option<String>,
    pub(super) service: Live<App>,
    pub(super) programs: Programs,
    pub(super) controls: Controls,
    pub(super) certificates: Option<Certificates>,
    pub(super) logs: Logs,
    pub(super) readiness: Readiness,
    /// Logs that were replaced, while they are written to the end.
    pub(super) retiring: Vec<JoinHandle<()>>,
}

/// Everything that a reload takes over; nothing of it is in use yet.
struct Next {
    loaded: Loaded,
    made: Made,
    log: Option<Arc<Log>>,
}

impl Keeper {
    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, asked: &Receiver<()>) {
        loop {
            match asked.recv_timeout(LOOK) {
                Ok(()) => self.asked(),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for retiring in self.retiring {
            let _ = retiring.join();
        }
    }

    /// Reloads, and tells a service manager of it.
    fn asked(&mut self) {
        // Before it starts and once it stops, the service manager awaits another word.
        if self.readiness.is_accepting() {
            notify::reloading();
        }
        self.reload();
        if self.readiness.is_accepting() {
            notify::ready();
        }
    }

    /// Reads everything again and takes over what has changed.
    fn reload(&mut self) {
        match self.next() {
            Ok(next) => self.take_over(next),
            Err(faults) => {
                for fault in faults.0 {
                    say(&format!("not reloaded: {fault}"));
                }
            }
        }
    }

    fn next(&self) -> Result<Next, Faults> {
        let loaded = self.sources.load()?;
        let made = make::all(&loaded.settings, &self.programs);
        let made = made.map_err(|wrong| loaded.faults(wrong))?;
        let log = self.next_log(&loaded);
        let log = log.map_err(|unusable| loaded.fault(unusable))?;
        Ok(Next { made, log, loaded })
    }

    /// A file is always opened again: it may have been moved away.
    fn next_log(&self, loaded: &Loaded) -> Result<Option<Arc<Log>>, Unusable> {
        let (new, old) = (&loaded.settings.log, &self.loaded.settings.log);
        let same_output = new == old && new.log == Path::new("-");
        (!same_output).then(|| log::open(new)).transpose()
    }

    fn take_over(&mut self, next: Next) {
        let waits = next.loaded.changed(&self.started);
        let mut waits: Vec<_> = waits
            .into_iter()
            .filter(|key| AT_START.contains(key))
            .collect();
        let mut taken = next.loaded.changed(&self.loaded);
        taken.retain(|key| !AT_START.contains(key));
        let settings = &next.loaded.settings;
        self.controls.set_policy(make::policy(settings));
        self.controls.set_limits(make::limits(settings));
        self.programs.set_limit(settings);
        self.service.set(next.made.service);
        let other_users = self.listed != next.made.listed;
        if other_users && !taken.contains(&"auth-file") {
            taken.push("the users");
        }
        self.listed = next.made.listed;
        match (&mut self.certificates, next.made.certificate) {
            (Some(shown), Some(fresh)) => {
                let named = taken.iter().any(|key| TLS.contains(key));
                if shown.show(fresh) && !named {
                    taken.push("the certificate");
                }
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                taken.retain(|key| !TLS.contains(key));
                let changed = next.loaded.changed(&self.started);
                waits.extend(changed.into_iter().filter(|key| TLS.contains(key)));
            }
        }
        if let Some(log) = next.log {
            self.retire(log);
        }
        self.loaded = next.loaded;
        say(&report(self.sources.file(), &taken, &waits));
    }

    /// Takes the new log; the old one is written to its end meanwhile.
    fn retire(&mut self, log: Arc<Log>) {
        let old = self.logs.replace(log);
        self.retiring.retain(|retiring| !retiring.is_finished());
        let retiring = std::thread::Builder::new().name("endwell-log-end".into());
        // Without a thread it is written to its end by its own, once nobody has it any more.
        self.retiring
            .extend(retiring.spawn(move || log::retire(&old)));
    }

    /// Shows new certificates to new connections.
    fn look(&mut self) {
        let Some(certificates) = &mut self.certificates else {
            return;
        };
        match certificates.look() {
            None => {}
            Some(Ok(file)) => say(&format!(
                "new connections get the new certificate of {file}"
            )),
            Some(Err(wrong)) => {
                for fault in self.loaded.faults(wrong).0 {
                    say(&format!("the certificate stays as it was: {fault}"));
                }
            }
        }
    }
}

/// What a reload did, in a line.
fn report(file: Option<&Path>, taken: &[&str], waits: &[&str]) -> String {
    let of = file.map_or_else(String::new, |file| format!(" {}", file.display()));
    let mut parts = Vec::new();
    if !taken.is_empty() {
        parts.push(format!("{} taken over", taken.join(", ")));
    }
    match waits {
        [] => {}
        [one] => parts.push(format!("{one} needs a restart")),
        many => parts.push(format!("{} need a restart", many.join(", "))),
    }
    if parts.is_empty() {
        parts.push("nothing has changed".to_owned());
    }
    format!("reloaded{of}: {}", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    #[test]
    fn keys_that_wait_for_a_restart_exist() {
        for name in AT_START.iter().chain(&TLS) {
            assert!(Key::all().iter().any(|key| key.name() == *name), "{name}");
        }
    }

    #[test]
    fn a_report_says_what_was_done() {
        let file = Some(Path::new("e.toml"));
        for (taken, waits, line) in [
            (&[][..], &[][..], "reloaded e.toml: nothing has changed"),
            (&["dir", "log"], &[], "reloaded e.toml: dir, log taken over"),
            (&[], &["listen"], "reloaded e.toml: listen needs a restart"),
            (
                &["dir"],
                &["listen", "drain"],
                "reloaded e.toml: dir taken over; listen, drain need a restart",
            ),
        ] {
            assert_eq!(report(file, taken, waits), line);
        }
        assert_eq!(report(None, &[], &[]), "reloaded: nothing has changed");
    }
}
