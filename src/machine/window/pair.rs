//! Two windows at once: `(Streak, TimeWindow<16>)` and the like.

use super::Recorded;
use super::sealed::Sealed;
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

impl<A: Sealed<Settings = Live>, B: Sealed<Settings = Live>> Sealed for (A, B) {
    type Settings = Live;
    const CAPACITY: Capacity = A::CAPACITY.and(B::CAPACITY);
    const SHARES: bool = A::SHARES || B::SHARES;
    const WRITES: bool = A::WRITES || B::WRITES;
    const RUN_IN_COUNTS: bool = A::IN_WORD || B::IN_WORD;
    initial!(give(initial!(take A), initial!(take B)));

    #[inline]
    fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded {
        match (self.0.record(scope, mark, judge_always), self.1.record(scope, mark, judge_always)) {
            (Recorded::Stale, _) | (_, Recorded::Stale) => Recorded::Stale,
            (Recorded::Counted, other) | (other, Recorded::Counted) => other,
            (Recorded::Judged(a), Recorded::Judged(b)) => {
                // The tally is that of the window that trips, and of the first if both or neither do.
                let named = if a.trip.is_none() && b.trip.is_some() { b } else { a };
                Recorded::Judged(Assessment {
                    tally: named.tally,
                    limits: a.limits,
                    trip: named.trip,
                    minimum_reached: a.minimum_reached && b.minimum_reached,
                    level: a.level.max(b.level),
                })
            }
        }
    }

    #[inline(always)]
    #[expect(clippy::if_same_then_else, reason = "the order is the point")]
    fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, _: bool) -> bool {
        // The window that only reads goes first, so that nothing was done if either refuses. At most one window of a
        // pair writes here, because two windows of one kind are no pair.
        if A::WRITES {
            self.1.try_fast(scope, quiet, false) && self.0.try_fast(scope, quiet, false)
        } else {
            self.0.try_fast(scope, quiet, false) && self.1.try_fast(scope, quiet, false)
        }
    }

    fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally {
        self.0.tally(scope)
    }

    fn is_clean<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> bool {
        self.0.is_clean(scope) && self.1.is_clean(scope)
    }

    fn renew<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) {
        self.0.renew(scope);
        self.1.renew(scope);
    }
}
