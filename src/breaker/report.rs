//! Reports on permits, and what each one does.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::admit::IS_LARGE;
use crate::breaker::layer::Opened;
use crate::breaker::ticket::Ticket;
use crate::clock::{Clock, Ticks};
use crate::config::source::Source;
use crate::machine::counts::{Counts, Verdict};
use crate::machine::mark::Mark;
use crate::machine::window::streak::tally_of;
use crate::machine::window::{FastFailure, Placement, Recorded, Streak, Window};
use crate::machine::word::{RUN_MAX, Word};
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
        let mark = Mark::new(matches!(kind, ReportKind::Failure(_)), slow);
        let effect = self.settle_mark(ticket, mark);
        self.notify(kind, slow, effect);
        effect
    }

    /// For a probe, alive is a success: the peer answers.
    #[inline]
    pub(super) fn settle_alive(&self, ticket: Ticket) -> Effect {
        let mark = if ticket.is_probe() { Mark::GOOD } else { Mark::NONE };
        let effect = self.settle_mark(ticket, mark);
        self.notify(ReportKind::Alive, false, effect);
        effect
    }

    #[inline]
    pub(super) fn settle_neutral(&self, ticket: Ticket, kind: ReportKind) -> Effect {
        let effect = self.settle_mark(ticket, Mark::NONE);
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

    /// Counts an outcome, or gives a probe's slot back if `mark` is none.
    #[inline(never)]
    pub(super) fn settle_mark(&self, ticket: Ticket, mark: Mark) -> Effect {
        if ticket.is_uncounted() {
            return Effect::Uncounted;
        }
        let mut counted = false;
        loop {
            // Relaxed: what is read next carries its own tag, and an exchange fails if the word has moved on.
            let word = self.cell.peek();
            if !word.is_of(ticket.word) {
                // If it was counted, another thread carried the verdict out.
                return if Self::MANY && counted { Self::effect_of_counting(mark) } else { Effect::Stale };
            }
            let settled = if word.is_half_open() {
                // The generation is the permit's own, so the permit is a probe.
                if Self::MANY {
                    self.settle_one_of_many(word, mark, &mut counted)
                } else {
                    self.settle_the_probe(word, mark)
                }
            } else if mark.is_none() {
                // Nothing is counted, but a call was made. A time window that only sees such calls must be renewed, or it
                // would sleep through a wrap of the clock.
                if !W::IN_WORD {
                    self.window.renew(self.scope(word));
                }
                Some(Effect::Neutral)
            } else if !W::IN_WORD {
                let judge_always = Self::SHARES && !word.is_calm();
                Some(self.recorded(word, self.window.record(self.scope(word), mark, judge_always)))
            } else if self.counts_in_word() {
                self.settle_in_word(word, mark)
            } else {
                Some(self.settle_beside(word, mark))
            };
            if let Some(effect) = settled {
                return effect;
            }
        }
    }

    /// Counts the outcome of a call in the run of the word. One exchange decides that the outcome is of this generation, that it
    /// counts, and that it opens the circuit. `None`: another thread was faster.
    #[inline(always)]
    fn settle_in_word(&self, word: Word, mark: Mark) -> Option<Effect> {
        let run = if mark.is_good() { 0 } else { word.run() + 1 };
        if run >= self.settings.shape::<C>().streak() {
            if self.forgets(word) {
                return None;
            }
            return self.conclude(word, Verdict::by(mark), tally_of(run)).map(Self::effect_of);
        }
        // A success on a clean streak changes nothing, and nothing is written.
        let to = word.with_run(run);
        (to == word || self.cell.exchange(word, to)).then_some(Effect::Counted)
    }

    /// Counts the outcome of a call in a run that is too long for the word.
    fn settle_beside(&self, word: Word, mark: Mark) -> Effect {
        match Streak::count(&self.scope(word), mark) {
            None => Effect::Stale,
            Some(run) if run < self.settings.shape::<C>().streak() => Effect::Counted,
            Some(run) => self.trip_by_window(word, mark.reason(), tally_of(run)),
        }
    }

    /// Settles the only probe. `None`: another thread was faster.
    #[inline(always)]
    fn settle_the_probe(&self, word: Word, mark: Mark) -> Option<Effect> {
        if !word.probe_is_out() {
            // Only a permit of a whole wrap ago comes here.
            Some(Effect::Stale)
        } else if mark.is_none() {
            self.cell.exchange(word, word.slot_returned()).then_some(Effect::Neutral)
        } else {
            let tally = Self::told(|| Counts::empty(word.generation()).reported(mark).tally());
            self.conclude(word, Verdict::by(mark), tally).map(Self::effect_of)
        }
    }

    /// Settles one of many probes, unless that was done and only the verdict is to be carried out (`counted`). `None`: the caller
    /// looks again.
    #[inline(always)]
    fn settle_one_of_many(&self, word: Word, mark: Mark, counted: &mut bool) -> Option<Effect> {
        let terms = self.settings.probe_terms::<C>();
        let counts = self.cell.counts(word.generation())?;
        if let Some(verdict) = counts.verdict(terms) {
            // If this is not the thread that completed the results, that one may be stopped: the verdict is carried out for it.
            let to = self.conclude(word, verdict, Self::told(|| counts.tally()))?;
            return Some(if *counted { Self::effect_of(to) } else { Effect::Stale });
        }
        if *counted {
            // It completed the results, and a reload asks for more since.
            return Some(Self::effect_of_counting(mark));
        }
        let next = counts.reported(mark);
        if !self.cell.exchange_counts(counts, next) {
            return None;
        }
        *counted = true;
        next.verdict(terms).is_none().then_some(Self::effect_of_counting(mark))
    }

    /// The effect of a report that moved nothing.
    #[inline(always)]
    const fn effect_of_counting(mark: Mark) -> Effect {
        if mark.is_none() { Effect::Neutral } else { Effect::Counted }
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
                if Self::SHARES {
                    self.adjust(word, assessment);
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
