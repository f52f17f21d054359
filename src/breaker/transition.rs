//! Moving the word, and all that a move entails.

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::source::Source;
use crate::machine::counts::{Counts, Verdict};
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

    /// Moves the word from `from` to `to`. If this caller wins, it does all that the move entails and gets `true`. If it gets
    /// `false`, the word has moved on, or the deadline of `from` had not been decided and is now: the caller starts over.
    ///
    /// `span`: the length of the period that begins, if it was given; otherwise 0.
    #[inline(never)]
    pub(super) fn move_to(&self, from: Word, to: Word, span: u32, tally: Tally) -> bool {
        // No turn is left before its deadline is decided. Otherwise the deadline's parity could be that of two turns ago,
        // and a period of long ago would be taken for the present one.
        if !self.decide(from, 0) || !self.cell.exchange(from, to) {
            return false;
        }
        self.decide(to, span);
        if !from.is_of(to) {
            if self.uses_counts() {
                self.cell.renew_counts(to.generation(), to.records() && self.counts_a_run());
            }
            if !W::IN_WORD {
                self.window.renew(self.scope(to));
            }
        }
        if O::WATCHES {
            self.tell(from, to, span, tally);
        }
        true
    }

    /// Tells the observer of a move. Other threads may do all of a move except this, or find it done, so nobody waits for the
    /// winner.
    fn tell(&self, from: Word, to: Word, span: u32, tally: Tally) {
        if from.state() == State::HalfOpen && to.state() == State::HalfOpen {
            return; // The next probe, after one that was cancelled.
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
    pub(super) fn recovered(&self, word: Word) -> Word {
        if Self::RAMPS && self.settings.has_ramp::<C>() {
            word.ramping(Self::MANY, word.reason(), self.anew())
        } else {
            let remember = Self::REMEMBERS && self.settings.remembers::<C>();
            word.closed(Self::MANY, remember, self.anew())
        }
    }

    /// Moves the half-open `word` to where the verdict of its probes leads, and returns that; `None` if the word has moved on.
    #[inline(never)]
    pub(super) fn conclude(&self, word: Word, verdict: Verdict, tally: Tally) -> Option<Word> {
        let to = match verdict {
            Verdict::Close => self.recovered(word),
            Verdict::Reopen(reason) => word.opened(Self::MANY, reason),
        };
        self.move_to(word, to, 0, tally).then_some(to)
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
            let to = word.opened(Self::MANY, reason);
            if !self.forgets(word) && self.move_to(word, to, 0, tally) {
                return Effect::Opened(reason);
            }
        }
    }

    /// Changes `word` within its generation, if its state counts outcomes: `change` keeps state and attempt. Losing to another
    /// thread's change is no reason to give up, the end of the generation is.
    pub(super) fn adjust(&self, seen: Word, change: impl Fn(Word) -> Word) {
        loop {
            let word = self.cell.load();
            if !word.is_of(seen) || !word.records() || word == change(word) || self.cell.exchange(word, change(word)) {
                return;
            }
        }
    }

    /// The run of a streak alone.
    pub(super) fn run(&self, word: Word) -> u32 {
        if self.counts_in_word() { word.run() } else { self.cell.read_counts(word.generation(), Counts::EMPTY).run() }
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
    #[inline(always)]
    pub(super) fn level_of(&self, word: Word) -> u8 {
        if self.settings.rules::<C>().levels() { self.level_if_configured(word) } else { 0 }
    }

    #[inline(never)]
    fn level_if_configured(&self, word: Word) -> u8 {
        if !word.records() {
            0
        } else if W::IN_WORD {
            level_of(self.run(word), self.settings.shape::<C>().streak())
        } else {
            word.level()
        }
    }
}
