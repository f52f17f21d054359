//! Moving the control word, and all that a move entails.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::clock::{Clock, HORIZON};
use crate::machine::control::{ControlWord, Generation, Step};
use crate::machine::probes::{JudgedProbes, Verdict};
use crate::machine::timer::LONGEST_SPAN;
use crate::machine::window::Window;
use crate::terms::event::{Effect, Event};
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::Tally;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// The window's sums for an event, if anybody wants them.
    pub(super) fn window_tally(&self) -> Tally {
        if O::WATCHES { self.tally() } else { Tally::default() }
    }

    /// Takes a step and, as its winner, does all that a transition entails. `span`: how long, if somebody said so.
    /// `false` if another was faster, or there is nothing to do.
    pub(super) fn transition(
        &self,
        generation: Option<Generation>,
        step: Step,
        tally: Tally,
        span: Option<u32>,
    ) -> bool {
        let moved = self.state.step(generation, step).won();
        if let Some((from, to)) = moved {
            self.after_transition(from, to, tally, span);
        }
        moved.is_some()
    }

    /// The winner's part. All of it may also be done, or be found done, by others: nobody waits for us.
    pub(super) fn after_transition(&self, from: ControlWord, to: ControlWord, tally: Tally, span: Option<u32>) {
        let generation = to.generation();
        let lasts_ticks = if matches!(to.state(), State::Open | State::Ramping) {
            if let Some(span) = span {
                let _ = self.timer.settle_span(&self.state, generation, span);
            }
            self.period(to).map(|period| period.span)
        } else {
            None
        };
        if from.generation() != generation {
            self.timer.renew(&self.state, generation);
            self.probes.renew(&self.state, generation);
            self.window.renew(self.scope(to));
        }
        if O::WATCHES {
            #[expect(clippy::cast_possible_truncation, reason = "five bits")]
            let attempt = to.attempt() as u8;
            self.observer.on_event(&Event {
                from: from.state(),
                to: to.state(),
                reason: (to.state() == State::Open).then(|| to.reason()),
                generation: generation.number(),
                attempt,
                tally,
                lasts_ticks,
                at: self.clock.now(),
                rate: const { &C::RATE },
            });
        }
    }

    /// Makes the move that complete probe results call for, unless somebody has.
    pub(super) fn carry_out(&self, generation: Generation, judged: JudgedProbes) -> Option<Effect> {
        let (step, effect) = match judged.verdict {
            Verdict::Close if self.live.ramp() > 0 => (const { Step::ramp(Self::COLD) }, Effect::Ramping),
            Verdict::Close => (const { Step::close(Self::COLD) }, Effect::Closed),
            Verdict::Reopen(reason) => (Step::reopen(reason), Effect::Opened(reason)),
        };
        self.transition(Some(generation), step, judged.tally, None).then_some(effect)
    }

    /// Opens for a time that somebody said. `own` is the generation of the permit it came with, if it came with one.
    pub(super) fn open_for(&self, own: Option<Generation>, reason: OpenReason, time: Duration) -> Effect {
        let ticks = C::RATE.ticks_in(time).unwrap_or(HORIZON).min(self.live.hold_at_most()).max(1);
        self.open_for_ticks(own, reason, ticks.saturating_add(C::SLACK))
    }

    /// See [`open_for`](Self::open_for); slack included.
    pub(super) fn open_for_ticks(&self, mut own: Option<Generation>, reason: OpenReason, ticks: u32) -> Effect {
        // What is longer could never be found covered.
        let ticks = ticks.min(LONGEST_SPAN);
        let mut effect = None;
        loop {
            let word = self.state.load();
            let generation = word.generation();
            let stale = own.is_some_and(|own| own != generation);
            match word.state() {
                State::Open => {
                    // Opened by a hold whose owner has not said how long yet? Then this one says it. The owner finds a
                    // shorter time than its own and opens anew. (Moving on at once instead would lose the owner's hold,
                    // if it were the longer one and said so in the same moment.)
                    let unsaid = self.time_is_not_given_yet(word);
                    if unsaid {
                        let _ = self.timer.settle_span(&self.state, generation, ticks);
                    }
                    match self.period(word) {
                        None => continue,
                        Some(period) if period.remaining() > ticks => return effect.unwrap_or(Effect::Unchanged),
                        // As long as that, but perhaps by what this one said: the move, and its reason, are still due.
                        Some(period) if period.remaining() == ticks && !unsaid => {
                            return effect.unwrap_or(Effect::Unchanged);
                        }
                        Some(_) => {}
                    }
                }
                State::Closed | State::HalfOpen | State::Ramping if !stale => {}
                _ if stale => return effect.unwrap_or(Effect::Stale),
                _ => return effect.unwrap_or(Effect::Unchanged),
            }
            // A move of its own, even from open: lengthening a deadline in place could be overtaken by the first
            // caller after the old one, and the hold would be lost.
            let tally = self.window_tally();
            let Some((from, to)) = self.state.step(Some(generation), Step::ask(reason)).won() else { continue };
            self.after_transition(from, to, tally, Some(ticks));
            effect = Some(Effect::Opened(reason));
            if self.timer.span(to.generation()).is_some_and(|decided| decided >= ticks) {
                return Effect::Opened(reason);
            }
            // A shorter hold said how long before we could, or somebody moved on: see that ours is covered.
            own = Some(to.generation());
        }
    }

    /// Latches. A move, never a result of a probe first: a helper could carry out that result and lose the latch.
    pub(super) fn open_for_good(&self, own: Option<Generation>) -> Effect {
        loop {
            let word = self.state.load();
            let stale = own.is_some_and(|own| own != word.generation());
            // Open, it counts whatever its generation: it speaks of the peer.
            if stale && word.state() != State::Open {
                return Effect::Stale;
            }
            match word.state() {
                State::Latched | State::ForcedOpen | State::Disabled => return Effect::Unchanged,
                State::Closed | State::Open | State::HalfOpen | State::Ramping => {}
            }
            if self.transition(Some(word.generation()), Step::LATCH, self.window_tally(), None) {
                return Effect::Latched;
            }
        }
    }
}
