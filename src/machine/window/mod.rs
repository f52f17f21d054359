//! The windows: what a circuit counts while it is closed or ramping. The trait is sealed, because its implementations
//! are proved together with the breaker.

mod count;
pub(crate) mod fixed;
mod one_word;
mod pair;
mod ring;
pub(crate) mod streak;
mod time;

pub use self::count::{CountWindow, count_words};
pub use self::fixed::Fixed;
pub use self::streak::Streak;
pub use self::time::TimeWindow;

use crate::clock::Clock;
use crate::config::capacity::Capacity;
use crate::config::live::Live;
use crate::config::source::Source;
use crate::machine::judge::Assessment;
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::Word;
use crate::platform::atomics::initial;
use crate::terms::tally::Tally;

/// The memory of outcomes by which a closed circuit judges its peer. Sealed.
///
/// A window is a [`Streak`], a [`CountWindow`], a [`TimeWindow`] or a pair `(A, B)` of two different ones. A pair trips
/// when either of its windows does, and the event's tally says which one did. [`Fixed`] gives a window settings that are
/// constants.
pub trait Window: sealed::Sealed {}

impl<W: sealed::Sealed> Window for W {}

/// A window whose breaker keeps its settings in live words: every window but [`Fixed`]. Sealed.
pub trait LiveWindow: Window + sealed::Sealed<Settings = Live> {}

impl<W: sealed::Sealed<Settings = Live>> LiveWindow for W {}

/// The result of recording an outcome.
#[doc(hidden)]
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The generation is over, so the outcome was dropped.
    Stale,
    /// Counted and not judged: the outcome changes no verdict, or it was a success and `judge_always` was not set.
    Counted,
    /// Counted and judged.
    Judged(Assessment),
}

/// The result of recording a failure on the fast path.
#[doc(hidden)]
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastFailure {
    /// Nothing was done.
    Nothing,
    /// Counted, and the failure plainly calls for nothing.
    Counted,
    /// Counted, and still to be judged.
    Placed(Placement),
}

/// Where an outcome was counted, in a form that only the window reads.
#[doc(hidden)]
pub(crate) type Placement = (u32, u32);

pub(crate) mod sealed {
    use super::{Capacity, Clock, FastFailure, Mark, Placement, Recorded, Scope, Source, Tally, Word, initial};

    #[doc(hidden)]
    pub trait Sealed: Sized {
        /// Where the breaker reads its settings. Threads share it, also in code that is generic over the window.
        type Settings: Source + Send + Sync;

        const CAPACITY: Capacity;
        /// Whether the window judges by shares, above a minimum of calls.
        const SHARES: bool;
        /// Whether it is a streak alone. Such a streak is counted by the breaker, in the word that decides, unless it is too
        /// long for that.
        const IN_WORD: bool = false;
        /// Whether it counts a run in the counts, beside the words of its own.
        const RUN_IN_COUNTS: bool = false;
        initial!(declare);

        /// Counts one outcome. Judges the window if the outcome is a failure or slow (unless it plainly calls for
        /// nothing), and after any outcome if `judge_always`.
        fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded;

        /// Whether a success is written even if nothing is wrong.
        const WRITES: bool;

        /// The fast path of [`record`](Self::record) for a success: counts it if that takes no more than loads and one
        /// exchange. `false`: nothing was done. The caller has just seen that the `quiet` word is the present
        /// one.
        ///
        /// A pair clears `may_write`: if one window wrote and the other then refused, `record` would count the success
        /// twice. A window that [`WRITES`](Self::WRITES) may write all the same, because a pair asks it last.
        fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, may_write: bool) -> bool;

        /// Whether the window has a fast path for failures.
        const FAILS_FAST: bool = false;

        /// [`try_fast`](Self::try_fast) for a failure.
        fn try_fast_failure<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word) -> FastFailure {
            let _ = (scope, quiet);
            FastFailure::Nothing
        }

        /// Judges a failure that was placed on the fast path.
        fn verdict<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, placement: Placement) -> Recorded {
            let _ = (scope, placement);
            Recorded::Counted
        }

        /// The present sums.
        fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally;

        /// Whether the window now shows no failure and no slow call.
        fn is_clean<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> bool {
            let tally = self.tally(scope);
            tally.failed == 0 && tally.slow == 0
        }

        /// Makes the words belong to `scope`'s generation, empty, unless they belong to it already. Recording also does
        /// this when it needs to. The winner of a transition does it at once, so that tags stay far from wrapping.
        fn renew<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>);
    }
}
