//! A service behind a breaker.
//!
//! A caller asks a service whether it is ready (`poll_ready`) and then calls it once. "Ready" is a promise, which the
//! service must not take back before the call. But the circuit may open or close at any time in between. So a service
//! remembers in its [`Turn`] what was promised:
//!
//! | `poll_ready` in | the circuit would admit | it would reject |
//! | --- | --- | --- |
//! | `Unasked`, `Waiting` | asks inner: ready → `Ready`, pending → `Unasked`, an error → `Unasked` | ready → `Refused`, or pending → `Waiting` |
//! | `Ready` | asks inner: ready, or an error → `Unasked` | ready → `Refused` |
//! | `Refused` | asks inner: ready → `Ready`, pending → ready all the same, an error → `Unasked` | ready, and `Refused` anew |
//!
//! | `call` in | result |
//! | --- | --- |
//! | `Unasked`, `Waiting` | rejected as unready |
//! | `Ready` | the gate is asked for a permit: inner is called, or the call is rejected |
//! | `Refused` | rejected with the rejection that `poll_ready` saw, whatever the state of the circuit is by now |
//!
//! Every call leads to `Unasked`. The invariant: inner is called in `Ready` only. The service enters `Ready` only when
//! inner itself has said that it is ready, and leaves it before the call. If inner is not called after that, it keeps
//! what it reserved until it is asked again. `poll_ready` only looks at the gate (a breaker [peeks](Breaker::peek)), so
//! it holds no probe. Only if inner's readiness fails does it take a permit, which it settles with that error at once.

use core::fmt;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use tower_service::Service;

use crate::breaker::gate::GateHolder;
use crate::breaker::settle::{AtOnce, Settle};
use crate::breaker::timed::Timed;
use crate::integrations::tower::future::{BreakerFuture, Refuse, Stage};
use crate::integrations::tower::guarding::{Guarding, Sleep};
use crate::terms::rejected::Rejected;

/// A service behind a breaker; see [`BreakerLayer`](crate::tower::BreakerLayer).
///
/// If it is called without having been asked whether it is ready, it rejects with
/// [`RejectReason::Unready`](crate::RejectReason::Unready). A clone shares the breaker, and must be asked itself.
pub struct BreakerService<I, G, S = AtOnce, R = ()> {
    pub(super) inner: I,
    pub(super) guard: Guarding<G, S, R>,
    pub(super) turn: Turn,
}

