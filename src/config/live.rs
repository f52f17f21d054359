//! The live words, from which a breaker reads its settings.

use crate::clock::shift_up;
use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::layout;

/// A checked configuration, as words.
pub(crate) struct ConfigWords {
    pub(crate) shape: Shape,
    pub(super) base: u32,
    pub(super) cap: u32,
    pub(super) hold: u32,
    pub(super) slow_after: u32,
    pub(super) lease_and_ramp: u32,
    pub(super) limits: u32,
    pub(super) rules: u32,
}

// The fields of a `Shape`.
layout! {
    pub(super) BUCKET_SHIFT: 5,
    pub(super) COUNTS_SLOW: 1,
    pub(super) BUCKETS_LESS_ONE: 6,
    pub(super) COUNT: 10,
    pub(super) STREAK: 10,
}

/// The settings that are fixed at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(super) u32);

impl Shape {
    #[inline]
    pub(crate) const fn streak(self) -> u32 {
        STREAK.get(self.0)
    }

    #[inline]
    pub(crate) const fn count(self) -> u32 {
        COUNT.get(self.0)
    }

    #[inline]
    pub(crate) const fn buckets(self) -> u32 {
        BUCKETS_LESS_ONE.get(self.0) + 1
    }

    /// The binary logarithm of a bucket's length in ticks.
    #[inline]
    pub(crate) const fn bucket_shift(self) -> u32 {
        BUCKET_SHIFT.get(self.0)
    }

    #[inline]
    pub(crate) const fn counts_slow(self) -> bool {
        COUNTS_SLOW.is_set(self.0)
    }
}

// The fields of `Limits`.
layout! {
    pub(super) MINIMUM: 12,
    pub(super) SLOW_PERMILLE: 10,
    pub(super) FAILURE_PERMILLE: 10,
}

/// The thresholds and the minimum, from one load. A share of 0 is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits(u32);

impl Limits {
    #[inline]
    pub(crate) const fn failure(self) -> u32 {
        FAILURE_PERMILLE.get(self.0)
    }

    #[inline]
    pub(crate) const fn slow(self) -> u32 {
        SLOW_PERMILLE.get(self.0)
    }

    #[inline]
    pub(crate) const fn minimum(self) -> u32 {
        MINIMUM.get(self.0)
    }

    /// The same thresholds over at most `calls`.
    #[inline]
    pub(crate) const fn over(self, calls: u32) -> Self {
        if self.minimum() > calls { Self(MINIMUM.replace(self.0, calls)) } else { self }
    }
}

// The fields of `Rules`.
layout! {
    pub(super) SHADOW: 1,
    pub(super) LEVELS: 1,
    pub(super) JITTER: 1,
    pub(super) RATES: 1,
    pub(super) SUCCESSES: 4,
    pub(super) AT_ONCE: 4,
    pub(super) PROBES: 4,
    pub(super) FACTOR_1024THS: 16,
}

/// The half-open rules and the switches, from one load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules(u32);

impl Rules {
    #[inline]
    pub(crate) const fn factor_1024ths(self) -> u32 {
        FACTOR_1024THS.get(self.0)
    }

    #[inline]
    pub(crate) const fn probes(self) -> u32 {
        PROBES.get(self.0)
    }

    #[inline]
    pub(crate) const fn at_once(self) -> u32 {
        AT_ONCE.get(self.0)
    }

    #[inline]
    pub(crate) const fn successes(self) -> u32 {
        SUCCESSES.get(self.0)
    }

    #[inline]
    pub(crate) const fn by_rates(self) -> bool {
        RATES.is_set(self.0)
    }

    #[inline]
    pub(crate) const fn jitter(self) -> bool {
        JITTER.is_set(self.0)
    }

    #[inline]
    pub(crate) const fn levels(self) -> bool {
        LEVELS.is_set(self.0)
    }

    #[inline]
    pub(crate) const fn shadow(self) -> bool {
        SHADOW.is_set(self.0)
    }
}

// The fields of a `SlowAfter`.
layout! {
    pub(super) HAS_SLOW_LIMIT: 1,
    pub(super) SLOW_LIMIT: 31,
}

/// The ticks after which a call is slow, if there is such a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlowAfter(u32);

