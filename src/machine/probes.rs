//! The probes word: who is out, what came back, and the verdict, a pure function of it.
//!
//! ```text
//!  31      28 27     24 23   20 19   16 15   12 11    8 7         0
//! +----------+---------+-------+-------+-------+-------+-----------+
//! | era (4)  | turn (4)| out 4 | good 4| bad 4 | slow 4| tag (8)   |   half-open
//! +----------+---------+-------+-------+-------+-------+-----------+
//! | calls (24)                                         | tag (8)   |   ramping
//! +----------------------------------------------------+-----------+
//! ```
//!
//! The *era* grows when lost probes are written off, so that one of them that reports after all is known as late. The
//! *turn* grows with each admission, so that "one probe out" now and "one probe out" later are different words.

use crate::clock::Clock;
use crate::config::live::{Limits, Live, Rules};
use crate::machine::control::{Generation, StateCell};
use crate::machine::judge::over_threshold;
use crate::machine::scope::Mark;
use crate::machine::timer;
use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::{Bits, layout};
use crate::terms::state::OpenReason;
use crate::terms::tally::{Tally, WindowKind};

// Half-open.
layout! {
    TAG: 8,
    SLOW: 4,
    BAD: 4,
    GOOD: 4,
    OUT: 4,
    TURN: 4,
    ERA: 4,
}
// Ramping.
layout! {
    TAG,
    CALLS: 24,
}

/// One value of the probes word while half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProbesWord(u32);

impl ProbesWord {
    const fn empty(generation: Generation) -> Self {
        Self(generation.tag(TAG.width()))
    }

    #[inline]
    const fn field(self, field: Bits) -> u32 {
        field.get(self.0)
    }

    /// Adds one to the era or the turn, which wrap within their four bits.
    const fn bump(self, field: Bits) -> Self {
        Self(field.replace(self.0, field.get(self.0) + 1 & field.max()))
    }

    const fn results(self) -> u32 {
        self.field(GOOD) + self.field(BAD)
    }

    const fn admitted(self) -> u32 {
        self.results() + self.field(OUT)
    }

    /// One probe more out. The caller checked that fewer than 15 are admitted, so no field overflows.
    const fn with_probe(self) -> Self {
        Self(self.bump(TURN).0 + OUT.unit())
    }

    /// All probes that are out count as failed; and, by rates, as slow, for so they were, and a share of slow calls may
    /// be the only one that is judged.
    const fn written_off(self, rates: bool) -> Self {
        let out = self.field(OUT);
        let slow = if rates { SLOW.of(out) } else { 0 };
        Self(self.bump(ERA).0 - OUT.of(out) + BAD.of(out) + slow)
    }

    /// What the results say, if they are enough.
    #[inline(never)]
    fn verdict(self, rules: Rules, limits: Limits, rates: bool) -> Option<Verdict> {
        if rates {
            let limits = limits.over(rules.probes());
            if self.results() < limits.minimum() {
                return None;
            }
            return Some(over_threshold(limits, self.tally(rates)).map_or(Verdict::Close, Verdict::Reopen));
        }
        if self.field(BAD) > 0 {
            // Here a slow success is bad, and only those count as slow: failures name the reason first.
            let only_slow = self.field(BAD) == self.field(SLOW);
            return Some(Verdict::Reopen(if only_slow { OpenReason::Slow } else { OpenReason::Failures }));
        }
        (self.field(GOOD) >= rules.successes()).then_some(Verdict::Close)
    }

    fn tally(self, rates: bool) -> Tally {
        let (bad, slow) = (self.field(BAD), self.field(SLOW));
        // By first failure the bad ones are failures or slow successes, and only the latter are counted as slow.
        let failed = if rates { bad } else { bad.saturating_sub(slow) };
        Tally { window: WindowKind::Probes, total: self.results(), failed, slow }
    }
}

/// What the probes say about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Close,
    Reopen(OpenReason),
}

/// A verdict and the results it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JudgedProbes {
    pub(crate) verdict: Verdict,
    pub(crate) tally: Tally,
}

/// What an admission came to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission {
    /// A probe, of this era.
    Probe(u8),
    /// No slot is free; at the latest in this many ticks one is, or the verdict has fallen.
    Full(u32),
    /// The results are complete: carry the verdict out.
    Complete(JudgedProbes),
    /// The generation is over.
    Over,
}

