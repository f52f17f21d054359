//! `tower`: a layer that puts a breaker in front of a service.
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
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::breaker::Breaker;
use crate::breaker::gate::Holder;
use crate::breaker::settle::{AtOnce, Settle};
use crate::breaker::timed::Timed;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::outcome::AnyError;
use crate::terms::rejected::{Error, RejectReason, Rejected};

/// A [`tower::Layer`](Layer) that puts a breaker in front of a service: every service it makes, and every clone of one,
/// shares that breaker.
///
/// While the circuit is open the service is ready (so that nothing queues up, and a buffer lives on), the inner service is
/// left alone, and a call fails with [`Error::Rejected`], which says when to come back. An admitted call's
/// [`Permit`](crate::Permit) is in its future: dropped with it, it is cancelled. The layer allocates nothing per call.
///
/// ```
/// use microbreaker::{Breaker, BreakerLayer, CoarseClock, Config, CountWindow, Error, count_words};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static UPSTREAM: Breaker<CountWindow<{ count_words(100, false) }>, CoarseClock> =
///     Breaker::new(Config::upstream(), CoarseClock);
///
/// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
/// # let test = core::pin::pin!(async {
/// let service = ServiceBuilder::new()
///     .layer(BreakerLayer::new(&UPSTREAM))
///     .service(service_fn(|path: &'static str| async move { path.parse::<u8>() }));
/// assert_eq!(service.clone().oneshot("7").await, Ok(7));
///
/// UPSTREAM.force_open();
/// assert!(matches!(service.oneshot("7").await, Err(Error::Rejected(_))));
/// # });
/// # assert!(core::future::Future::poll(test, &mut context).is_ready());
/// ```
///
/// # Where it goes
///
/// Outside of what belongs to the call (a timeout, so that a call that hangs is seen to fail) and inside of what is not the
/// peer's doing (a buffer, a rate or concurrency limit, a retry, which then asks anew each time). A timeout outside is
/// seen only if [`Config::slow_after`](crate::Config::slow_after) is set to less. One outside of another breaker must
/// [ignore](crate::Outcome::Ignored) the rejections of that one, or it counts them as failures.
///
/// Routes of axum cannot fail: [`classify`](Self::classify) by the response and [`answer`](Self::answer) with one. Where a
/// boxed error is wanted, as by a connector of reqwest, a `map_err(Error::into_boxed)` goes outside of it.
///
/// # What an inner service's readiness counts as
///
/// An error of its `poll_ready` (a connection that cannot be made) is the peer's failure: it is settled like the error of a
/// call, if the circuit admits a call just then, as a probe if it is half-open, and is passed on unchanged either way. A
/// service that never becomes ready is not seen: put a time limit on its connecting. Nor does a service that is only asked
/// take a probe: of a circuit that is due to be half-open as many connect as are asked, and then as many are called as there
/// are probes.
///
/// While the circuit is open an inner service that had said it is ready keeps what it reserved for a call (a place in a
/// concurrency limit) until this clone's next admitted call, or until it is dropped.
#[derive(Clone)]
pub struct BreakerLayer<H, S = AtOnce, R = ()> {
    guard: Guarding<H, S, R>,
}

impl<H: Holder> BreakerLayer<H> {
    /// Around the breaker that `holder` refers to: a `&'static`, or an `Arc` (whose count each call then writes to). `Ok` is
    /// a success, `Err` a failure.
    pub const fn new(holder: H) -> Self {
        Self { guard: Guarding { holder, settle: AtOnce(AnyError), refuse: (), sleep: None } }
    }
}

impl<H, S, R> BreakerLayer<H, S, R> {
    /// Lets `classify` (a [`Classify`](crate::Classify), or a `Fn(&Result<Response, Error>) -> Outcome`) say what a
    /// result means. It is cloned per call.
    ///
    /// `HttpStatus` (feature `http`) classifies every `http::Response`. A response of another type, as reqwest's, takes a
    /// function that calls `HttpStatus::of` with its status and headers. A closure needs its argument's type written out, as
    /// far as it looks at it: `|result: &Result<Response, _>|`.
    ///
    /// ```
    /// use microbreaker::{Breaker, BreakerLayer, Config, FailureKind, Outcome, StdClock, Streak};
    ///
    /// static PEER: Breaker<Streak, StdClock> = Breaker::new(Config::streak(5), StdClock::new());
    ///
    /// fn by_status(response: &Result<u16, &'static str>) -> Outcome {
    ///     match response {
    ///         Ok(500..) => Outcome::Failure(FailureKind::Server),
    ///         Ok(400..) => Outcome::Alive, // the client's own fault
    ///         Ok(_) => Outcome::Success,
    ///         Err(_) => Outcome::Failure(FailureKind::Reset),
    ///     }
    /// }
    ///
    /// let layer = BreakerLayer::new(&PEER).classify(by_status);
    /// # let service = tower::Layer::layer(&layer, tower::service_fn(async |(): ()| Ok::<_, &str>(204)));
    /// # drop(tower::ServiceExt::oneshot(service, ()));
    /// ```
    #[must_use]
    pub fn classify<K>(self, classify: K) -> BreakerLayer<H, AtOnce<K>, R> {
        self.settle(AtOnce(classify))
    }

