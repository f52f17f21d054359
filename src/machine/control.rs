//! The control word: which state the circuit is in, and the only place where it moves.
//!
//! ```text
//!  31                                12 11       7 6           3 2     0
//! +------------------------------------+----------+-------------+-------+
//! | generation (20)                    | attempt 5| detail (4)  | state |
//! +------------------------------------+----------+-------------+-------+
//!                                                   open: time was said (1) · reason (3)
//!                                                   closed, ramping: cold (1) · level (2)
//! ```
//!
//! The word is read-mostly: it is written by transitions alone, so a healthy circuit shares it among all cores at no
//! cost. A *generation* is a stretch of time within which a permit's outcome counts; every other word carries the tag
//! of the generation it belongs to, and one with an older tag *is* an empty word.
//!
//! # The matrix
//!
//! Every state × everything that can happen. `g+1` starts a new generation, `=` keeps the word. Outcomes are those of
//! a permit of the present generation; an older permit's are stale and change nothing, with two exceptions in the
//! column of the state they *find*: a hold and a latch speak of the peer, so they count while the circuit is open.
//!
//! | state | acquire | good | bad · slow | alive | ignore | hold | latch | trip | reset | force | disable | time passed |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | Closed | permit | counts, may trip until warm | counts, may trip: Open g+1 | = | = | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | = |
//! | Open | rejected, says when | – | – | – | – | later: Open{Hold} g+1, else = | Latched g+1 | later: Open{reason} g+1, else = | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | HalfOpen g+1 |
//! | Latched | rejected, no time | – | – | – | – | = | = | = | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | = |
//! | HalfOpen | a probe, or rejected | may close: Closed or Ramping g+1 | may reopen: Open g+1, attempt+1 | as good | slot back | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | lost probes: bad |
//! | Ramping | a share, else rejected | counts | counts, may trip: Open g+1, attempt kept | = | = | Open{Hold} g+1 | Latched g+1 | Open{reason} g+1 | Closed g+1 | ForcedOpen g+1 | Disabled g+1 | Closed, same g |
//! | `ForcedOpen` | rejected, no time | – | – | – | – | = | = | = | Closed g+1 | = | Disabled g+1 | = |
//! | Disabled | permit that counts nowhere | = | = | = | = | = | = | = | Closed g+1 | ForcedOpen g+1 | = | = |
//!
//! A restore leads from any state to the one that the snapshot tells, g+1.
//!
//! The attempt (exponent of the open time) grows when probes fail, is kept by every other way of opening, and is
//! zeroed by closing, by `reset`, `force_open` and `disable`; a restore brings its own.

use crate::platform::atomics::{AtomicU32, Ordering, const_fn};
use crate::platform::bits::layout;
use crate::terms::state::{OpenReason, State};

// The control word.
layout! {
    pub(crate) STATE: 3,
    DETAIL: 4,
    ATTEMPT: 5,
    /// A permit aliases a later generation after exactly a multiple of 2²⁰ of them.
    pub(crate) GENERATION: 20,
}
// The same while open.
layout! {
    STATE,
    REASON: 3,
    TIME_GIVEN: 1,
    ATTEMPT,
    GENERATION,
}
// The same while closed or ramping.
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

/// In place of a state, where a word is not one of control.
const NO_STATE: u32 = STATE.max();
/// The attempt stays there.
pub(crate) const ATTEMPT_MAX: u32 = ATTEMPT.max();