/// What a report came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported {
    /// Not, if the results were complete before, or the probe had been written off.
    pub(crate) counted: bool,
    /// The verdict, if the results are complete.
    pub(crate) judged: Option<JudgedProbes>,
}

#[derive(Debug)]
pub(crate) struct Probes {
    word: AtomicU32,
    /// The tick of the latest admission, whole and untagged: readings only grow, so one of an older generation is
    /// just an older time. Written before the admission it belongs to, hence never older than it.
    admitted: AtomicU32,
}

impl Probes {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicU32::new(0), admitted: AtomicU32::new(0) }
        }
    }

    /// The word as stored, and as it reads in `generation`; `None` if that is over.
    fn load(&self, state: &StateCell, generation: Generation) -> Option<(u32, ProbesWord)> {
        // Acquire, partner: the Release of every exchange on this word. It orders `state.is` (see there) and the load
        // of `admitted` behind the admission that this word shows.
        let raw = self.word.load(Ordering::Acquire);
        if TAG.get(raw) == generation.tag(TAG.width()) {
            return Some((raw, ProbesWord(raw)));
        }
        state.is(generation).then(|| (raw, ProbesWord::empty(generation)))
    }

    /// One exchange; `true` if it happened.
    #[inline(never)]
    fn exchange(&self, raw: u32, next: ProbesWord) -> bool {
        // Release, partner: the Acquire of `load`: who sees this word sees the admission tick written before it, and
        // the control word its writer saw. Relaxed on failure: the caller starts over with `load`.
        self.word.compare_exchange(raw, next.0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Asks for a probe. At most `rules.probes()` are admitted in a generation and `rules.at_once()` out together.
    /// `shares`, here and below: whether the window judges by shares, so that a verdict may.
    pub(crate) fn admit<C: Clock>(
        &self,
        state: &StateCell,
        generation: Generation,
        live: &Live,
        clock: &C,
        shares: bool,
    ) -> Admission {
        loop {
            let (rules, limits) = (live.rules(), live.limits());
            let rates = shares && rules.by_rates();
            let Some((raw, word)) = self.load(state, generation) else { return Admission::Over };
            if let Some(verdict) = word.verdict(rules, limits, rates) {
                return Admission::Complete(JudgedProbes { verdict, tally: word.tally(rates) });
            }
            // Acquire, partner: the Release below: our reading is not older than the one found.
            let latest = self.admitted.load(Ordering::Acquire);
            let now = clock.now().count();
            if word.field(OUT) < rules.at_once() && word.admitted() < rules.probes() {
                // The tick first, then the admission: a caller that finds no slot free must not see the slot taken
                // and the tick of an earlier probe, and write off one that has just begun. A loser's tick (ours, if
                // the exchange fails) only lengthens the lease, by the time between two racing admissions.
                if !state.is(generation) {
                    return Admission::Over;
                }
                if latest != now
                    && self.admitted.compare_exchange(latest, now, Ordering::Release, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                let next = word.with_probe();
                if self.exchange(raw, next) {
                    #[expect(clippy::cast_possible_truncation, reason = "four bits")]
                    return Admission::Probe(next.field(ERA) as u8);
                }
            } else {
                let (age, lease) = (now.wrapping_sub(latest), live.lease().saturating_add(C::SLACK));
                if age < lease {
                    return Admission::Full(lease - age);
                }
                // Only if the word is still the one whose lease ran out: any admission since changed its turn.
                self.exchange(raw, word.written_off(rates));
            }
            // Bounded: an exchange failed because another thread's succeeded, or ours wrote lost probes off, which
            // happens at most once per probe.
        }
    }

    /// Reports a probe admitted in `era`; without a mark its slot goes back, uncounted. `bad` where the verdict is by first
    /// failure includes slow successes.
    pub(crate) fn report(
        &self,
        state: &StateCell,
        generation: Generation,
        live: &Live,
        era: u8,
        mark: Option<Mark>,
        shares: bool,
    ) -> Reported {
        loop {
            let (rules, limits) = (live.rules(), live.limits());
            let rates = shares && rules.by_rates();
            let Some((raw, word)) = self.load(state, generation) else { break };
            if let Some(verdict) = word.verdict(rules, limits, rates) {
                let judged = Some(JudgedProbes { verdict, tally: word.tally(rates) });
                return Reported { counted: false, judged };
            }
            // The tag is short: a probe of 256 generations ago must not pass for one of this.
            if word.field(ERA) != u32::from(era) || word.field(OUT) == 0 || !state.is(generation) {
                break;
            }
            let result = mark.map_or(0, |mark| {
                let bad = mark.failed || (mark.slow && !rates);
                let slow = mark.slow && (rates || !mark.failed);
                (if bad { BAD.unit() } else { GOOD.unit() }) + if slow { SLOW.unit() } else { 0 }
            });
            let next = ProbesWord(word.0 - OUT.unit() + result);
            if self.exchange(raw, next) {
                let verdict = next.verdict(rules, limits, rates);
                let judged = verdict.map(|verdict| JudgedProbes { verdict, tally: next.tally(rates) });
                return Reported { counted: true, judged };
            }
        }
        Reported { counted: false, judged: None }
    }

    /// Counts a call while ramping and says whether it is among the admitted `share` of 16; `None`: generation over.
    pub(crate) fn ramp(&self, state: &StateCell, generation: Generation, share: u32) -> Option<bool> {
        loop {
            let (raw, word) = self.load(state, generation)?;
            // The tag is short: a caller of 256 generations ago must not write to the probes of this one.
            if !state.is(generation) {
                return None;
            }
            if self.exchange(raw, ProbesWord(word.0.wrapping_add(CALLS.unit()))) {
                // Spreads `share` admissions evenly over any 16 calls in a row (Bresenham).
                return Some((word.field(CALLS) & 15) * share & 15 < share);
            }
        }
    }

    /// Ticks until [`admit`](Self::admit) is certain not to say `Full`; for status only, changes nothing.
    pub(crate) fn free_in<C: Clock>(
        &self,
        state: &StateCell,
        generation: Generation,
        live: &Live,
        clock: &C,
        shares: bool,
    ) -> u32 {
        let (rules, limits) = (live.rules(), live.limits());
        let Some((_, word)) = self.load(state, generation) else { return 0 };
        let free = word.field(OUT) < rules.at_once() && word.admitted() < rules.probes();
        if free || word.verdict(rules, limits, shares && rules.by_rates()).is_some() {
            return 0;
        }
        live.lease().saturating_add(C::SLACK).saturating_sub(self.age(clock))
    }

    /// Ticks since the latest admission: what a lease is held against.
    pub(crate) fn age<C: Clock>(&self, clock: &C) -> u32 {
        // Acquire: see `admit`.
        let latest = self.admitted.load(Ordering::Acquire);
        clock.now().count().wrapping_sub(latest)
    }

    /// Probes that are out in `generation`; for status only.
    pub(crate) fn out(&self, generation: Generation) -> u8 {
        let word = ProbesWord(self.word.load(Ordering::Relaxed));
        #[expect(clippy::cast_possible_truncation, reason = "four bits")]
        let out = word.field(OUT) as u8;
        if word.field(TAG) == generation.tag(TAG.width()) { out } else { 0 }
    }

    /// See [`timer::renew`].
    pub(crate) fn renew(&self, state: &StateCell, generation: Generation) {
        timer::renew(&self.word, state, generation, TAG.width(), generation.previous().tag(TAG.width()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_spills_into_its_neighbour() {
        let mut word = ProbesWord(0xAB);
        for _ in 0..40 {
            word = word.with_probe();
            word = ProbesWord(word.0 - OUT.unit());
        }
        assert_eq!((word.field(TAG), word.field(ERA), word.field(TURN)), (0xAB, 0, 40 % 16));
        for _ in 0..15 {
            word = word.with_probe();
        }
        let lost = word.written_off(false);
        assert_eq!((lost.field(OUT), lost.field(BAD), lost.field(ERA), lost.field(TAG)), (0, 15, 1, 0xAB));
    }

    #[test]
    fn a_share_of_sixteen_is_exact_in_any_sixteen_calls() {
        for share in 1..=16_u32 {
            for start in 0..16_u32 {
                let admitted = (start..start + 16).filter(|call| (call & 15) * share & 15 < share).count();
                assert_eq!(admitted, share as usize);
            }
        }
    }
}