    /// Lets `settle` have the permit when there is a result, and answer in its place: for results that are not over when
    /// they are there, as a body that streams.
    ///
    /// It must leave an error an error. A response that it makes of one of `poll_ready` has no call to go to: that call is
    /// [rejected](RejectReason::Unready).
    #[must_use]
    pub fn settle<S2>(self, settle: S2) -> BreakerLayer<H, S2, R> {
        let Guarding { holder, refuse, sleep, .. } = self.guard;
        BreakerLayer { guard: Guarding { holder, settle, refuse, sleep } }
    }

    /// Answers rejected calls with `answer(rejected)` in place of an error: for services that must not fail, as routes. The
    /// error is then the inner service's own.
    ///
    /// Such a service answers its failures as well: without [`classify`](Self::classify), every answer is a success, a 500
    /// too. Where bodies carry the permit (`AtEnd`, feature `http`), an answer's body belongs to no call:
    /// `response.map(GuardedBody::unguarded)`.
    ///
    /// ```
    /// use microbreaker::{Breaker, BreakerLayer, Config, Rejected, StdClock, Streak};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// static PEER: Breaker<Streak, StdClock> = Breaker::new(Config::streak(5), StdClock::new());
    ///
    /// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    /// # let test = core::pin::pin!(async {
    /// let layer = BreakerLayer::new(&PEER).answer(|rejected: Rejected| match rejected.retry_in() {
    ///     Some(time) => format!("503, Retry-After: {}", time.as_millis().div_ceil(1000)),
    ///     None => "503".into(),
    /// });
    /// let service = layer.layer(service_fn(async |(): ()| Ok::<_, std::convert::Infallible>("200".to_string())));
    /// PEER.latch();
    /// assert_eq!(service.oneshot(()).await, Ok("503".into()));
    /// # });
    /// # assert!(core::future::Future::poll(test, &mut context).is_ready());
    /// ```
    #[must_use]
    pub fn answer<T, F: Fn(Rejected) -> T>(self, answer: F) -> BreakerLayer<H, S, F> {
        let Guarding { holder, settle, sleep, .. } = self.guard;
        BreakerLayer { guard: Guarding { holder, settle, refuse: answer, sleep } }
    }

    /// Back-pressure: while the circuit is open the service is not ready, in place of failing calls. `sleep` is the
    /// runtime's own (`tokio::time::sleep`).
    ///
    /// It sleeps for as long as the circuit stays open, but looks once a second, for a reset may close it sooner. Waiting
    /// takes no place: of those that wake up together as many are admitted as there are probes, or as a ramp's share lets
    /// through, and the rest get a rejection from their call. If time alone does not help (latched, forced open) calls
    /// fail as without this.
    ///
    /// A sleep is boxed; nothing else allocates.
    #[must_use]
    pub fn wait<F, A>(mut self, sleep: F) -> Self
    where
        F: Fn(Duration) -> A + Send + Sync + 'static,
        A: Future + Send + Sync + 'static,
    {
        self.guard.sleep = Some(Arc::new(move |time| {
            let sleep = sleep(time);
            Box::pin(async {
                sleep.await;
            })
        }));
        self
    }
}

impl<I, H: Clone, S: Clone, R: Clone> Layer<I> for BreakerLayer<H, S, R> {
    type Service = BreakerService<I, H, S, R>;

    fn layer(&self, inner: I) -> Self::Service {
        BreakerService { inner, guard: self.guard.clone(), turn: Turn::Unasked }
    }
}

/// A service behind a breaker; see [`BreakerLayer`].
///
/// Called without having been asked whether it is ready, it rejects with [`RejectReason::Unready`]. A clone shares the
/// breaker, and must be asked itself.
pub struct BreakerService<I, H, S = AtOnce, R = ()> {
    inner: I,
    guard: Guarding<H, S, R>,
    turn: Turn,
}

impl<I: Clone, H: Clone, S: Clone, R: Clone> Clone for BreakerService<I, H, S, R> {
    fn clone(&self) -> Self {
        // What was said to this one, and what its inner service reserved, is not the clone's.
        Self { inner: self.inner.clone(), guard: self.guard.clone(), turn: Turn::Unasked }
    }
}