impl SlowAfter {
    #[inline]
    pub(crate) const fn limit(self) -> Option<u32> {
        if HAS_SLOW_LIMIT.is_set(self.0) { Some(SLOW_LIMIT.get(self.0)) } else { None }
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

// Lease and ramp, each a tick count in 16 bits.
layout! {
    pub(super) RAMP: 16,
    pub(super) LEASE: 16,
}
// A tick count in 16 bits: see `short`.
layout! {
    SHORT_SHIFT: 5,
    SHORT_MANTISSA: 11,
    unused: 16,
}

/// The live words. All accesses are Relaxed: each load reads one consistent group (thresholds and minimum; half-open
/// rules), nothing is published through these words, and a call that reads an old group acts as a call that came a
/// moment earlier. A call that reads two groups during a reload may read one old and one new group. This is a benign
/// race: every mix is a valid setting.
#[derive(Debug)]
pub(crate) struct Live {
    base: AtomicU32,
    cap: AtomicU32,
    hold: AtomicU32,
    slow_after: AtomicU32,
    /// Lease and ramp.
    lease_and_ramp: AtomicU32,
    limits: AtomicU32,
    /// The only word that is changed in place (by the shadow switch). So it is never stored to, only exchanged.
    rules: AtomicU32,
    seed: AtomicU32,
}

impl Live {
    const_fn! {
        pub(crate) const fn new(words: &ConfigWords) -> Self {
            Self {
                base: AtomicU32::new(words.base),
                cap: AtomicU32::new(words.cap),
                hold: AtomicU32::new(words.hold),
                slow_after: AtomicU32::new(words.slow_after),
                lease_and_ramp: AtomicU32::new(words.lease_and_ramp),
                limits: AtomicU32::new(words.limits),
                rules: AtomicU32::new(words.rules),
                seed: AtomicU32::new(0),
            }
        }
    }

    /// Takes all of `words` over except the shadow switch, which only operators move.
    pub(crate) fn replace(&self, words: &ConfigWords) {
        self.base.store(words.base, Ordering::Relaxed);
        self.cap.store(words.cap, Ordering::Relaxed);
        self.hold.store(words.hold, Ordering::Relaxed);
        self.slow_after.store(words.slow_after, Ordering::Relaxed);
        self.lease_and_ramp.store(words.lease_and_ramp, Ordering::Relaxed);
        self.limits.store(words.limits, Ordering::Relaxed);
        self.change_rules(|rules| words.rules & !SHADOW.mask() | rules & SHADOW.mask());
    }

    pub(crate) fn set_shadow(&self, on: bool) {
        self.change_rules(|rules| SHADOW.replace(rules, u32::from(on)));
    }

    fn change_rules(&self, change: impl Fn(u32) -> u32) {
        let mut old = self.rules.load(Ordering::Relaxed);
        while let Err(present) =
            self.rules.compare_exchange_weak(old, change(old), Ordering::Relaxed, Ordering::Relaxed)
        {
            old = present;
        }
    }

    pub(crate) fn set_seed(&self, seed: u32) {
        self.seed.store(seed, Ordering::Relaxed);
    }

    pub(crate) fn seed(&self) -> u32 {
        self.seed.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn limits(&self) -> Limits {
        Limits(self.limits.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn rules(&self) -> Rules {
        Rules(self.rules.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn slow_after(&self) -> SlowAfter {
        SlowAfter(self.slow_after.load(Ordering::Relaxed))
    }

    pub(crate) fn base(&self) -> u32 {
        self.base.load(Ordering::Relaxed)
    }

    pub(crate) fn cap(&self) -> u32 {
        self.cap.load(Ordering::Relaxed)
    }

    pub(crate) fn hold_at_most(&self) -> u32 {
        self.hold.load(Ordering::Relaxed)
    }

    pub(crate) fn lease(&self) -> u32 {
        long(LEASE.get(self.lease_and_ramp.load(Ordering::Relaxed)))
    }

    /// The length of the ramp in ticks; 0 if there is no ramp.
    pub(crate) fn ramp(&self) -> u32 {
        long(RAMP.get(self.lease_and_ramp.load(Ordering::Relaxed)))
    }
}

/// A tick count in 16 bits: 11 significant bits and a shift, rounded up. Zero stays zero.
pub(super) const fn short(ticks: u32) -> u32 {
    let mut shift = 0;
    let mut mantissa = ticks;
    while mantissa > SHORT_MANTISSA.max() {
        shift += 1;
        mantissa = shift_up(ticks, shift);
    }
    SHORT_MANTISSA.of(mantissa) | SHORT_SHIFT.of(shift)
}

#[inline]
const fn long(short: u32) -> u32 {
    SHORT_MANTISSA.get(short) << SHORT_SHIFT.get(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HORIZON;

    #[test]
    fn short_ticks_round_up_by_less_than_a_1024th() {
        for ticks in (0..5000).chain([8192, 61_440, 61_441, (1 << 21) - 1, HORIZON - 1, HORIZON]) {
            let kept = long(short(ticks));
            assert!(kept >= ticks && kept - ticks <= ticks / 1024, "{ticks} -> {kept}");
            assert!(short(ticks) <= 0xFFFF);
        }
    }
}
