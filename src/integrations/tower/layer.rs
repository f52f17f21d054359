//! A layer that puts a breaker in front of a service.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;

use tower_layer::Layer;

use crate::breaker::gate::Gate;
use crate::breaker::settle::AtOnce;
use crate::integrations::tower::guarding::Guarding;
use crate::integrations::tower::service::{BreakerService, Turn};
use crate::terms::outcome::AnyError;
use crate::terms::rejected::Rejected;

/// A [`tower::Layer`](Layer) that puts a breaker in front of a service: every service it makes, and every clone of one,
/// shares that breaker.
///
/// While the circuit is open the service is ready (so that nothing queues up, and a buffer lives on), the inner service is
/// left alone, and a call fails with [`Error::Rejected`](crate::Error::Rejected), which says when to come back. An admitted call's
/// [`Permit`](crate::Permit) is in its future: dropped with it, it is cancelled. The layer allocates nothing per call.
///
/// ```
/// use microbreaker::tower::BreakerLayer;
/// use microbreaker::{Breaker, CoarseClock, Config, CountWindow, Error, count_words};
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
pub struct BreakerLayer<G, S = AtOnce, R = ()> {
    guard: Guarding<G, S, R>,
}

impl<G: Gate> BreakerLayer<G> {
    /// Around a [gate](Gate), as a rule a breaker by `&'static`, or by an `Arc` (whose count each call then writes to). `Ok` is
    /// a success, `Err` a failure.
    pub const fn new(gate: G) -> Self {
        Self { guard: Guarding { gate, settle: AtOnce(AnyError), refuse: (), sleep: None } }
    }
}

impl<G, S, R> BreakerLayer<G, S, R> {
    /// Lets `classify` (a [`Classify`](crate::Classify), or a `Fn(&Result<Response, Error>) -> Outcome`) say what a
    /// result means. It is cloned per call.
    ///
    /// `HttpStatus` (feature `http`) classifies every `http::Response`. A response of another type, as reqwest's, takes a
    /// function that calls `HttpStatus::of` with its status and headers. A closure needs its argument's type written out, as
    /// far as it looks at it: `|result: &Result<Response, _>|`.
    ///
    /// ```
    /// use microbreaker::tower::BreakerLayer;
    /// use microbreaker::{Breaker, Config, FailureKind, Outcome, StdClock, Streak};
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
    pub fn classify<K>(self, classify: K) -> BreakerLayer<G, AtOnce<K>, R> {
        self.settle(AtOnce(classify))
    }

    /// Lets `settle` have the permit when there is a result, and answer in its place: for results that are not over when
    /// they are there, as a body that streams.
    ///
    /// It must leave an error an error. A response that it makes of one of `poll_ready` has no call to go to: that call is
    /// [rejected](crate::RejectReason::Unready).
    #[must_use]
    pub fn settle<S2>(self, settle: S2) -> BreakerLayer<G, S2, R> {
        let Guarding { gate, refuse, sleep, .. } = self.guard;
        BreakerLayer { guard: Guarding { gate, settle, refuse, sleep } }
    }

    /// Answers rejected calls with `answer(rejected)` in place of an error: for services that must not fail, as routes. The
    /// error is then the inner service's own.
    ///
    /// Such a service answers its failures as well: without [`classify`](Self::classify), every answer is a success, a 500
    /// too. Where bodies carry the permit (`AtEnd`, feature `http`), an answer's body belongs to no call:
    /// `response.map(GuardedBody::unguarded)`.
    ///
    /// ```
    /// use microbreaker::tower::BreakerLayer;
    /// use microbreaker::{Breaker, Config, Rejected, StdClock, Streak};
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
    pub fn answer<T, F: Fn(Rejected) -> T>(self, answer: F) -> BreakerLayer<G, S, F> {
        let Guarding { gate, settle, sleep, .. } = self.guard;
        BreakerLayer { guard: Guarding { gate, settle, refuse: answer, sleep } }
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

impl<I, G: Clone, S: Clone, R: Clone> Layer<I> for BreakerLayer<G, S, R> {
    type Service = BreakerService<I, G, S, R>;

    fn layer(&self, inner: I) -> Self::Service {
        BreakerService { inner, guard: self.guard.clone(), turn: Turn::Unasked }
    }
}

impl<G, S, R> fmt::Debug for BreakerLayer<G, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("waits", &self.guard.sleep.is_some()).finish_non_exhaustive()
    }
}