/// Within how long a permit counts. Wraps after 2²⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// The low `bits`: what a word that belongs to this generation carries.
    #[inline]
    pub(crate) const fn tag(self, bits: u32) -> u32 {
        self.0 & ((1 << bits) - 1)
    }

    /// Whether a `bits` wide `tag` is so old that it must be renewed before it could be mistaken for a later one's.
    pub(crate) const fn outgrew(self, tag: u32, bits: u32) -> bool {
        self.0.wrapping_sub(tag) & ((1 << bits) - 1) >= 1 << (bits - 1)
    }

    /// The one before.
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
    /// Closed, in generation 1: words that were never written carry tag 0 and are empty by that.
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

    /// Open for a time that somebody said, rather than one that follows from the attempt.
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

    /// Whether successes have to judge, for nobody has yet judged at or above the minimum.
    #[inline]
    pub(crate) const fn is_cold(self) -> bool {
        COLD.is_set(self.0)
    }

    /// Whether a good outcome may skip the verdict: not cold, and at level 0.
    #[inline]
    pub(crate) const fn is_calm(self) -> bool {
        !DETAIL.is_set(self.0)
    }

    /// Whether a call needs no more than a glance at this word, to be admitted and, if good, to be recorded: closed,
    /// calm, and the attempt 0. Then the word is the generation where it stands, in its [`GENERATION`] bits, and
    /// nothing else.
    #[inline(always)]
    pub(crate) const fn is_quiet(self) -> bool {
        self.kind() == 0
    }

    /// Twice the generation, where nothing stands below it: in a quiet word.
    #[inline(always)]
    pub(crate) const fn twice_quiet_generation(self) -> u32 {
        self.0 >> (GENERATION.at() - 1)
    }

    /// The same generation and level, with `kind` in place of the rest: what a permit that is not quiet carries. It
    /// equals no control word, of whatever state: its own is one that there is not. `kind` leaves the state's three
    /// bits alone, and the level's two where there can be a level.
    #[inline(always)]
    pub(crate) const fn with_kind(self, kind: u32) -> Self {
        let kind = kind | NO_STATE;
        Self(self.0 & GENERATION.mask() | LEVEL.of(self.level() as u32) | kind)
    }

    /// All but the generation: what [`with_kind`](Self::with_kind) sets; 0 in a quiet word.
    #[inline(always)]
    pub(crate) const fn kind(self) -> u32 {
        self.0 & BELOW.mask()
    }

    /// The level in a word made by [`with_kind`](Self::with_kind), or of a quiet one (0).
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

    /// The matrix: where `step` leads from here, `None` where it does nothing.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        if step.0 >> FROM.at() >> STATE.get(self.0) & 1 == 0 {
            return None;
        }
        let below = (self.0 & KEPT.get(step.0)) + BELOW.get(step.0);
        // Only an attempt can grow out of its bits: then it stays at its most.
        let below = if below > BELOW.max() { below - ATTEMPT.unit() } else { below };
        // The generation stands on top and wraps.
        Some(Self((self.0 & GENERATION.mask()).wrapping_add(step.0 & NEW_GENERATION.mask()) | below))
    }
}

/// What can move the control word: a row of the matrix, as data. A table costs a fraction of the code that it is.
///
/// ```text
///  31                   20 19          13     12     11                    0
/// +-----------------------+--------------+----------+-----------------------+
/// | what stays below the  | states it    | a new    | what is added: state, |
/// | generation (mask, 12) | leads from 7 | one? (1) | detail, attempt (12)  |
/// +-----------------------+--------------+----------+-----------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step(u32);

// A step. Its lowest bits are what it adds to those below the generation.
layout! {
    BELOW,
    NEW_GENERATION: 1,
    FROM: 7,
    KEPT: BELOW.width(),
}
const _: () = assert!(FROM.width() as usize == State::ALL.len());
// A new generation adds this bit where it stands.
const _: () = assert!(NEW_GENERATION.unit() == GENERATION.unit());

/// All states but Closed and Ramping have one of these bits, and so has [`NO_STATE`].
const UNRECORDED: u32 = 0b011;

impl Step {
    /// A new generation: from any of the `states`, with `kept` of the bits below it, into `state` with `detail`. Both
    /// stand in place.
    const fn into(states: &[State], kept: u32, state: State, detail: u32) -> Self {
        Self(Self::within(states, kept, detail | STATE.of(state as u32)).0 | NEW_GENERATION.mask())
    }

    /// Within the generation: keeps `kept`, adds `added`.
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

    /// Someone said to open, and for how long: a hold, or a trip from outside.
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

