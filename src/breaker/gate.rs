//! The seam between a breaker and what makes calls through it: how that asks, and how it reports.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::admit::admit_in;
use crate::breaker::holder::Holder;
use crate::breaker::permit::Permit;
use crate::clock::{Clock, Ticks};
use crate::terms::event::Effect;
use crate::terms::observer::Observer;
use crate::terms::outcome::Outcome;
use crate::terms::rejected::{RejectReason, Rejected};

/// Something that admits calls, or rejects them: what the tower layer, [`guarded`](crate::GuardExt::guarded) and `Lazy`
/// ask.
///
/// Every [`Holder`] of a breaker is one: a `&'static`, an `Arc`, a registry's member. Implement it for what stands in front
/// of a breaker, such as a limit of your own: ask that first, then the breaker, and give back what you took if the breaker
/// rejects.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use microbreaker::{Breaker, Config, Error, Gate, GuardExt, ManualClock, RejectReason, Rejected, Streak};
///
/// /// A breaker whose calls are counted.
/// struct Counted {
///     breaker: Breaker<Streak, ManualClock>,
///     calls: AtomicU32,
/// }
///
/// impl<'a> Gate for &'a Counted {
///     type Permit = microbreaker::Permit<&'a Breaker<Streak, ManualClock>>;
///
///     fn enter(self) -> Result<Self::Permit, Rejected> {
///         self.calls.fetch_add(1, Ordering::Relaxed);
///         self.breaker.acquire()
///     }
///
///     fn look(&self) -> Result<(), Rejected> {
///         self.breaker.peek()
///     }
///
///     fn notify_rejected(&self, _: RejectReason) {}
/// }
///
/// let counted = Counted { breaker: Breaker::new(Config::streak(3), ManualClock::new()), calls: AtomicU32::new(0) };
/// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
/// # let test = core::pin::pin!(async {
/// let result: Result<u8, Error<&str>> = async { Ok(7) }.guarded(&counted).await;
/// assert_eq!((result, counted.calls.load(Ordering::Relaxed)), (Ok(7), 1));
/// # });
/// # assert!(core::future::Future::poll(test, &mut context).is_ready());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&'static` or `Arc`",
    note = "a gate is anything that derefs to a `Breaker`, or a type of yours that implements `Gate`"
)]
pub trait Gate: Sized {
    /// Leave to make one call, and the duty to report it.
    type Permit: Report;

    /// Asks to make a call, like [`Breaker::acquire_in`].
    fn enter(self) -> Result<Self::Permit, Rejected>;

    /// What [`enter`](Self::enter) would say now, without asking: see [`Breaker::peek`].
    fn look(&self) -> Result<(), Rejected>;

    /// Tells the observer that a call was rejected by what [`look`](Self::look) said, so that `enter` was never asked.
    fn notify_rejected(&self, reason: RejectReason);
}

/// A permit, as integrations need it: [`Permit`] is one, and so is whatever carries one.
///
/// Dropped without a report it must count as [cancelled](Permit), and a probe's slot must be given back.
pub trait Report: Sized {
    /// Reports how the call went: see [`Permit::record`].
    fn record(self, outcome: Outcome) -> Effect;

    /// Says that the answer has begun: see [`Permit::answered`].
    fn answered(&mut self);

    /// Whether this is a half-open probe.
    fn is_probe(&self) -> bool;

    /// Whether the observer wants to be told how long the call takes.
    fn times_calls(&self) -> bool;

    /// Tells the observer how long the call took, as measured by the maker of the call.
    fn notify_elapsed(&self, elapsed: Duration);

    /// A reading of the breaker's clock.
    fn now(&self) -> Ticks;

    /// Whether more than `time` has passed since a reading. Never, if `time` is past the [horizon](crate::HORIZON).
    fn has_outlasted(&self, since: Ticks, time: Duration) -> bool;

    /// Of a probe: whether more than half of the [lease](crate::Config::lease) is over.
    fn has_outlasted_half_of_its_lease(&self) -> bool;
}

impl<H: Holder> Gate for H {
    type Permit = Permit<H>;

    #[inline(always)]
    fn enter(self) -> Result<Permit<H>, Rejected> {
        admit_in(self)
    }

    #[inline]
    fn look(&self) -> Result<(), Rejected> {
        self.breaker().peek()
    }

    fn notify_rejected(&self, reason: RejectReason) {
        Breaker::notify_rejected(self.breaker(), reason);
    }
}

impl<H: Holder> Report for Permit<H> {
    #[inline(always)]
    fn record(self, outcome: Outcome) -> Effect {
        Self::record(self, outcome)
    }

    fn answered(&mut self) {
        Self::answered(self);
    }

    #[inline]
    fn is_probe(&self) -> bool {
        Self::is_probe(self)
    }

    #[inline(always)]
    fn times_calls(&self) -> bool {
        self.holder.breaker().observer.times_calls()
    }

    fn notify_elapsed(&self, elapsed: Duration) {
        self.holder.breaker().observer.on_elapsed(elapsed);
    }

    fn now(&self) -> Ticks {
        self.holder.breaker().clock.now()
    }

    fn has_outlasted(&self, since: Ticks, time: Duration) -> bool {
        self.holder.breaker().has_outlasted(since, time)
    }

    fn has_outlasted_half_of_its_lease(&self) -> bool {
        self.holder.breaker().has_outlasted_half_of_its_lease()
    }
}
