//! What is counted while closed. The trait is sealed: its implementations are proved together with the breaker.

mod count;
mod pair;
mod streak;
mod time;

pub use self::count::{CountWindow, count_words};
pub use self::streak::Streak;
pub use self::time::TimeWindow;

use crate::clock::Clock;
use crate::config::capacity::Capacity;
use crate::config::live::{Limits, Live, Shape};
use crate::machine::control::{Generation, StateCell, Word};
use crate::platform::atomics::initial;
use crate::terms::state::OpenReason;
use crate::terms::tally::Tally;

/// A window: [`Streak`], [`CountWindow`], [`TimeWindow`], or a pair `(A, B)` of two different ones, which trips when
/// either does and says which in the event's tally. Sealed.
pub trait Window: sealed::Sealed {}

impl<W: sealed::Sealed> Window for W {}

/// How an outcome looks to a window. Neither bit: good.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

impl Mark {
    pub(crate) const GOOD: Self = Self { failed: false, slow: false };

    #[inline]
    pub(crate) const fn is_good(self) -> bool {
        !self.failed && !self.slow
    }
}

/// Whom a window works for: the generation, and where to look whether it is still the present one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Scope<'a, C> {
    pub(crate) state: &'a StateCell,
    pub(crate) generation: Generation,
    pub(crate) live: &'a Live,
    /// By reference: read where it is needed, not on every path.
    pub(crate) shape: &'a Shape,
    pub(crate) clock: &'a C,
    /// The degradation level that the outcome met.
    pub(crate) level: u8,
}

// By hand: a derive would ask for `C: Copy`.
impl<C> Clone for Scope<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Scope<'_, C> {}

impl<C> Scope<'_, C> {
    /// A level as judged, where there are levels at all; else 0.
    pub(crate) fn level_by(&self, judge: impl FnOnce() -> u8) -> u8 {
        if self.live.rules().levels() { judge() } else { 0 }
    }

    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.state.is(self.generation)
    }
}

/// A judgement of a window's sums.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opinion {
    pub(crate) tally: Tally,
    /// What it was judged by.
    pub(crate) limits: Limits,
    pub(crate) trip: Option<OpenReason>,
    /// Whether the minimum is reached.
    pub(crate) ripe: bool,
    pub(crate) level: u8,
}

/// What recording an outcome came to.
#[doc(hidden)]
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The generation is over: dropped.
    Stale,
    /// Counted; nothing to judge (it changed nothing, or it was good and nobody asked).
    Counted,
    /// Counted and judged.
    Judged(Opinion),
}

/// What a glance at a failure came to.
#[doc(hidden)]
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// Nothing was done.
    Nothing,
    /// Counted, and it plainly calls for nothing.
    Counted,
    /// Counted, to be judged.
    Placed(Placement),
}

/// Where an outcome was counted, as the window puts it.
#[doc(hidden)]
pub(crate) type Placement = (u32, u32);

pub(crate) mod sealed {
    use super::{Capacity, Clock, Glance, Mark, Placement, Recorded, Scope, Tally, Word, initial};

    #[doc(hidden)]
    pub trait Sealed: Sized {
        const CAPACITY: Capacity;
        /// Whether shares are judged, above a minimum.
        const SHARES: bool;
        initial!(declare);

