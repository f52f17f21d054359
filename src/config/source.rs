//! Where a breaker reads its settings, and how they are packed into words.

use crate::clock::{Clock, shift_up};
use crate::platform::bits::layout;

/// The settings of one word. Each word is read at once, so what stands in it is consistent.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The first open time.
    Base,
    /// The cap of a growing open time.
    Cap,
    SlowAfter,
    LeaseAndRamp,
    HoldAndStable,
    Limits,
    ProbeTerms,
    Rules,
    Shape,
    /// The power of two ticks that bounds all deadlines that follow from settings, the clock's slack included.
    Longest,
}

/// How many groups there are.
pub(crate) const GROUPS: usize = Group::Longest as usize + 1;

/// A checked configuration, as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConfigWords(pub(crate) [u32; GROUPS]);

impl ConfigWords {
    #[inline(always)]
    pub(crate) const fn get(&self, group: Group) -> u32 {
        self.0[group as usize]
    }

    pub(crate) const fn shape(&self) -> Shape {
        Shape(self.get(Group::Shape))
    }

    pub(crate) const fn rules(&self) -> Rules {
        Rules(self.get(Group::Rules))
    }
}

/// Where a breaker reads its settings: live words, or constants. Sealed.
///
/// A setting that is a constant is folded, and so is every branch on it: what is not configured is not linked.
#[doc(hidden)]
pub trait Source {
    /// Whether there may be more than one probe, or a verdict by rates.
    const MANY: bool;
    /// Whether there may be a ramp.
    const RAMPS: bool;
    /// Whether a closed circuit may remember its attempt.
    const REMEMBERS: bool;

    /// The word of a group, as ticks of `C`.
    fn group<C: Clock>(&self, group: Group) -> u32;

    /// Stands between reading a length and publishing a deadline that is made of it: a thread that sees the deadline sees a
    /// [`Longest`](Group::Longest) that covers it.
    #[inline(always)]
    fn catch_up(&self) {}

    /// What tells this device from others.
    fn seed(&self) -> u32;

    /// Whether the shadow switch can be put `on` or off.
    fn can_shadow<C: Clock>(&self, on: bool) -> bool;

    /// Puts the shadow switch on or off, if that [can be](Self::can_shadow).
    fn set_shadow(&self, on: bool);

    /// The open time of the `attempt`-th opening (from 0), without jitter.
    fn open_time<C: Clock>(&self, attempt: u32) -> u32;

    #[inline(always)]
    fn limits<C: Clock>(&self) -> Limits {
        Limits(self.group::<C>(Group::Limits))
    }

    #[inline(always)]
    fn rules<C: Clock>(&self) -> Rules {
        Rules(self.group::<C>(Group::Rules))
    }

    #[inline(always)]
    fn probe_terms<C: Clock>(&self) -> ProbeTerms {
        ProbeTerms(self.group::<C>(Group::ProbeTerms))
    }

    #[inline(always)]
    fn slow_after<C: Clock>(&self) -> SlowAfter {
        SlowAfter(self.group::<C>(Group::SlowAfter))
    }

    #[inline(always)]
    fn shape<C: Clock>(&self) -> Shape {
        Shape(self.group::<C>(Group::Shape))
    }

    #[inline(always)]
    fn hold_at_most<C: Clock>(&self) -> u32 {
        long(HOLD.get(self.group::<C>(Group::HoldAndStable)))
    }

    /// For how long a closed circuit remembers its attempt; 0 if it does not.
    #[inline(always)]
    fn stable_after<C: Clock>(&self) -> u32 {
        long(STABLE.get(self.group::<C>(Group::HoldAndStable)))
    }

    /// Whether a closed circuit remembers its attempt.
    #[inline(always)]
    fn remembers<C: Clock>(&self) -> bool {
        STABLE.is_set(self.group::<C>(Group::HoldAndStable))
    }

    /// Whether there is a ramp.
    #[inline(always)]
    fn has_ramp<C: Clock>(&self) -> bool {
        RAMP.is_set(self.group::<C>(Group::LeaseAndRamp))
    }

    #[inline(always)]
    fn lease<C: Clock>(&self) -> u32 {
        long(LEASE.get(self.group::<C>(Group::LeaseAndRamp)))
    }

    /// The power of two ticks within which every deadline lies that follows from the settings.
    #[inline(always)]
    fn longest<C: Clock>(&self) -> u32 {
        self.group::<C>(Group::Longest)
    }

    /// The length of the ramp in ticks; 0 if there is no ramp.
    #[inline(always)]
    fn ramp<C: Clock>(&self) -> u32 {
        long(RAMP.get(self.group::<C>(Group::LeaseAndRamp)))
    }
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
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(pub(super) u32);

impl Shape {
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

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
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(u32);

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
}

// The fields of `ProbeTerms`.
layout! {
    /// Shares in thousandths. By first failure they are 1: any failure is as much.
    pub(super) TERMS_SLOW: 10,
    pub(super) TERMS_FAILURE: 10,
    /// By first failure, the successes that close the circuit; by rates, the results that are enough.
    pub(super) NEEDED: 4,
    pub(super) PROBES: 4,
    pub(super) RATES: 1,
    unused: 3,
}

/// All that a verdict on probes depends on, from one load: a reload never gives half of a verdict.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTerms(u32);

impl ProbeTerms {
    #[inline]
    pub(crate) const fn by_rates(self) -> bool {
        RATES.is_set(self.0)
    }

    #[inline]
    pub(crate) const fn probes(self) -> u32 {
        PROBES.get(self.0)
    }

    #[inline]
    pub(crate) const fn needed(self) -> u32 {
        NEEDED.get(self.0)
    }

    /// The results from which on the shares are judged.
    #[inline]
    pub(crate) const fn judged_from(self) -> u32 {
        if self.by_rates() { self.needed() } else { 1 }
    }

    #[inline]
    pub(crate) const fn failure(self) -> u32 {
        TERMS_FAILURE.get(self.0)
    }

    #[inline]
    pub(crate) const fn slow(self) -> u32 {
        TERMS_SLOW.get(self.0)
    }
}

// The fields of `Rules`.
layout! {
    pub(super) SHADOW: 1,
    pub(super) LEVELS: 1,
    pub(super) JITTER: 1,
    unused: 9,
    pub(super) AT_ONCE: 4,
    pub(super) FACTOR_1024THS: 16,
}

/// The switches, the backoff's factor, and how many probes may be in flight together, from one load.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules(u32);

impl Rules {
    #[inline]
    pub(crate) const fn factor_1024ths(self) -> u32 {
        FACTOR_1024THS.get(self.0)
    }

    #[inline]
    pub(crate) const fn at_once(self) -> u32 {
        AT_ONCE.get(self.0)
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
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowAfter(u32);

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
// The longest hold and the memory of the attempt, each a tick count in 16 bits.
layout! {
    pub(super) STABLE: 16,
    pub(super) HOLD: 16,
}
// A tick count in 16 bits: see `short`.
layout! {
    SHORT_SHIFT: 5,
    SHORT_MANTISSA: 11,
    unused: 16,
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
pub(super) const fn long(short: u32) -> u32 {
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
