//! A layer that puts a breaker in front of a service.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;

use tower_layer::Layer;

use crate::breaker::gate::GateHolder;
use crate::breaker::settle::AtOnce;
use crate::integrations::tower::guarding::Guarding;
use crate::integrations::tower::service::{BreakerService, Turn};
use crate::terms::outcome::AnyError;
use crate::terms::rejected::Rejected;

/// A [`tower::Layer`](Layer) that puts a breaker in front of a service. All services that a layer makes, and all their
/// clones, share its breaker.
///
/// While the circuit is open, the service is ready, so that no calls queue up and a buffer does not fail. The inner
/// service is not touched, and a call fails with [`Error::Rejected`](crate::Error::Rejected), which says when to ask
/// again. The future of an admitted call holds its [`Permit`](crate::Permit): if the future is dropped, the call counts
/// as cancelled. The layer allocates nothing per call.
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
/// Put the breaker outside of layers that belong to the call itself, such as a timeout: a call that hangs then counts
/// as a failure. Put it inside of layers that are not the peer's doing: a buffer, a rate or concurrency limit, or a
/// retry, which then asks the breaker for each attempt. If a timeout is outside of the breaker, a call that hangs
/// counts only if [`Config::slow_after`](crate::Config::slow_after) is shorter. A breaker outside of another breaker
/// must [ignore](crate::Outcome::Ignored) the rejections of the inner breaker, or it counts them as failures.
///
/// Routes of axum cannot fail: [`classify`](Self::classify) them by the response, and [`answer`](Self::answer) rejected
/// calls with a response. If a caller needs a boxed error, as a connector of reqwest does, put a
/// `map_err(Error::into_boxed)` outside of the breaker.
///
/// # Readiness of the inner service
///
/// If the inner service's `poll_ready` fails (a connection cannot be made), that is a failure of the peer. If the
/// circuit admits a call at that moment (as a probe, if it is half-open), the error is settled like the error of a
/// call. The error is passed on unchanged in any case. An inner service that never becomes ready is not noticed: put a
/// time limit on its connecting. A service that is only asked whether it is ready takes no probe. So when a circuit is
/// due to be half-open, every service that is asked may connect, but only as many calls are made as there are probes.
///
/// If an inner service has said that it is ready and the circuit then opens, the inner service keeps what it reserved
/// for the call (a place in a concurrency limit) until the next admitted call of this clone, or until the clone is
/// dropped.
#[derive(Clone)]
pub struct BreakerLayer<G, S = AtOnce, R = ()> {
    guard: Guarding<G, S, R>,
}

impl<G: GateHolder> BreakerLayer<G> {
    /// A layer with a [gate](crate::Gate). As a rule this is a breaker, held by `&'static` or by an `Arc`. With an `Arc`,
    /// each call writes its count. `Ok` is a success and `Err` a failure.
    pub const fn new(gate: G) -> Self {
        Self { guard: Guarding { gate, settle: AtOnce(AnyError), refuse: (), sleep: None } }
    }
}

impl<G, S, R> BreakerLayer<G, S, R> {
    /// Classifies results by `classify`, which is cloned for each call: a [`Classify`](crate::Classify), or a function
    /// `Fn(&Result<Response, Error>) -> Outcome`.
    ///
    /// `HttpStatus` (feature `http`) classifies every `http::Response`. For a response of another type, such as
    /// reqwest's, write a function that calls `HttpStatus::of` with its status and headers. A closure needs the type of
    /// its argument, except for the parts that it does not use: `|result: &Result<Response, _>|`.
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

    /// Gives `settle` the permit together with the result of a call, and answers the call with what it returns. This is
    /// for results after which the call still goes on, such as a response whose body streams.
    ///
    /// `settle` must not turn an error into a response. If it does so with an error of `poll_ready`, that response
    /// belongs to no call, and the next call is [rejected](crate::RejectReason::Unready).
    #[must_use]
    pub fn settle<S2>(self, settle: S2) -> BreakerLayer<G, S2, R> {
        let Guarding { gate, refuse, sleep, .. } = self.guard;
        BreakerLayer { guard: Guarding { gate, settle, refuse, sleep } }
    }

    /// Answers rejected calls with `answer(rejected)` in place of an error, for services that must not fail, such as
    /// routes. The service's error is then the inner service's own.
    ///
    /// Such an inner service answers its own failures too: without [`classify`](Self::classify) every response is a
    /// success, even a 500. If bodies carry the permit (`AtEnd`, feature `http`), the body of an answer belongs to no
    /// call: give it the same type by `response.map(GuardedBody::unguarded)`.
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

    /// Applies back-pressure: while the circuit is open, the service is not ready, and calls wait instead of failing.
    /// `sleep` is the function of your runtime (`tokio::time::sleep`).
    ///
    /// The service sleeps for as long as the circuit stays open, but looks once a second, since a reset may close it
    /// sooner. A service that waits reserves nothing. Of the services that wake up together, as many calls are admitted
    /// as there are probes, or as a ramp's share lets through, and the other calls are rejected. If time alone does not
    /// help (latched, forced open), calls fail as without this.
    ///
    /// Each sleep is boxed; nothing else allocates.
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