impl<I, H, S, R> BreakerService<I, H, S, R> {
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
            _ => sleep(time.min(LOOK)),
        };
        match sleeping.as_mut().poll(context) {
            Poll::Pending => self.turn = Turn::Waiting(sleeping),
            // Slept, and it is still open: look again, but let others run first, lest a sleep that never sleeps hang them.
            Poll::Ready(()) => context.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl<Q, I, T, H, W, C, O, S, R> Service<Q> for BreakerService<I, H, S, R>
where
    I: Service<Q>,
    H: Deref<Target = Breaker<W, C, O>> + Clone,
    W: Window,
    C: Clock,
    O: Observer,
    S: Settle<H, Result<I::Response, I::Error>, Output = Result<T, I::Error>> + Clone,
    R: Refuse<T, I::Error> + Clone,
{
    type Response = T;
    type Error = R::Error;
    type Future = BreakerFuture<I::Future, H, S, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if let Err(rejected) = self.guard.holder.peek() {
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
                let result = match Breaker::acquire_in(self.guard.holder.clone()) {
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
            match Breaker::acquire_in(self.guard.holder.clone()) {
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
                _ => Rejected::new(RejectReason::Unready, Some(0), const { &C::RATE }),
            };
            // The breaker was not asked, so it has not told.
            self.guard.holder.observer().on_reject(rejected.reason());
            rejected
        };
        BreakerFuture { state: Stage::Rejected { rejected: Some((rejected, self.guard.refuse.clone())) } }
    }
}

impl<H, S, R> fmt::Debug for BreakerLayer<H, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("waits", &self.guard.sleep.is_some()).finish_non_exhaustive()
    }
}

impl<I: fmt::Debug, H, S, R> fmt::Debug for BreakerService<I, H, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// A call behind a breaker: the inner service's future with the [`Permit`](crate::Permit) of its call, or a rejection.
    ///
    /// Cancel safety: dropping it drops the permit, after the inner future.
    ///
    /// # Panics
    /// Like most futures, if it is polled again after it was ready.
    #[must_use = "futures do nothing unless polled"]
    pub struct BreakerFuture<F, H, S = AtOnce, R = ()>
    where
        H: Holder,
    {
        #[pin]
        state: Stage<F, H, S, R>,
    }
}

pin_project! {
    #[project = StageNow]
    enum Stage<F, H, S, R>
    where
        H: Holder,
    {
        Called {
            // Dropped first: what it gives back is there before the permit's place is.
            #[pin]
            inner: F,
            permit: Option<Timed<H>>,
            settle: S,
        },
        Rejected {
            rejected: Option<(Rejected, R)>,
        },
    }
}

impl<F, H, S, R, A, T, E> Future for BreakerFuture<F, H, S, R>
where
    F: Future<Output = Result<A, E>>,
    H: Holder,
    S: Settle<H, Result<A, E>, Output = Result<T, E>>,
    R: Refuse<T, E>,
{
    type Output = Result<T, R::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StageNow::Called { inner, permit, settle } => {
                // Held here while inner is polled, so that a panic in it drops it in unwinding, whoever catches that.
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

impl<F, H: Holder, S, R> fmt::Debug for BreakerFuture<F, H, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture")
            .field("admitted", &matches!(self.state, Stage::Called { .. }))
            .finish_non_exhaustive()
    }
}

/// What a rejected call comes to. `()` fails it with [`Error::Rejected`]; a `Fn(Rejected) -> Response` answers it, and the
/// error is the inner service's own. See [`BreakerLayer::answer`].
pub trait Refuse<T, E> {
    /// The service's error.
    type Error;

    /// The result of a call that was not made.
    fn refuse(&self, rejected: Rejected) -> Result<T, Self::Error>;

    /// The inner service's error as the service's.
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

/// What the layer and its services have in common.
#[derive(Clone)]
struct Guarding<H, S, R> {
    holder: H,
    settle: S,
    refuse: R,
    sleep: Option<Arc<dyn Fn(Duration) -> Sleep + Send + Sync>>,
}

/// `Sync`, so that a service stays so.
type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// How long it sleeps at a time.
const LOOK: Duration = Duration::from_secs(1);

/// What was said since the last call. See the top of this file.
enum Turn {
    /// Nothing: neither we nor the inner service said that we are ready.
    Unasked,
    /// The same, and we sleep until it pays to look again.
    Waiting(Sleep),
    /// We are ready, and the inner service is.
    Ready,
    /// We are ready to reject; the inner service may be or not.
    Refused(Rejected),
}
