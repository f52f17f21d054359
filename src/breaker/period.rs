//! How far an open or ramping period has come.

use crate::breaker::Breaker;
use crate::clock::{Clock, Ticks};
use crate::machine::backoff;
use crate::machine::control::ControlWord;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::state::State;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// How far the present period (open or ramping) has come, deciding its beginning and length if nobody has; `None`
    /// if the generation is over.
    #[inline]
    pub(super) fn period(&self, word: ControlWord) -> Option<Period> {
        let period = self.period_or_over(word);
        (period.span != Period::OVER.span).then_some(period)
    }

    /// [`period`](Self::period), answering in two registers.
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
            // A hold whose owner is between opening and saying how long. Nobody else knows; until it says, take the
            // longest it can be: never early (unless a reload lowers the cap just then), and not for ever should it never
            // come back.
            _ => {
                let longest = self.live.hold_at_most().saturating_add(C::SLACK);
                return self.timer.span_or(&self.state, generation, longest);
            }
        };
        self.timer.settle_span(&self.state, generation, length.saturating_add(C::SLACK))
    }

    /// Whether it is open for a time that its owner is still about to say.
    pub(super) fn time_is_not_given_yet(&self, word: ControlWord) -> bool {
        word.time_was_given() && self.timer.span(word.generation()).is_none()
    }
}

/// How far an open or ramping period has come.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) elapsed: u32,
    pub(super) span: u32,
}

impl Period {
    /// Of a generation that is over. No span is as long: they are kept in 19 bits and a shift.
    pub(super) const OVER: Self = Self { elapsed: 0, span: u32::MAX };

    #[inline]
    pub(super) fn remaining(self) -> u32 {
        self.span.saturating_sub(self.elapsed)
    }

    #[inline]
    pub(super) fn is_over(self) -> bool {
        self.elapsed >= self.span
    }

    /// The share of calls to admit, 1 to 16 sixteenths, unless the time is over.
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
