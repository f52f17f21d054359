//! When a generation began, and how long it lasts: three tagged words, each decided once.
//!
//! ```text
//!        31            16 15             0            31           13 12   8 7         0
//! low   +----------------+----------------+    span  +---------------+------+-----------+
//!       | opened, low 16 | tag (16)       |          | mantissa (19) | 2^n  | tag (8)   |
//! high  +----------------+----------------+          +---------------+------+-----------+
//!       | opened, high 16| tag (16)       |
//!       +----------------+----------------+
//! ```
//!
//! Each is kept XOR the whole generation: what a word reads XOR the present one has a tag of 0, if it is that one's, and
//! its payload above. So a glance masks nothing.
//!
//! A transition to Open or Ramping moves the control word and nothing else; whoever first needs the period decides its
//! beginning and its length, by one exchange per word from an older tag to this generation's. Of any number of helpers
//! one decides each word and the others take what they find, so a period never changes once it can be read, a thread
//! preempted anywhere blocks nobody, and a helper of an older generation finds a newer tag and changes nothing.
//!
//! A single whole word for the deadline cannot do this: with no room for a tag, a helper that looked before the
//! deadline was published may overwrite it after.

use crate::clock::{Clock, Ticks, shift_up};
use crate::machine::control::{Generation, StateCell};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::layout;

// Low and high. `decide`, `payload` and `renew` serve tags of either width and take the width as `bits`, at run time: a copy
// for each width would cost flash.
layout! {
    HALF_TAG: 16,
    HALF: 16,
}
// Span. A length is its upper 24 bits.
layout! {
    SPAN_TAG: 8,
    /// As many bits as a shift looks at, so that none has to be masked.
    SHIFT: 5,
    MANTISSA: 19,
}

/// The beginning of a period, and how much of it has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    pub(crate) opened: Ticks,
    pub(crate) ticks: u32,
}

#[derive(Debug)]
pub(crate) struct Timer {
    low: AtomicU32,
    high: AtomicU32,
    span: AtomicU32,
}

impl Timer {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { low: AtomicU32::new(0), high: AtomicU32::new(0), span: AtomicU32::new(0) }
        }
    }

    /// How long ago `generation` began, deciding it if nobody has; `None` if the generation is over.
    ///
    /// The caller has loaded the control word with Acquire and seen `generation`, so no reading taken here is older
    /// than its transition: nothing ends early.
    #[inline]
    pub(crate) fn elapsed<C: Clock>(&self, state: &StateCell, generation: Generation, clock: &C) -> Option<Elapsed> {
        // Acquire on both, partner: the Release of `decide`. The decider read its clock before it wrote, so the
        // reading below is not older than the beginning; without this a clock read too soon would make the difference
        // negative, that is huge, and end the period at once.
        let low = self.low.load(Ordering::Acquire) ^ generation.number();
        let high = self.high.load(Ordering::Acquire) ^ generation.number();
        let opened = if (low | high) & HALF_TAG.mask() == 0 {
            Ticks::new(high | HALF.get(low))
        } else {
            self.begin(state, generation, clock)?
        };
        Some(Elapsed { opened, ticks: clock.now().since(opened) })
    }

    /// What is left of a period, if a glance tells: its beginning and length are decided, and it is not over.
    #[inline(always)]
    pub(crate) fn try_fast<C: Clock>(&self, generation: Generation, clock: &C) -> Option<u32> {
        let generation = generation.number();
        // Acquire: see `elapsed`.
        let low = self.low.load(Ordering::Acquire) ^ generation;
        let high = self.high.load(Ordering::Acquire) ^ generation;
        // Relaxed: see `span`.
        let span = self.span.load(Ordering::Relaxed) ^ generation;
        // One look at all three tags.
        if (low | high | span & SPAN_TAG.mask()) & HALF_TAG.mask() != 0 {
            return None;
        }
        let elapsed = clock.try_fast()?.since(Ticks::new(high | HALF.get(low)));
        let span = unpack(span >> SPAN_TAG.width());
        (elapsed < span).then(|| span - elapsed)
    }

    #[cold]
    #[inline(never)]
    fn begin<C: Clock>(&self, state: &StateCell, generation: Generation, clock: &C) -> Option<Ticks> {
        let low = decide(&self.low, state, generation, HALF_TAG.width(), clock.now().count())?;
        // The low half was decided by somebody's clock, and the Acquire of its word puts this reading after that one; the
        // whole is the latest reading before this one that ends in it. Exact unless this thread slept for 64 seconds (at
        // 1024 Hz) in between; then the period begins later than it might have, never earlier.
        let now = clock.now().count();
        let whole = now.wrapping_sub(now.wrapping_sub(low) & HALF.max());
        let high = decide(&self.high, state, generation, HALF_TAG.width(), whole >> HALF.width())?;
        Some(Ticks::new(high << HALF.width() | low))
    }

    /// The decided length of `generation`, if it is.
    #[inline]
    pub(crate) fn span(&self, generation: Generation) -> Option<u32> {
        // Relaxed: the word carries its whole meaning. A stale value has an older tag and reads as "not decided".
        decided_span(self.span.load(Ordering::Relaxed), generation)
    }

    /// The decided length of `generation`, `otherwise` if nobody has decided it yet; `None` if the generation is over.
    pub(crate) fn span_or(&self, state: &StateCell, generation: Generation, otherwise: u32) -> Option<u32> {
        // Acquire, partner: the Release of `decide`: a word of a newer generation makes the newer control word visible,
        // and what was found undecided is known to be over.
        let decided = decided_span(self.span.load(Ordering::Acquire), generation);
        decided.or_else(|| state.is(generation).then_some(otherwise))
    }

    /// The length of `generation`, decided as `length` if nobody has; `None` if the generation is over.
    pub(crate) fn settle_span(&self, state: &StateCell, generation: Generation, length: u32) -> Option<u32> {
        decide(&self.span, state, generation, SPAN_TAG.width(), pack(length)).map(unpack)
    }

    /// Gives words that were not needed for long a fresh tag, and nothing above it, lest the tags wrap to look like a
    /// later one's.
    pub(crate) fn renew(&self, state: &StateCell, generation: Generation) {
        let (half, span) = (HALF_TAG.width(), SPAN_TAG.width());
        for (word, bits) in [(&self.low, half), (&self.high, half), (&self.span, span)] {
            // All of it: by its own generation it reads as none at all, which is over, not as what the bits above the tag
            // make of it.
            renew(word, state, generation, bits, generation.previous().number());
        }
    }
}

