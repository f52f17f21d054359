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

use crate::sync::{AtomicU32, Ordering, const_fn};

/// What a circuit does with a call, as seen by an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum State {
    /// Healthy: every call is admitted and its outcome recorded.
    Closed = 0,
    /// Calls are rejected until a time; the first one at or after it finds the circuit half-open.
    Open = 1,
    /// Open without a time: rejects until someone resets it.
    Latched = 2,
    /// A limited number of probes find out whether the peer is back.
    HalfOpen = 3,
    /// The peer is back: a growing share of the calls is admitted.
    Ramping = 4,
    /// Switched off for maintenance: rejects everything, records nothing, until reset.
    ForcedOpen = 5,
    /// Bypassed: admits everything, records nothing, until reset.
    Disabled = 6,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 7] =
        [Self::Closed, Self::Open, Self::Latched, Self::HalfOpen, Self::Ramping, Self::ForcedOpen, Self::Disabled];

    /// The name in small letters with underscores, as metrics want it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Latched => "latched",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }
}

/// Why a circuit opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum OpenReason {
    /// Too many failures; where both reached their threshold, failures name the reason.
    Failures = 0,
    /// Too many slow calls.
    Slow = 1,
    /// The peer said when to come back.
    Hold = 2,
    /// A budget of calls, money or retries is used up.
    Budget = 3,
    /// Something this one depends on is down.
    Dependency = 4,
    /// By hand.
    Manual = 5,
}

impl OpenReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 6] = [Self::Failures, Self::Slow, Self::Hold, Self::Budget, Self::Dependency, Self::Manual];

    /// The name in small letters, as metrics want it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Slow => "slow",
            Self::Hold => "hold",
            Self::Budget => "budget",
            Self::Dependency => "dependency",
            Self::Manual => "manual",
        }
    }

    #[inline]
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Slow,
            2 => Self::Hold,
            3 => Self::Budget,
            4 => Self::Dependency,
            5 => Self::Manual,
            // 0; nothing writes more
            _ => Self::Failures,
        }
    }
}

const STATE_BITS: u32 = 3;
/// In place of a state, where a word is not one of control.
const NO_STATE: u32 = 7;
const DETAIL_BITS: u32 = 4;
const ATTEMPT_BITS: u32 = 5;
const DETAIL_AT: u32 = STATE_BITS;
const ATTEMPT_AT: u32 = DETAIL_AT + DETAIL_BITS;
const GENERATION_AT: u32 = ATTEMPT_AT + ATTEMPT_BITS;

/// Bits of a generation. A permit aliases a later generation after exactly a multiple of 2²⁰ of them.
pub(crate) const GENERATION_BITS: u32 = u32::BITS - GENERATION_AT;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
/// The attempt stays there.
pub(crate) const ATTEMPT_MAX: u32 = (1 << ATTEMPT_BITS) - 1;
const LEVEL_MASK: u32 = 0b011;
const COLD: u32 = 0b100;
const SAID: u32 = 0b1000;

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

    /// The `bits` wide tag of the generation before this one: certainly not this one's, and not old either.
    pub(crate) const fn previous_tag(self, bits: u32) -> u32 {
        self.0.wrapping_sub(1) & ((1 << bits) - 1)
    }
}

