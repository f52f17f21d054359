//! Calls made through a breaker: a closure, a future, a future in place.

use core::future::Future;

use crate::breaker::Breaker;
use crate::breaker::gate::{GateHolder, Report};
use crate::breaker::timed::Timed;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::outcome::{AnyError, Classify};
use crate::terms::rejected::Error;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Makes a call if the circuit admits it, and reports its result: `Ok` as a success, `Err` as a failure.
    ///
    /// A panic in the call passes through and counts as a failure (feature `std`).
    ///
    /// ```
    /// use microbreaker::{Breaker, Config, Error, ManualClock, Streak};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    /// assert_eq!(breaker.call(|| "7".parse::<u8>()), Ok(7));
    /// assert!(matches!(breaker.call(|| "seven".parse::<u8>()), Err(Error::Inner(_))));
    /// assert!(matches!(breaker.call(|| "7".parse::<u8>()), Err(Error::Rejected(_))));
    /// ```
    #[inline(always)]
    pub fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, Error<E>> {
        self.call_with(&AnyError, call)
    }

    /// [`call`](Self::call), with a classifier that decides what a result means.
    #[inline(always)]
    pub fn call_with<T, E>(
        &self,
        classify: &impl Classify<Result<T, E>>,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, Error<E>> {
        let permit = Timed::start(self.acquire()?);
        let result = call();
        permit.stop().record(classify.classify(&result));
        result.map_err(Error::Inner)
    }

    /// [`call`](Self::call), with a fallback that gives the result when the call is rejected or fails.
    ///
    /// ```
    /// use microbreaker::{Breaker, Config, ManualClock, Streak};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    /// breaker.latch();
    /// assert_eq!(breaker.call_or(|| Ok::<_, ()>("fresh"), |_| "cached"), "cached");
    /// ```
    #[inline]
    pub fn call_or<T, E>(&self, call: impl FnOnce() -> Result<T, E>, fallback: impl FnOnce(Error<E>) -> T) -> T {
        self.call(call).unwrap_or_else(fallback)
    }

    /// Makes an asynchronous call if the circuit admits it, and reports its result. `call` runs and makes its future
    /// only if the call is admitted.
    ///
    /// Cancel safety: dropping the future drops the permit, see [`Permit`](crate::Permit). The breaker is not asked
    /// before the first poll. The breaker sees a timeout around the future only if
    /// [`Config::slow_after`](crate::Config::slow_after) is less than that timeout.
    pub async fn call_async<T, E, F>(&self, call: impl FnOnce() -> F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_async_with(&AnyError, call).await
    }

    /// [`call_async`](Self::call_async), with a classifier that decides what a result means.
    pub async fn call_async_with<T, E, F>(
        &self,
        classify: &impl Classify<Result<T, E>>,
        call: impl FnOnce() -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let permit = Timed::start(self.acquire()?);
        let result = call().await;
        permit.stop().record(classify.classify(&result));
        result.map_err(Error::Inner)
    }
}

/// Guards a future where it stands: `request.guarded(&BREAKER).await`.
///
/// ```
/// use std::sync::Arc;
/// use microbreaker::{Breaker, Config, GuardExt, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Streak, &ManualClock> = Breaker::new(Config::modem(), &CLOCK);
///
/// async fn send() -> Result<u8, &'static str> {
///     Ok(1)
/// }
///
/// async fn telemetry() -> Result<u8, microbreaker::Error<&'static str>> {
///     send().guarded(&MODEM).await
/// }
/// # let _ = telemetry();
/// ```
pub trait GuardExt: Future + Sized {
    /// Asks `gate` (`&breaker`, an `Arc`, …) at the first poll, polls this future only if the gate admits the call, and
    /// reports its result: `Ok` as a success, `Err` as a failure.
    ///
    /// Cancel safety: dropping the guarded future drops the permit, see [`Permit`](crate::Permit). The breaker sees a
    /// timeout around the future only if [`Config::slow_after`](crate::Config::slow_after) is less than that timeout:
    /// then the dropped call counts as a failure.
    fn guarded<T, E, G: GateHolder>(self, gate: G) -> impl Future<Output = Result<T, Error<E>>>
    where
        Self: Future<Output = Result<T, E>>,
    {
        self.guarded_with(gate, AnyError)
    }

    /// [`guarded`](Self::guarded), with a classifier that decides what a result means.
    fn guarded_with<T, E, G: GateHolder, K>(self, gate: G, classify: K) -> impl Future<Output = Result<T, Error<E>>>
    where
        Self: Future<Output = Result<T, E>>,
        K: Classify<Result<T, E>>,
    {
        async move {
            let permit = Timed::start(gate.enter()?);
            let result = self.await;
            permit.stop().record(classify.classify(&result));
            result.map_err(Error::Inner)
        }
    }
}

impl<F: Future> GuardExt for F {}
