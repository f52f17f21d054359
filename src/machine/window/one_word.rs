//! The count window of few outcomes: one word.
//!
//! ```text
//!  31       25 24                                         0
//! +-----------+--------------------------------------------+
//! | tag (7)   | 0…0 1 o o o o o o o o  (newest lowest)     |
//! +-----------+--------------------------------------------+
//! ```
//!
//! The outcomes stand below a sentinel bit: one bit each (failed), or two bits (failed, slow) where slow calls count.
//! Once there are N outcomes, the sentinel stays where it is, and each further outcome pushes the oldest one out.
//!
//! The value that an exchange writes *is* the last N outcomes. So a verdict reads no other word, and it is exact. Of the
//! failures that reach the threshold, the exchange that comes last sees all the others: no trip is lost, and no fence is
//! needed.
//!
//! A word with the tag of another generation counts as empty, and so does one without a sentinel, which was never
//! written.

use super::Recorded;
use crate::clock::Clock;
use crate::config::source::Source;
use crate::machine::cell::exchange;
use crate::machine::judge::judge_shares;
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::{GENERATION, Generation, Word};
use crate::platform::atomics::{AtomicU32, Ordering};
use crate::platform::bits::layout;
use crate::terms::tally::{Tally, WindowKind};

layout! {
    OUTCOMES: 25,
    TAG: 7,
}

/// The most outcomes that the word holds beside the sentinel.
pub(super) const fn most(slow: bool) -> u32 {
    (OUTCOMES.width() - 1) >> (slow as u32)
}

/// The tag of `generation`, in place.
#[inline(always)]
const fn tag(generation: Generation) -> u32 {
    TAG.of(generation.tag(TAG.width()))
}

/// The tag of a quiet word's generation, in place. There is nothing below the generation, so it takes one shift.
#[inline(always)]
const fn quiet_tag(quiet: Word) -> u32 {
    quiet.bits() << (TAG.at() - GENERATION.at())
}

/// The last outcomes of one generation: a value of the word, without its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcomes(u32);

impl Outcomes {
    /// A lone sentinel.
    const NONE: Self = Self(1);

    /// The outcomes in `raw`, which are none if `raw` is of another generation than the one with `tag`.
    #[inline]
    const fn of(raw: u32, tag: u32) -> Self {
        let bits = raw ^ tag;
        if TAG.is_set(bits) || bits == 0 { Self::NONE } else { Self(bits) }
    }

    /// These with one more, and without the oldest if they were N.
    #[inline]
    const fn with(self, mark: Mark, slow: bool, count: u32) -> Self {
        let outcome = mark.bits(slow);
        let moved = self.0 << (1 + slow as u32) | outcome;
        // The sentinel as high as it goes. It is there if it was there before, or if it moved there now.
        let full = 1 << (count << (slow as u32));
        Self((self.0 | moved) & full | moved & (full - 1))
    }

    /// The sums of all outcomes.
    const fn tally(self, slow: bool) -> Tally {
        let sentinel = (self.0 | 1).ilog2();
        let bits = self.0 ^ 1 << sentinel;
        let (failed, slow_calls) = if slow { (bits & 0x5555_5555, bits & 0xAAAA_AAAA) } else { (bits, 0) };
        Tally {
            window: WindowKind::Count,
            total: sentinel >> (slow as u32),
            failed: failed.count_ones(),
            slow: slow_calls.count_ones(),
        }
    }
}

/// A [`CountWindow`](super::CountWindow) of one word.
#[derive(Clone, Copy)]
pub(super) struct OneWord<'a>(&'a AtomicU32);

impl<'a> OneWord<'a> {
    #[inline(always)]
    pub(super) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }
}

