//! The control word: which state the circuit is in, and the only place where that changes.
//!
//! ```text
//!  31                                12 11       7 6           3 2     0
//! +------------------------------------+----------+-------------+-------+
//! | generation (20)                    | attempt 5| detail (4)  | state |
//! +------------------------------------+----------+-------------+-------+
//!                                                   open: time given (1) · reason (3)
//!                                                   closed, ramping: cold (1) · level (2)
//! ```
//!
//! The word is read-mostly: steps alone write it, so all cores share it at no cost while the circuit is healthy. A
//! *generation* is a stretch of time within which a permit's outcome counts. Every other word carries the tag of the
//! generation that it belongs to, and a word with an older tag counts as empty.
//!
//! # The matrix
//!
//! The table has a row for each state and a column for each thing that can happen. `g+1` starts a new generation, `=`
//! keeps the word, and `–` cannot happen. The outcomes are those of a permit of the present generation. Those of an
//! older permit are stale and change nothing, except a hold and a latch: they speak of the peer, so they count while
//! the circuit is open, in the row of the state that they *find*.
//!
//! | state | acquire | success | failure · slow | alive | ignore | hold | latch | trip | reset | force | disable | time passed |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | Closed | permit | counts; may trip while cold | counts; may trip: Open g+1 | = | = | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | = |
//! | Open | rejected, with a time | – | – | – | – | Open{Hold} g+1 if it ends later, else = | Latched g+1 | Open{reason} g+1 if it ends later, else = | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | HalfOpen g+1 |
//! | Latched | rejected, no time | – | – | – | – | = | = | = | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | = |
//! | HalfOpen | a probe, or rejected | may close: Closed or Ramping g+1 | may reopen: Open g+1, attempt+1 | as success | slot given back | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | lost probes: failures |
//! | Ramping | a share is admitted, the rest rejected | counts | counts; may trip: Open g+1, attempt kept | = | = | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | Closed, same g |
//! | `ForcedOpen` | rejected, no time | – | – | – | – | = | = | = | Closed g+1 | = | Disabled g+1 | = |
//! | Disabled | permit that counts nowhere | = | = | = | = | = | = | = | Closed g+1 | ForcedOpen g+1 | = | = |
//!
//! A restore leads from any state to the state in the snapshot, g+1.
//!
//! The attempt (the exponent of the open time) grows when probes fail. Every other way of opening keeps it. Closing,
//! `reset`, `force_open` and `disable` zero it; a restore brings its own.

use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::layout;
use crate::terms::state::{OpenReason, State};

// The control word.
layout! {
    pub(crate) STATE: 3,
    DETAIL: 4,
    ATTEMPT: 5,
    /// A permit is taken for one of a later generation only after an exact multiple of 2²⁰ generations.
    pub(crate) GENERATION: 20,
}
// The control word while open.
layout! {
    STATE,
    REASON: 3,
    TIME_GIVEN: 1,
    ATTEMPT,
    GENERATION,
}
// The control word while closed or ramping.
layout! {
    STATE,
    pub(crate) LEVEL: 2,
    COLD: 1,
    unused: 1,
    ATTEMPT,
    GENERATION,
}
layout! {
    /// All but the generation.
    BELOW: 12,
    GENERATION,
}

/// Stands in place of a state in a word that is not a control word.
const NO_STATE: u32 = STATE.max();
/// The attempt grows no further than this.
pub(crate) const ATTEMPT_MAX: u32 = ATTEMPT.max();

/// The number of a generation. Wraps after 2²⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Its low `bits`: the tag of a word that belongs to this generation.
    #[inline]
    pub(crate) const fn tag(self, bits: u32) -> u32 {
        self.0 & ((1 << bits) - 1)
    }

    /// Whether a `tag`, `bits` wide, is so old that it must be renewed before it could be taken for one of a later
    /// generation.
    pub(crate) const fn outgrew(self, tag: u32, bits: u32) -> bool {
        self.0.wrapping_sub(tag) & ((1 << bits) - 1) >= 1 << (bits - 1)
    }

    /// The generation before.
    #[inline]
    pub(crate) const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1) & GENERATION.max())
    }
}

/// One value of the control word: plain, copied, pure.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlWord(u32);

impl ControlWord {
    /// Closed, in generation 1. Words that were never written carry tag 0, so they count as empty.
    pub(crate) const fn initial(cold: bool) -> Self {
        Self(GENERATION.of(1) | Self::fresh(cold))
    }

