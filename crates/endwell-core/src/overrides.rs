//! What one response does otherwise than the policy of its server.

use std::time::Duration;

use crate::{DegradedDocuments, Grace, Hold, OpenChunk, Policy, Severity, Signal, Unprotected};

/// Changes members of a [`Policy`] for some responses: those of a route, or to some requests.
///
/// It has a method for each member that is of one response; what is of the connection or the
/// server ([`Policy::half_close`], [`Policy::stall_deadline`], [`Policy::linger`],
/// [`Policy::open_chunk_agents`], the budget of [`Policy::http10_hold`]) it cannot change.
///
/// # Examples
/// ```
/// use endwell_core::{Override, Policy, Severity};
/// let mild = Override::new().tell(Severity::Fatal).trailers(false);
/// let policy = mild.over(&Policy::default());
/// assert_eq!(policy.tell, Severity::Fatal);
/// assert!(!policy.trailers);
/// assert_eq!(policy.grace, Policy::default().grace);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Override {
    tell: Option<Severity>,
    signal: Option<Signal>,
    trailers: Option<bool>,
    retry_after: Option<Option<Duration>>,
    grace: Option<Grace>,
    idle_deadline: Option<Option<Duration>>,
    head_hold: Option<Option<Duration>>,
    http10_hold: Option<usize>,
    http10_unprotected: Option<Unprotected>,
    degraded_documents: Option<DegradedDocuments>,
    open_chunk: Option<OpenChunk>,
}

impl Override {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Policy::tell`].
    #[must_use]
    pub fn tell(mut self, least: Severity) -> Self {
        self.tell = Some(least);
        self
    }

    /// See [`Policy::signal`].
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.signal = Some(signal);
        self
    }

    /// See [`Policy::trailers`].
    #[must_use]
    pub fn trailers(mut self, may: bool) -> Self {
        self.trailers = Some(may);
        self
    }

    /// See [`Policy::retry_after`].
    #[must_use]
    pub fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = Some(wait.into());
        self
    }

    /// See [`Policy::grace`].
    #[must_use]
    pub fn grace(mut self, grace: Grace) -> Self {
        self.grace = Some(grace);
        self
    }

    /// See [`Policy::idle_deadline`].
    #[must_use]
    pub fn idle_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.idle_deadline = Some(deadline.into());
        self
    }

    /// See [`Policy::head_hold`].
    #[must_use]
    pub fn head_hold(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.head_hold = Some(time.into());
        self
    }

    /// The octets of [`Policy::http10_hold`]; its budget is the server's.
    #[must_use]
    pub fn http10_hold(mut self, octets: usize) -> Self {
        self.http10_hold = Some(octets);
        self
    }

    /// See [`Policy::http10_unprotected`].
    #[must_use]
    pub fn http10_unprotected(mut self, what: Unprotected) -> Self {
        self.http10_unprotected = Some(what);
        self
    }

    /// See [`Policy::degraded_documents`].
    #[must_use]
    pub fn degraded_documents(mut self, when: DegradedDocuments) -> Self {
        self.degraded_documents = Some(when);
        self
    }

    /// See [`Policy::open_chunk`].
    #[must_use]
    pub fn open_chunk(mut self, who: OpenChunk) -> Self {
        self.open_chunk = Some(who);
        self
    }

    /// The policy that follows from `policy` and this.
    pub fn over(&self, policy: &Policy) -> Policy {
        let http10_octets = self.http10_hold.unwrap_or(policy.http10_hold.octets);
        Policy {
            half_close: policy.half_close,
            tell: self.tell.unwrap_or(policy.tell),
            signal: self.signal.unwrap_or(policy.signal),
            trailers: self.trailers.unwrap_or(policy.trailers),
            retry_after: self.retry_after.unwrap_or(policy.retry_after),
            grace: self.grace.unwrap_or(policy.grace),
            stall_deadline: policy.stall_deadline,
            idle_deadline: self.idle_deadline.unwrap_or(policy.idle_deadline),
            head_hold: self.head_hold.unwrap_or(policy.head_hold),
            http10_hold: Hold {
                octets: http10_octets,
                budget: policy.http10_hold.budget,
            },
            http10_unprotected: self.http10_unprotected.unwrap_or(policy.http10_unprotected),
            degraded_documents: self.degraded_documents.unwrap_or(policy.degraded_documents),
            open_chunk: self.open_chunk.unwrap_or(policy.open_chunk),
            open_chunk_agents: policy.open_chunk_agents.clone(),
            linger: policy.linger,
        }
    }

    /// Both: where they differ, `later` counts.
    #[must_use]
    pub fn then(self, later: Override) -> Override {
        Self {
            tell: later.tell.or(self.tell),
            signal: later.signal.or(self.signal),
            trailers: later.trailers.or(self.trailers),
            retry_after: later.retry_after.or(self.retry_after),
            grace: later.grace.or(self.grace),
            idle_deadline: later.idle_deadline.or(self.idle_deadline),
            head_hold: later.head_hold.or(self.head_hold),
            http10_hold: later.http10_hold.or(self.http10_hold),
            http10_unprotected: later.http10_unprotected.or(self.http10_unprotected),
            degraded_documents: later.degraded_documents.or(self.degraded_documents),
            open_chunk: later.open_chunk.or(self.open_chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_changed_alone_and_the_later_counts() {
        let base = Policy::default();
        assert_eq!(Override::new().over(&base), base);
        let first = Override::new()
            .tell(Severity::Note)
            .signal(Signal::Trailer)
            .trailers(false)
            .retry_after(Duration::from_millis(1500))
            .idle_deadline(Duration::from_secs(7))
            .head_hold(None)
            .http10_hold(3)
            .http10_unprotected(Unprotected::Refuse)
            .degraded_documents(DegradedDocuments::Always)
            .open_chunk(OpenChunk::Always);
        let policy = first.over(&base);
        assert_eq!(
            policy,
            Policy {
                tell: Severity::Note,
                signal: Signal::Trailer,
                trailers: false,
                retry_after: Some(Duration::from_millis(1500)),
                idle_deadline: Some(Duration::from_secs(7)),
                head_hold: None,
                http10_hold: Hold {
                    octets: 3,
                    ..base.http10_hold
                },
                http10_unprotected: Unprotected::Refuse,
                degraded_documents: DegradedDocuments::Always,
                open_chunk: OpenChunk::Always,
                ..base.clone()
            }
        );
        assert_eq!(policy.retry_after_seconds(), Some(2));
        let grace = Grace {
            default: Duration::ZERO,
            ..base.grace
        };
        let both = first.then(Override::new().tell(Severity::Fatal).grace(grace));
        assert_eq!(both.over(&base).tell, Severity::Fatal);
        assert_eq!(both.over(&base).grace, grace);
        assert_eq!(both.over(&base).http10_hold.octets, 3);
    }
}
