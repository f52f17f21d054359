//! Reports on permits, and what each one does.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::admit::IS_LARGE;
use crate::breaker::layer::Opened;
use crate::breaker::ticket::Ticket;
use crate::clock::{Clock, Ticks};
use crate::config::source::Source;
use crate::machine::counts::Counts;
use crate::machine::mark::Mark;
use crate::machine::window::streak::{reason_of, tally_of};
use crate::machine::window::{FastFailure, Placement, Recorded, Streak, Window};
use crate::machine::word::{RUN_MAX, Word};
use crate::platform::atomics::panicking;
use crate::terms::event::{CallReport, Effect, ReportKind};
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};
use crate::terms::state::OpenReason;
use crate::terms::tally::{Tally, WindowKind};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Reports a success. If nothing has changed since the permit was given and the circuit is quiet, it takes the fast
    /// path.
    #[inline(always)]
    pub(super) fn settle_success(&self, ticket: Ticket) -> Effect {
        if self.is_quiet_success(ticket.word, ticket.word) {
            self.notify(ReportKind::Success, false, Effect::Counted);
            return Effect::Counted;
        }
        self.settle_success_slowly(ticket)
    }

    /// Whether `found` is the present word, and a success under the `quiet` word of its generation is counted by no more than
    /// loads and one exchange. If not, nothing was done.
    #[inline(always)]
    fn is_quiet_success(&self, found: Word, quiet: Word) -> bool {
        // One compare shows that the generation is the same, that the circuit is still quiet, and that the permit is
        // quiet: the first word of any other ticket is no such word.
        if W::IN_WORD {
            // Relaxed: one word, read for itself. A quiet word counts no failure.
            return self.cell.peek() == found;
        }
        // Acquire, partner: the exchange that made the word quiet. The thread of that exchange had judged what a head of
        // this generation counted. Without this Acquire, the fast path of the window could read an older head, find it
        // clean, and lose the success.
        self.cell.load() == found && self.window.try_fast(self.scope(quiet), quiet, true)
    }

    #[inline(never)]
    fn settle_success_slowly(&self, ticket: Ticket) -> Effect {
        // A permit that is timed and otherwise quiet: the same path, if the call was not slow.
        if IS_LARGE
            && ticket.is_timed_only()
            && let Some(limit) = self.settings.slow_after::<C>().limit()
            && (W::IN_WORD || !self.settings.shape::<C>().counts_slow())
            && self.took(ticket.start) <= limit
        {
            let quiet = ticket.word.quiet();
            if self.is_quiet_success(quiet, quiet) {
                self.notify(ReportKind::Success, false, Effect::Counted);
                return Effect::Counted;
            }
        }
        self.settle_success_fully(ticket)
    }

    #[cfg_attr(target_pointer_width = "64", inline(never))]
    #[cfg_attr(not(target_pointer_width = "64"), inline(always))]
    fn settle_success_fully(&self, ticket: Ticket) -> Effect {
        if self.is_counted_at_once(ticket, 0) {
            self.notify(ReportKind::Success, false, Effect::Counted);
            return Effect::Counted;
        }
        self.settle_result(ticket, ReportKind::Success, false, None)
    }

    /// The plain case of a streak in the word, on large cores: whether one exchange counts the outcome of a quiet permit, which
    /// makes the run one longer, or ends it if `more` is 0, and calls for nothing else.
    #[inline(always)]
    fn is_counted_at_once(&self, ticket: Ticket, more: u32) -> bool {
        if !(IS_LARGE && W::IN_WORD) {
            return false;
        }
        // Relaxed: one word, read for itself, and the exchange fails if it has moved on.
        let word = self.cell.peek();
        let run = (word.run() + 1) * more;
        // The first word of a quiet ticket has the generation and nothing else. A run of 255 is that of a longer streak.
        word.is_settled()
            && word.quiet() == ticket.word
            && word.run() < RUN_MAX
            && run < self.settings.shape::<C>().streak()
            && self.cell.exchange(word, word.with_run(run))
    }

    #[inline(always)]
    pub(super) fn settle_failure(&self, ticket: Ticket) -> Effect {
        if W::FAILS_FAST || IS_LARGE && W::IN_WORD {
            return self.settle_failure_fast(ticket);
        }
        self.settle_failure_slowly(ticket)
    }

    #[inline(never)]
    fn settle_failure_fast(&self, ticket: Ticket) -> Effect {
        if W::IN_WORD {
            if !self.is_counted_at_once(ticket, 1) {
                return self.settle_failure_slowly(ticket);
            }
            self.notify(ReportKind::Failure(FailureKind::Other), false, Effect::Counted);
            return Effect::Counted;
        }
        // For the compare and its Acquire, see `is_quiet_success`.
        if self.cell.load() != ticket.word {
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
    fn judge_placed(&self, word: Word, placement: Placement) -> Effect {
        self.recorded(word, self.window.verdict(self.scope(word), placement))
    }

    #[inline(always)]
    fn settle_failure_slowly(&self, ticket: Ticket) -> Effect {
        self.settle_result(ticket, ReportKind::Failure(FailureKind::Other), false, None)
    }

    /// Reports `outcome` on a ticket.
    #[inline]
    pub(super) fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
        match outcome {
            Outcome::Success => self.settle_result(ticket, ReportKind::Success, false, elapsed),
            Outcome::Slow => self.settle_result(ticket, ReportKind::Success, true, elapsed),
            Outcome::Failure(kind) => self.settle_result(ticket, ReportKind::Failure(kind), false, elapsed),
            Outcome::Alive => self.settle_alive(ticket),
            Outcome::Ignored => self.settle_neutral(ticket, ReportKind::Ignored),
            Outcome::Hold(time) => self.settle_hold(ticket, time),
            Outcome::Latch => self.settle_latch(ticket),
        }
    }

    /// Reports a success or a failure. `slow`: the caller judged that the call was slow.
    #[inline(always)]
    fn settle_result(&self, ticket: Ticket, kind: ReportKind, slow: bool, elapsed: Option<Duration>) -> Effect {
        let timed = ticket.is_timed() || elapsed.is_some();
        let slow = slow || timed && self.is_slow(ticket, elapsed);
        let mark = Mark { failed: matches!(kind, ReportKind::Failure(_)), slow };
        let effect = self.settle_mark(ticket, Some(mark));
        self.notify(kind, slow, effect);
        effect
    }

    /// For a probe, alive is a success: the peer answers.
    #[inline]
    pub(super) fn settle_alive(&self, ticket: Ticket) -> Effect {
        let mark = if ticket.is_probe() { Some(Mark::GOOD) } else { None };
        let effect = self.settle_mark(ticket, mark);
        self.notify(ReportKind::Alive, false, effect);
        effect
    }

    #[inline]
    pub(super) fn settle_neutral(&self, ticket: Ticket, kind: ReportKind) -> Effect {
        let effect = self.settle_mark(ticket, None);
        self.notify(kind, false, effect);
        effect
    }

    #[cold]
    pub(super) fn settle_hold(&self, ticket: Ticket, time: Duration) -> Effect {
        let effect = if ticket.is_uncounted() {
            Effect::Uncounted
        } else {
            match self.open_for(Some(ticket.word), OpenReason::Hold, self.capped(time)) {
                Opened::Moved(_) => Effect::Opened(OpenReason::Hold),
                Opened::Covered(_) | Opened::Off => Effect::Unchanged,
                Opened::Stale => Effect::Stale,
            }
        };
        self.notify(ReportKind::Hold, false, effect);
        effect
    }

    #[cold]
    pub(super) fn settle_latch(&self, ticket: Ticket) -> Effect {
        let effect = if ticket.is_uncounted() { Effect::Uncounted } else { self.open_for_good(Some(ticket.word)) };
        self.notify(ReportKind::Latch, false, effect);
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
        let _ = if panicked {
            self.settle_result(ticket, ReportKind::Failure(FailureKind::Panic), false, None)
        } else if outlived {
            self.settle_result(ticket, ReportKind::Failure(FailureKind::Timeout), false, None)
        } else if O::WATCHES || !W::IN_WORD || ticket.is_probe() {
            self.settle_neutral(ticket, ReportKind::Cancelled)
        } else {
            // There is nothing to give back, no window to renew, and nobody to tell.
            Effect::Neutral
        };
    }

    /// Counts an outcome, or gives a probe's slot back if there is no `mark`.
    #[inline(never)]
    pub(super) fn settle_mark(&self, ticket: Ticket, mark: Option<Mark>) -> Effect {
        if ticket.is_uncounted() {
            return Effect::Uncounted;
        }
        let mut beside = None;
        loop {
            // Relaxed: what is read next carries its own tag, and an exchange fails if the word has moved on.
            let word = self.cell.peek();
            if !word.is_of(ticket.word) {
                return Effect::Stale;
            }
            // The generation is the permit's own. If it is half-open, the permit is a probe: the only one, and in flight, unless
            // its lease is over and it comes back just now.
            let half_open = word.is_half_open();
            if !Self::MANY && half_open && !word.probe_is_out() {
                return Effect::Stale;
            }
            if Self::MANY && half_open {
                match self.settle_one_of_many(word, mark) {
                    Some(effect) => return effect,
                    None => continue,
                }
            }
            let Some(mark) = mark else {
                if half_open && !self.cell.exchange(word, word.slot_returned()) {
                    continue;
                }
                // Nothing is counted, but a call was made. A time window that only sees such calls must be renewed, or it
                // would sleep through a wrap of the clock.
                if !W::IN_WORD && !half_open {
                    self.window.renew(self.scope(word));
                }
                return Effect::Neutral;
            };
            if !half_open && !W::IN_WORD {
                let judge_always = Self::SHARES && !word.is_calm();
                return self.recorded(word, self.window.record(self.scope(word), mark, judge_always));
            }
            // A streak that is too long for the word is counted beside it, once; then its trip may still be due.
            if W::IN_WORD && !half_open && !self.counts_in_word() && beside.is_none() {
                beside = Streak::count(&self.scope(word), mark);
                if beside.is_none() {
                    return Effect::Stale;
                }
            }
            if !half_open && mark.is_good() && (beside.is_some() || word.run() == 0) {
                // A success on a clean streak changes nothing, and nothing is written.
                return Effect::Counted;
            }
            // One exchange decides that the outcome is of this generation, that it counts, and that it moves the circuit.
            let run = beside.unwrap_or(if mark.is_good() { 0 } else { word.run() + 1 });
            let to = if half_open && mark.is_good() {
                self.recovered(word)
            } else if half_open || run >= self.settings.shape::<C>().streak() {
                if self.forgets(word) {
                    continue;
                }
                word.opened(Self::MANY, reason_of(mark))
            } else if beside.is_some() || self.cell.exchange(word, word.with_run(run)) {
                return Effect::Counted;
            } else {
                continue;
            };
            if self.move_to(word, to, 0, Self::told(|| Self::tally_before(half_open, run, mark))) {
                return Self::effect_of(to);
            }
        }
    }

    /// The sums that a move rests on: the result of the only probe, or a run.
    #[inline(always)]
    fn tally_before(half_open: bool, run: u32, mark: Mark) -> Tally {
        if half_open {
            let slow = mark.slow && !mark.failed;
            Tally { window: WindowKind::Probes, total: 1, failed: mark.failed.into(), slow: slow.into() }
        } else {
            tally_of(run)
        }
    }

    /// Settles one of many probes. `None`: another thread was faster.
    #[inline(never)]
    fn settle_one_of_many(&self, word: Word, mark: Option<Mark>) -> Option<Effect> {
        let generation = word.generation();
        let terms = self.settings.probe_terms::<C>();
        let (raw, counts) = self.cell.counts(generation, Counts::of_probes(word.opener()))?;
        let (counted, counts) = if counts.verdict(terms).is_some() || counts.out() == 0 {
            // The results were complete before. If the thread that completed them is stopped, this one carries the verdict
            // out.
            (false, counts)
        } else {
            let next = counts.reported(mark, terms.by_rates());
            if !self.cell.exchange_counts(generation, raw, next) {
                return None;
            }
            (true, next)
        };
        // The verdict is carried out by this thread, or has been by another: until then the generation lasts.
        let mut moved = None;
        if let Some(verdict) = counts.verdict(terms) {
            loop {
                let word = self.cell.peek();
                if !word.is_half_open() || word.generation() != generation {
                    break;
                }
                moved = self.conclude(word, verdict, Self::told(|| counts.tally()));
                if moved.is_some() {
                    break;
                }
            }
        }
        Some(match moved {
            _ if !counted => Effect::Stale,
            Some(to) => Self::effect_of(to),
            None if mark.is_some() => Effect::Counted,
            None => Effect::Neutral,
        })
    }

    #[inline]
    pub(super) fn is_slow(&self, ticket: Ticket, elapsed: Option<Duration>) -> bool {
        let Some(limit) = self.settings.slow_after::<C>().limit() else { return false };
        let took = match elapsed {
            Some(elapsed) => C::RATE.ticks_in(elapsed).unwrap_or(u32::MAX),
            None if ticket.is_answered() => ticket.start.count(),
            None => self.took(ticket.start),
        };
        took > limit
    }

    /// The ticks since the reading `start`. Of two readings that round down, the difference is less than one tick too
    /// long, and a comparison by `>` allows for that. More slack than one tick is subtracted.
    #[inline]
    pub(super) fn took(&self, start: Ticks) -> u32 {
        self.clock.now().since(start).saturating_sub(C::SLACK.saturating_sub(1))
    }

    /// Whether more than `time` has passed since the reading `since`.
    pub(super) fn has_outlasted(&self, since: Ticks, time: Duration) -> bool {
        C::RATE.ticks_in(time).is_some_and(|limit| self.took(since) > limit)
    }

    /// Whether more than half of the lease is over since the latest probe was admitted.
    pub(super) fn has_outlasted_half_of_its_lease(&self) -> bool {
        let word = self.cell.load();
        word.is_half_open() && self.left(word).is_some_and(|left| left < self.settings.lease::<C>() / 2)
    }

    /// Does what the window asks for after an outcome, seen under `word`: it trips or warms the circuit, or moves the level.
    /// Returns the effect of the report.
    ///
    /// The outcome was counted by another exchange than the one that moves the circuit. A thread or an interrupt between the
    /// two sees the circuit still closed, with a window that may be over its threshold. If its own call fails, it may make
    /// the move first, and then this report says that it counted. `examples/embedded/stories/preempt.rs` asserts this, and
    /// nothing weaker.
    #[inline]
    fn recorded(&self, word: Word, recorded: Recorded) -> Effect {
        match recorded {
            Recorded::Counted => Effect::Counted,
            Recorded::Stale => Effect::Stale,
            Recorded::Judged(assessment) => {
                if let Some(reason) = assessment.trip {
                    return self.trip_by_window(word, reason, assessment.tally);
                }
                if Self::SHARES && assessment.minimum_reached && word.is_cold() {
                    self.adjust(word, Word::warm);
                    // Partner of the exchange above: the one in `reconfigure`. If that came first, this thread sees the new
                    // thresholds here. It judged by the old ones, so the circuit becomes cold again. Without this,
                    // successes would not be judged under the new minimum.
                    if self.settings.limits::<C>() != assessment.limits {
                        self.adjust(word, Word::cold);
                    }
                }
                // The level is advice. If two threads set different levels, the later one stays, and every outcome
                // evaluates the level again while it is above 0. This is a benign race.
                if Self::SHARES && assessment.level != word.level() {
                    self.adjust(word, |word| word.with_level(assessment.level));
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
