//! The probes word: how many probes are in flight, their results, and the verdict, which is a pure function of the
//! word.
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
//! *Out* is the number of probes in flight. *Bad* counts failures and, where the verdict is by first failure, slow
//! successes; *good* counts the other results. The *era* grows when lost probes are written off, so that a report from
//! one of them is known to be late. The *turn* grows with each admission, so that "one probe in flight" now and "one
//! probe in flight" later are different words.

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

    /// With one more probe in flight. The caller checked that fewer than 15 are admitted, so no field overflows.
    const fn with_probe(self) -> Self {
        Self(self.bump(TURN).0 + OUT.unit())
    }

    /// With all probes in flight counted as failures. If the verdict is by rates, they count as slow too: they were
    /// slow, and the share of slow calls may be the only one that is judged.
    const fn written_off(self, rates: bool) -> Self {
        let out = self.field(OUT);
        let slow = if rates { SLOW.of(out) } else { 0 };
        Self(self.bump(ERA).0 - OUT.of(out) + BAD.of(out) + slow)
    }

    /// The verdict on the results, if they are enough.
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
            // By first failure, a slow success is bad, and only slow successes count as slow. If there is a failure, it
            // names the reason.
            let only_slow = self.field(BAD) == self.field(SLOW);
            return Some(Verdict::Reopen(if only_slow { OpenReason::Slow } else { OpenReason::Failures }));
        }
        (self.field(GOOD) >= rules.successes()).then_some(Verdict::Close)
    }

    fn tally(self, rates: bool) -> Tally {
        let (bad, slow) = (self.field(BAD), self.field(SLOW));
        // By first failure, the bad results are failures or slow successes, and only the latter count as slow.
        let failed = if rates { bad } else { bad.saturating_sub(slow) };
        Tally { window: WindowKind::Probes, total: self.results(), failed, slow }
    }
}

/// The verdict of the probes on the peer.
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

/// The result of asking for a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission {
    /// A probe was admitted, in this era.
    Probe(u8),
    /// No slot is free. At the latest in this many ticks, a slot is free or the verdict has fallen.
    Full(u32),
    /// The results are complete: the caller carries the verdict out.
    Complete(JudgedProbes),
    /// The generation is over.
    Over,
}

/// The result of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported {
    /// Whether the report counted. It does not if the results were complete before, or if the probe had been written
    /// off.
    pub(crate) counted: bool,
    /// The verdict, if the results are complete.
    pub(crate) judged: Option<JudgedProbes>,
}

#[derive(Debug)]
pub(crate) struct Probes {
    word: AtomicU32,
    /// The tick of the latest admission, whole and untagged: readings only grow, so a tick of an older generation is
    /// just an older time. The tick is written before its admission, so a thread that sees the admission sees no older
    /// tick.
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
        // Release, partner: the Acquire of `load`: a thread that sees this word sees the admission tick written before
        // it, and the control word that its writer saw. Relaxed on failure: the caller starts over with `load`.
        self.word.compare_exchange(raw, next.0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Asks for a probe. At most `rules.probes()` are admitted in a generation, and at most `rules.at_once()` are in
    /// flight together. `shares`, here and below, says whether the window judges by shares; only then may the verdict
    /// do so.
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
            // Acquire, partner: the Release below: our reading is not older than the tick found. Otherwise the age
            // would be negative, that is huge, and a probe that has just begun could be written off.
            let latest = self.admitted.load(Ordering::Acquire);
            let now = clock.now().count();
            if word.field(OUT) < rules.at_once() && word.admitted() < rules.probes() {
                // The tick is written first, then the admission. In the other order, a caller that finds no slot free
                // could see the slot taken and the tick of an earlier probe, and write off a probe that has just begun.
                // A benign race: if our exchange fails, our tick stays and lengthens the lease, by the time between two
                // racing admissions.
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
                // This succeeds only if the word is still the one whose lease ran out: any admission since has changed
                // its turn.
                self.exchange(raw, word.written_off(rates));
            }
            // Bounded: an exchange failed because another thread's succeeded, or ours wrote lost probes off, which
            // happens at most once per probe.
        }
    }

    /// Reports a probe that was admitted in `era`. Without a mark, its slot is given back and nothing is counted.
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
            // The tag is short: a probe of 256 generations ago must not pass for one of this generation.
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

    /// Counts a call while ramping, and returns whether it is among the admitted `share` of 16; `None` if the
    /// generation is over.
    pub(crate) fn ramp(&self, state: &StateCell, generation: Generation, share: u32) -> Option<bool> {
        loop {
            let (raw, word) = self.load(state, generation)?;
            // The tag is short: a caller of 256 generations ago must not write to the probes of this generation.
            if !state.is(generation) {
                return None;
            }
            if self.exchange(raw, ProbesWord(word.0.wrapping_add(CALLS.unit()))) {
                // Spreads `share` admissions evenly over any 16 calls in a row (Bresenham).
                return Some((word.field(CALLS) & 15) * share & 15 < share);
            }
        }
    }

    /// Ticks until [`admit`](Self::admit) is certain not to return `Full`. For status only; changes nothing.
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

    /// Ticks since the latest admission. A lease is over if they reach it.
    pub(crate) fn age<C: Clock>(&self, clock: &C) -> u32 {
        // Acquire: see `admit`.
        let latest = self.admitted.load(Ordering::Acquire);
        clock.now().count().wrapping_sub(latest)
    }

    /// The number of probes in flight in `generation`. For status only.
    pub(crate) fn out(&self, generation: Generation) -> u8 {
        // Relaxed: one word, read for itself.
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
