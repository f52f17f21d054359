//! The seam between a breaker and the code that makes calls through it: how that code asks, and how it reports.

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

/// Something that admits or rejects calls. The tower layer, [`guarded`](crate::GuardExt::guarded) and `Lazy` ask a gate
/// before each call.
///
/// Every [`Holder`] of a breaker is a gate: a `&'static`, an `Arc`, a registry's member. Implement `Gate` for anything
/// that you put in front of a breaker, such as a limit of your own. Ask the limit first, then the breaker. If the
/// breaker rejects the call, give back what you took from the limit.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use microbreaker::{Breaker, Config, Error, Gate, GuardExt, ManualClock, OpenReason, Permit, RejectReason, Rejected};
/// use microbreaker::{Streak, TickRate};
///
/// type Peer = Breaker<Streak, ManualClock>;
///
/// /// A breaker with so many calls left.
/// struct Limited {
///     left: AtomicU32,
///     breaker: Peer,
/// }
///
/// static RATE: TickRate = TickRate::new(1, 1);
/// const USED_UP: Rejected = Rejected::new(RejectReason::Open(OpenReason::Budget), None, &RATE);
///
/// impl<'a> Gate for &'a Limited {
///     type Permit = Permit<&'a Peer>;
///
///     fn enter(self) -> Result<Self::Permit, Rejected> {
///         let take = |left: u32| left.checked_sub(1);
///         self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| USED_UP)?;
///         self.breaker.acquire().inspect_err(|_| {
///             self.left.fetch_add(1, Ordering::Relaxed); // not used after all
///         })
///     }
///
///     fn look(&self) -> Result<(), Rejected> {
///         if self.left.load(Ordering::Relaxed) == 0 { Err(USED_UP) } else { self.breaker.peek() }
///     }
///
///     fn notify_rejected(&self, _: RejectReason) {} // nobody observes it
/// }
///
/// let limited = Limited { left: AtomicU32::new(10), breaker: Breaker::new(Config::streak(3), ManualClock::new()) };
/// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
/// # let test = core::pin::pin!(async {
/// for _ in 0..10 {
///     assert_eq!(async { Ok::<_, &str>(7) }.guarded(&limited).await, Ok(7));
/// }
/// assert_eq!(async { Ok::<_, &str>(7) }.guarded(&limited).await, Err(Error::Rejected(USED_UP)));
/// # });
/// # assert!(core::future::Future::poll(test, &mut context).is_ready());
/// ```
///
/// If a limit is to get its place back when the call ends, let a permit of your own hold both, and implement [`Report`] for
/// it by passing each method on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&'static` or `Arc`",
    note = "a gate is anything that derefs to a `Breaker`, or a type of yours that implements `Gate`"
)]
pub trait Gate: Sized {
    /// The permission to make one call, and the duty to report its outcome.
    type Permit: Report;

    /// Asks to make a call, like [`Breaker::acquire_in`].
    fn enter(self) -> Result<Self::Permit, Rejected>;

    /// What [`enter`](Self::enter) would return now. It takes no permit and changes nothing: see [`Breaker::peek`].
    fn look(&self) -> Result<(), Rejected>;

    /// Notifies the observer that the caller rejected a call because of [`look`](Self::look), without asking `enter`.
    fn notify_rejected(&self, reason: RejectReason);
}

/// A permit, as integrations need it. [`Permit`] implements it, and so should every type that carries a permit.
///
/// A permit that is dropped without a report must count as [cancelled](Permit), and a probe's slot must be given back.
pub trait Report: Sized {
    /// Reports how the call went: see [`Permit::record`].
    fn record(self, outcome: Outcome) -> Effect;

    /// Marks that the answer has begun: see [`Permit::answered`].
    fn answered(&mut self);

    /// Whether this is a half-open probe.
    fn is_probe(&self) -> bool;

    /// Whether the observer wants to know how long the call takes.
    fn times_calls(&self) -> bool;

    /// Notifies the observer of the time that the call took, as the code that made the call measured it.
    fn notify_elapsed(&self, elapsed: Duration);

    /// A reading of the breaker's clock.
    fn now(&self) -> Ticks;

    /// Whether more than `time` has passed since the reading `since`. Always `false` if `time` is past the
    /// [horizon](crate::HORIZON).
    fn has_outlasted(&self, since: Ticks, time: Duration) -> bool;

    /// For a probe: whether more than half of the [lease](crate::Config::lease) is over.
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