    /// The detail, in place, of a generation that begins closed or ramping.
    #[inline]
    const fn fresh(cold: bool) -> u32 {
        COLD.flag(cold)
    }

    #[inline]
    pub(crate) const fn state(self) -> State {
        match STATE.get(self.0) {
            1 => State::Open,
            2 => State::Latched,
            3 => State::HalfOpen,
            4 => State::Ramping,
            5 => State::ForcedOpen,
            6 => State::Disabled,
            // 0; no control word has 7, `NO_STATE`
            _ => State::Closed,
        }
    }

    #[inline]
    pub(crate) const fn generation(self) -> Generation {
        Generation(GENERATION.get(self.0))
    }

    #[inline]
    pub(crate) const fn attempt(self) -> u32 {
        ATTEMPT.get(self.0)
    }

    /// Why it is open; meaningless in other states.
    #[inline]
    pub(crate) const fn reason(self) -> OpenReason {
        OpenReason::from_number(REASON.get(self.0))
    }

    /// Whether the circuit is open for a time that was given, not for one that follows from the attempt.
    #[inline]
    pub(crate) const fn time_was_given(self) -> bool {
        TIME_GIVEN.is_set(self.0)
    }

    /// Whether outcomes go to the window.
    #[inline]
    pub(crate) const fn records(self) -> bool {
        self.0 & UNRECORDED == 0
    }

    /// The degradation level, 0 to 3.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "two bits")]
    pub(crate) const fn level(self) -> u8 {
        if self.records() { LEVEL.get(self.0) as u8 } else { 0 }
    }

    /// Whether successes have to judge, because no thread has judged yet with the minimum of calls reached.
    #[inline]
    pub(crate) const fn is_cold(self) -> bool {
        COLD.is_set(self.0)
    }

    /// Whether a success need not judge: the word is not cold, and its level is 0.
    #[inline]
    pub(crate) const fn is_calm(self) -> bool {
        !DETAIL.is_set(self.0)
    }

    /// Whether the fast path may admit a call and record its success: the circuit is closed and calm, and the attempt
    /// is 0. Such a word has its generation in the [`GENERATION`] bits and nothing else.
    #[inline(always)]
    pub(crate) const fn is_quiet(self) -> bool {
        self.kind() == 0
    }

    /// Twice the generation of a quiet word, below whose generation there is nothing.
    #[inline(always)]
    pub(crate) const fn twice_quiet_generation(self) -> u32 {
        self.0 >> (GENERATION.at() - 1)
    }

    /// The same generation and level, with `kind` in place of the rest: the word of a permit that is not quiet. It
    /// equals no control word, because its state is [`NO_STATE`]. `kind` must not use the three bits of the state, nor
    /// the two bits of the level where there can be a level.
    #[inline(always)]
    pub(crate) const fn with_kind(self, kind: u32) -> Self {
        let kind = kind | NO_STATE;
        Self(self.0 & GENERATION.mask() | LEVEL.of(self.level() as u32) | kind)
    }

    /// All but the generation: what [`with_kind`](Self::with_kind) sets. It is 0 in a quiet word.
    #[inline(always)]
    pub(crate) const fn kind(self) -> u32 {
        self.0 & BELOW.mask()
    }

    /// The level in a word made by [`with_kind`](Self::with_kind), or in a quiet word (0).
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "two bits")]
    pub(crate) const fn kept_level(self) -> u8 {
        LEVEL.get(self.0) as u8
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) const fn is_open(self) -> bool {
        STATE.get(self.0) == State::Open as u32
    }

    /// The matrix: the word to which `step` leads from here, or `None` if it does nothing.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        if step.0 >> FROM.at() >> STATE.get(self.0) & 1 == 0 {
            return None;
        }
        let below = (self.0 & KEPT.get(step.0)) + BELOW.get(step.0);
        // Only the attempt can grow out of its bits; it then stays at its maximum.
        let below = if below > BELOW.max() { below - ATTEMPT.unit() } else { below };
        // The generation stands on top and wraps.
        Some(Self((self.0 & GENERATION.mask()).wrapping_add(step.0 & NEW_GENERATION.mask()) | below))
    }
}

