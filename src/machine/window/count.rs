//! The exact last N outcomes: in one word if they fit, else in a ring of words.

use super::one_word::{self, OneWord};
use super::ring::{self, Ring};
use super::sealed::Sealed;
use super::{FastFailure, Placement, Recorded};
use crate::clock::Clock;
use crate::config::capacity::Capacity;
use crate::config::live::Live;
use crate::config::source::Source;
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::Word;
use crate::platform::atomics::{AtomicU32, initial, zeroed};
use crate::terms::tally::Tally;

/// The number of words that a [`CountWindow`] needs for the last `calls` outcomes (1 to 1023). `slow` says whether it
/// counts slow calls. Up to 24 outcomes, or 12 where slow calls count, fit in one word.
///
/// ```
/// use microbreaker::{CountWindow, count_words};
///
/// type Last100 = CountWindow<{ count_words(100, false) }>;
/// assert_eq!(count_words(100, false), 7);
/// assert_eq!(count_words(100, true), 12);
/// assert_eq!(count_words(24, false), 1);
/// ```
pub const fn count_words(calls: u16, slow: bool) -> usize {
    let calls = calls as u32;
    if calls <= one_word::most(slow) { 1 } else { ring::words_for(calls, slow) as usize }
}

/// The longest window that `words` words hold.
const fn calls_in(words: u32, slow: bool) -> u32 {
    if words == 1 { one_word::most(slow) } else { ring::calls_in(words, slow) }
}

/// A window of exactly the last N outcomes ([`Config::count`](crate::Config::count)), which trips on the share of
/// failures or of slow calls among them.
///
/// It has `WORDS` words: see [`count_words`]. N is at most 1023; for a longer memory use a
/// [`TimeWindow`](crate::TimeWindow).
///
/// A window full of successes is never written: recording one more takes three loads. If the window shows a failure,
/// each success takes one exchange. So does a failure if the window is one word (up to 24 outcomes, or 12 where slow
/// calls count). In a longer window a failure also takes a look at about N/21 words at most (N/10 where slow calls
/// count), and at fewer if they show that it cannot trip.
#[derive(Debug)]
pub struct CountWindow<const WORDS: usize> {
    words: [AtomicU32; WORDS],
}

impl<const WORDS: usize> CountWindow<WORDS> {
    #[expect(clippy::cast_possible_truncation, reason = "a configuration with more than 129 words is refused")]
    const WORDS: u32 = WORDS as u32;
    /// Whether all outcomes are in one word. A constant, so that each window links the code of one kind alone.
    const IN_ONE_WORD: bool = WORDS == 1;

    #[inline(always)]
    fn one_word(&self) -> OneWord<'_> {
        OneWord::new(&self.words[0])
    }

    #[inline(always)]
    fn ring(&self) -> Ring<'_, WORDS> {
        Ring::new(&self.words)
    }
}

impl<const WORDS: usize> Sealed for CountWindow<WORDS> {
    type Settings = Live;
    const CAPACITY: Capacity =
        Capacity { count: true, calls: [calls_in(Self::WORDS, false), calls_in(Self::WORDS, true)], ..Capacity::NONE };
    const SHARES: bool = true;
    const WRITES: bool = false;
    initial!(give {
        let mut words = zeroed!(WORDS);
        if WORDS > 1 {
            words[0] = AtomicU32::new(Ring::<WORDS>::NEW_HEAD);
        }
        Self { words }
    });

    #[inline]
    fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded {
        // If its shape does not count slow calls, the window knows only failure and success.
        let mark = Mark::new(mark.failed(), mark.slow() && scope.shape().counts_slow());
        if Self::IN_ONE_WORD {
            self.one_word().record(scope, mark, judge_always)
        } else {
            self.ring().record(scope, mark, judge_always)
        }
    }

    #[inline(always)]
    fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, may_write: bool) -> bool {
        if Self::IN_ONE_WORD {
            self.one_word().try_fast(scope, quiet, may_write)
        } else {
            self.ring().try_fast(scope, quiet, may_write)
        }
    }

    // In a ring, failures of a healthy peer have a path of their own, except where flash is scarce: there `record` serves
    // alone. In one word, `record` is as fast.
    const FAILS_FAST: bool = cfg!(target_pointer_width = "64") && !Self::IN_ONE_WORD;

    #[inline(always)]
    fn try_fast_failure<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word) -> FastFailure {
        self.ring().try_fast_failure(scope, quiet)
    }

    #[inline(always)]
    fn verdict<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, placement: Placement) -> Recorded {
        self.ring().verdict(scope, placement)
    }

    fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally {
        if Self::IN_ONE_WORD { self.one_word().tally(scope) } else { self.ring().tally(scope) }
    }

    fn renew<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) {
        if Self::IN_ONE_WORD { self.one_word().renew(scope) } else { self.ring().renew(scope) }
    }
}

#[cfg(all(test, not(microbreaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_words_for_n_hold_n_and_fewer_do_not() {
        for slow in [false, true] {
            for calls in 1..=1023_u16 {
                let words = u32::try_from(count_words(calls, slow)).unwrap();
                assert!(calls_in(words, slow) >= u32::from(calls), "{calls} {slow}");
                assert!((0..words).all(|words| calls_in(words, slow) < u32::from(calls)), "{calls} {slow}");
                assert!(words <= 129);
            }
        }
    }
}
