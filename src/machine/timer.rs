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
//! Each word is stored XORed with its whole generation. XORing it with the present generation leaves tag 0, with the
//! payload above, exactly if the word belongs to that generation. So the fast path needs no mask for the payload.
//!
//! A transition to Open or Ramping moves the control word and nothing else. The thread that first needs the period
//! decides its beginning and its length, by one exchange per word from an older tag to this generation's. Of any number
//! of helpers, one decides each word and the others take what they find. So a period never changes once it can be read,
//! a thread preempted anywhere blocks no other, and a helper of an older generation finds a newer tag and changes
//! nothing.
//!
//! A single word for the whole deadline cannot do this. It has no room for a tag, so a helper that looked before the
//! deadline was published may overwrite it after.

use crate::clock::{Clock, Ticks, shift_up};
use crate::machine::control::{Generation, StateCell};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::layout;

// Low and high. `decide`, `payload` and `renew` serve tags of either width and take the width as `bits`, at run time: a
// copy for each width would cost flash.
layout! {
    HALF_TAG: 16,
    HALF: 16,
}
// Span. A length is its upper 24 bits.
layout! {
    SPAN_TAG: 8,
    /// As many bits as a shift looks at, so that the shift needs no mask.
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

    /// How long ago `generation` began; `None` if the generation is over. If no thread has decided the beginning, this
    /// does.
    ///
    /// The caller has loaded the control word with Acquire and seen `generation`, so no reading taken here is older
    /// than its transition: nothing ends early.
    #[inline]
    pub(crate) fn elapsed<C: Clock>(&self, state: &StateCell, generation: Generation, clock: &C) -> Option<Elapsed> {
        // Acquire on both, partner: the Release of `decide`. The decider read its clock before it wrote, so the reading
        // below is not older than the beginning. Without this, a reading taken too soon would make the difference
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

    /// The remaining ticks of a period, on the fast path: if its beginning and length are decided and it is not over.
    #[inline(always)]
    pub(crate) fn try_fast<C: Clock>(&self, generation: Generation, clock: &C) -> Option<u32> {
        let generation = generation.number();
        // Acquire: see `elapsed`.
        let low = self.low.load(Ordering::Acquire) ^ generation;
        let high = self.high.load(Ordering::Acquire) ^ generation;
        // Relaxed: see `span`.
        let span = self.span.load(Ordering::Relaxed) ^ generation;
        // One test of all three tags.
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
        // A helper's clock decided the low half, and the Acquire of its word puts the reading below after that
        // helper's. The whole is the latest tick, up to this reading, whose low half is `low`. It is exact unless this
        // thread slept for 64 seconds (at 1024 Hz) in between; the period then begins later than it might have, never
        // earlier.
        let now = clock.now().count();
        let whole = now.wrapping_sub(now.wrapping_sub(low) & HALF.max());
        let high = decide(&self.high, state, generation, HALF_TAG.width(), whole >> HALF.width())?;
        Some(Ticks::new(high << HALF.width() | low))
    }

    /// The length of `generation`, if it is decided.
    #[inline]
    pub(crate) fn span(&self, generation: Generation) -> Option<u32> {
        // Relaxed: the word carries its whole meaning. A stale value has an older tag and reads as "not decided".
        decided_span(self.span.load(Ordering::Relaxed), generation)
    }

    /// The decided length of `generation`, `otherwise` if no thread has decided it yet; `None` if the generation is
    /// over.
    pub(crate) fn span_or(&self, state: &StateCell, generation: Generation, otherwise: u32) -> Option<u32> {
        // Acquire, partner: the Release of `decide`. If the word is of a newer generation, `state.is` sees the newer
        // control word. Without this, an undecided length of a generation that is over would be answered with
        // `otherwise`.
        let decided = decided_span(self.span.load(Ordering::Acquire), generation);
        decided.or_else(|| state.is(generation).then_some(otherwise))
    }

    /// The length of `generation`, decided as `length` if no thread has decided it; `None` if the generation is over.
    pub(crate) fn settle_span(&self, state: &StateCell, generation: Generation, length: u32) -> Option<u32> {
        decide(&self.span, state, generation, SPAN_TAG.width(), pack(length)).map(unpack)
    }

    /// Gives words that were not needed for long a fresh tag and an empty payload, lest their tags come round and look
    /// like those of a later generation.
    pub(crate) fn renew(&self, state: &StateCell, generation: Generation) {
        let (half, span) = (HALF_TAG.width(), SPAN_TAG.width());
        for (word, bits) in [(&self.low, half), (&self.high, half), (&self.span, span)] {
            // The whole number, not its tag alone: to the previous generation the payload then reads as 0, a period
            // that is over, and not as the number's bits above the tag.
            renew(word, state, generation, bits, generation.previous().number());
        }
    }
}

/// The length in a span's `word`, if it is `generation`'s.
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

/// Reads the payload of a word whose low `bits` are the tag of a generation. If the word is still of an older
/// generation, this decides it as `wanted` (as much of it as has room above the tag). The caller took the reading for
/// `wanted` after it had seen the generation.
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
        // AcqRel: Release as above; Acquire (also on failure) so that a value found here orders the caller's next clock
        // reading behind the reading from which the value was made. Bounded: each failure is another thread's decision,
        // at most one for this generation and one for each helper of an older one.
        match word.compare_exchange(present, wanted ^ generation.number(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(wanted >> bits),
            Err(found) => present = found,
        }
    }
}

/// Retags a word whose low `bits` are about to come round again. The winner of each transition does this, so a tag can
/// alias only if the winners of half its range are all preempted before they get here. `empty` is an empty word of the
/// previous generation: it is certainly not of this one, and its tag is not old either.
#[inline(never)]
pub(crate) fn renew(word: &AtomicU32, state: &StateCell, generation: Generation, bits: u32, empty: u32) {
    // Acquire, partner: the Release of the thread that wrote the word; see `StateCell::is`.
    let present = word.load(Ordering::Acquire);
    if generation.outgrew(present, bits) && state.is(generation) {
        // Release, partner: the Acquire loads of this word. A failure means that another thread wrote a younger tag,
        // which serves as well.
        let _ = word.compare_exchange(present, empty, Ordering::Release, Ordering::Relaxed);
    }
}

/// The longest length that is kept: far more than the horizon, a quarter of jitter and the slack of any clock.
pub(crate) const LONGEST_SPAN: u32 = MANTISSA.max() << (u32::BITS - MANTISSA.width());

/// A length in 24 bits: exact below 2^19 ticks, rounded up by less than one part in 2^18 above.
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
