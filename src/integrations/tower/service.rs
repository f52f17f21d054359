//! A service behind a breaker.
//!
//! A service is asked whether it is ready (`poll_ready`) and then called, once. "Ready" is a promise: it must not be taken
//! back before the call. The circuit may open or close at any time in between. So a service remembers whose [`Turn`] it
//! is:
//!
//! | `poll_ready` in | the circuit would admit | it would reject |
//! | --- | --- | --- |
//! | `Unasked`, `Waiting` | asks inner: ready → `Ready`, pending → `Unasked`, an error → `Unasked` | ready → `Refused`, or pending → `Waiting` |
//! | `Ready` | asks inner: ready, or an error → `Unasked` | ready → `Refused` |
//! | `Refused` | asks inner: ready → `Ready`, pending → ready all the same, an error → `Unasked` | ready, and `Refused` anew |
//!
//! | `call` in | comes to |
//! | --- | --- |
//! | `Unasked`, `Waiting` | rejected as unready |
//! | `Ready` | `acquire` is asked: inner is called, or rejected |
//! | `Refused` | rejected with what `poll_ready` saw, whatever the circuit is by now |
//!
//! Every call leads to `Unasked`. The invariant: inner is called in `Ready` alone, which is entered by its own word and left
//! before the call. What it reserved when it gave its word, it keeps for the next time that it is asked. `poll_ready` only
//! [peeks](Breaker::peek), so it never holds a probe.

use core::fmt;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use tower_service::Service;

use crate::breaker::gate::Gate;
use crate::breaker::settle::{AtOnce, Settle};
use crate::breaker::timed::Timed;
use crate::integrations::tower::future::{BreakerFuture, Refuse, Stage};
use crate::integrations::tower::guarding::{Guarding, Sleep};
use crate::terms::rejected::Rejected;

/// A service behind a breaker; see [`BreakerLayer`](crate::tower::BreakerLayer).
///
/// Called without having been asked whether it is ready, it rejects with [`RejectReason::Unready`](crate::RejectReason::Unready). A clone shares the
/// breaker, and must be asked itself.
pub struct BreakerService<I, G, S = AtOnce, R = ()> {
    pub(super) inner: I,
    pub(super) guard: Guarding<G, S, R>,
    pub(super) turn: Turn,
}

impl<I: Clone, G: Clone, S: Clone, R: Clone> Clone for BreakerService<I, G, S, R> {
    fn clone(&self) -> Self {
        // What was said to this one, and what its inner service reserved, is not the clone's.
        Self { inner: self.inner.clone(), guard: self.guard.clone(), turn: Turn::Unasked }
    }
}

impl<I, G, S, R> BreakerService<I, G, S, R> {
    /// The inner service.
    pub const fn get_ref(&self) -> &I {
        &self.inner
    }

    /// The inner service, without the breaker.
    pub fn into_inner(self) -> I {
        self.inner
    }

    /// Pending while there is something to wait for.
    fn poll_wait(&mut self, rejected: &Rejected, context: &mut Context<'_>) -> Poll<()> {
        let (Some(sleep), Some(time)) = (&self.guard.sleep, rejected.retry_in()) else { return Poll::Ready(()) };
        let mut sleeping = match core::mem::replace(&mut self.turn, Turn::Unasked) {
            Turn::Waiting(sleeping) => sleeping,
            _ => sleep(time.min(RECHECK_EVERY)),
        };
        match sleeping.as_mut().poll(context) {
            Poll::Pending => self.turn = Turn::Waiting(sleeping),
            // Slept, and it is still open: look again, but let others run first, lest a sleep that never sleeps hang them.
            Poll::Ready(()) => context.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl<Q, I, T, G, S, R> Service<Q> for BreakerService<I, G, S, R>
where
    I: Service<Q>,
    G: Gate + Clone,
    S: Settle<G::Permit, Result<I::Response, I::Error>, Output = Result<T, I::Error>> + Clone,
    R: Refuse<T, I::Error> + Clone,
{
    type Response = T;
    type Error = R::Error;
    type Future = BreakerFuture<I::Future, G::Permit, S, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if let Err(rejected) = self.guard.gate.look() {
            // Whoever was told "ready" has been promised an answer.
            if matches!(self.turn, Turn::Unasked | Turn::Waiting(_)) {
                ready!(self.poll_wait(&rejected, context));
            }
            self.turn = Turn::Refused(rejected);
            return Poll::Ready(Ok(()));
        }
        match self.inner.poll_ready(context) {
            Poll::Ready(Ok(())) => {
                self.turn = Turn::Ready;
                Poll::Ready(Ok(()))
            }
            // The promise stands, even though its reason is gone.
            Poll::Pending if matches!(self.turn, Turn::Refused(_)) => Poll::Ready(Ok(())),
            Poll::Pending => {
                self.turn = Turn::Unasked;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                self.turn = Turn::Unasked;
                // Asked only now: a permit taken before would be one held, or told of, for each time that inner is ready.
                let result = match self.guard.gate.clone().enter() {
                    Ok(permit) => self.guard.settle.settle(permit, Err(error)),
                    Err(_) => Err(error),
                };
                // A response has no call to go to; the one that comes is rejected, as its turn says.
                Poll::Ready(result.map_or_else(|error| Err(R::pass(error)), |_| Ok(())))
            }
        }
    }

    fn call(&mut self, request: Q) -> Self::Future {
        // Looked at before it is taken: to read all of a turn of which one byte was just written costs as much as the call.
        let rejected = if matches!(self.turn, Turn::Ready) {
            self.turn = Turn::Unasked;
            match self.guard.gate.clone().enter() {
                Ok(permit) => {
                    let permit = Timed::start(permit);
                    // Inner may panic: the permit is then dropped in unwinding, which counts.
                    let inner = self.inner.call(request);
                    let settle = self.guard.settle.clone();
                    return BreakerFuture { state: Stage::Called { inner, permit: Some(permit), settle } };
                }
                Err(rejected) => rejected,
            }
        } else {
            let rejected = match core::mem::replace(&mut self.turn, Turn::Unasked) {
                Turn::Refused(rejected) => rejected,
                _ => Rejected::UNREADY,
            };
            // The breaker was not asked, so it has not told.
            self.guard.gate.notify_rejected(rejected.reason());
            rejected
        };
        BreakerFuture { state: Stage::Rejected { rejected: Some((rejected, self.guard.refuse.clone())) } }
    }
}

impl<I: fmt::Debug, G, S, R> fmt::Debug for BreakerService<I, G, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// How long it sleeps at a time.
const RECHECK_EVERY: Duration = Duration::from_secs(1);

/// What was said since the last call. See the table above.
pub(super) enum Turn {
    /// Nothing: neither we nor the inner service said that we are ready.
    Unasked,
    /// The same, and we sleep until it pays to look again.
    Waiting(Sleep),
    /// We are ready, and the inner service is.
    Ready,
    /// We are ready to reject; the inner service may be or not.
    Refused(Rejected),
}