/// One value of the control word: plain, copied, pure.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    /// Closed, in generation 1: words that were never written carry tag 0 and are empty by that.
    pub(crate) const fn initial(cold: bool) -> Self {
        Self(1 << GENERATION_AT | Self::fresh(cold) << DETAIL_AT)
    }

    /// The detail of a generation that begins closed or ramping.
    const fn fresh(cold: bool) -> u32 {
        if cold { COLD } else { 0 }
    }

    #[inline]
    pub(crate) const fn state(self) -> State {
        match self.0 & ((1 << STATE_BITS) - 1) {
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
        Generation(self.0 >> GENERATION_AT)
    }

    #[inline]
    pub(crate) const fn attempt(self) -> u32 {
        (self.0 >> ATTEMPT_AT) & ATTEMPT_MAX
    }

    const fn detail(self) -> u32 {
        (self.0 >> DETAIL_AT) & ((1 << DETAIL_BITS) - 1)
    }

    /// Why it is open; meaningless in other states.
    #[inline]
    pub(crate) const fn reason(self) -> OpenReason {
        OpenReason::from_number(self.detail() & !SAID)
    }

    /// Open for a time that somebody said, rather than one that follows from the attempt.
    pub(crate) const fn was_said(self) -> bool {
        self.detail() & SAID != 0
    }

    /// Whether outcomes go to the window.
    #[inline]
    pub(crate) const fn records(self) -> bool {
        matches!(self.state(), State::Closed | State::Ramping)
    }

    /// The degradation level, 0 to 3.
    #[inline]
    pub(crate) const fn level(self) -> u8 {
        if self.records() { (self.detail() & LEVEL_MASK) as u8 } else { 0 }
    }

    /// Whether successes have to judge, for nobody has yet judged at or above the minimum.
    #[inline]
    pub(crate) const fn is_cold(self) -> bool {
        self.detail() & COLD != 0
    }

    /// Whether a good outcome may skip the verdict: not cold, and at level 0.
    #[inline]
    pub(crate) const fn is_calm(self) -> bool {
        self.detail() == 0
    }

    /// Whether a call needs no more than a glance at this word, to be admitted and, if good, to be recorded: closed,
    /// calm, and the attempt 0. Then the word is the generation where it stands, in the upper [`GENERATION_BITS`], and
    /// nothing else.
    #[inline(always)]
    pub(crate) const fn is_quiet(self) -> bool {
        self.kind() == 0
    }

    /// The same generation and level, with `kind` in place of the rest: what a permit that is not quiet carries. It
    /// equals no control word, of whatever state: its own is one that there is not. `kind` leaves the state's three
    /// bits alone, and the level's two where there can be a level.
    #[inline(always)]
    pub(crate) const fn with_kind(self, kind: u32) -> Self {
        let kind = kind | NO_STATE;
        Self(self.0 & (GENERATION_MASK << GENERATION_AT) | (self.level() as u32) << DETAIL_AT | kind)
    }

    /// All but the generation: what [`with_kind`](Self::with_kind) sets; 0 in a quiet word.
    #[inline(always)]
    pub(crate) const fn kind(self) -> u32 {
        self.0 & ((1 << GENERATION_AT) - 1)
    }

    /// The level in a word made by [`with_kind`](Self::with_kind), or of a quiet one (0).
    #[inline]
    pub(crate) const fn kept_level(self) -> u8 {
        (self.0 >> DETAIL_AT & LEVEL_MASK) as u8
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
        self.0 & ((1 << STATE_BITS) - 1) == State::Open as u32
    }

    const fn with_detail(self, detail: u32) -> Self {
        Self(self.0 & !(((1 << DETAIL_BITS) - 1) << DETAIL_AT) | detail << DETAIL_AT)
    }

    /// The next generation, in `state`.
    const fn next(self, state: State, attempt: u32, detail: u32) -> Self {
        let generation = (self.generation().0 + 1) & GENERATION_MASK;
        Self(generation << GENERATION_AT | attempt << ATTEMPT_AT | detail << DETAIL_AT | state as u32)
    }

    /// The matrix: where `step` leads from here, `None` where it does nothing.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        use State::{Closed, Disabled, ForcedOpen, HalfOpen, Latched, Open, Ramping};
        let attempt = self.attempt();
        Some(match (step, self.state()) {
            (Step::Trip(reason), Closed | Ramping) => self.next(Open, attempt, reason as u32),
            (Step::Ask(reason), Closed | Open | HalfOpen | Ramping) => self.next(Open, attempt, reason as u32 | SAID),
            (Step::Probe, Open) => self.next(HalfOpen, attempt, 0),
            (Step::Reopen(reason), HalfOpen) => {
                let longer = if attempt < ATTEMPT_MAX { attempt + 1 } else { attempt };
                self.next(Open, longer, reason as u32)
            }
            (Step::Close { cold }, HalfOpen) | (Step::Reset { cold }, _) => self.next(Closed, 0, Self::fresh(cold)),
            (Step::Ramp { cold }, HalfOpen) => self.next(Ramping, attempt, Self::fresh(cold)),
            // Ramping and Closed share a window, so they share a generation: nothing but the state and attempt move.
            (Step::Finish, Ramping) => {
                Self(self.0 & !((1 << STATE_BITS) - 1) & !(ATTEMPT_MAX << ATTEMPT_AT) | Closed as u32)
            }
            (Step::Restore { state, reason, attempt, cold }, _) => {
                let detail = match state {
                    Closed | Ramping => Self::fresh(cold),
                    Open => reason as u32 | SAID,
                    Latched | HalfOpen | ForcedOpen | Disabled => 0,
                };
                self.next(state, attempt, detail)
            }
            (Step::Latch, Closed | Open | HalfOpen | Ramping) => self.next(Latched, attempt, 0),
            (Step::Force, Closed | Open | Latched | HalfOpen | Ramping | Disabled) => self.next(ForcedOpen, 0, 0),
            (Step::Disable, Closed | Open | Latched | HalfOpen | Ramping | ForcedOpen) => self.next(Disabled, 0, 0),
            (Step::Warm, Closed | Ramping) if self.is_cold() => self.with_detail(self.detail() & !COLD),
            (Step::Cool, Closed | Ramping) => self.with_detail(self.detail() | COLD),
            // Exchanged for itself: the order of the exchanges is what `Breaker::reconfigure` needs. Whoever closes
            // the circuit after this one has by it seen the new settings.
            (Step::Cool, _) => self,
            (Step::Level(level), Closed | Ramping) if self.level() != level => {
                self.with_detail(self.detail() & !LEVEL_MASK | (level as u32 & LEVEL_MASK))
            }
            _ => return None,
        })
    }
}

