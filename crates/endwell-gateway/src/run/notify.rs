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
use super::say::say;

/// It serves, or serves again after a reload.
pub(super) fn ready() {
    #[cfg(unix)]
    tell(&[
        NotifyState::Ready,
        NotifyState::Status("accepting connections"),
    ]);
}

/// It reads its configuration again; [`ready`] ends that.
pub(super) fn reloading() {
    #[cfg(unix)]
    match NotifyState::monotonic_usec_now() {
        // systemd tells by the clock which reload this is (Type=notify-reload).
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => failed(&error),
    }
}

/// It accepts no more connections.
pub(super) fn stopping() {
    #[cfg(unix)]
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Feeds the watchdog, if there is one, for as long as the runtime runs tasks.
pub(super) fn feed_watchdog() {
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