/// What a span's word says of `generation`.
#[inline]
fn decided_span(word: u32, generation: Generation) -> Option<u32> {
    payload(word, generation, SPAN_TAG.width()).map(unpack)
}

/// The payload of a word whose low `bits` tag it, if it is `generation`'s.
#[inline]
fn payload(word: u32, generation: Generation, bits: u32) -> Option<u32> {
    let word = word ^ generation.number();
    (word & ((1 << bits) - 1) == 0).then_some(word >> bits)
}

/// Reads the payload of a word whose low `bits` tag it with a generation, deciding it if the word is still an older one's.
/// What the caller read for `wanted` (so much as has room above the tag), it read after it had seen the generation.
#[inline(never)]
fn decide(word: &AtomicU32, state: &StateCell, generation: Generation, bits: u32, wanted: u32) -> Option<u32> {
    let wanted = wanted << bits;
    // Acquire, partner: the Release below. It lets `state.is` see at least the generation this word belongs to.
    let mut present = word.load(Ordering::Acquire);
    loop {
        if let Some(decided) = payload(present, generation, bits) {
            return Some(decided);
        }
        if !state.is(generation) {
            return None;
        }
        // AcqRel: Release as above; Acquire (also on failure) so that a value found here orders the caller's next
        // clock reading behind the one it was made of. Bounded: each failure is another thread's decision, at most
        // one for this generation and one for each helper of an older one.
        match word.compare_exchange(present, wanted ^ generation.number(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(wanted >> bits),
            Err(found) => present = found,
        }
    }
}

/// Retags a word whose low `bits` are about to come round again. The winner of each transition does this, so a tag can
/// only alias if half its range of winners are all preempted before they get here. `empty`: the word as the generation
/// before leaves it, certainly not this one's, and not old either.
#[inline(never)]
pub(crate) fn renew(word: &AtomicU32, state: &StateCell, generation: Generation, bits: u32, empty: u32) {
    // Acquire, partner: the Release of whoever wrote the word; see `StateCell::is`.
    let present = word.load(Ordering::Acquire);
    if generation.outgrew(present, bits) && state.is(generation) {
        // Release, partner: the Acquire loads of this word. A failure means somebody wrote a younger tag: as good.
        let _ = word.compare_exchange(present, empty, Ordering::Release, Ordering::Relaxed);
    }
}

/// The longest that a length is kept as: far more than the horizon, a quarter of jitter and the slack of any clock.
pub(crate) const LONGEST_SPAN: u32 = MANTISSA.max() << (u32::BITS - MANTISSA.width());

/// A length in 24 bits: exact below 2^19 ticks, above rounded up by less than a 2^18th.
fn pack(ticks: u32) -> u32 {
    let mut shift = 0;
    let ticks = ticks.min(LONGEST_SPAN);
    let mut mantissa = ticks;
    while mantissa >> MANTISSA.width() != 0 {
        shift += 1;
        mantissa = shift_up(ticks, shift);
    }
    mantissa << SHIFT.width() | shift
}

#[inline]
fn unpack(length: u32) -> u32 {
    (length >> SHIFT.width()).wrapping_shl(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HORIZON;

    #[test]
    fn lengths_are_exact_below_two_to_the_nineteen_and_never_short() {
        for ticks in [0, 1, 1000, (1 << 19) - 1] {
            assert_eq!(unpack(pack(ticks)), ticks);
        }
        assert_eq!(
            (unpack(pack(u32::MAX)), unpack(pack(LONGEST_SPAN))),
            (LONGEST_SPAN, LONGEST_SPAN),
            "no less for being too long"
        );
        for ticks in [1 << 19, (1 << 19) + 1, 88_473_601, (1 << 20) - 1, HORIZON, HORIZON + HORIZON / 4 - 1, 1 << 31] {
            let kept = unpack(pack(ticks));
            assert!(kept >= ticks && kept - ticks <= ticks >> 18, "{ticks} -> {kept}");
            assert_eq!(pack(ticks) >> 24, 0);
        }
    }
}