/// What can move the control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The window reached a threshold.
    Trip(OpenReason),
    /// Someone said to open, and for how long: a hold, or a trip from outside.
    Ask(OpenReason),
    /// The open time is over.
    Probe,
    /// Probes failed.
    Reopen(OpenReason),
    /// Probes succeeded. `cold`, here and below: whether there is a minimum of calls, so that successes judge.
    Close {
        cold: bool,
    },
    /// Probes succeeded, and a ramp is configured.
    Ramp {
        cold: bool,
    },
    /// The ramp's time is over.
    Finish,
    /// A snapshot told so; an open circuit's time is said, too.
    Restore {
        state: State,
        reason: OpenReason,
        attempt: u32,
        cold: bool,
    },
    Latch,
    Reset {
        cold: bool,
    },
    Force,
    Disable,
    /// Somebody judged at or above the minimum: successes need not judge any more.
    Warm,
    /// The thresholds changed: successes judge again until somebody judged at or above the minimum.
    Cool,
    /// The degradation level changed.
    Level(u8),
}

/// What a step came to.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moved {
    /// This caller, and nobody else, moved the word.
    Won { from: Word, to: Word },
    /// The step does nothing from here, or the generation it was meant for is over.
    Refused,
}

/// The control word itself. Every ordering on it lives here.
#[derive(Debug)]
pub(crate) struct StateCell(AtomicU32);

impl StateCell {
    const_fn! {
        pub(crate) const fn new(cold: bool) -> Self {
            Self(AtomicU32::new(Word::initial(cold).0))
        }
    }

    /// A look that decides nothing but "which generation does this belong to".
    ///
    /// Relaxed: whatever is read next carries its own tag and is checked against this word, so no order between the
    /// two is needed; a stale value only makes the caller act as one that came a moment earlier.
    #[inline]
    pub(crate) fn peek(&self) -> Word {
        Word(self.0.load(Ordering::Relaxed))
    }

