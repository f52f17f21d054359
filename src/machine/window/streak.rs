//! Consecutive failures, in one word.
//!
//! ```text
//!  31                                12 11                      0
//! +------------------------------------+-------------------------+
//! | generation (20)                    | run (12)                |
//! +------------------------------------+-------------------------+
//! ```
//!
//! The tag is the whole generation and stands where the control word has it, so a clean streak is the same word as a
//! quiet control word.

use super::Recorded;
use super::sealed::Sealed;
use crate::clock::Clock;
use crate::config::capacity::Capacity;
use crate::machine::control::{ControlWord, GENERATION};
use crate::machine::judge::{Assessment, degradation};
use crate::machine::scope::{Mark, Scope};
use crate::platform::atomics::{AtomicU32, Ordering, initial};
use crate::platform::bits::layout;
use crate::terms::state::OpenReason;
use crate::terms::tally::{Tally, WindowKind};

layout! {
    RUN: 12,
    GENERATION,
}

/// A window that trips after a number of consecutive failures ([`Config::streak`](crate::Config::streak)). It is one
/// word, and a success on a clean streak only loads it. A slow success counts as a failure, whether by the slow limit
/// or reported as [`Outcome::Slow`](crate::Outcome::Slow).
#[derive(Debug)]
pub struct Streak(AtomicU32);

impl Streak {
    fn assessment<C>(scope: &Scope<'_, C>, run: u32, failed: bool) -> Assessment {
        let tally = Tally { window: WindowKind::Streak, total: run, failed: run, slow: 0 };
        let trip = scope.shape.streak();
        let reason = if failed { OpenReason::Failures } else { OpenReason::Slow };
        Assessment {
            tally,
            limits: scope.live.limits(),
            trip: (run >= trip).then_some(reason),
            minimum_reached: true,
            level: scope.level_by(|| degradation(u64::from(run), u64::from(trip), scope.level)),
        }
    }
}

impl Sealed for Streak {
    const CAPACITY: Capacity = Capacity { streak: true, ..Capacity::NONE };
    const SHARES: bool = false;
    const WRITES: bool = false;
    // Clean in the first generation.
    initial!(give Self(AtomicU32::new(ControlWord::initial(false).bits())));

    #[inline]
    fn record<C: Clock>(&self, scope: Scope<'_, C>, mark: Mark, judge_always: bool) -> Recorded {
        let tag = GENERATION.of(scope.generation.number());
        // Acquire, partner: the Release below. It lets `is_current` see at least the generation that this word belongs
        // to.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let run = if word & GENERATION.mask() == tag {
                RUN.get(word)
            } else if scope.is_current() {
                0 // an older word counts as empty
            } else {
                return Recorded::Stale;
            };
            let next = if mark.is_good() { 0 } else { (run + 1).min(RUN.max()) };
            if next == 0 && run == 0 {
                // The streak is already clean: a healthy streak is never written. A failure may be on its way at the
                // same time. That is a benign race: the two reports overlap, so either order is right.
                return if judge_always {
                    Recorded::Judged(Self::assessment(&scope, 0, false))
                } else {
                    Recorded::Counted
                };
            }
            // Release, partner: the Acquire of this word's loads. One word decides the run, so "no lost trip" needs no
            // more: of the failures that reach the threshold, the exchange that comes last sees it reached. Acquire on
            // failure for the same reason as the load above.
            match self.0.compare_exchange_weak(word, tag | next, Ordering::Release, Ordering::Acquire) {
                Ok(_) if next > 0 || judge_always => {
                    return Recorded::Judged(Self::assessment(&scope, next, mark.failed));
                }
                Ok(_) => return Recorded::Counted,
                Err(present) => word = present,
            }
        }
    }

    #[inline(always)]
    fn try_fast<C: Clock>(&self, _: Scope<'_, C>, quiet: ControlWord, _: bool) -> bool {
        // Relaxed: one word, read for itself; see `record`.
        self.0.load(Ordering::Relaxed) == quiet.bits()
    }

    fn tally<C: Clock>(&self, scope: Scope<'_, C>) -> Tally {
        // Relaxed: one word, read for itself.
        let word = self.0.load(Ordering::Relaxed);
        let run = if GENERATION.get(word) == scope.generation.number() { RUN.get(word) } else { 0 };
        Tally { window: WindowKind::Streak, total: run, failed: run, slow: 0 }
    }

    fn renew<C: Clock>(&self, scope: Scope<'_, C>) {
        // Acquire: see `record`.
        let word = self.0.load(Ordering::Acquire);
        let tag = GENERATION.of(scope.generation.number());
        if word & GENERATION.mask() != tag && scope.is_current() {
            // Release: see `record`. A failure means that a thread of this generation, or of a later one, has written
            // the word.
            let _ = self.0.compare_exchange(word, tag, Ordering::Release, Ordering::Relaxed);
        }
    }
}
