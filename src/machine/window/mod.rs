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
use crate::machine::control::ControlWord;
use crate::machine::judge::Assessment;
use crate::machine::scope::{Mark, Scope};
use crate::platform::atomics::initial;
use crate::terms::tally::Tally;

/// A window: [`Streak`], [`CountWindow`], [`TimeWindow`], or a pair `(A, B)` of two different ones, which trips when
/// either does and says which in the event's tally. Sealed.
pub trait Window: sealed::Sealed {}

impl<W: sealed::Sealed> Window for W {}

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
    Judged(Assessment),
}

/// What a glance at a failure came to.
#[doc(hidden)]
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastFailure {
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
    use super::{Capacity, Clock, ControlWord, FastFailure, Mark, Placement, Recorded, Scope, Tally, initial};

    #[doc(hidden)]
    pub trait Sealed: Sized {
        const CAPACITY: Capacity;
        /// Whether shares are judged, above a minimum.
        const SHARES: bool;
        initial!(declare);

        /// Counts one outcome. Judges it if it is bad or slow, and any if `judge_always`.
        fn record<C: Clock>(&self, scope: Scope<'_, C>, mark: Mark, judge_always: bool) -> Recorded;

        /// Whether a good outcome writes even when nothing is wrong.
        const WRITES: bool;

        /// Counts a good outcome under a `quiet` control word, which was just seen to be the present one, if that takes no
        /// more than a glance, or one exchange. `false`: nothing was done. `may_write`: not one of a pair, where an exchange
        /// that the other's refusal follows would be one too many; a window that [`WRITES`](Self::WRITES) makes its own
        /// all the same.
        fn try_fast<C: Clock>(&self, scope: Scope<'_, C>, quiet: ControlWord, may_write: bool) -> bool;

        /// Whether it can do so with a failure.
        const FAILS_FAST: bool = false;

        /// [`try_fast`](Self::try_fast) for a failure.
        fn try_fast_failure<C: Clock>(&self, scope: Scope<'_, C>, quiet: ControlWord) -> FastFailure {
            let _ = (scope, quiet);
            FastFailure::Nothing
        }

        /// Judges a failure that was placed on the fast path.
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
