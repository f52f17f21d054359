//! Reports on permits, and what each one does.

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
use crate::terms::state::OpenReason;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Reports a success. If nothing has changed since the permit was given and the circuit is quiet, it takes the fast
    /// path.
    #[inline(always)]
    pub(super) fn settle_success(&self, ticket: Ticket) -> Effect {
        // One compare shows that the generation is the same, that the circuit is still quiet, and that the permit is
        // quiet: the word of any other permit is no control word.
        // Acquire, partner: the exchange that made the control word quiet. The thread of that exchange had judged what
        // a head of this generation counted. Without this Acquire, the fast path of the window could read an older
        // head, find it clean, and lose the success.
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
        // For the compare and its Acquire, see `settle_success`.
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

    /// Reports a success or a failure. `slow`: the caller judged that the call was slow.
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
            // For a probe, alive is a success: the peer answers.
            Outcome::Alive if ticket.is_probe() => (ReportKind::Alive, self.settle_special(ticket, Some(Mark::GOOD))),
            Outcome::Alive => (ReportKind::Alive, self.settle_neutral(ticket)),
            _ => (ReportKind::Ignored, self.settle_neutral(ticket)),
        };
        self.notify(kind, false, effect);
        effect
    }

    /// Settles a permit that was dropped without a report.
    #[cold]
    pub(super) fn abandon(&self, ticket: Ticket) {
        let panicked = !ticket.began_in_a_panic() && panicking();
        // A caller's own timeout around a hanging peer drops the call, and such drops must open the circuit. A drop
        // after the answer has begun is no timeout: the length of an answer depends on the caller as much as on the
        // peer.
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
        // Nothing is counted, but a call was made. A time window that only sees such calls must be renewed, or it would
        // sleep through a wrap of the clock.
        self.window.renew(self.scope(word));
        Effect::Neutral
    }

    /// Settles the report of a probe, or a report that counts nowhere. Without a mark, the probe's slot is given back.
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
        // If the results are complete, carry the verdict out: the thread that completed them may be stopped.
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

    /// The ticks since the reading `start`. Of two readings that round down, the difference is less than one tick too
    /// long, and a comparison by `>` allows for that. More slack than one tick is subtracted.
    pub(super) fn took(&self, start: Ticks) -> u32 {
        self.clock.now().since(start).saturating_sub(C::SLACK.saturating_sub(1))
    }

    /// Whether more than `time` has passed since the reading `since`.
    pub(super) fn has_outlasted(&self, since: Ticks, time: Duration) -> bool {
        C::RATE.ticks_in(time).is_some_and(|limit| self.took(since) > limit)
    }

    /// Whether more than half of the lease is over since the latest probe was admitted.
    pub(super) fn has_outlasted_half_of_its_lease(&self) -> bool {
        self.probes.age(&self.clock) > self.live.lease() / 2
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

    /// Does what the window asks for after an outcome, seen under the control word `word`: it trips or warms the
    /// circuit, or moves the level. Returns the effect of the report.
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
                    // Partner of the step to WARM: the step to COOL or TOUCH in `reconfigure`. If that step came
                    // first, this thread sees the new thresholds here. It judged by the old ones, so the circuit
                    // becomes cold again. Without this, successes would not be judged under the new minimum.
                    if self.live.limits() != assessment.limits {
                        let _ = self.state.step(Some(generation), Step::COOL);
                    }
                }
                // The level is advice. If two threads set different levels, the later one stays, and every outcome
                // evaluates the level again while it is above 0. This is a benign race.
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