        /// Counts one outcome. Judges it if it is bad or slow, and any if `eager`.
        fn record<C: Clock>(&self, scope: Scope<'_, C>, mark: Mark, eager: bool) -> Recorded;

        /// Whether a good outcome writes even when nothing is wrong.
        const WRITES: bool;

        /// Counts a good outcome under a `quiet` control word, which was just seen to be the present one, if that takes no
        /// more than a glance, or one exchange. `false`: nothing was done. `alone`: not one of a pair, where an exchange
        /// that the other's refusal follows would be one too many; a window that [`WRITES`](Self::WRITES) makes its own
        /// all the same.
        fn glance<C: Clock>(&self, scope: Scope<'_, C>, quiet: Word, alone: bool) -> bool;

        /// Whether it can do so with a failure.
        const FAILS_AT_A_GLANCE: bool = false;

        /// [`glance`](Self::glance) for a failure.
        fn glance_failure<C: Clock>(&self, scope: Scope<'_, C>, quiet: Word) -> Glance {
            let _ = (scope, quiet);
            Glance::Nothing
        }

        /// Judges a failure that was placed at a glance.
        fn verdict<C: Clock>(&self, scope: Scope<'_, C>, placement: Placement) -> Recorded {
            let _ = (scope, placement);
            Recorded::Counted
        }

        /// The sums now.
        fn tally<C: Clock>(&self, scope: Scope<'_, C>) -> Tally;

        /// Whether nothing bad is in it now.
        fn is_clean<C: Clock>(&self, scope: Scope<'_, C>) -> bool {
            let tally = self.tally(scope);
            tally.failed == 0 && tally.slow == 0
        }

        /// Makes the words belong to `scope`'s generation, empty, unless they do already. Lazily done by whoever
        /// records as well; the winner of a transition does it at once so that tags stay far from wrapping.
        fn renew<C: Clock>(&self, scope: Scope<'_, C>);
    }
}

/// Which threshold the sums reach, if any; failures first. No division, no overflow: shares are compared by cross
/// multiplication in 64 bits.
pub(crate) fn over_threshold(limits: Limits, tally: Tally) -> Option<OpenReason> {
    let reached = |part: u32, permille: u32| {
        permille > 0 && u64::from(part) * 1000 >= u64::from(permille) * u64::from(tally.total)
    };
    // The minimum is at least 1, so there is something to take shares of.
    if tally.total < limits.minimum() {
        None
    } else if reached(tally.failed, limits.failure()) {
        Some(OpenReason::Failures)
    } else if reached(tally.slow, limits.slow()) {
        Some(OpenReason::Slow)
    } else {
        None
    }
}

/// The judgement of sums by shares.
pub(crate) fn judge_shares<C>(scope: &Scope<'_, C>, tally: Tally) -> Opinion {
    let limits = scope.live.limits();
    let ripe = tally.total >= limits.minimum();
    let axis = |part: u32, permille: u32| {
        if permille == 0 || !ripe {
            return 0;
        }
        degradation(u64::from(part) * 1000, u64::from(permille) * u64::from(tally.total), scope.level)
    };
    let level = || axis(tally.failed, limits.failure()).max(axis(tally.slow, limits.slow()));
    Opinion { tally, limits, trip: over_threshold(limits, tally), ripe, level: scope.level_by(level) }
}

/// The level of `value` on the way to `trip`, coming from `level`: it rises at the quarters and falls only an eighth
/// below the quarter it stands on, so that it does not flap around one.
pub(crate) fn degradation(value: u64, trip: u64, level: u8) -> u8 {
    let mut new = 3_u8;
    while new > 0 {
        let eighths = if new > level { 2 * new } else { 2 * new - 1 };
        if value * 8 >= trip * u64::from(eighths) {
            break;
        }
        new -= 1;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Config;
    use crate::terms::tally::WindowKind;

    #[test]
    fn levels_rise_at_quarters_and_fall_an_eighth_below() {
        let path = [(24, 0), (25, 1), (49, 1), (50, 2), (38, 2), (37, 1), (75, 3), (63, 3), (62, 2), (13, 1), (12, 0)];
        let mut level = 0;
        for (value, expected) in path {
            level = degradation(value, 100, level);
            assert_eq!(level, expected, "at {value}");
        }
    }

    #[test]
    fn shares_of_billions_of_calls_do_not_overflow() {
        let limits = Config::count(100)
            .minimum(1)
            .failure_permille(500)
            .words(&ManualClock::RATE, Capacity { count: true, calls: [1023; 2], ..Capacity::NONE });
        let live = Live::new(&limits.unwrap());
        let tally = |failed| Tally { window: WindowKind::Time, total: u32::MAX, failed, slow: 0 };
        assert_eq!(over_threshold(live.limits(), tally(u32::MAX / 2)), None);
        assert_eq!(over_threshold(live.limits(), tally(u32::MAX / 2 + 1)), Some(OpenReason::Failures));
        assert_eq!(over_threshold(live.limits(), tally(u32::MAX)), Some(OpenReason::Failures));
    }
}
