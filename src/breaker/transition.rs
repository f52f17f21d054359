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
    /// The window's sums for an event. They are empty if no observer watches.
    pub(super) fn window_tally(&self) -> Tally {
        if O::WATCHES { self.tally() } else { Tally::default() }
    }

    /// Takes `step`. If this thread wins, it does all that the transition entails and returns `true`. It returns
    /// `false` if another thread was faster, or if the step does nothing from the present state. `span`: the length of
    /// the period, if it was given.
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

    /// The winner's part of a transition. Other threads may do all of it except the event, or find it done, so nobody
    /// waits for the winner.
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

    /// Makes the move that the verdict of the probes calls for, unless another thread has made it.
    pub(super) fn carry_out(&self, generation: Generation, judged: JudgedProbes) -> Option<Effect> {
        let (step, effect) = match judged.verdict {
            Verdict::Close if self.live.ramp() > 0 => (const { Step::ramp(Self::COLD) }, Effect::Ramping),
            Verdict::Close => (const { Step::close(Self::COLD) }, Effect::Closed),
            Verdict::Reopen(reason) => (Step::reopen(reason), Effect::Opened(reason)),
        };
        self.transition(Some(generation), step, judged.tally, None).then_some(effect)
    }

    /// Opens the circuit for the time given. `own` is the generation of the permit that the time came with, if there is
    /// one.
    pub(super) fn open_for(&self, own: Option<Generation>, reason: OpenReason, time: Duration) -> Effect {
        let ticks = C::RATE.ticks_in(time).unwrap_or(HORIZON).min(self.live.hold_at_most()).max(1);
        self.open_for_ticks(own, reason, ticks.saturating_add(C::SLACK))
    }

    /// [`open_for`](Self::open_for), for ticks that include the slack.
    pub(super) fn open_for_ticks(&self, mut own: Option<Generation>, reason: OpenReason, ticks: u32) -> Effect {
        // The timer keeps no longer span, so the loop would never find a longer one covered.
        let ticks = ticks.min(LONGEST_SPAN);
        let mut effect = None;
        loop {
            let word = self.state.load();
            let generation = word.generation();
            let stale = own.is_some_and(|own| own != generation);
            match word.state() {
                State::Open => {
                    // The circuit may be open by a hold whose owner has not yet published its length. Then this caller
                    // publishes its own length. If that length is the shorter one, the owner finds it and opens anew.
                    // (This caller must not open anew at once. If the owner's hold is the longer one and the owner
                    // publishes its length in the same moment, the owner's hold would be lost.)
                    let unsaid = self.time_is_not_given_yet(word);
                    if unsaid {
                        let _ = self.timer.settle_span(&self.state, generation, ticks);
                    }
                    match self.period(word) {
                        None => continue,
                        Some(period) if period.remaining() > ticks => return effect.unwrap_or(Effect::Unchanged),
                        // If this caller has published the length itself (`unsaid`), its own move and reason are still
                        // due.
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
            // The hold makes a move of its own, even from open. If it lengthened the deadline in place, the first
            // caller after the old deadline could be faster, and the hold would be lost.
            let tally = self.window_tally();
            let Some((from, to)) = self.state.step(Some(generation), Step::ask(reason)).won() else { continue };
            self.after_transition(from, to, tally, Some(ticks));
            effect = Some(Effect::Opened(reason));
            if self.timer.span(to.generation()).is_some_and(|decided| decided >= ticks) {
                return Effect::Opened(reason);
            }
            // A shorter hold published its length before we could, or another caller moved the circuit on. Try again
            // until our length is covered.
            own = Some(to.generation());
        }
    }

    /// Latches the circuit by a move of its own. A probe's latch must not be reported as a result of the probe first: a
    /// helper could carry out that result, and the latch would be lost.
    pub(super) fn open_for_good(&self, own: Option<Generation>) -> Effect {
        loop {
            let word = self.state.load();
            let stale = own.is_some_and(|own| own != word.generation());
            // While the circuit is open, a stale latch counts too, because it speaks of the peer.
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
