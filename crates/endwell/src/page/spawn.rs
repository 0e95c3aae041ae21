//! Parts that run in a task or on a thread of their own.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use endwell_core::{Cause, Kind};
use tokio::task::{JoinError, JoinHandle};

use crate::producer::BoxError;

/// Runs a part's work in a task of its own, from now on: for work that computes more than it waits, and would keep
/// the page and its other parts from being written meanwhile.
///
/// When the part is dropped (the client leaves, it took too long, the page has failed) the task is aborted. A panic
/// in it is the part's.
///
/// # Panics
/// Outside of a tokio runtime.
///
/// # Examples
/// ```
/// use endwell::page::{part, spawn};
/// # async fn rank() -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn run() {
/// let ranking = part("ranking", spawn(rank())).degrading();
/// # let _ = ranking;
/// # }
/// ```
pub fn spawn<F, T, E>(work: F) -> Spawned<T, E>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    Spawned(tokio::spawn(work))
}

/// Runs a part's work on a thread that may block, from now on. A thread that runs cannot be stopped: if
/// the part is dropped, what it gives is not used.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn spawn_blocking<W, T, E>(work: W) -> Spawned<T, E>
where
    W: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    Spawned(tokio::task::spawn_blocking(work))
}

/// The work of a part, in a task or on a thread of its own. Made by [`spawn`] and [`spawn_blocking`].
#[must_use = "dropped, it is aborted"]
pub struct Spawned<T, E>(JoinHandle<Result<T, E>>);

impl<T, E: Into<BoxError>> Future for Spawned<T, E> {
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(result) => result.map_err(Into::into),
            Err(error) => Err(of_task(error)),
        })
    }
}

/// Why a task gave nothing.
fn of_task(error: JoinError) -> BoxError {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => {
            let message = "the runtime stopped before the part could run";
            Cause::new(Kind::ServerShutdown, message).into()
        }
    }
}

impl<T, E> Drop for Spawned<T, E> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T, E> fmt::Debug for Spawned<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawned")
    }
}
