//! Live settings: words that an operator may change while calls run.

use crate::clock::Clock;
use crate::config::source::{ConfigWords, GROUPS, Group, Rules, SHADOW, Source};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, fence, initial};

/// The live words. Each load reads one consistent group, and a call that reads an old group acts as a call that came a
/// moment earlier. A call that reads two groups during a reload may read one old and one new group. This is a benign race:
/// every mix is a valid setting.
#[doc(hidden)]
#[derive(Debug)]
pub struct Live {
    words: [AtomicU32; GROUPS],
    seed: AtomicU32,
}

impl Live {
    const_fn! {
        pub(crate) const fn new(words: &ConfigWords) -> Self {
            let live = Self {
                words: initial!(repeat GROUPS, AtomicU32::new(0)),
                seed: AtomicU32::new(0),
            };
            live.filled(words)
        }
    }

    #[cfg(not(microbreaker_loom))]
    const fn filled(mut self, words: &ConfigWords) -> Self {
        let mut at = 0;
        while at < GROUPS {
            self.words[at] = AtomicU32::new(words.0[at]);
            at += 1;
        }
        self
    }

    #[cfg(microbreaker_loom)]
    fn filled(mut self, words: &ConfigWords) -> Self {
        for (word, value) in self.words.iter_mut().zip(words.0) {
            *word = AtomicU32::new(value);
        }
        self
    }

    const fn word(&self, group: Group) -> &AtomicU32 {
        &self.words[group as usize]
    }

    /// Takes all of `words` over except the shadow switch, which only operators move.
    pub(crate) fn replace(&self, words: &ConfigWords) {
        // The longest length only grows, and first: an open circuit stays open for the time it was given.
        self.change(Group::Longest, |longest| longest.max(words.get(Group::Longest)));
        for group in [
            Group::Base,
            Group::Cap,
            Group::SlowAfter,
            Group::LeaseAndRamp,
            Group::HoldAndStable,
            Group::Limits,
            Group::ProbeTerms,
        ] {
            // Release, partner: the Acquire in `catch_up`. A thread that makes a deadline of a new length passes on, with the
            // deadline, the longest length that was written above. Without this, another thread could take the deadline for
            // one that is over, because it is further away than anything that it knows of.
            self.word(group).store(words.get(group), Ordering::Release);
        }
        self.change(Group::Rules, |rules| words.get(Group::Rules) & !SHADOW.mask() | rules & SHADOW.mask());
    }

    /// Changes a word in place. Such a word is never stored to. Release: see `replace`.
    fn change(&self, group: Group, change: impl Fn(u32) -> u32) {
        let word = self.word(group);
        let mut old = word.load(Ordering::Relaxed);
        while let Err(present) = word.compare_exchange_weak(old, change(old), Ordering::Release, Ordering::Relaxed) {
            old = present;
        }
    }

    pub(crate) fn set_seed(&self, seed: u32) {
        self.seed.store(seed, Ordering::Relaxed);
    }
}

impl Source for Live {
    const MANY: bool = true;
    const RAMPS: bool = true;
    const REMEMBERS: bool = true;

    /// Relaxed: nothing is published through these words; see [`Live`].
    #[inline(always)]
    fn group<C: Clock>(&self, group: Group) -> u32 {
        self.word(group).load(Ordering::Relaxed)
    }

    /// Acquire: see `replace`.
    #[inline(always)]
    fn catch_up(&self) {
        fence(Ordering::Acquire);
    }

    fn seed(&self) -> u32 {
        self.seed.load(Ordering::Relaxed)
    }

    fn can_shadow<C: Clock>(&self, _: bool) -> bool {
        true
    }

    fn set_shadow(&self, on: bool) {
        self.change(Group::Rules, |rules| SHADOW.replace(rules, u32::from(on)));
    }

    fn open_time<C: Clock>(&self, attempt: u32) -> u32 {
        let rules: Rules = self.rules::<C>();
        grow(self.group::<C>(Group::Base), self.group::<C>(Group::Cap), rules.factor_1024ths(), attempt)
    }
}

/// base × factor^attempt, at most `cap`.
pub(crate) const fn grow(base: u32, cap: u32, factor_1024ths: u32, attempt: u32) -> u32 {
    let (mut time, mut left) = (base as u64, attempt);
    // There are at most 31 rounds, when a circuit opens. Each product is below 2^30 × 2^16, so 64 bits hold it.
    // Rounding up keeps "nothing early" over the whole chain.
    while left > 0 && time < cap as u64 {
        time = (time * factor_1024ths as u64 + 1023) >> 10;
        left -= 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below the cap")]
    if time < cap as u64 { time as u32 } else { cap }
}
