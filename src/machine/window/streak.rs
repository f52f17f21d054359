//! Consecutive failures.
//!
//! A streak alone has no word of its own. The breaker counts its run in the word that decides, so one exchange counts a
//! failure and opens the circuit. What stands here serves the streaks for which that word has no room: one of a pair of
//! windows, and one that trips after more than 255 failures. Their run stands in the counts, which carry the whole
//! generation.

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
use crate::terms::tally::{Tally, WindowKind};

/// A window that trips after a number of consecutive failures ([`Config::streak`](crate::Config::streak)). It has no words
/// of its own, and a success on a clean streak only loads one. A slow success counts as a failure, whether by the slow limit
/// or reported as [`Outcome::Slow`](crate::Outcome::Slow).
///
/// A streak of more than 255 failures, or one of a pair of windows, is counted beside the word that decides: then each
/// report takes a few steps more.
#[derive(Debug)]
pub struct Streak(());

/// The sums of a run.
pub(crate) const fn tally_of(run: u32) -> Tally {
    Tally { window: WindowKind::Streak, total: run, failed: run, slow: 0 }
}

/// How many quarters of the way to `trip` a run has come, at most 3. A run only grows by one or falls to nothing, so its level needs no memory.
pub(crate) const fn level_of(run: u32, trip: u32) -> u8 {
    (4 * run >= trip) as u8 + (4 * run >= 2 * trip) as u8 + (4 * run >= 3 * trip) as u8
}

impl Streak {
    /// Counts an outcome in the counts, and returns the run; `None` if the generation is over.
    pub(crate) fn count<S: Source, C: Clock>(scope: &Scope<'_, S, C>, mark: Mark) -> Option<u32> {
        loop {
            let counts = scope.cell.counts(scope.generation)?;
            // The counts carry the whole generation, but a permit may be older than a wrap of it.
            if !scope.is_current() {
                return None;
            }
            let next = counts.with_run(if mark.is_good() { 0 } else { counts.run() + 1 });
            // If the streak is clean already, nothing is written: a healthy streak is never written. A failure may be on
            // its way at the same time. That is a benign race: the two reports overlap, so either order is right.
            let unchanged = next == counts && mark.is_good();
            // One word decides the run, so "no lost trip" needs no more: of the failures that reach the threshold, the
            // exchange that comes last sees it reached.
            if unchanged || scope.cell.exchange_counts(counts, next) {
                return Some(next.run());
            }
        }
    }

    fn assessment<S: Source, C: Clock>(scope: &Scope<'_, S, C>, run: u32, mark: Mark) -> Assessment {
        let trip = scope.shape().streak();
        Assessment {
            tally: tally_of(run),
            limits: scope.limits(),
            trip: (run >= trip).then_some(mark.reason()),
            minimum_reached: true,
            level: scope.level_by(|| level_of(run, trip)),
        }
    }
}

impl Sealed for Streak {
    type Settings = Live;
    const CAPACITY: Capacity = Capacity { streak: true, ..Capacity::NONE };
    const SHARES: bool = false;
    const WRITES: bool = false;
    const IN_WORD: bool = true;
    initial!(give Self(()));

    #[inline]
    fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded {
        match Self::count(&scope, mark) {
            None => Recorded::Stale,
            Some(_) if mark.is_good() && !judge_always => Recorded::Counted,
            Some(run) => Recorded::Judged(Self::assessment(&scope, run, mark)),
        }
    }

    #[inline(always)]
    fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, _: bool) -> bool {
        scope.cell.counts_nothing(quiet)
    }

    fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally {
        // The counts of a half-open circuit are of its probes. A benign race: if the circuit moves on between the two loads,
        // the generation is another one, and the sums are empty either way.
        let run = if scope.peek().records() { scope.cell.read_counts(scope.generation).run() } else { 0 };
        tally_of(run)
    }

    /// The breaker renews the counts itself.
    fn renew<S: Source, C: Clock>(&self, _: Scope<'_, S, C>) {}
}
