//! Which requests are treated otherwise than the policy says.
//!
//! Reads: a request's head, with its [`Peer`](crate::Peer) in the extensions. Gives: the
//! [`Override`] of the first rule that applies. Never: looks at a request when there is no rule.

use std::fmt;
use std::sync::Arc;

use endwell_core::Override;
use http::Request;
use http::header::{HeaderName, USER_AGENT};
use http::request::Parts;

use super::peer::Peer;

/// Treats some requests otherwise than the policy says: a client or a proxy that is known to
/// mistake what others understand, or a part of the targets.
///
/// Rules are asked in the order in which they were added, and the first that applies counts. A
/// rule has the last word: it also changes what a route's [`Override`] says, since only it knows
/// who asks.
///
/// # Examples
/// ```
/// use endwell::{Override, Rule, Severity};
/// # let app: axum::Router = axum::Router::new();
/// let app = endwell::app(app)
///     // It shows nothing at all of a page that was aborted.
///     .rule(Rule::agent("OldReader/2", Override::new().tell(Severity::Fatal)))
///     // This proxy hangs on trailers.
///     .rule(Rule::header("via", "legacy-gw", Override::new().trailers(false)))
///     .rule(Rule::new(
///         |request| request.uri.path().starts_with("/live/"),
///         Override::new().head_hold(None),
///     ));
/// ```
#[derive(Clone)]
pub struct Rule {
    when: Arc<dyn Fn(&Parts) -> bool + Send + Sync>,
    then: Override,
}

impl Rule {
    /// For requests of which this is true. [`Peer`] is in their extensions, on a listener of ours.
    ///
    /// It is asked for every request before the application is: it must not block. If it panics,
    /// the rule does not apply.
    pub fn new(when: impl Fn(&Parts) -> bool + Send + Sync + 'static, then: Override) -> Self {
        Self {
            when: Arc::new(when),
            then,
        }
    }

    /// For user agents whose name contains this, letter by letter.
    pub fn agent(part: impl Into<String>, then: Override) -> Self {
        Self::field(USER_AGENT, part.into(), then)
    }

    /// For requests with a field that contains this, letter by letter: `via`, and the name of a
    /// proxy in it.
    ///
    /// # Panics
    /// If `name` is not the name of a field in small letters.
    pub fn header(name: &'static str, part: impl Into<String>, then: Override) -> Self {
        Self::field(HeaderName::from_static(name), part.into(), then)
    }

    /// For targets whose path starts with this.
    pub fn path(start: impl Into<String>, then: Override) -> Self {
        let start = start.into();
        Self::new(move |request| request.uri.path().starts_with(&start), then)
    }

    /// For peers of which this is true; behind a proxy, the peer is the proxy.
    pub fn peer(when: impl Fn(&Peer) -> bool + Send + Sync + 'static, then: Override) -> Self {
        let of = move |request: &Parts| request.extensions.get().is_some_and(&when);
        Self::new(of, then)
    }

    fn field(name: HeaderName, part: String, then: Override) -> Self {
        let contains = move |request: &Parts| {
            let mut lines = request.headers.get_all(&name).iter();
            lines.any(|line| {
                let value = String::from_utf8_lossy(line.as_bytes());
                value.contains(&part)
            })
        };
        Self::new(contains, then)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

/// What the first rule says that applies to a request, which is given back.
pub(super) fn apply<R>(rules: &[Rule], request: Request<R>) -> (Option<Override>, Request<R>) {
    if rules.is_empty() {
        return (None, request);
    }
    let (parts, body) = request.into_parts();
    let applies = |rule: &&Rule| {
        let asked = std::panic::AssertUnwindSafe(|| (rule.when)(&parts));
        std::panic::catch_unwind(asked).unwrap_or(false)
    };
    let then = rules.iter().find(applies).map(|rule| rule.then);
    (then, Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use endwell_core::Severity;
    use http::HeaderValue;

    use super::*;
    use crate::wire::remote::Remote;

    fn first(rules: &[Rule], request: Request<u8>) -> Option<Override> {
        let (then, request) = apply(rules, request);
        assert_eq!(*request.body(), 7);
        then
    }

    #[test]
    fn the_first_rule_that_applies_counts() {
        let [one, two] = [Severity::Note, Severity::Fatal].map(|least| Override::new().tell(least));
        let rules = [
            Rule::new(|_| panic!("a bad predicate"), two),
            Rule::agent("Old/1", one),
            Rule::path("/live/", two),
            Rule::peer(Peer::is_tls, two),
        ];
        let request = |path: &str, agent: &'static [u8]| {
            let agent = HeaderValue::from_bytes(agent).unwrap();
            let request = Request::get(path).header(USER_AGENT, agent);
            request.body(7).unwrap()
        };
        assert_eq!(first(&rules, request("/live/a", b"x Old/1.2")), Some(one));
        assert_eq!(first(&rules, request("/live/a", b"\xffOld/1")), Some(one));
        assert_eq!(first(&rules, request("/live/a", b"old/1")), Some(two));
        assert_eq!(first(&rules, request("/", b"old/1")), None);
        assert_eq!(first(&[], request("/", b"old/1")), None);
        let mut tls = request("/", b"");
        let here = "127.0.0.1:1".parse().unwrap();
        tls.extensions_mut()
            .insert(Peer::new(Remote::Tcp(here), true));
        assert_eq!(first(&rules, tls), Some(two));
    }
}