    /// A look that time is measured from, or by which a window is known to have begun.
    ///
    /// Acquire, partner: the Release half of the exchange in `step`. Without it the clock could be read *before* the
    /// generation is seen, so a period would begin before its transition and end early.
    #[inline]
    pub(crate) fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
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
    pub(crate) fn step(&self, generation: Option<Generation>, step: Step) -> Moved {
        let mut from = self.load();
        loop {
            if generation.is_some_and(|meant| meant != from.generation()) {
                return Moved::Refused;
            }
            let Some(to) = from.after(step) else { return Moved::Refused };
            // Release, partner: the Acquire of `load` — the clock reading above. Acquire, partner: the Release of the
            // exchange that wrote `from`, so that generations are totally ordered in every thread that moves them.
            // Bounded: a failed exchange means another thread moved the word.
            match self.0.compare_exchange_weak(from.0, to.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Moved::Won { from, to },
                Err(present) => from = Word(present),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_disjoint_and_fill_the_word() {
        let fields = [
            (1 << STATE_BITS) - 1,
            ((1 << DETAIL_BITS) - 1) << DETAIL_AT,
            ATTEMPT_MAX << ATTEMPT_AT,
            GENERATION_MASK << GENERATION_AT,
        ];
        assert_eq!(fields.iter().fold(0, |all, field| all | field), u32::MAX);
        assert_eq!(fields.iter().map(|field| field.count_ones()).sum::<u32>(), u32::BITS);
    }

    #[test]
    fn a_word_with_a_kind_is_no_control_word() {
        for state in State::ALL {
            assert_ne!(state as u32, NO_STATE);
            let word = Word::initial(false).next(state, 31, 0b111);
            for kind in 0..1 << GENERATION_AT {
                let carried = word.with_kind(kind);
                assert_eq!(carried.0 & ((1 << STATE_BITS) - 1), NO_STATE);
                assert_eq!(carried.generation(), word.generation());
            }
        }
    }

    #[test]
    fn every_state_and_reason_survives_the_word() {
        for state in State::ALL {
            assert_eq!(Word::initial(false).next(state, 31, 0).state(), state);
        }
        for reason in OpenReason::ALL {
            let word = Word::initial(false).next(State::Open, 7, reason as u32);
            assert_eq!((word.reason(), word.attempt()), (reason, 7));
        }
    }

    #[test]
    fn generations_wrap_and_nothing_leaks_into_the_neighbours() {
        let mut word = Word::initial(false);
        for _ in 0..(1 << GENERATION_BITS) - 1 {
            word = word.after(Step::Reset { cold: false }).unwrap();
        }
        assert_eq!(word, Word(0), "generation 0 after a whole wrap less one");
        assert_eq!(word.after(Step::Reset { cold: false }), Some(Word::initial(false)));
    }

    #[test]
    fn the_attempt_saturates() {
        let mut word = Word::initial(false).after(Step::Trip(OpenReason::Failures)).unwrap();
        for expected in (1..=31).chain([31, 31]) {
            word = word.after(Step::Probe).unwrap().after(Step::Reopen(OpenReason::Slow)).unwrap();
            assert_eq!(word.attempt(), expected);
        }
    }

    #[test]
    fn a_step_keeps_the_generation_only_where_the_window_goes_on() {
        let steps = [
            Step::Trip(OpenReason::Failures),
            Step::Ask(OpenReason::Hold),
            Step::Probe,
            Step::Reopen(OpenReason::Failures),
            Step::Close { cold: true },
            Step::Ramp { cold: true },
            Step::Finish,
            Step::Latch,
            Step::Reset { cold: true },
            Step::Force,
            Step::Disable,
            Step::Warm,
            Step::Cool,
            Step::Level(2),
        ];
        for state in State::ALL {
            let from = Word::initial(false).next(state, 3, 0);
            for step in steps {
                let Some(to) = from.after(step) else { continue };
                assert!(step != Step::Cool || to.state() == state, "{state:?}");
                let same = matches!(step, Step::Finish | Step::Warm | Step::Cool | Step::Level(_));
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
        assert!(!g.outgrew(g.previous_tag(8), 8));
    }
}
