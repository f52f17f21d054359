//! What becomes of a report on a permit.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::ticket::Ticket;
use crate::clock::{Clock, Ticks};
use crate::machine::control::{ControlWord, Generation, Step};
use crate::machine::scope::Mark;
use crate::machine::window::{FastFailure, Placement, Recorded, Window};
use crate::platform::atomics::panicking;
use crate::terms::event::{CallReport, Effect, ReportKind};
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};
use crate::terms::rejected::RejectReason;
use crate::terms::state::OpenReason;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Reports a success, on the fast path where nothing has changed since the permit was given and all is well.
    #[inline(always)]
    pub(super) fn settle_success(&self, ticket: Ticket) -> Effect {
        // One compare: the same generation, still quiet, and a permit that is (any other's word is no control word).
        // Acquire, partner: the exchange that made it quiet. Its thread had judged what a head of this generation
        // counted; without this a window could glance at an older one, find that clean, and lose the success.
        if self.state.load() == ticket.word && self.window.try_fast(self.scope(ticket.word), ticket.word, true) {
            self.notify(ReportKind::Success, false, Effect::Counted);
            return Effect::Counted;
        }
        self.settle_success_slowly(ticket)
    }

    #[inline(never)]
    fn settle_success_slowly(&self, ticket: Ticket) -> Effect {
        self.settle_result(ticket, ReportKind::Success, false, None)
    }

    #[inline(always)]
    pub(super) fn settle_failure(&self, ticket: Ticket) -> Effect {
        if W::FAILS_FAST {
            return self.settle_failure_fast(ticket);
        }
        self.settle_failure_slowly(ticket)
    }

    #[inline(never)]
    fn settle_failure_fast(&self, ticket: Ticket) -> Effect {
        // Acquire, and the compare: see `settle_success`.
        if self.state.load() != ticket.word {
            return self.settle_failure_slowly(ticket);
        }
        let effect = match self.window.try_fast_failure(self.scope(ticket.word), ticket.word) {
            FastFailure::Nothing => return self.settle_failure_slowly(ticket),
            FastFailure::Counted => Effect::Counted,
            FastFailure::Placed(placement) => self.judge_placed(ticket.word, placement),
        };
        self.notify(ReportKind::Failure(FailureKind::Other), false, effect);
        effect
    }

    #[cold]
    fn judge_placed(&self, word: ControlWord, placement: Placement) -> Effect {
        self.recorded(word, self.window.verdict(self.scope(word), placement))
    }

    #[inline(always)]
    fn settle_failure_slowly(&self, ticket: Ticket) -> Effect {
        self.settle_result(ticket, ReportKind::Failure(FailureKind::Other), false, None)
    }

    /// Reports `outcome` on a ticket.
    pub(super) fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
        match outcome {
            Outcome::Success => self.settle_result(ticket, ReportKind::Success, false, elapsed),
            Outcome::Slow => self.settle_result(ticket, ReportKind::Success, true, elapsed),
            Outcome::Failure(kind) => self.settle_result(ticket, ReportKind::Failure(kind), false, elapsed),
            Outcome::Alive | Outcome::Ignored | Outcome::Hold(_) | Outcome::Latch => self.settle_other(ticket, outcome),
        }
    }

    /// Reports a success or a failure, `slow` if the caller said so.
    #[inline(never)]
    fn settle_result(&self, ticket: Ticket, kind: ReportKind, slow: bool, elapsed: Option<Duration>) -> Effect {
        let timed = ticket.is_timed() || elapsed.is_some();
        let slow = slow || timed && self.is_slow(ticket, elapsed);
        let mark = Mark { failed: matches!(kind, ReportKind::Failure(_)), slow };
        let effect = if ticket.is_plain() {
            self.record(ticket.word.generation(), mark)
        } else {
            self.settle_special(ticket, Some(mark))
        };
        self.notify(kind, slow, effect);
        effect
    }

    #[cold]
    fn settle_other(&self, ticket: Ticket, outcome: Outcome) -> Effect {
        let own = Some(ticket.word.generation());
        let (kind, effect) = match outcome {
            Outcome::Hold(time) if !ticket.is_uncounted() => {
                (ReportKind::Hold, self.open_for(own, OpenReason::Hold, time))
            }
            Outcome::Latch if !ticket.is_uncounted() => (ReportKind::Latch, self.open_for_good(own)),
            Outcome::Hold(_) => (ReportKind::Hold, Effect::Uncounted),
            Outcome::Latch => (ReportKind::Latch, Effect::Uncounted),
            // A probe that is alive is good: the peer answers.
            Outcome::Alive if ticket.is_probe() => (ReportKind::Alive, self.settle_special(ticket, Some(Mark::GOOD))),
            Outcome::Alive => (ReportKind::Alive, self.settle_neutral(ticket)),
            _ => (ReportKind::Ignored, self.settle_neutral(ticket)),
        };
        self.notify(kind, false, effect);
        effect
    }

    /// A permit that was dropped without a report.
    #[cold]
    pub(super) fn abandon(&self, ticket: Ticket) {
        let panicked = !ticket.began_in_a_panic() && panicking();
        // A caller's own timeout around a hanging upstream drops the call: it must open the circuit.
        // Not once it has answered: how long its answer lasts is no more the peer's doing than the caller's.
        let outlived = ticket.awaits_answer() && self.is_slow(ticket, None);
        if panicked {
            self.settle(ticket, Outcome::Failure(FailureKind::Panic), None);
        } else if outlived {
            self.settle(ticket, Outcome::Failure(FailureKind::Timeout), None);
        } else {
            let effect = self.settle_neutral(ticket);
            self.notify(ReportKind::Cancelled, false, effect);
        }
    }

    fn settle_neutral(&self, ticket: Ticket) -> Effect {
        if !ticket.is_plain() {
            return self.settle_special(ticket, None);
        }
        let word = self.state.peek();
        if word.generation() != ticket.word.generation() {
            return Effect::Stale;
        }
        // Nothing is counted, but a call was made: a time window that only sees such calls must not sleep through
        // a wrap of the clock.
        self.window.renew(self.scope(word));
        Effect::Neutral
    }

    /// A probe's report (`None`: its slot goes back), or one that counts nowhere.
    #[cold]
    fn settle_special(&self, ticket: Ticket, mark: Option<Mark>) -> Effect {
        let generation = ticket.word.generation();
        if ticket.is_uncounted() {
            return Effect::Uncounted;
        }
        if !self.state.is(generation) {
            return Effect::Stale;
        }
        let era = ticket.era();
        let reported = self.probes.report(&self.state, generation, &self.live, era, mark, Self::COLD);
        // If the results were complete before ours: carry the verdict out in case its owner sleeps.
        let carried = reported.judged.and_then(|judged| self.carry_out(generation, judged));
        match mark {
            _ if !reported.counted => Effect::Stale,
            Some(_) => carried.unwrap_or(Effect::Counted),
            None => carried.unwrap_or(Effect::Neutral),
        }
    }

    pub(super) fn is_slow(&self, ticket: Ticket, elapsed: Option<Duration>) -> bool {
        let Some(limit) = self.live.slow_after().limit() else { return false };
        let took = match elapsed {
            Some(elapsed) => C::RATE.ticks_in(elapsed).unwrap_or(u32::MAX),
            None if ticket.is_answered() => ticket.start.count(),
            None => self.took(ticket.start),
        };
        took > limit
    }

    /// Ticks since a reading. A difference of readings that round down is less than a tick too long, which a comparison
    /// by `>` allows for.
    pub(super) fn took(&self, start: Ticks) -> u32 {
        self.clock.now().since(start).saturating_sub(C::SLACK.saturating_sub(1))
    }

    /// Whether more than `time` has passed since a reading.
    pub(super) fn has_outlasted(&self, since: Ticks, time: Duration) -> bool {
        C::RATE.ticks_in(time).is_some_and(|limit| self.took(since) > limit)
    }

    /// Whether more than half of the lease is over since the latest probe was admitted.
    pub(super) fn has_outlasted_half_of_its_lease(&self) -> bool {
        self.probes.age(&self.clock) > self.live.lease() / 2
    }

    /// Tells the observer of a rejection that was decided by a look alone.
    pub(super) fn notify_rejected(&self, reason: RejectReason) {
        self.observer.on_reject(reason);
    }

    /// Counts an outcome in the window.
    #[inline]
    fn record(&self, generation: Generation, mark: Mark) -> Effect {
        let word = self.state.peek();
        if word.generation() != generation {
            return Effect::Stale;
        }
        let recorded = self.window.record(self.scope(word), mark, !word.is_calm());
        self.recorded(word, recorded)
    }

    /// What it comes to that an outcome, under the control word `word`, was `recorded` so.
    #[inline]
    fn recorded(&self, word: ControlWord, recorded: Recorded) -> Effect {
        let generation = word.generation();
        match recorded {
            Recorded::Counted => Effect::Counted,
            Recorded::Stale => Effect::Stale,
            Recorded::Judged(assessment) => {
                if let Some(reason) = assessment.trip {
                    let opened = self.transition(Some(generation), Step::trip(reason), assessment.tally, None);
                    return if opened { Effect::Opened(reason) } else { Effect::Counted };
                }
                if Self::COLD && assessment.minimum_reached && word.is_cold() {
                    let _ = self.state.step(Some(generation), Step::WARM);
                    // JudgedProbes by thresholds that a reload has replaced meanwhile: they warm nothing.
                    if self.live.limits() != assessment.limits {
                        let _ = self.state.step(Some(generation), Step::COOL);
                    }
                }
                // The level is advice: of two that differ the later stays, and while it is above 0 every outcome
                // evaluates it again. A benign race.
                if assessment.level != word.level() {
                    let _ = self.state.step(Some(generation), Step::level(assessment.level));
                }
                Effect::Counted
            }
        }
    }

    #[inline]
    pub(super) fn notify(&self, kind: ReportKind, slow: bool, effect: Effect) {
        if O::WATCHES {
            let at = matches!(kind, ReportKind::Failure(_)).then(|| self.clock.now());
            self.observer.on_report(&CallReport { kind, slow, effect, at });
        }
    }
}
