//! An application for the stock `axum::serve` on our listener.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::serve::IncomingStream;
use endwell_core::Policy;
use tower_service::Service;

use crate::layer::{Answer, Endings, Rule, Settings};
use crate::listen::Listener;
use crate::observe::Observer;

/// Makes an application that the stock `axum::serve` runs on [`listen`](crate::listen) with
/// the same endings as [`serve`](crate::serve).
///
/// Left to axum are what its server loop decides: a client's half-close counts as leaving, and
/// a graceful shutdown has no deadline after which bodies end as failed.
pub fn app<S>(app: S) -> App<S> {
    App {
        app,
        settings: Settings::default(),
    }
}

/// What [`app`] makes: a service for each connection.
#[derive(Debug, Clone)]
pub struct App<S> {
    app: S,
    settings: Settings,
}

impl<S> App<S> {
    /// What to do about endings.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Arc::new(policy);
        self
    }

    /// Treats some requests otherwise than the policy says; the first rule that applies counts.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.settings.rules.push(rule);
        self
    }

    /// Who is told of every response.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }
}

impl<S: Clone> Service<IncomingStream<'_, Listener>> for App<S> {
    type Response = ConnectionApp<S>;
    type Error = Infallible;
    type Future = Ready<Result<ConnectionApp<S>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Listener>) -> Self::Future {
        let conn = Arc::clone(stream.io().conn());
        conn.set_policy(Arc::clone(&self.settings.policy));
        let endings = Endings::new(
            self.app.clone(),
            Arc::new(self.settings.clone()),
            Some(conn),
        );
        ready(Ok(ConnectionApp(endings)))
    }
}

/// The application on one connection.
#[derive(Debug, Clone)]
pub struct ConnectionApp<S>(Endings<S>);

impl<S> Service<Request> for ConnectionApp<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxedAnswer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> BoxedAnswer {
        BoxedAnswer(self.0.call(request))
    }
}

/// The future of [`ConnectionApp`].
#[derive(Debug)]
pub struct BoxedAnswer(Answer<axum::body::Body>);

impl Future for BoxedAnswer {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(answer.map(|response| response.map(axum::body::Body::new)))
    }
}