/// One step of the control word: a column of the matrix, as data. The data cost a fraction of the code that would do
/// the same.
///
/// ```text
///  31                   20 19          13     12     11                    0
/// +-----------------------+--------------+----------+-----------------------+
/// | what stays below the  | states it    | new      | what is added: state, |
/// | generation (mask, 12) | leads from 7 | g? (1)   | detail, attempt (12)  |
/// +-----------------------+--------------+----------+-----------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step(u32);

// A step. Its lowest bits are added to the bits below the generation.
layout! {
    BELOW,
    NEW_GENERATION: 1,
    FROM: 7,
    KEPT: BELOW.width(),
}
const _: () = assert!(FROM.width() as usize == State::ALL.len());
// A new generation adds this bit to the control word, in place.
const _: () = assert!(NEW_GENERATION.unit() == GENERATION.unit());

/// All states but Closed and Ramping have one of these bits, and so has [`NO_STATE`].
const UNRECORDED: u32 = 0b011;

impl Step {
    /// A step into a new generation: from any of `states`, keeping the bits `kept` below the generation, into `state`
    /// with `detail`. `kept` and `detail` stand in place.
    const fn into(states: &[State], kept: u32, state: State, detail: u32) -> Self {
        Self(Self::within(states, kept, detail | STATE.of(state as u32)).0 | NEW_GENERATION.mask())
    }

    /// A step within the generation: keeps the bits `kept`, adds `added`.
    const fn within(states: &[State], kept: u32, added: u32) -> Self {
        let (mut from, mut at) = (0, 0);
        while at < states.len() {
            from |= 1 << states[at] as u32;
            at += 1;
        }
        Self(KEPT.of(kept) | FROM.of(from) | BELOW.of(added))
    }

    /// The window reached a threshold.
    #[inline]
    pub(crate) const fn trip(reason: OpenReason) -> Self {
        const TRIP: Step = Step::into(&[State::Closed, State::Ramping], ATTEMPT.mask(), State::Open, 0);
        Self(TRIP.0 | REASON.of(reason as u32))
    }

    /// A caller opens the circuit for a given time: by a hold, or by a trip from outside.
    #[inline]
    pub(crate) const fn ask(reason: OpenReason) -> Self {
        const ASK: Step = Step::into(&ORDINARY, ATTEMPT.mask(), State::Open, TIME_GIVEN.mask());
        Self(ASK.0 | REASON.of(reason as u32))
    }

    /// The open time is over.
    pub(crate) const PROBE: Self = Self::into(&[State::Open], ATTEMPT.mask(), State::HalfOpen, 0);

    /// Probes failed: the attempt grows.
    #[inline]
    pub(crate) const fn reopen(reason: OpenReason) -> Self {
        const REOPEN: Step = Step::into(&[State::HalfOpen], ATTEMPT.mask(), State::Open, 0);
        Self(REOPEN.0 + ATTEMPT.unit() | REASON.of(reason as u32))
    }

    /// Probes succeeded. `cold`, here and below, says whether the window has a minimum of calls, so that successes must
    /// judge.
    pub(crate) const fn close(cold: bool) -> Self {
        Self::into(&[State::HalfOpen], 0, State::Closed, ControlWord::fresh(cold))
    }

    /// Probes succeeded, and a ramp is configured.
    pub(crate) const fn ramp(cold: bool) -> Self {
        Self::into(&[State::HalfOpen], ATTEMPT.mask(), State::Ramping, ControlWord::fresh(cold))
    }

    /// The ramp's time is over. Ramping and Closed share a window, so they share a generation: only the state and the
    /// attempt change.
    pub(crate) const FINISH: Self = Self::within(&[State::Ramping], DETAIL.mask(), State::Closed as u32);

    pub(crate) const LATCH: Self = Self::into(&ORDINARY, ATTEMPT.mask(), State::Latched, 0);

    pub(crate) const fn reset(cold: bool) -> Self {
        Self::into(&State::ALL, 0, State::Closed, ControlWord::fresh(cold))
    }

    pub(crate) const FORCE: Self = Self::into(
        &[State::Closed, State::Open, State::Latched, State::HalfOpen, State::Ramping, State::Disabled],
        0,
        State::ForcedOpen,
        0,
    );

    pub(crate) const DISABLE: Self = Self::into(
        &[State::Closed, State::Open, State::Latched, State::HalfOpen, State::Ramping, State::ForcedOpen],
        0,
        State::Disabled,
        0,
    );

