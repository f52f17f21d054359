//! Leave to make one call.

use core::fmt;
use core::time::Duration;

use crate::breaker::holder::Holder;
use crate::breaker::ticket::Ticket;
use crate::terms::event::Effect;
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};

/// Leave to make one call, and the duty to say how it went: exactly once, by value.
///
/// **Dropped without a report it is cancelled**: neutral, and a probe's slot is given back. Two kinds of drop count as
/// failures instead: one while a panic unwinds that began after the permit was given (feature `std`), and one after
/// the call has outlived the slow limit without an [answer](Self::answered), for that is what a caller's own timeout
/// around a hanging peer looks like. So a permit can be held across `await` points: a dropped future loses nothing.
///
/// A report counts if the permit's generation is still the present one; else it is [`Stale`](Effect::Stale) and
/// changes nothing. `mem::forget` on a probe's permit loses its slot until the [lease](crate::Config::lease) is over.
#[must_use = "report how the call went; dropping the permit cancels it"]
pub struct Permit<H: Holder> {
    pub(super) holder: H,
    pub(super) ticket: Ticket,
    pub(super) reported: bool,
}

impl<H: Holder> Permit<H> {
    /// The call worked. Slow as well, if it took longer than a configured limit since the permit was given.
    #[inline(always)]
    pub fn success(self) -> Effect {
        self.record(Outcome::Success)
    }

    /// The call failed.
    #[inline(always)]
    pub fn failure(self) -> Effect {
        self.record(Outcome::Failure(FailureKind::Other))
    }

    /// The peer answered, which says nothing about its health: good for a probe, neutral for the window.
    pub fn alive(self) -> Effect {
        self.record(Outcome::Alive)
    }

    /// The call says nothing about the peer: neutral, a probe's slot is given back.
    pub fn ignore(self) -> Effect {
        self.record(Outcome::Ignored)
    }

    /// The peer said when to come back: opens the circuit for `time`, at least a tick, at most
    /// [`Config::hold_at_most`](crate::Config::hold_at_most). While open it only lengthens, and counts even from a stale permit; a stale one that
    /// finds the circuit closed or half-open again is dropped.
    pub fn hold(self, time: Duration) -> Effect {
        self.record(Outcome::Hold(time))
    }

    /// Do not ask again until somebody [resets](crate::Breaker::reset) the breaker. Stale permits: as for a hold.
    pub fn latch(self) -> Effect {
        self.record(Outcome::Latch)
    }

    /// Reports any outcome.
    #[inline(always)]
    pub fn record(mut self, outcome: Outcome) -> Effect {
        self.reported = true;
        // The two ordinary outcomes have paths of their own; the choice is made at compile time where it can be.
        match outcome {
            Outcome::Success => self.holder.breaker().settle_success(self.ticket),
            Outcome::Failure(FailureKind::Other) => self.holder.breaker().settle_failure(self.ticket),
            outcome => self.holder.breaker().settle(self.ticket, outcome, None),
        }
    }

    /// Reports an outcome with the caller's own measure of how long the call took; the breaker's is not used. Its observer
    /// is [told](Observer::on_elapsed) the time too.
    #[inline]
    pub fn record_elapsed(mut self, outcome: Outcome, elapsed: Duration) -> Effect {
        self.holder.breaker().observer.on_elapsed(elapsed);
        self.reported = true;
        self.holder.breaker().settle(self.ticket, outcome, Some(elapsed))
    }

    /// Says that the answer has begun, and more of it will follow (a stream): the slow limit is held against the time up to
    /// now, whenever the report comes, and dropping the permit no longer counts as a failure by it. The first time
    /// counts. Reads the clock where there is a slow limit, else it does nothing.
    ///
    /// ```
    /// use core::time::Duration;
    /// use microbreaker::metrics::Counters;
    /// use microbreaker::{Breaker, Config, ManualClock, Streak};
    ///
    /// let limit = Duration::from_secs(1);
    /// let breaker: Breaker<Streak, _, _> =
    ///     Breaker::observed(Config::streak(5).slow_after(limit), ManualClock::new(), <Counters>::new("feed"));
    /// let mut permit = breaker.acquire().unwrap();
    /// permit.answered();
    /// breaker.clock().advance(100 * limit); // the rest of the answer
    /// permit.success();
    /// assert_eq!((breaker.observer().counts().success, breaker.observer().counts().slow), (1, 0));
    /// ```
    pub fn answered(&mut self) {
        if self.ticket.awaits_answer() {
            self.ticket = self.ticket.answered_after(self.holder.breaker().took(self.ticket.start));
        }
    }

    /// The degradation level when the permit was given: 0 healthy, 1 to 3 at a quarter, half and three quarters of the
    /// way to the trip point. Shed optional work by it. Always 0 unless [`Config::levels`](crate::Config::levels) is on.
    #[inline]
    pub fn level(&self) -> u8 {
        if self.is_probe() { 0 } else { self.ticket.word.kept_level() }
    }

    /// Whether this is a half-open probe.
    #[inline]
    pub fn is_probe(&self) -> bool {
        self.ticket.is_probe()
    }

    /// The generation it was given in, which is that of the [`Event`](crate::Event) it began with: its report counts while that lasts.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.ticket.word.generation().number()
    }

    /// Whether its report counts at all: not while disabled, and not if it would have been rejected but for shadow.
    #[inline]
    pub fn is_counted(&self) -> bool {
        !self.ticket.is_uncounted()
    }
}

impl<H: Holder> Drop for Permit<H> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.reported {
            self.holder.breaker().abandon(self.ticket);
        }
    }
}

impl<H: Holder> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("generation", &self.generation())
            .field("level", &self.level())
            .field("is_probe", &self.is_probe())
            .field("is_counted", &self.is_counted())
            .finish_non_exhaustive()
    }
}
