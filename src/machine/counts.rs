//! The word that counts beside the word that decides: results of probes, calls of a ramp, a long streak.
//!
//! ```text
//!  31                 16 15    12 11     8 7      4 3       0
//! +---------------------+--------+--------+--------+---------+
//! | generation (16)     | back   | slow   | failed | results |   half-open, many probes
//! +---------------------+--------+--------+--------+---------+
//! | generation (16)     | calls (6)  | run (10)              |   closed, ramping
//! +---------------------+------------+-----------------------+
//! ```
//!
//! *Results* is the number of probes that came back with one, and *back* that of the probes that came back without one; it
//! comes round. How many were admitted stands in the word: so one exchange of the word admits a probe, and one of the counts
//! reports it. A result is counted in the same way by either rule, so that a reload between two results cannot mix the two. The
//! verdict is a pure function of the counts and of the terms, which are one word; when it is complete the counts are frozen,
//! unless a reload changes the terms, and every thread that sees it carries it out.

use crate::config::source::ProbeTerms;
use crate::machine::mark::Mark;
use crate::machine::share::is_share;
use crate::machine::word::{GENERATION, Generation};
use crate::platform::bits::layout;
use crate::terms::state::OpenReason;
use crate::terms::tally::{Tally, WindowKind};

// Half-open.
layout! {
    RESULTS: 4,
    FAILED: 4,
    SLOW: 4,
    BACK: 4,
    GENERATION,
}
// Closed or ramping.
layout! {
    RUN: 10,
    CALLS: 6,
    GENERATION,
}

/// One value of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts(u32);

/// A verdict on the peer: a number, because a small core passes it in a register and compares it. One by a single outcome is the
/// outcome's [`Mark`] (of one that is failed and slow: failed), so that it costs next to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict(u32);

impl Verdict {
    /// It has recovered, or nothing speaks against it.
    pub(crate) const CLOSE: Self = Self(0);
    /// A probe decides, and this caller has it. The counts never say so.
    pub(crate) const PROBE: Self = Self(9);

    /// It is sick, for this reason.
    #[inline(always)]
    pub(crate) const fn open(reason: OpenReason) -> Self {
        Self(reason as u32 + 1)
    }

    /// By one outcome alone.
    #[inline(always)]
    pub(crate) const fn by(mark: Mark) -> Self {
        Self(if mark.failed() { Self::open(OpenReason::Failures).0 } else { mark.bits(true) })
    }

    /// The number of the reason for which it is sick, if it is.
    #[inline(always)]
    pub(crate) const fn reason(self) -> u32 {
        self.0.wrapping_sub(1)
    }
}

const _: () = assert!(Verdict::by(Mark::new(true, false)).0 == Verdict::open(OpenReason::Failures).0);
const _: () = assert!(Verdict::by(Mark::new(false, true)).0 == Verdict::open(OpenReason::Slow).0);
const _: () = assert!(Verdict::by(Mark::GOOD).0 == Verdict::CLOSE.0);

impl Counts {
    /// Those with which a generation begins.
    pub(crate) const fn empty(generation: Generation) -> Self {
        Self(GENERATION.of(generation.number()))
    }

    pub(crate) const fn is_of(self, generation: Generation) -> bool {
        GENERATION.get(self.0) == generation.number()
    }

    /// The sums of the only probe, if it is lost.
    pub(crate) const LOST_PROBE: Tally = Tally { window: WindowKind::Probes, total: 1, failed: 1, slow: 0 };

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// How many probes are in flight, or came back with a result, of so many that were `admitted`.
    const fn taken(self, admitted: u32) -> u32 {
        admitted.wrapping_sub(BACK.get(self.0)) & BACK.max()
    }

    /// How many probes are in flight.
    pub(crate) const fn out(self, admitted: u32) -> u32 {
        self.taken(admitted).saturating_sub(RESULTS.get(self.0))
    }