    /// Restores the state of a snapshot. If that is open, its time was given.
    pub(crate) const fn restore(state: State, reason: OpenReason, attempt: u32, cold: bool) -> Self {
        const RESTORE: Step = Step::into(&State::ALL, 0, State::Closed, 0);
        let detail = match state {
            State::Closed | State::Ramping => ControlWord::fresh(cold),
            State::Open => REASON.of(reason as u32) | TIME_GIVEN.mask(),
            State::Latched | State::HalfOpen | State::ForcedOpen | State::Disabled => 0,
        };
        Self(RESTORE.0 | ATTEMPT.of(attempt) | detail | STATE.of(state as u32))
    }

    /// A thread judged with the minimum of calls reached: successes need not judge any more.
    pub(crate) const WARM: Self = Self::within(&RECORDING, BELOW.mask() & !COLD.mask(), 0);

    /// The thresholds changed. Until a thread judges with the minimum of calls reached, successes judge again.
    pub(crate) const COOL: Self = Self::within(&RECORDING, KEPT.get(Self::WARM.0), COLD.mask());

    /// Exchanges the word for itself where [`COOL`](Self::COOL) does nothing: `Breaker::reconfigure` needs the order of
    /// the exchanges. A thread that closes the circuit after this exchange sees the new settings by it.
    pub(crate) const TOUCH: Self = Self::within(
        &[State::Open, State::Latched, State::HalfOpen, State::ForcedOpen, State::Disabled],
        BELOW.mask(),
        0,
    );

    /// The degradation level changed.
    #[inline]
    pub(crate) const fn level(level: u8) -> Self {
        const RELEVEL: Step = Step::within(&RECORDING, BELOW.mask() & !LEVEL.mask(), 0);
        Self(RELEVEL.0 | LEVEL.of(level as u32 & LEVEL.max()))
    }
}

/// The states in which outcomes go to the window.
const RECORDING: [State; 2] = [State::Closed, State::Ramping];
/// The states that a hold or a latch can leave.
const ORDINARY: [State; 4] = [State::Closed, State::Open, State::HalfOpen, State::Ramping];

/// The result of a step. It is two words, so it travels in registers.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    from: ControlWord,
    /// Not a control word if the step was refused.
    to: ControlWord,
}

impl Moved {
    /// The step does nothing from here, or the generation it was meant for is over.
    const REFUSED: Self = Self { from: ControlWord(NO_STATE), to: ControlWord(NO_STATE) };

    /// The words before and after the step, if this caller, and no other, moved the word.
    #[inline]
    pub(crate) fn won(self) -> Option<(ControlWord, ControlWord)> {
        (STATE.get(self.to.0) != NO_STATE).then_some((self.from, self.to))
    }
}

/// The control word itself. Every ordering on it lives here.
#[derive(Debug)]
pub(crate) struct StateCell(AtomicU32);

impl StateCell {
    const_fn! {
        pub(crate) const fn new(cold: bool) -> Self {
            Self(AtomicU32::new(ControlWord::initial(cold).0))
        }
    }

    /// A look that decides nothing but "which generation does this belong to".
    ///
    /// Relaxed: each word that is read next carries its own tag and is checked against this one, so no order between
    /// the two is needed. A stale value only makes the caller act as if it had come a moment earlier.
    #[inline]
    pub(crate) fn peek(&self) -> ControlWord {
        ControlWord(self.0.load(Ordering::Relaxed))
    }

    /// A look from which time is measured, or by which a window is known to have begun.
    ///
    /// Acquire, partner: the Release half of the exchange in `step`. Without it the clock could be read *before* the
    /// generation is seen, so a period would begin before its transition and end early.
    #[inline]
    pub(crate) fn load(&self) -> ControlWord {
        ControlWord(self.0.load(Ordering::Acquire))
    }

    /// The second look, between loading a tagged word and writing it: whether `generation` is still the present one.
    ///
    /// The caller loaded the tagged word with Acquire, whose partner is the Release of the thread that wrote it. A word
    /// of a newer generation was written by a thread that had seen the control word move, so this look sees that move
    /// too. Therefore, if this returns `true`, a tag that differs is an *older* one, and the word may be taken over.
    /// Relaxed suffices, because the Acquire keeps this load behind the first. Without this look a stale helper
    /// overwrites a later generation.
    #[inline]
    pub(crate) fn is(&self, generation: Generation) -> bool {
        self.peek().generation() == generation
    }

