//! The seam between a breaker and the code that makes calls through it: how that code asks, and how it reports.

use core::ops::Deref;
use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::holder::Holder;
use crate::breaker::permit::Permit;
use crate::clock::{Clock, Ticks};
use crate::machine::window::Window;
use crate::terms::event::Effect;
use crate::terms::observer::Observer;
use crate::terms::outcome::Outcome;
use crate::terms::rejected::{RejectReason, Rejected};

/// Something that admits or rejects calls. The tower layer, [`guarded`](crate::GuardExt::guarded) and `Lazy` take every
/// [reference](GateHolder) to a gate: a `&'static`, an `Arc`, a registry's member.
///
/// A [`Breaker`] is a gate. Implement `Gate` for a type of your own that stands in front of a breaker, such as a limit. Ask
/// the limit first, then the breaker. If the breaker rejects the call, give back what you took from the limit.
///
/// ```
/// use std::ops::Deref;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use microbreaker::{Breaker, Config, Error, Gate, GuardExt, ManualClock, OpenReason, Permit, RejectReason, Rejected};
/// use microbreaker::{Streak, TickRate};
///
/// type Peer = Breaker<Streak, ManualClock>;
///
/// /// At most so many calls in flight, and a breaker behind that.
/// struct Limited {
///     free: AtomicU32,
///     breaker: Peer,
/// }
///
/// static RATE: TickRate = TickRate::new(1, 1);
/// const FULL: Rejected = Rejected::new(RejectReason::Open(OpenReason::Budget), None, &RATE);
///
/// /// A place that was taken. It is given back when the permit that holds it is reported or dropped, and when the breaker
/// /// rejects the call.
/// struct Place<H: Deref<Target = Limited>>(H);
///
/// impl<H: Deref<Target = Limited>> Drop for Place<H> {
///     fn drop(&mut self) {
///         self.0.free.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// impl<H: Deref<Target = Limited>> Deref for Place<H> {
///     type Target = Peer;
///
///     fn deref(&self) -> &Peer {
///         &self.0.breaker
///     }
/// }
///
/// impl Gate for Limited {
///     type Permit<H: Deref<Target = Self>> = Permit<Place<H>>;
///
///     fn enter_in<H: Deref<Target = Self>>(holder: H) -> Result<Permit<Place<H>>, Rejected> {
///         let take = |free: u32| free.checked_sub(1);
///         holder.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| FULL)?;
///         Breaker::acquire_in(Place(holder))
///     }
///
///     fn look(&self) -> Result<(), Rejected> {
///         if self.free.load(Ordering::Relaxed) == 0 { Err(FULL) } else { self.breaker.peek() }
///     }
///
///     fn notify_rejected(&self, reason: RejectReason) {
///         Gate::notify_rejected(&self.breaker, reason);
///     }
/// }
///
/// let breaker = Breaker::new(Config::streak(3), ManualClock::new());
/// let limited = Arc::new(Limited { free: AtomicU32::new(1), breaker });
/// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
/// # let test = core::pin::pin!(async {
/// let inner = Arc::clone(&limited);
/// let outer = async { async { Ok::<_, Error<&str>>(7) }.guarded(inner).await }.guarded(limited.clone()).await;
/// assert!(matches!(outer, Err(Error::Inner(Error::Rejected(FULL)))), "one call was in flight");
/// assert_eq!(async { Ok::<_, &str>(7) }.guarded(limited).await, Ok(7), "its place is free again");
/// # });
/// # assert!(core::future::Future::poll(test, &mut context).is_ready());
/// ```
pub trait Gate: Sized {
    /// The permission to make one call, and the duty to report its outcome. It owns how the gate is held.
    type Permit<H: Deref<Target = Self>>: Report;

    /// Asks to make a call, like [`Breaker::acquire_in`].
    fn enter_in<H: Deref<Target = Self>>(holder: H) -> Result<Self::Permit<H>, Rejected>;

    /// What [`enter_in`](Self::enter_in) would return now. It takes no permit and changes nothing: see [`Breaker::peek`].
    fn look(&self) -> Result<(), Rejected>;

    /// Notifies the observer that the caller rejected a call because of [`look`](Self::look), without asking `enter_in`.
    fn notify_rejected(&self, reason: RejectReason);
}

/// A reference to a [`Gate`], of any kind: `&`, `&'static`, `Arc` and everything else that derefs to one. Integrations take
/// it. It is sealed: every such reference implements it, and nothing else can.
///
/// A reference to an `Arc` is none: write `&*arc`, or clone the `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&*arc`, `Arc::clone(&arc)` or `&'static`",
    note = "it must deref to a `Breaker`, or to a type of yours that implements `Gate`"
)]
pub trait GateHolder: Sized {
    /// The permission to make one call.
    type Permit: Report;

    /// See [`Gate::enter_in`].
    fn enter(self) -> Result<Self::Permit, Rejected>;

    /// See [`Gate::look`].
    fn look(&self) -> Result<(), Rejected>;

    /// See [`Gate::notify_rejected`].
    fn notify_rejected(&self, reason: RejectReason);
}

#[diagnostic::do_not_recommend]
impl<H> GateHolder for H
where
    H: Deref,
    H::Target: Gate,
{
    type Permit = <H::Target as Gate>::Permit<H>;

    #[inline(always)]
    fn enter(self) -> Result<Self::Permit, Rejected> {
        H::Target::enter_in(self)
    }

    #[inline(always)]
    fn look(&self) -> Result<(), Rejected> {
        (**self).look()
    }

    fn notify_rejected(&self, reason: RejectReason) {
        (**self).notify_rejected(reason);
    }
}

impl<W: Window, C: Clock, O: Observer> Gate for Breaker<W, C, O> {
    type Permit<H: Deref<Target = Self>> = Permit<H>;

    #[inline(always)]
    fn enter_in<H: Deref<Target = Self>>(holder: H) -> Result<Permit<H>, Rejected> {
        Self::acquire_in(holder)
    }

    #[inline]
    fn look(&self) -> Result<(), Rejected> {
        self.peek()
    }

    fn notify_rejected(&self, reason: RejectReason) {
        self.observer.on_reject(reason);
    }
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

    /// The degradation level when the permit was given: see [`Permit::level`].
    fn level(&self) -> u8;

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

    #[inline]
    fn level(&self) -> u8 {
        Self::level(self)
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
