//! What all responses of an application have in common.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use endwell_core::Policy;

use super::rules::Rule;
use crate::observe::Observer;

/// What an application's responses have in common.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) policy: Arc<Policy>,
    /// The first that applies to a request counts.
    pub(crate) rules: Vec<Rule>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Octets of HTTP/1.0 bodies held by all responses together.
    pub(crate) held: Arc<AtomicUsize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Arc::new(Policy::default()),
            rules: Vec::new(),
            observer: None,
            held: Arc::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("rules", &self.rules)
            .field("observed", &self.observer.is_some())
            .finish_non_exhaustive()
    }
}
