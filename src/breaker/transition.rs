//! Moving the word, and all that a move entails.

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::source::Source;
use crate::machine::counts::Verdict;
use crate::machine::judge::Assessment;
use crate::machine::window::Window;
use crate::machine::window::streak::{level_of, tally_of};
use crate::machine::word::Word;
use crate::terms::event::{Effect, Event};
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::{Tally, WindowKind};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// The sums for an event. They are empty if no observer watches.
    #[inline(always)]
    pub(super) fn told(tally: impl FnOnce() -> Tally) -> Tally {
        if O::WATCHES { tally() } else { Tally::default() }
    }

    /// The window's sums for an event.
    #[inline(always)]
    pub(super) fn window_tally(&self) -> Tally {
        Self::told(|| self.tally())
    }

    /// Moves the word from `from` to `next` in a new generation, and returns that word. If this caller wins, it does all that
    /// the move entails. `None`: see [`move_to`](Self::move_to).
    ///
    /// `span`: the length of the period that begins, if it was given; otherwise 0.
    pub(super) fn enter(&self, from: Word, next: Word, span: u32, tally: Tally) -> Option<Word> {
        let next = if next.records() { next.counting(self.anew()) } else { next };
        let to = next.following(from, Self::MANY);
        if !self.move_to(from, to, span) {
            return None;
        }
        if self.uses_counts() {
            let _ = self.cell.counts(to.generation());
        }
        if !W::IN_WORD {
            self.window.renew(self.scope(to));
        }
        self.tell(from, to, span, tally);
        Some(to)
    }

    /// Moves the word from `from` to `to`, and sees to the deadline that begins. If it returns `false`, the word has changed, or
    /// the deadline of `from` had not been decided: the caller starts over.
    pub(super) fn move_to(&self, from: Word, to: Word, span: u32) -> bool {
        // No turn is left before its deadline is decided. Otherwise `due` could be the deadline of two turns ago, whose parity is
        // the same, and a period of long ago would be taken for the present one.
        let moved = self.decide(from, 0).is_some() && self.cell.exchange(from, to);
        if moved {
            self.decide(to, span);
        }
        moved
    }

    /// Moves the ramping `word` to closed, in the same generation.
    pub(super) fn end_ramp(&self, word: Word) -> Option<Word> {
        let tally = self.window_tally();
        let to = word.ramped(self.memory(word) > 0);
        if !self.move_to(word, to, 0) {
            return None;
        }
        self.tell(word, to, 0, tally);
        Some(to)
    }

    /// Tells the observer of a move. Other threads may do all of a move except this, or find it done, so nobody waits for the
    /// winner.
    fn tell(&self, from: Word, to: Word, span: u32, tally: Tally) {
        // From half-open to half-open: the first probe of a state by hand, or the next one after one that was cancelled.
        if !O::WATCHES || from.is_half_open() && to.is_half_open() {
            return;
        }
        let lasts_ticks = matches!(to.state(), State::Open | State::Ramping).then(|| self.lasts(to, span));
        #[expect(clippy::cast_possible_truncation, reason = "five bits")]
        let attempt = to.attempt() as u8;
        self.observer.on_event(&Event {
            from: from.state(),
            to: to.state(),
            reason: matches!(to.state(), State::Open | State::HalfOpen).then(|| to.reason()),
            generation: to.generation().number(),
            attempt,
            tally,
            lasts_ticks,
            at: self.clock.now(),
            rate: const { &C::RATE },
        });
    }

    /// Where the circuit goes once the peer has recovered, or nothing speaks against it any more: to a ramp if there is one,
    /// else closed.
    #[inline]
    fn recovered(&self, word: Word) -> Word {
        if Self::RAMPS && self.settings.has_ramp::<C>() {
            word.ramping(word.reason())
        } else {
            word.closed(Self::REMEMBERS && self.settings.remembers::<C>())
        }
    }

    /// Moves `word` to where the `verdict` on its peer leads, and returns that; `None`: see [`move_to`](Self::move_to).
    #[inline(never)]
    pub(super) fn conclude(&self, word: Word, verdict: Verdict, tally: Tally) -> Option<Word> {
        let next = if verdict == Verdict::CLOSE {
            self.recovered(word)
        } else if verdict == Verdict::PROBE {
            word.probing()
        } else {
            word.opened(verdict.reason())
        };
        self.enter(word, next, 0, tally)
    }

    /// The effect of the report that moved the word to `to`.
    #[inline]
    pub(super) fn effect_of(to: Word) -> Effect {
        if to.is_open() {
            Effect::Opened(to.reason())
        } else if Self::RAMPS && to.is_ramping() {
            Effect::Ramping
        } else {
            Effect::Closed
        }
    }

    /// Opens the circuit because its window reached a threshold, unless the generation of `seen` is over.
    #[cold]
    pub(super) fn trip_by_window(&self, seen: Word, reason: OpenReason, tally: Tally) -> Effect {
        loop {
            let word = self.cell.load();
            if !word.is_of(seen) || !word.records() {
                return Effect::Counted;
            }
            if !self.forgets(word) && self.conclude(word, Verdict::open(reason), tally).is_some() {
                return Effect::Opened(reason);
            }
        }
    }

    /// Warms the circuit after a judgement with the minimum of calls reached, and moves its level.
    ///
    /// The level is advice. If two threads set different levels, the later one stays, and every outcome evaluates the level again
    /// while it is above 0. This is a benign race.
    #[inline(always)]
    pub(super) fn adjust(&self, seen: Word, assessment: Assessment) {
        let warms = assessment.minimum_reached && seen.is_cold();
        if !warms && seen.level() == assessment.level {
            return;
        }
        self.change(seen, warms, assessment.level);
        // Partner of the exchange in `change`: the one in `cool`, which `reconfigure` makes. If that came first, this thread
        // sees the new thresholds here. It judged by the old ones, so the circuit becomes cold again. Without this, successes
        // would not be judged under the new minimum.
        if warms && self.settings.limits::<C>() != assessment.limits {
            self.cool();
        }
    }

    /// Changes the word within its generation, if its state counts outcomes. Losing to another thread's change is no reason to give
    /// up, the end of the generation is.
    #[inline(never)]
    fn change(&self, seen: Word, warms: bool, level: u8) {
        // Who only warms leaves the level that another thread may have set since.
        let level_in = |word: Word| if level == seen.level() { word.level() } else { level };
        loop {
            let word = self.cell.load();
            if !word.is_of(seen) || !word.records() || self.cell.exchange(word, word.judged(warms, level_in(word))) {
                return;
            }
        }
    }

    /// Makes the circuit cold: until a call has been judged at or above the present minimum, successes are judged too. In a state
    /// that counts no outcomes, the word is exchanged for itself.
    pub(super) fn cool(&self) {
        loop {
            let word = self.cell.load();
            let next = if word.records() { word.cold() } else { word };
            if self.cell.exchange(word, next) {
                break;
            }
        }
    }

    /// The run of a streak alone.
    pub(super) fn run(&self, word: Word) -> u32 {
        if self.counts_in_word() { word.run() } else { self.cell.read_counts(word.generation()).run() }
    }

    /// The window's sums under `word`.
    pub(super) fn tally_of(&self, word: Word) -> Tally {
        if !W::IN_WORD {
            let tally = self.window.tally(self.scope(word));
            // In a half-open state the counts, where a streak of a pair has its run, have the probes.
            if word.records() { tally } else { Tally::empty(tally.window) }
        } else if word.records() {
            tally_of(self.run(word))
        } else {
            Tally::empty(WindowKind::Streak)
        }
    }

    /// The degradation level under `word`.
    #[inline]
    pub(super) fn level_of(&self, word: Word) -> u8 {
        if !word.records() || !self.settings.rules::<C>().levels() {
            0
        } else if W::IN_WORD {
            level_of(self.run(word), self.settings.shape::<C>().streak())
        } else {
            word.level()
        }
    }
}