    /// Takes `step` if `generation` (any, if `None`) is the present one and the matrix allows it.
    #[inline(never)]
    pub(crate) fn step(&self, generation: Option<Generation>, step: Step) -> Moved {
        let mut from = self.load();
        loop {
            if generation.is_some_and(|meant| meant != from.generation()) {
                return Moved::REFUSED;
            }
            let Some(to) = from.after(step) else { return Moved::REFUSED };
            // Release, partner: the Acquire of `load`, which says what breaks without it. Acquire, partner: the Release
            // of the exchange that wrote `from`, so that generations are totally ordered in every thread that moves
            // them. Bounded: but for spurious failures, a failed exchange means that another thread moved the word.
            match self.0.compare_exchange_weak(from.0, to.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Moved { from, to },
                Err(present) => from = ControlWord(present),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(state: State, attempt: u32, detail: u32) -> ControlWord {
        ControlWord(GENERATION.of(1) | ATTEMPT.of(attempt) | DETAIL.of(detail) | STATE.of(state as u32))
    }

    #[test]
    fn a_step_cools_or_touches_every_state() {
        assert_eq!(FROM.get(Step::COOL.0 ^ Step::TOUCH.0), FROM.max(), "one of the two leads from every state");
    }

    #[test]
    fn a_word_with_a_kind_is_no_control_word() {
        for state in State::ALL {
            assert_ne!(state as u32, NO_STATE);
            let word = word(state, 31, 0b111);
            for kind in 0..GENERATION.unit() {
                let carried = word.with_kind(kind);
                assert_eq!(STATE.get(carried.0), NO_STATE);
                assert_eq!(carried.generation(), word.generation());
            }
        }
    }

    #[test]
    fn every_state_and_reason_survives_the_word() {
        for state in State::ALL {
            assert_eq!(word(state, 31, 0).state(), state);
        }
        for reason in OpenReason::ALL {
            let word = word(State::Open, 7, reason as u32);
            assert_eq!((word.reason(), word.attempt()), (reason, 7));
        }
    }

    #[test]
    fn generations_wrap_and_nothing_leaks_into_the_neighbours() {
        let mut word = ControlWord::initial(false);
        for _ in 0..GENERATION.max() {
            word = word.after(Step::reset(false)).unwrap();
        }
        assert_eq!(word, ControlWord(0), "generation 0 after a whole wrap less one");
        assert_eq!(word.after(Step::reset(false)), Some(ControlWord::initial(false)));
    }

    #[test]
    fn the_attempt_saturates() {
        let mut word = ControlWord::initial(false).after(Step::trip(OpenReason::Failures)).unwrap();
        for expected in (1..=31).chain([31, 31]) {
            word = word.after(Step::PROBE).unwrap().after(Step::reopen(OpenReason::Slow)).unwrap();
            assert_eq!(word.attempt(), expected);
        }
    }

    #[test]
    fn a_step_keeps_the_generation_only_where_the_window_goes_on() {
        let steps = [
            Step::trip(OpenReason::Failures),
            Step::ask(OpenReason::Hold),
            Step::PROBE,
            Step::reopen(OpenReason::Failures),
            Step::close(true),
            Step::ramp(true),
            Step::FINISH,
            Step::LATCH,
            Step::reset(true),
            Step::FORCE,
            Step::DISABLE,
            Step::WARM,
            Step::COOL,
            Step::TOUCH,
            Step::level(2),
            Step::restore(State::Ramping, OpenReason::Failures, 9, true),
        ];
        for state in State::ALL {
            let from = word(state, 3, 0);
            for step in steps {
                let Some(to) = from.after(step) else { continue };
                let same = [Step::FINISH, Step::WARM, Step::COOL, Step::TOUCH, Step::level(2)].contains(&step);
                assert!(step == Step::FINISH || !same || to.state() == state, "{state:?}");
                assert_eq!(to.generation() == from.generation(), same, "{state:?} {step:?}");
                assert!(same || to.generation().0 == from.generation().0 + 1, "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn tags_outgrow_at_half_their_range() {
        let g = Generation(1000);
        assert!(!g.outgrew(g.tag(8), 8));
        assert!(!g.outgrew(Generation(1000 - 127).tag(8), 8));
        assert!(g.outgrew(Generation(1000 - 128).tag(8), 8));
        assert!(!g.outgrew(g.previous().tag(8), 8));
    }
}
