//! Tells a service manager how the server is (sd_notify(3)).
//!
//! Reads: `NOTIFY_SOCKET`, `WATCHDOG_USEC`. Gives: datagrams; without the variables nothing.
//! Never: stops the server because nobody takes them.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use sd_notify::NotifyState;

#[cfg(unix)]
use crate::say::say;

/// It serves, or serves again after a reload.
pub(crate) fn ready(status: &str) {
    #[cfg(unix)]
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    #[cfg(not(unix))]
    let _ = status;
}

/// It reads its configuration again; [`ready`] ends that.
pub(crate) fn reloading() {
    #[cfg(unix)]
    match NotifyState::monotonic_usec_now() {
        // systemd tells by the clock which reload this is (Type=notify-reload).
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => failed(&error),
    }
}

/// It accepts no more connections.
pub(crate) fn stopping(status: &str) {
    #[cfg(unix)]
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    #[cfg(not(unix))]
    let _ = status;
}

/// Feeds the watchdog, if there is one, for as long as the runtime runs tasks.
pub(crate) fn feed_watchdog() {
    #[cfg(unix)]
    if let Some(deadline) = sd_notify::watchdog_enabled().filter(|deadline| !deadline.is_zero()) {
        tokio::spawn(async move {
            // Half of the deadline, as sd_watchdog_enabled(3) recommends; a timer has milliseconds.
            let half = (deadline / 2).max(Duration::from_millis(1));
            let mut fed = tokio::time::interval(half);
            loop {
                fed.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

#[cfg(unix)]
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        failed(&error);
    }
}

#[cfg(unix)]
fn failed(error: &io::Error) {
    say(&format!("cannot tell the service manager ({error})"));
}
