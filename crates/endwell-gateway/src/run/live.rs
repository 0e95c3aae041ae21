//! A service that is exchanged while it serves.

use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tower_service::Service;

/// Hands each request to the service of the moment; clones share it.
///
/// The service must be cheap to clone and always ready, as [`Files`](crate::Files) is: a clone of
/// it answers each request.
#[derive(Debug)]
pub(super) struct Live<S>(Arc<ArcSwap<S>>);

impl<S> Live<S> {
    /// Begins with this service.
    pub(super) fn new(service: S) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(service)))
    }

    /// From the next request on, this service.
    pub(super) fn set(&self, service: S) {
        self.0.store(Arc::new(service));
    }
}

impl<S> Clone for Live<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Service<R> for Live<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        let mut service = S::clone(&self.0.load());
        service.call(request)
    }
}