impl<I: Clone, G: Clone, S: Clone, R: Clone> Clone for BreakerService<I, G, S, R> {
    fn clone(&self) -> Self {
        // A promise of this service, and what its inner service has reserved, do not hold for the clone.
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

    /// Sleeps until it is worth looking again. It is ready at once if the service does not wait, or if waiting does not
    /// help.
    fn poll_wait(&mut self, rejected: &Rejected, context: &mut Context<'_>) -> Poll<()> {
        let (Some(sleep), Some(time)) = (&self.guard.sleep, rejected.retry_in()) else { return Poll::Ready(()) };
        let mut sleeping = match core::mem::replace(&mut self.turn, Turn::Unasked) {
            Turn::Waiting(sleeping) => sleeping,
            _ => sleep(time.min(RECHECK_EVERY)),
        };
        match sleeping.as_mut().poll(context) {
            Poll::Pending => self.turn = Turn::Waiting(sleeping),
            // The sleep is over and the circuit still rejects: look again, but let other tasks run first. Otherwise a
            // `sleep` that returns at once would block them.
            Poll::Ready(()) => context.waker().wake_by_ref(),
        }
        Poll::Pending
    }

    /// `poll_ready` while the circuit would reject a call.
    #[inline(never)]
    fn poll_refused<E>(&mut self, rejected: Rejected, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        // A caller that was told "ready" has been promised an answer, so it does not wait.
        if matches!(self.turn, Turn::Unasked | Turn::Waiting(_)) {
            ready!(self.poll_wait(&rejected, context));
        }
        self.turn = Turn::Refused(rejected);
        Poll::Ready(Ok(()))
    }

    /// Settles an error of the inner service's `poll_ready`. Returns the result of this service's own.
    #[cold]
    fn fail<Q, T>(&mut self, error: I::Error) -> Result<(), R::Error>
    where
        I: Service<Q>,
        G: GateHolder + Clone,
        S: Settle<G::Permit, Result<I::Response, I::Error>, Output = Result<T, I::Error>>,
        R: Refuse<T, I::Error>,
    {
        self.turn = Turn::Unasked;
        // Asked only now: if the permit were taken before inner is polled, each poll of a healthy inner would hold a permit
        // and notify the observer.
        let result = match self.guard.gate.clone().enter() {
            Ok(permit) => self.guard.settle.settle(permit, Err(error)),
            Err(_) => Err(error),
        };
        // A response that `settle` made of the error belongs to no call. The next call is rejected, since the turn is
        // `Unasked`.
        result.map_or_else(|error| Err(R::pass(error)), |_| Ok(()))
    }

    /// The rejection of a call that the inner service has not been asked for.
    #[inline(never)]
    fn refuse(&mut self) -> Rejected
    where
        G: GateHolder,
    {
        let rejected = match core::mem::replace(&mut self.turn, Turn::Unasked) {
            Turn::Refused(rejected) => rejected,
            _ => Rejected::UNREADY,
        };
        // `enter` was not called, so the observer has not been notified.
        self.guard.gate.notify_rejected(rejected.reason());
        rejected
    }

    /// Sets the turn on a healthy path. If the service was asleep, the sleep is dropped, out of line.
    #[inline(always)]
    fn set_turn(&mut self, turn: Turn) {
        if let Turn::Waiting(sleeping) = core::mem::replace(&mut self.turn, turn) {
            end_sleep(sleeping);
        }
    }
}

#[cold]
fn end_sleep(sleeping: Sleep) {
    drop(sleeping);
}

impl<Q, I, T, G, S, R> Service<Q> for BreakerService<I, G, S, R>
where
    I: Service<Q>,
    G: GateHolder + Clone,
    S: Settle<G::Permit, Result<I::Response, I::Error>, Output = Result<T, I::Error>> + Clone,
    R: Refuse<T, I::Error> + Clone,
{
    type Response = T;
    type Error = R::Error;
    type Future = BreakerFuture<I::Future, G::Permit, S, R>;

    // Inlined, here and below: a result that goes through memory costs the caller more than all other work of a healthy
    // call. It is written in parts and read as a whole, which must wait until the parts have reached the cache.
    #[inline(always)]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if let Err(rejected) = self.guard.gate.look() {
            return self.poll_refused(rejected, context);
        }
        match self.inner.poll_ready(context) {
            Poll::Ready(Ok(())) => {
                self.set_turn(Turn::Ready);
                Poll::Ready(Ok(()))
            }
            // The promise of a rejection stands, even though the circuit would admit a call now.
            Poll::Pending if matches!(self.turn, Turn::Refused(_)) => Poll::Ready(Ok(())),
            Poll::Pending => {
                self.set_turn(Turn::Unasked);
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(self.fail::<Q, _>(error)),
        }
    }

    #[inline(always)]
    fn call(&mut self, request: Q) -> Self::Future {
        // The turn is compared before it is taken: `poll_ready` has just written one word of it, and reading the whole
        // turn right after that costs as much as the call.
        let rejected = if matches!(self.turn, Turn::Ready) {
            self.turn = Turn::Unasked;
            match self.guard.gate.clone().enter() {
                Ok(permit) => {
                    let permit = Timed::start(permit);
                    // If inner panics, the permit is dropped in unwinding, which counts as a failure.
                    let inner = self.inner.call(request);
                    let settle = self.guard.settle.clone();
                    return BreakerFuture { state: Stage::Called { inner, permit: Some(permit), settle } };
                }
                Err(rejected) => rejected,
            }
        } else {
            self.refuse()
        };
        BreakerFuture { state: Stage::Rejected { rejected: Some((rejected, self.guard.refuse.clone())) } }
    }
}

impl<I: fmt::Debug, G, S, R> fmt::Debug for BreakerService<I, G, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The longest time that a waiting service sleeps before it looks again, since a reset may close the circuit sooner.
const RECHECK_EVERY: Duration = Duration::from_secs(1);

/// What this service has promised since its last call. See the table above.
pub(super) enum Turn {
    /// Nothing: neither this service nor the inner one has said that it is ready.
    Unasked,
    /// Nothing, and this service sleeps until it is worth looking again.
    Waiting(Sleep),
    /// A call: this service has said that it is ready, and so has the inner one.
    Ready,
    /// A rejection: this service has said that it is ready, and the inner one may be ready or not.
    Refused(Rejected),
}
