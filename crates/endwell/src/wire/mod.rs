//! Carries out wire endings; decides nothing.
//!
//! Reads: what [`plan`](endwell_core::plan) decided, and the state of the connection. Gives:
//! octets, and after the last of them the signal. The order of the modules is that of the
//! data's way down: [`body`] is what the HTTP implementation polls, [`io`] is what it writes to.

// Without a listener of ours nothing drives a connection: what only it calls is not dead, it sleeps.
#![cfg_attr(not(feature = "listen"), allow(dead_code))]

pub(crate) mod remote;

#[cfg(feature = "listen")]
pub(crate) mod stream;

#[cfg_attr(not(feature = "listen"), path = "no_socket.rs")]
#[allow(unsafe_code)]
pub(crate) mod socket;

pub(crate) mod room;

pub(crate) mod pings;

pub(crate) mod conn;

pub(crate) mod exchange;

pub(crate) mod intake;

pub(crate) mod broken;

pub(crate) mod trailing;

mod http1;

mod http2;

pub(crate) mod body;

#[cfg(feature = "http3")]
pub(crate) mod http3;

#[cfg(feature = "listen")]
mod head;

#[cfg(feature = "listen")]
pub(crate) mod transport;

#[cfg(feature = "listen")]
pub(crate) mod close;

#[cfg(feature = "listen")]
pub(crate) mod io;