    /// Probes succeeded. `cold`, here and below: whether there is a minimum of calls, so that successes judge.
    pub(crate) const fn close(cold: bool) -> Self {
        Self::into(&[State::HalfOpen], 0, State::Closed, ControlWord::fresh(cold))
    }

    /// Probes succeeded, and a ramp is configured.
    pub(crate) const fn ramp(cold: bool) -> Self {
        Self::into(&[State::HalfOpen], ATTEMPT.mask(), State::Ramping, ControlWord::fresh(cold))
    }

    /// The ramp's time is over. Ramping and Closed share a window, so they share a generation: nothing but the state and
    /// attempt move.
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

    /// A snapshot told so; an open circuit's time is said, too.
    pub(crate) const fn restore(state: State, reason: OpenReason, attempt: u32, cold: bool) -> Self {
        const RESTORE: Step = Step::into(&State::ALL, 0, State::Closed, 0);
        let detail = match state {
            State::Closed | State::Ramping => ControlWord::fresh(cold),
            State::Open => REASON.of(reason as u32) | TIME_GIVEN.mask(),
            State::Latched | State::HalfOpen | State::ForcedOpen | State::Disabled => 0,
        };
        Self(RESTORE.0 | ATTEMPT.of(attempt) | detail | STATE.of(state as u32))
    }

    /// Somebody judged at or above the minimum: successes need not judge any more.
    pub(crate) const WARM: Self = Self::within(&RECORDING, BELOW.mask() & !COLD.mask(), 0);

    /// The thresholds changed: successes judge again until somebody judged at or above the minimum.
    pub(crate) const COOL: Self = Self::within(&RECORDING, KEPT.get(Self::WARM.0), COLD.mask());

    /// The word is exchanged for itself where [`COOL`](Self::COOL) does nothing: the order of the exchanges is what
    /// `Breaker::reconfigure` needs. Whoever closes the circuit after this one has by it seen the new settings.
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

/// Those in which outcomes go to the window.
const RECORDING: [State; 2] = [State::Closed, State::Ramping];
/// Those that a hold or a latch can leave.
const ORDINARY: [State; 4] = [State::Closed, State::Open, State::HalfOpen, State::Ramping];

/// What a step came to. Two words: it travels in registers.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    from: ControlWord,
    /// No control word, if it was refused.
    to: ControlWord,
}

impl Moved {
    /// The step does nothing from here, or the generation it was meant for is over.
    const REFUSED: Self = Self { from: ControlWord(NO_STATE), to: ControlWord(NO_STATE) };

    /// From where to where this caller, and nobody else, moved the word.
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
    /// Relaxed: whatever is read next carries its own tag and is checked against this word, so no order between the
    /// two is needed; a stale value only makes the caller act as one that came a moment earlier.
    #[inline]
    pub(crate) fn peek(&self) -> ControlWord {
        ControlWord(self.0.load(Ordering::Relaxed))
    }

    /// A look that time is measured from, or by which a window is known to have begun.
    ///
    /// Acquire, partner: the Release half of the exchange in `step`. Without it the clock could be read *before* the
    /// generation is seen, so a period would begin before its transition and end early.
    #[inline]
    pub(crate) fn load(&self) -> ControlWord {
        ControlWord(self.0.load(Ordering::Acquire))
    }

    /// The second look, between loading a tagged word and writing it: whether `generation` is still the present one.
    ///
    /// The caller loaded the tagged word with Acquire, whose partner is the Release of whoever wrote it: a word of a
    /// newer generation was written by a thread that had seen this word move, so this look sees it too. That is why a
    /// tag that differs while this says `true` is an *older* one, and the word may be taken over. Relaxed suffices
    /// (the Acquire keeps this load behind the first). Without this look a stale helper overwrites a later generation.
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
            // Release, partner: the Acquire of `load` — the clock reading above. Acquire, partner: the Release of the
            // exchange that wrote `from`, so that generations are totally ordered in every thread that moves them.
            // Bounded: a failed exchange means another thread moved the word.
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