    /// Whether one more probe may be admitted.
    pub(crate) const fn has_room(self, admitted: u32, terms: ProbeTerms, at_once: u32) -> bool {
        self.taken(admitted) < terms.probes() && self.out(admitted) < at_once
    }

    /// With one more probe that came back, and its result, if it has one. No field overflows: with as many results as there are
    /// probes, the verdict is complete.
    pub(crate) const fn reported(self, mark: Mark) -> Self {
        if mark.is_none() {
            return Self(BACK.replace(self.0, BACK.get(self.0) + 1 & BACK.max()));
        }
        Self(self.0 + RESULTS.unit() + FAILED.of(mark.failed() as u32) + SLOW.of(mark.slow() as u32))
    }

    /// The verdict on the results, if they are enough.
    pub(crate) fn verdict(self, terms: ProbeTerms) -> Option<Verdict> {
        let results = RESULTS.get(self.0);
        if results < terms.judged_from() {
            None
        } else if is_share::<false>(FAILED.get(self.0), results, terms.failure(), 8) {
            Some(Verdict::open(OpenReason::Failures))
        } else if is_share::<false>(SLOW.get(self.0), results, terms.slow(), 8) {
            Some(Verdict::open(OpenReason::Slow))
        } else {
            (results >= terms.needed()).then_some(Verdict::CLOSE)
        }
    }

    pub(crate) fn tally(self) -> Tally {
        let [total, failed, slow] = [RESULTS, FAILED, SLOW].map(|field| field.get(self.0));
        Tally { window: WindowKind::Probes, total, failed, slow }
    }

    /// The sums if all probes in flight count as failed.
    pub(crate) fn tally_with_lost(self, admitted: u32) -> Tally {
        let (tally, lost) = (self.tally(), self.out(admitted));
        Tally { total: tally.total + lost, failed: tally.failed + lost, ..tally }
    }

    /// With one more call of a ramp.
    pub(crate) const fn with_call(self) -> Self {
        Self(CALLS.replace(self.0, CALLS.get(self.0) + 1 & CALLS.max()))
    }

    /// Whether the next call of a ramp is among the admitted `share` of 16. This spreads `share` admissions evenly over any
    /// 16 calls in a row (Bresenham).
    pub(crate) const fn admits(self, share: u32) -> bool {
        (CALLS.get(self.0) & 15) * share & 15 < share
    }

    /// The run of failures.
    pub(crate) const fn run(self) -> u32 {
        RUN.get(self.0)
    }

    /// The same counts with this run; one that is too long stays as long as it can be.
    pub(crate) const fn with_run(self, run: u32) -> Self {
        Self(RUN.replace(self.0, if run > RUN.max() { RUN.max() } else { run }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Counts = Counts(0);

    #[test]
    fn no_field_spills_into_its_neighbour() {
        let mut counts = EMPTY;
        for _ in 0..15 {
            counts = counts.reported(Mark::new(true, true));
        }
        for admitted in 15..50 {
            let tally = counts.tally();
            assert_eq!((counts.out(admitted), tally.total, tally.failed, tally.slow), (0, 15, 15, 15));
            counts = counts.reported(Mark::NONE);
        }
        let run = (0..200).fold(EMPTY.with_run(1023), |counts, _| counts.with_call());
        assert_eq!((run.run(), run.with_run(5000).run()), (1023, 1023));
        assert!(!GENERATION.is_set(run.bits()));
    }

    #[test]
    fn a_share_of_sixteen_is_exact_in_any_sixteen_calls() {
        for share in 1..=16_u32 {
            let mut counts = EMPTY;
            let admits: std::vec::Vec<bool> = (0..128)
                .map(|_| {
                    let admits = counts.admits(share);
                    counts = counts.with_call();
                    admits
                })
                .collect();
            for sixteen in admits.windows(16) {
                assert_eq!(sixteen.iter().filter(|admits| **admits).count(), share as usize);
            }
        }
    }
}
