//! How fast an observer reads, how long it waits and how much it keeps.
//!
//! Reads: nothing.
//! Gives: [`Pace`], plain data for the observers.
//! Never: sleeps by itself.

use std::time::Duration;

/// Overall deadline: longer than any lingering or grace of a server under test (5 s), shorter than a CI job.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Body octets kept by default: sixteen times the largest body of the test suite, far below memory.
pub const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// How an observer reads.
///
/// # Examples
/// ```
/// use endwell_lab::observe::Pace;
/// use std::time::Duration;
/// let pace = Pace { deadline: Duration::from_secs(2), ..Pace::small() }.staying(Duration::from_millis(50));
/// assert_eq!(pace.window, Some(1024));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// `SO_RCVBUF` in octets, set before connecting (Linux doubles it); `None` leaves the kernel's.
    pub receive_buffer: Option<usize>,
    /// Sleep between the request and the first read.
    pub start_late: Duration,
    /// Most octets taken from the socket at once.
    pub chunk: usize,
    /// Sleep between two reads.
    pub pause: Duration,
    /// HTTP/2 `INITIAL_WINDOW_SIZE`; `None` is the protocol's 65,535. Octets are given back by
    /// WINDOW_UPDATE as they are read, so 0 means that no body octet may ever come.
    pub window: Option<u32>,
    /// Time for a response, from the request's last octet; also for connecting and writing.
    pub deadline: Duration,
    /// Body octets kept; a larger body ends the observation with `TooLarge`.
    pub body_limit: usize,
    /// After the end of the message: watch the connection this long (`after`, `late`,
    /// `connection_alive`); `None` returns at once.
    pub stay: Option<Duration>,
}

impl Pace {
    /// Reads as fast as it can.
    #[must_use]
    pub fn fast() -> Self {
        Self {
            receive_buffer: None,
            start_late: Duration::ZERO,
            chunk: 64 * 1024,
            pause: Duration::ZERO,
            window: None,
            deadline: DEADLINE,
            body_limit: BODY_LIMIT,
            stay: None,
        }
    }

    /// Reads little at a time through small buffers and a small window; 300 kB take well under 2 s.
    #[must_use]
    pub fn small() -> Self {
        Self {
            receive_buffer: Some(4096),
            chunk: 1024,
            pause: Duration::from_micros(200),
            window: Some(1024),
            ..Self::fast()
        }
    }

    /// Leaves everything in the kernel for 150 ms, then reads fast.
    #[must_use]
    pub fn late() -> Self {
        Self {
            start_late: Duration::from_millis(150),
            ..Self::fast()
        }
    }

    /// Also watches what follows the end, for this long.
    #[must_use]
    pub fn staying(self, stay: Duration) -> Self {
        Self {
            stay: Some(stay),
            ..self
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::fast()
    }
}
