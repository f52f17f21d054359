//! The word that counts beside the word that decides: results of probes, calls of a ramp, a long streak.
//!
//! ```text
//!  31                 16 15    12 11     8 7      4 3     0
//! +---------------------+--------+--------+--------+-------+
//! | generation (16)     | slow 4 | failed | results| out 4 |   half-open, many probes
//! +---------------------+--------+--------+--------+-------+
//! | generation (16)     | calls (6)  | run (10)            |   closed, ramping
//! +---------------------+------------+---------------------+
//! ```
//!
//! *Out* is the number of probes in flight. *Results* is the number of probes that came back with one. By first failure,
//! a slow success counts as slow and not as failed, and both are bad. The verdict is a pure function of the word; when it
//! is complete the word is frozen, and every thread that sees it carries it out.

use crate::config::source::ProbeTerms;
use crate::machine::mark::Mark;
use crate::machine::share::is_share;
use crate::machine::word::GENERATION;
use crate::platform::bits::layout;
use crate::terms::state::OpenReason;
use crate::terms::tally::{Tally, WindowKind};

// Half-open.
layout! {
    OUT: 4,
    RESULTS: 4,
    FAILED: 4,
    SLOW: 4,
    GENERATION,
}
// Closed or ramping.
layout! {
    RUN: 10,
    CALLS: 6,
    GENERATION,
}

/// One value of the counts, without its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts(u32);

/// The verdict of the probes on the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Close,
    Reopen(OpenReason),
}

impl Counts {
    pub(crate) const EMPTY: Self = Self(0);

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// So many probes in flight, and no result.
    pub(crate) const fn of_probes(out: u32) -> Self {
        Self(OUT.of(out))
    }

    pub(crate) const fn out(self) -> u32 {
        OUT.get(self.0)
    }

    /// Whether one more probe may be admitted.
    pub(crate) const fn has_room(self, terms: ProbeTerms, at_once: u32) -> bool {
        self.out() < at_once && self.out() + RESULTS.get(self.0) < terms.probes()
    }

    /// With one more probe in flight. The caller checked that there is room, so no field overflows.
    pub(crate) const fn with_probe(self) -> Self {
        Self(self.0 + OUT.unit())
    }

    /// With one probe less in flight, and its result, if it has one.
    pub(crate) const fn reported(self, mark: Option<Mark>, rates: bool) -> Self {
        let result = match mark {
            None => 0,
            Some(mark) => {
                // By first failure, a slow failure is a failure.
                let slow = mark.slow && (rates || !mark.failed);
                RESULTS.unit() + FAILED.of(mark.failed as u32) + SLOW.of(slow as u32)
            }
        };
        Self(self.0 - OUT.unit() + result)
    }

    /// The verdict on the results, if they are enough.
    pub(crate) fn verdict(self, terms: ProbeTerms) -> Option<Verdict> {
        let (results, failed, slow) = (RESULTS.get(self.0), FAILED.get(self.0), SLOW.get(self.0));
        if terms.by_rates() {
            if results < terms.needed() {
                return None;
            }
            return Some(if is_share(failed, results, terms.failure()) {
                Verdict::Reopen(OpenReason::Failures)
            } else if is_share(slow, results, terms.slow()) {
                Verdict::Reopen(OpenReason::Slow)
            } else {
                Verdict::Close
            });
        }
        if failed > 0 {
            return Some(Verdict::Reopen(OpenReason::Failures));
        }
        if slow > 0 {
            return Some(Verdict::Reopen(OpenReason::Slow));
        }
        (results >= terms.needed()).then_some(Verdict::Close)
    }

    pub(crate) fn tally(self) -> Tally {
        let [total, failed, slow] = [RESULTS, FAILED, SLOW].map(|field| field.get(self.0));
        Tally { window: WindowKind::Probes, total, failed, slow }
    }

    /// The sums if all probes in flight count as failed.
    pub(crate) fn tally_with_lost(self) -> Tally {
        let tally = self.tally();
        Tally { total: tally.total + self.out(), failed: tally.failed + self.out(), ..tally }
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

    #[test]
    fn no_field_spills_into_its_neighbour() {
        let mut counts = Counts::EMPTY;
        for _ in 0..15 {
            counts = counts.with_probe();
        }
        assert_eq!(counts, Counts::of_probes(15));
        for _ in 0..15 {
            counts = counts.reported(Some(Mark { failed: true, slow: true }), true);
        }
        let tally = counts.tally();
        assert_eq!((counts.out(), tally.total, tally.failed, tally.slow), (0, 15, 15, 15));
        let run = (0..200).fold(Counts::EMPTY.with_run(1023), |counts, _| counts.with_call());
        assert_eq!((run.run(), run.with_run(5000).run()), (1023, 1023));
        assert!(run.bits() <= 0xFFFF);
    }

    #[test]
    fn a_share_of_sixteen_is_exact_in_any_sixteen_calls() {
        for share in 1..=16_u32 {
            let mut counts = Counts::EMPTY;
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
