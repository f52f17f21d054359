//! The length of an open or ramping period, and how much of it has passed.

use crate::breaker::Breaker;
use crate::clock::{Clock, Ticks};
use crate::machine::backoff;
use crate::machine::control::ControlWord;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::state::State;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// How far the present period (open or ramping) has come. If no thread has decided its beginning and length yet,
    /// this one decides them. `None`: the generation is over.
    #[inline]
    pub(super) fn period(&self, word: ControlWord) -> Option<Period> {
        let period = self.period_or_over(word);
        (period.span != Period::OVER.span).then_some(period)
    }

    /// [`period`](Self::period), with its result in two registers.
    #[inline(never)]
    pub(super) fn period_or_over(&self, word: ControlWord) -> Period {
        let generation = word.generation();
        let Some(elapsed) = self.timer.elapsed(&self.state, generation, &self.clock) else { return Period::OVER };
        let span = self.timer.span(generation).or_else(|| self.decide_span(word, elapsed.opened));
        Period { elapsed: elapsed.ticks, span: span.unwrap_or(Period::OVER.span) }
    }

    #[cold]
    fn decide_span(&self, word: ControlWord, opened: Ticks) -> Option<u32> {
        let generation = word.generation();
        let length = match word.state() {
            State::Ramping => self.live.ramp().max(1),
            _ if !word.time_was_given() => backoff::open_time(&self.live, word.attempt(), opened),
            // The thread that reported this hold has opened the circuit but not yet published its length. Until it
            // does, assume the longest allowed. So the period never ends early (unless a reload lowers the cap just
            // then), and it ends even if that thread never continues.
            _ => {
                let longest = self.live.hold_at_most().saturating_add(C::SLACK);
                return self.timer.span_or(&self.state, generation, longest);
            }
        };
        self.timer.settle_span(&self.state, generation, length.saturating_add(C::SLACK))
    }

    /// Whether the circuit is open for a time given, which the thread that opened it has not yet published.
    pub(super) fn time_is_not_given_yet(&self, word: ControlWord) -> bool {
        word.time_was_given() && self.timer.span(word.generation()).is_none()
    }
}

/// How much of an open or ramping period has passed, and its length, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) elapsed: u32,
    pub(super) span: u32,
}

impl Period {
    /// The period of a generation that is over. No real span is as long, since spans are kept in 19 bits and a shift.
    pub(super) const OVER: Self = Self { elapsed: 0, span: u32::MAX };

    #[inline]
    pub(super) fn remaining(self) -> u32 {
        self.span.saturating_sub(self.elapsed)
    }

    #[inline]
    pub(super) fn is_over(self) -> bool {
        self.elapsed >= self.span
    }

    /// The share of calls to admit, in sixteenths: 1 to 16. The period must not be over.
    pub(super) fn share(self) -> u32 {
        let (elapsed, mut step, mut share) = (u64::from(self.elapsed) << 4, u64::from(self.span), 1);
        while elapsed >= step {
            step += u64::from(self.span);
            share += 1;
        }
        share
    }

    /// Ticks until `share` sixteenths are admitted.
    pub(super) fn until_share(self, share: u32) -> u32 {
        let at = (u64::from(self.span) * u64::from(share - 1)).div_ceil(16);
        u32::try_from(at).unwrap_or(u32::MAX).saturating_sub(self.elapsed).max(1)
    }
}
