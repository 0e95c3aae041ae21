//! Clients of HTTP/3 as most of its tests have them.

use std::time::Duration;

use endwell_lab::observe::{Pace, http3};

use super::Server;

/// When all is well nothing waits so long.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn pace() -> Pace {
    Pace {
        deadline: DEADLINE,
        ..Pace::fast()
    }
}

/// A client that takes so many octets of a stream before it has read them.
pub fn narrow(window: u32) -> Pace {
    Pace {
        window: Some(window),
        ..pace()
    }
}

pub fn connect(server: &Server, pace: &Pace) -> http3::Connection {
    http3::Connection::connect(server.addr, pace).expect("it accepts")
}