impl OneWord<'_> {
    #[inline]
    pub(super) fn record<S: Source, C: Clock>(
        self,
        scope: Scope<'_, S, C>,
        mark: Mark,
        judge_always: bool,
    ) -> Recorded {
        let (tag, slow) = (tag(scope.generation), scope.shape().counts_slow());
        // Acquire, partner: the Release of the exchanges of this word. A word of a newer generation was written by a
        // thread that had seen that generation begin, so the second look sees it too.
        let mut raw = self.0.load(Ordering::Acquire);
        loop {
            // The second look. Without it, a writer that slept since the first look would put its outcome in the place
            // of those of a newer generation. The tag is short, so a word of this tag is looked at too.
            if !scope.is_current() {
                return Recorded::Stale;
            }
            let next = Outcomes::of(raw, tag).with(mark, slow, scope.shape().count());
            // If the outcome changes nothing, nothing is written: a window full of successes is one load. Another
            // outcome may be on its way at the same time. That is a benign race: the two reports overlap, so either
            // order is right.
            // Release, partner: the Acquire of this word's loads. Without it, an older writer that finds this outcome might not
            // see that its own generation is over, and would put its outcome in this one's place. Bounded: a failure means
            // that another thread wrote.
            if next.0 | tag != raw && !exchange(self.0, raw, next.0 | tag) {
                raw = self.0.load(Ordering::Acquire);
                continue;
            }
            if mark.is_good() && !judge_always {
                return Recorded::Counted;
            }
            return Recorded::Judged(judge_shares::<false, _, _>(&scope, next.tally(slow)));
        }
    }

    #[inline(always)]
    pub(super) fn try_fast<S: Source, C: Clock>(self, scope: Scope<'_, S, C>, quiet: Word, may_write: bool) -> bool {
        // The word is of this generation or of a newer one: the word is not quiet before a thread has judged
        // outcomes that it counted in this generation, and the caller has loaded the word with Acquire.
        let tag = quiet_tag(quiet);
        // A quiet permit means that there is no slow limit, so slow calls are not counted: one bit for each outcome.
        let count = scope.shape().count();
        // Relaxed: one word, read for itself. If it has nothing but the sentinel, at N, it is full of successes. See
        // `record` for the benign race.
        if (self.0.load(Ordering::Relaxed) ^ tag).rotate_right(count) == 1 {
            return true;
        }
        // Otherwise the success is placed, except where flash is scarce: there `record` serves alone.
        if !may_write || cfg!(not(target_pointer_width = "64")) {
            return false;
        }
        // The word is loaded again, so that the path above needs no Acquire and a register less. Acquire, and the second
        // look at the word: see `record`.
        let raw = self.0.load(Ordering::Acquire);
        if scope.peek() != quiet {
            return false;
        }
        let next = Outcomes(raw ^ tag).with(Mark::GOOD, false, count);
        // Relaxed: `record` published the first outcome of this generation, and each exchange since then continues its
        // release sequence.
        self.0.compare_exchange_weak(raw, next.0 | tag, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn tally<S: Source, C: Clock>(self, scope: Scope<'_, S, C>) -> Tally {
        // Relaxed: one word, read for itself.
        let raw = self.0.load(Ordering::Relaxed);
        Outcomes::of(raw, tag(scope.generation)).tally(scope.shape().counts_slow())
    }

    pub(super) fn renew<S: Source, C: Clock>(self, scope: Scope<'_, S, C>) {
        let tag = tag(scope.generation);
        // Acquire, and the second look: see `record`.
        let raw = self.0.load(Ordering::Acquire);
        if TAG.is_set(raw ^ tag) && scope.is_current() {
            // A failure means that a thread of this generation, or of a later one, has written the word.
            exchange(self.0, raw, Outcomes::NONE.0 | tag);
        }
    }
}

#[cfg(all(test, not(microbreaker_loom)))]
mod tests {
    use super::*;

    const BAD: Mark = Mark::new(true, true);

    #[test]
    fn a_word_that_was_never_written_is_empty_in_every_generation() {
        for number in 0..=TAG.max() {
            assert_eq!(Outcomes::of(0, TAG.of(number)), Outcomes::NONE, "of tag {number}");
        }
    }

    #[test]
    fn the_longest_windows_fill_the_word_and_leave_the_tag_alone() {
        for slow in [false, true] {
            let mut outcomes = Outcomes::NONE;
            for call in 1..=2 * most(slow) {
                outcomes = outcomes.with(BAD, slow, most(slow));
                let (tally, total) = (outcomes.tally(slow), call.min(most(slow)));
                assert_eq!((tally.total, tally.failed, tally.slow), (total, total, total * u32::from(slow)));
                assert!(!TAG.is_set(outcomes.0));
            }
            assert_eq!(outcomes.0, OUTCOMES.mask(), "no bit is left over");
        }
    }
}
