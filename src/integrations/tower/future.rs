//! The future of a call behind a breaker, and the result of a rejected call.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::breaker::gate::Report;
use crate::breaker::settle::{AtOnce, Settle};
use crate::breaker::timed::Timed;
use crate::terms::rejected::{Error, Rejected};

pin_project! {
    /// A call behind a breaker: the inner service's future with the [`Permit`](crate::Permit) of its call, or a
    /// rejection.
    ///
    /// Cancel safety: dropping it drops the inner future first and then the permit.
    ///
    /// # Panics
    /// Like most futures, if it is polled again after it was ready.
    #[must_use = "futures do nothing unless polled"]
    pub struct BreakerFuture<F, P, S = AtOnce, R = ()>
    where
        P: Report,
    {
        #[pin]
        pub(super) state: Stage<F, P, S, R>,
    }
}

pin_project! {
    #[project = StageNow]
    pub(super) enum Stage<F, P, S, R>
    where
        P: Report,
    {
        Called {
            // The inner future is dropped first, so that it has given back its resources before the probe's slot is
            // free.
            #[pin]
            inner: F,
            permit: Option<Timed<P>>,
            settle: S,
        },
        Rejected {
            rejected: Option<(Rejected, R)>,
        },
    }
}

impl<F, P, S, R, A, T, E> Future for BreakerFuture<F, P, S, R>
where
    F: Future<Output = Result<A, E>>,
    P: Report,
    S: Settle<P, Result<A, E>, Output = Result<T, E>>,
    R: Refuse<T, E>,
{
    type Output = Result<T, R::Error>;

    // Inlined for the reason that `BreakerService::poll_ready` gives.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StageNow::Called { inner, permit, settle } => {
                // The permit is held here during the poll. So a panic in inner drops it in unwinding, even if it is
                // caught.
                let held = permit.take().expect(POLLED_ON);
                let Poll::Ready(result) = inner.poll(context) else {
                    *permit = Some(held);
                    return Poll::Pending;
                };
                settle.settle(held.stop(), result).map_err(R::pass)
            }
            StageNow::Rejected { rejected } => {
                let (rejected, refuse) = rejected.take().expect(POLLED_ON);
                refuse.refuse(rejected)
            }
        })
    }
}

const POLLED_ON: &str = "polled again after it was ready";

impl<F, P: Report, S, R> fmt::Debug for BreakerFuture<F, P, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture")
            .field("admitted", &matches!(self.state, Stage::Called { .. }))
            .finish_non_exhaustive()
    }
}

/// Makes the result of a rejected call. `()` fails the call with [`Error::Rejected`]. A `Fn(Rejected) -> Response`
/// answers it, and the service's error is then the inner service's own. See
/// [`BreakerLayer::answer`](crate::tower::BreakerLayer::answer).
pub trait Refuse<T, E> {
    /// The error of the service behind the breaker.
    type Error;

    /// The result of a call that was not made.
    fn refuse(&self, rejected: Rejected) -> Result<T, Self::Error>;

    /// Turns an error of the inner service into the service's error.
    fn pass(error: E) -> Self::Error;
}

impl<T, E> Refuse<T, E> for () {
    type Error = Error<E>;

    fn refuse(&self, rejected: Rejected) -> Result<T, Error<E>> {
        Err(rejected.into())
    }

    fn pass(error: E) -> Error<E> {
        Error::Inner(error)
    }
}

impl<T, E, F: Fn(Rejected) -> T> Refuse<T, E> for F {
    type Error = E;

    fn refuse(&self, rejected: Rejected) -> Result<T, E> {
        Ok(self(rejected))
    }

    fn pass(error: E) -> E {
        error
    }
}
