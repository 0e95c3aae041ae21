//! The handle that changes a server while it runs, and counts its connections.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use endwell_core::Policy;

use crate::limits::{Limits, Places};

/// Changes the policy and the limits of servers that run, for connections accepted afterwards.
///
/// Servers that are given one handle share its limits: [`Limits::connections`] is then over all
/// of them.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use endwell::{Controls, Limits, Policy};
/// let controls = Controls::new(Policy::default(), Limits::default());
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let server = endwell::serve(endwell::listen(tcp), axum::Router::new());
/// tokio::spawn(server.controls(controls.clone()).into_future());
/// controls.set_limits(Limits { per_client: Some(64), ..Limits::default() });
/// println!("{} connections", controls.connections().open);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Controls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: Mutex<(Arc<Policy>, Arc<Limits>)>,
    places: Arc<Places>,
}

/// Connections of the servers of one [`Controls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Open now, those that are being closed included.
    pub open: usize,
    /// Requests under way now, until nothing is left of their responses.
    pub requests: usize,
    /// Accepted since the start, without those that were refused.
    pub accepted: u64,
    /// Reset because their client had its share ([`Limits::per_client`]).
    pub refused: u64,
    /// Closed because a head did not come in time ([`Limits::head_timeout`]), with 408 or without.
    pub late: u64,
    /// Closed because no further request came ([`Limits::idle`]).
    pub idle: u64,
}

impl Controls {
    /// For servers that are about to run.
    pub fn new(policy: Policy, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            places: Places::new(limits.connections),
            current: Mutex::new((Arc::new(policy), Arc::new(limits))),
        }))
    }

    /// What to do about endings on connections accepted from now on.
    pub fn set_policy(&self, policy: Policy) {
        let policy = Arc::new(policy);
        self.change(|current| current.0 = policy);
    }

    /// What peers may take on connections accepted from now on. How many connections may be
    /// open holds at once, without closing any that is.
    pub fn set_limits(&self, limits: Limits) {
        self.0.places.set_limit(limits.connections);
        let limits = Arc::new(limits);
        self.change(|current| current.1 = limits);
    }

    /// The policy of connections that are accepted now.
    pub fn policy(&self) -> Arc<Policy> {
        self.current().0
    }

    /// The limits of connections that are accepted now.
    pub fn limits(&self) -> Arc<Limits> {
        self.current().1
    }

    /// How many connections are open now, those that are being closed included.
    pub fn open_connections(&self) -> usize {
        self.0.places.open()
    }

    /// What became of the connections.
    pub fn connections(&self) -> Connections {
        let places = &self.0.places;
        Connections {
            open: places.open(),
            requests: places.requests(),
            accepted: places.accepted.load(Ordering::Relaxed),
            refused: places.refused.load(Ordering::Relaxed),
            late: places.late.load(Ordering::Relaxed),
            idle: places.idle.load(Ordering::Relaxed),
        }
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.0.places
    }

    pub(super) fn current(&self) -> (Arc<Policy>, Arc<Limits>) {
        self.change(|current| current.clone())
    }

    fn change<T>(&self, how: impl FnOnce(&mut (Arc<Policy>, Arc<Limits>)) -> T) -> T {
        let current = self.0.current.lock();
        how(&mut current.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Controls {
    fn default() -> Self {
        Self::new(Policy::default(), Limits::default())
    }
}
