//! The permission to make one call.

use core::fmt;
use core::time::Duration;

use crate::breaker::holder::Holder;
use crate::breaker::ticket::Ticket;
use crate::terms::event::{Effect, ReportKind};
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};

/// The permission to make one call, and the duty to report its outcome exactly once. The report consumes the permit.
///
/// **A permit that is dropped without a report is cancelled**: the drop is neutral, and a probe's slot is given back.
/// Two kinds of drop count as failures instead:
///
/// - a drop while a panic unwinds that began after the permit was given (feature `std`);
/// - a drop after the call has taken longer than the slow limit without an [answer](Self::answered). This is what a
///   caller's own timeout around a hanging peer looks like.
///
/// So a permit can be held across `await` points: a dropped future loses nothing.
///
/// A report counts if the permit's generation is still the present one. Otherwise it is [`Stale`](Effect::Stale) and
/// changes nothing. If a probe's permit is leaked by `mem::forget`, its slot stays taken until the
/// [lease](crate::Config::lease) is over.
#[must_use = "report how the call went; dropping the permit cancels it"]
pub struct Permit<H: Holder> {
    pub(super) holder: H,
    pub(super) ticket: Ticket,
    pub(super) reported: bool,
}

impl<H: Holder> Permit<H> {
    /// Reports that the call succeeded. It counts as slow as well if more than the configured limit has passed since
    /// the permit was given.
    #[inline(always)]
    pub fn success(self) -> Effect {
        self.record(Outcome::Success)
    }

    /// Reports that the call failed.
    #[inline(always)]
    pub fn failure(self) -> Effect {
        self.record(Outcome::Failure(FailureKind::Other))
    }

    /// Reports that the peer answered, but that the answer says nothing about its health. For a probe this is a
    /// success; the window does not count it.
    #[inline]
    pub fn alive(mut self) -> Effect {
        self.reported = true;
        self.holder.breaker().settle_alive(self.ticket)
    }

    /// Reports that the call tells nothing about the peer. Nothing is counted, and a probe's slot is given back.
    #[inline]
    pub fn ignore(mut self) -> Effect {
        self.reported = true;
        self.holder.breaker().settle_neutral(self.ticket, ReportKind::Ignored)
    }

    /// Reports that the peer said when to come back. It opens the circuit for `time`, at least for one tick and at most
    /// for [`Config::hold_at_most`](crate::Config::hold_at_most).
    ///
    /// If the circuit is open because of failures or slow calls, the longer of the two times is kept, and the reason becomes
    /// Hold. A hold only lengthens a hold, replaces the time of a [layer](crate::OpenReason::is_of_a_layer) even if it is
    /// shorter, and does nothing against a circuit that was opened by hand. While the circuit is open, a hold counts even if
    /// its permit is stale; in every other state a hold on a stale permit changes nothing.
    pub fn hold(mut self, time: Duration) -> Effect {
        self.reported = true;
        self.holder.breaker().settle_hold(self.ticket, time)
    }

    /// Reports that nobody should ask again until somebody [resets](crate::Breaker::reset) the breaker: it latches the
    /// circuit. A latch on a stale permit counts only if the circuit is open, as a [hold](Self::hold) does.
    pub fn latch(mut self) -> Effect {
        self.reported = true;
        self.holder.breaker().settle_latch(self.ticket)
    }

    /// Reports any outcome.
    #[inline(always)]
    pub fn record(mut self, outcome: Outcome) -> Effect {
        self.reported = true;
        // Each outcome has a path of its own. If the outcome is a constant, the compiler chooses the path, and the others are
        // not linked.
        match outcome {
            Outcome::Success => self.holder.breaker().settle_success(self.ticket),
            Outcome::Failure(FailureKind::Other) => self.holder.breaker().settle_failure(self.ticket),
            outcome => self.holder.breaker().settle(self.ticket, outcome, None),
        }
    }

    /// Reports an outcome with the time that the caller measured. The breaker compares this time with the slow limit
    /// instead of its own, and [notifies](Observer::on_elapsed) the observer of it.
    #[inline]
    pub fn record_elapsed(mut self, outcome: Outcome, elapsed: Duration) -> Effect {
        self.holder.breaker().observer.on_elapsed(elapsed);
        self.reported = true;
        self.holder.breaker().settle(self.ticket, outcome, Some(elapsed))
    }

    /// Marks that the answer has begun and that more of it will follow (a stream). From then on the breaker compares
    /// the time up to this mark with the slow limit, whenever the report comes, and a drop of the permit no longer
    /// counts as a failure by that limit. Only the first mark counts. The method reads the clock if there is a slow
    /// limit; otherwise it does nothing.
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

    /// The degradation level when the permit was given: 0 is healthy, 1 to 3 are a quarter, half and three quarters of
    /// the way to the trip point. Use it to shed optional work. It is always 0 unless
    /// [`Config::levels`](crate::Config::levels) is on.
    ///
    /// For a streak the permit keeps the run of failures, and the way is that of the present settings. A run of a streak of more
    /// than 255 has no room in a permit: its level is that of now.
    #[inline]
    pub fn level(&self) -> u8 {
        self.holder.breaker().level_of(self.ticket.closed_word())
    }

    /// Whether this is a half-open probe.
    #[inline]
    pub fn is_probe(&self) -> bool {
        self.ticket.is_probe()
    }

    /// The generation in which the permit was given: that of the [`Event`](crate::Event) that began it, or a later one if the
    /// permit is a probe after one that was cancelled. The permit's report counts while this generation lasts.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.ticket.word.generation().number()
    }

    /// Whether the permit's report counts. It does not count if the breaker was disabled when the permit was given, or if the
    /// call was admitted only because of [shadow](crate::Mode::Shadow) or
    /// [anyway](crate::Breaker::acquire_anyway).
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
