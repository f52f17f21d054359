//! The word: which state the circuit is in, since which generation, and what one exchange must decide together with it.
//!
//! ```text
//!  31              16 15            8 7         3 2      0
//! +------------------+---------------+-----------+--------+
//! | generation (16)  | payload (8)   | attempt 5 | state 3|
//! +------------------+---------------+-----------+--------+
//!                      closed, ramping: a streak's run (8), or unused (5) · cold (1) · level (2)
//!                      open: bound (5) · reason (3)
//!                      half-open: admitted (5) · reason (3)
//!                      off: which (2)
//! ```
//!
//! A *generation* is a stretch of time within which a permit's outcome counts. Every other word but the deadline carries the
//! tag of the generation that it belongs to, and a word with an older tag counts as empty.
//!
//! One exchange of this word decides that an outcome is of the present generation, that a streak counts it, that it opens
//! the circuit, which caller moves the circuit, and which caller has the only probe.
//!
//! # Deadlines
//!
//! Some moves begin a *deadline*: the end of an open time, of a probe's lease, of a ramp, of the memory of a flapping peer.
//! It stands in a second word ([`cell`](crate::machine::cell)) and is published after the move, by the first thread that
//! needs it. A *turn* is the stretch between two such moves. Its parity is that of the generation; in a half-open state of
//! many probes, where each admission begins a lease, it is flipped while the number admitted is even. A move
//! that begins a deadline flips the parity, every other move keeps it. So a deadline is published exactly if its lowest bit
//! has the parity of the word.
//!
//! # The matrix
//!
//! The table has a row for each state and a column for each thing that can happen. `g` is a new generation, `=` keeps the
//! word, and `–` cannot happen. The outcomes are those of a permit of the present generation. Those of an older permit are
//! stale and change nothing, except a hold and a latch: they speak of the peer, so they count while the circuit is open, in
//! the row of the state that they *find*. A *layer* is a trip by Budget, Dependency, Outlier or Fleet.
//!
//! | state | acquire | success | failure · slow | alive | ignore | hold | latch | Manual | layer | release | half-open | reset | force | disable | time passed |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | Closed | permit | counts; may trip while cold | counts; may trip: Open g | = | = | Open{Hold} g | Latched g | Open{Manual} g | Open{layer} g | = | = | Closed g | ForcedOpen g | Disabled g | forgets the attempt |
//! | Open | rejected, with a time | – | – | – | – | Open{Hold} g, see below | Latched g | Open{Manual} g | covered, or g if of its own reason and longer | a layer's: HalfOpen g; Budget's: Ramping or Closed g | HalfOpen g | Closed g | ForcedOpen g | Disabled g | HalfOpen g; Budget's: Ramping or Closed g |
//! | Latched | rejected, no time | – | – | – | – | = | = | = | covered | = | = | Closed g | ForcedOpen g | Disabled g | = |
//! | HalfOpen | a probe, or rejected | may close: Closed or Ramping g | may reopen: Open g, attempt+1 | as success | slot given back | Open{Hold} g | Latched g | Open{Manual} g | Open{layer} g; Budget: covered | = | = | Closed g | ForcedOpen g | Disabled g | a probe's lease: Open g, attempt+1 |
//! | Ramping | a share is admitted, the rest rejected | counts | counts; may trip: Open g, attempt kept | = | = | Open{Hold} g | Latched g | Open{Manual} g | Open{layer} g | = | = | Closed g | ForcedOpen g | Disabled g | Closed, same generation |
//! | `ForcedOpen` | rejected, no time | – | – | – | – | = | = | = | covered | = | = | Closed g | = | Disabled g | = |
//! | Disabled | permit that counts nowhere | = | = | = | = | = | = | = | idle | = | = | Closed g | ForcedOpen g | = | = |
//!
//! A hold over an open time of Failures or Slow keeps the longer of the two times and becomes the reason. Over a hold it
//! only lengthens. Over a layer's it replaces the time even if it is shorter, and over Manual it does nothing until that
//! time is over. A layer that finds an open time over acts as on HalfOpen; a Budget that finds its own over begins anew. A
//! restore leads from any state to the state in the snapshot, g.
//!
//! The attempt (the exponent of the open time) grows when a probe fails, and when Failures or Slow open a closed circuit
//! that still remembers its attempt (`Config::stable_after`). Every other way of opening keeps it. `reset`, `force_open` and
//! `disable` zero it; a restore brings its own.

use crate::platform::bits::layout;
use crate::terms::state::{OpenReason, State};

layout! {
    STATE: 3,
    ATTEMPT: 5,
    pub(crate) PAYLOAD: 8,
    pub(crate) GENERATION: 16,
}
// Open.
layout! {
    STATE,
    ATTEMPT,
    REASON: 3,
    /// 0: the open time follows from the attempt. Otherwise the time was given, and its deadline is at most 2 to this power
    /// ticks away, slack included.
    BOUND: 5,
    GENERATION,
}
// Half-open.
layout! {
    STATE,
    ATTEMPT,
    REASON,
    /// The number of probes that were admitted. It comes round. Where the settings are fixed at one probe: 1 while it is in
    /// flight.
    ADMITTED: 5,
    GENERATION,
}
// Closed or ramping: a streak alone.
layout! {
    STATE,
    ATTEMPT,
    RUN: 8,
    GENERATION,
}
// Closed or ramping: any other window.
layout! {
    STATE,
    ATTEMPT,
    pub(crate) LEVEL: 2,
    COLD: 1,
    unused: 5,
    GENERATION,
}
// Off.
layout! {
    STATE,
    ATTEMPT,
    WHICH: 2,
    unused: 6,
    GENERATION,
}
// Ramping: 4 or 5.
layout! {
    /// The ramp recovers from something that does not speak against the peer's health.
    UNDOUBTED: 1,
    unused: 1,
    RAMPS: 1,
    ATTEMPT,
    PAYLOAD,
    GENERATION,
}

/// The states in the word. A number above `RAMPING + 1` is no state.
pub(crate) const CLOSED: u32 = 0;
pub(crate) const OPEN: u32 = 1;
pub(crate) const HALF_OPEN: u32 = 2;
pub(crate) const OFF: u32 = 3;
pub(crate) const RAMPING: u32 = RAMPS.mask();

/// How a word is off: see [`Word::which`].
const LATCHED: u32 = 0;
const FORCED_OPEN: u32 = 1;
pub(crate) const DISABLED: u32 = 2;

/// The longest run of failures that has room in the word. A longer one is counted elsewhere, and the word then has this
/// number, which no shorter run reaches: a run of as many opens the circuit.
pub(crate) const RUN_MAX: u32 = RUN.max();
/// The attempt grows no further than this.
pub(crate) const ATTEMPT_MAX: u32 = ATTEMPT.max();

/// The number of a generation. Wraps after 2¹⁶.
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
}

/// One value of the word: plain, copied, pure.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u32);

/// How a generation begins in which outcomes are counted: the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fresh(u32);

impl Fresh {
    /// A streak that is counted in the word.
    pub(crate) const EMPTY: Self = Self(0);
    /// A window that judges by shares: successes judge until a thread has judged with the minimum of calls reached.
    pub(crate) const COLD: Self = Self(COLD.mask());
    /// A streak that is counted elsewhere.
    pub(crate) const ELSEWHERE: Self = Self(RUN.mask());
}

impl Word {
    /// Closed, in generation 0.
    pub(crate) const INITIAL: Self = Self(CLOSED);

    /// The same closed or ramping word, at the beginning of its generation.
    #[inline(always)]
    pub(crate) const fn counting(self, fresh: Fresh) -> Self {
        Self(self.0 | fresh.0)
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The state as it stands in the word.
    #[inline(always)]
    pub(crate) const fn kind(self) -> u32 {
        STATE.get(self.0)
    }

    pub(crate) const fn state(self) -> State {
        match self.kind() {
            CLOSED => State::Closed,
            OPEN => State::Open,
            HALF_OPEN => State::HalfOpen,
            OFF => match self.which() {
                LATCHED => State::Latched,
                FORCED_OPEN => State::ForcedOpen,
                _ => State::Disabled,
            },
            _ => State::Ramping,
        }
    }

    #[inline(always)]
    pub(crate) const fn generation(self) -> Generation {
        Generation(GENERATION.get(self.0))
    }

    /// Whether both are of one generation.
    #[inline(always)]
    pub(crate) const fn is_of(self, other: Self) -> bool {
        (self.0 ^ other.0) & GENERATION.mask() == 0
    }

    /// How often in a row recovery failed. A closed word that remembers it has one more in the field: the attempt that the
    /// next trip opens with.
    #[inline]
    pub(crate) const fn attempt(self) -> u32 {
        let attempt = ATTEMPT.get(self.0);
        if self.kind() == CLOSED { attempt.saturating_sub(1) } else { attempt }
    }

    /// [`attempt`](Self::attempt) of an open word.
    #[inline(always)]
    pub(crate) const fn attempt_while_open(self) -> u32 {
        ATTEMPT.get(self.0)
    }

    /// The attempt itself, in place.
    #[inline(always)]
    const fn unprepared(self) -> u32 {
        (self.0 & ATTEMPT.mask()) - if self.remembers() { ATTEMPT.unit() } else { 0 }
    }

    /// The attempt that the next trip opens with, in place.
    #[inline(always)]
    const fn prepared(self) -> u32 {
        let attempt = self.0 & ATTEMPT.mask();
        if attempt == ATTEMPT.mask() { attempt } else { attempt + ATTEMPT.unit() }
    }

    /// Why it is open or half-open; meaningless in other states.
    #[inline]
    pub(crate) const fn reason(self) -> OpenReason {
        OpenReason::from_number(REASON.get(self.0))
    }

    /// The power of two that bounds the given open time, in ticks; 0 if the open time follows from the attempt. Only while
    /// open.
    #[inline(always)]
    pub(crate) const fn bound(self) -> u32 {
        BOUND.get(self.0)
    }

    #[inline(always)]
    pub(crate) const fn is_open(self) -> bool {
        self.kind() == OPEN
    }

    #[inline(always)]
    pub(crate) const fn is_half_open(self) -> bool {
        self.kind() == HALF_OPEN
    }

    #[inline(always)]
    pub(crate) const fn is_ramping(self) -> bool {
        RAMPS.is_set(self.0)
    }

    /// Whether outcomes go to the window: it is closed or ramping.
    #[inline]
    pub(crate) const fn records(self) -> bool {
        self.kind() == CLOSED || self.is_ramping()
    }

    /// Which way it is off: 0 latched, 1 forced open, 2 [disabled](DISABLED).
    #[inline(always)]
    pub(crate) const fn which(self) -> u32 {
        WHICH.get(self.0)
    }

    /// Whether it is closed, remembers no attempt, and counts nothing against the peer. Such a word has its generation in
    /// the [`GENERATION`] bits and nothing else.
    #[inline(always)]
    pub(crate) const fn is_quiet(self) -> bool {
        self.0 << GENERATION.width() == 0
    }

    /// Whether it is closed and remembers no attempt.
    #[inline(always)]
    pub(crate) const fn is_settled(self) -> bool {
        self.0 & (STATE.mask() | ATTEMPT.mask()) == CLOSED
    }

    /// The quiet word of its generation.
    #[inline(always)]
    pub(crate) const fn quiet(self) -> Self {
        Self(self.0 & GENERATION.mask())
    }

    /// Its generation and its payload.
    #[inline(always)]
    pub(crate) const fn without_state(self) -> u32 {
        self.0 & (GENERATION.mask() | PAYLOAD.mask())
    }

    /// Twice the generation of a quiet word, below whose generation there is nothing.
    #[inline(always)]
    pub(crate) const fn twice_quiet_generation(self) -> u32 {
        self.0 >> (GENERATION.at() - 1)
    }

    /// Whether it is closed and still remembers how often recovery failed.
    #[inline(always)]
    pub(crate) const fn remembers(self) -> bool {
        self.kind() == CLOSED && ATTEMPT.is_set(self.0)
    }

    /// Whether its reason is a doubt about the peer's health. Then a caller may be admitted all the same.
    pub(crate) const fn is_doubted(self) -> bool {
        match self.kind() {
            OPEN | HALF_OPEN => self.reason().is_doubt(),
            _ => self.is_ramping() && !UNDOUBTED.is_set(self.0),
        }
    }

    /// The run of failures. Only while closed or ramping, for a streak alone.
    #[inline(always)]
    pub(crate) const fn run(self) -> u32 {
        RUN.get(self.0)
    }

    /// The degradation level, 0 to 3. Only while closed or ramping, if the window is not a streak alone.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "two bits")]
    pub(crate) const fn level(self) -> u8 {
        LEVEL.get(self.0) as u8
    }

    /// Whether successes have to judge, because no thread has judged yet with the minimum of calls reached.
    #[inline]
    pub(crate) const fn is_cold(self) -> bool {
        COLD.is_set(self.0)
    }

    /// Whether a success need not judge: the word is not cold, and its level is 0.
    #[inline]
    pub(crate) const fn is_calm(self) -> bool {
        self.0 & (COLD.mask() | LEVEL.mask()) == 0
    }

    /// Whether the only probe is in flight.
    #[inline(always)]
    pub(crate) const fn probe_is_out(self) -> bool {
        ADMITTED.is_set(self.0)
    }

    /// The number of probes that were admitted while half-open; it comes round.
    pub(crate) const fn admitted(self) -> u32 {
        ADMITTED.get(self.0)
    }

    /// What tells its deadline from the one before. `many`, here and below, says whether there may be more than one probe.
    #[inline(always)]
    pub(crate) const fn parity(self, many: bool) -> u32 {
        GENERATION.get(self.0) & 1 ^ self.turn(many)
    }

    /// What the admissions of probes add to the parity: nothing for the first one.
    #[inline(always)]
    const fn turn(self, many: bool) -> u32 {
        if many && self.is_half_open() { !ADMITTED.get(self.0) & 1 } else { 0 }
    }

    /// Whether a deadline begins with this state: with every one but closed without an attempt. For a state that is off, nobody
    /// asks for it.
    #[inline(always)]
    const fn has_deadline(self) -> bool {
        !self.is_settled()
    }

    /// This state in a new generation, the next one after that of `from` with the right parity.
    #[inline(always)]
    pub(crate) const fn following(self, from: Self, many: bool) -> Self {
        let flips = self.has_deadline() as u32 ^ self.turn(many) ^ from.turn(many);
        // What grows out of the generation's bits is shifted out.
        Self((GENERATION.get(from.0) + 2 - flips) << GENERATION.at() | self.0)
    }

    // The states that a word can lead to, each without a generation: `following` gives it one.

    /// Open for the `reason` of this number, because of what the window or a probe showed. A failed probe lets the attempt
    /// grow, and so does a trip while the attempt is remembered: there it has grown in advance.
    #[inline(always)]
    pub(crate) const fn opened(self, reason: u32) -> Self {
        // Closed and ramping lack the bit of half-open, which is the one below the attempt's lowest.
        const { assert!(CLOSED & HALF_OPEN == 0 && (RAMPING + 1) & HALF_OPEN == 0) };
        const { assert!(HALF_OPEN << 2 == ATTEMPT.unit()) };
        let grown = (self.0 & ATTEMPT.mask()) + ((self.0 & HALF_OPEN) << 2);
        // An attempt that grew out of its bits is in the payload: take it back.
        let attempt = grown - (grown >> PAYLOAD.at() << ATTEMPT.at());
        Self(attempt | OPEN | REASON.of(reason))
    }

    /// Open for a given time, whose deadline is at most 2 to the power of `bound` ticks away.
    #[inline(always)]
    pub(crate) const fn given(self, reason: OpenReason, bound: u32) -> Self {
        Self(self.unprepared() | OPEN | REASON.of(reason as u32) | BOUND.of(bound))
    }

    /// Half-open: this caller has the first probe.
    #[inline(always)]
    pub(crate) const fn probing(self) -> Self {
        Self(self.half_opened().0 | ADMITTED.unit())
    }

    /// Half-open: no probe is in flight yet.
    #[inline(always)]
    pub(crate) const fn half_opened(self) -> Self {
        Self(self.0 & (ATTEMPT.mask() | REASON.mask()) | HALF_OPEN)
    }

    /// Ramping, to recover from this reason.
    #[inline(always)]
    pub(crate) const fn ramping(self, from: OpenReason) -> Self {
        Self(self.0 & ATTEMPT.mask() | RAMPING | UNDOUBTED.flag(!from.is_doubt()))
    }

    /// Closed. If `remember`, the attempt is kept until the deadline that begins, and is ready for the next trip.
    #[inline(always)]
    pub(crate) const fn closed(self, remember: bool) -> Self {
        Self(if remember { self.prepared() } else { CLOSED })
    }

    pub(crate) const fn latched(self) -> Self {
        Self(self.unprepared() | OFF | WHICH.of(LATCHED))
    }

    pub(crate) const fn forced_open() -> Self {
        Self(OFF | WHICH.of(FORCED_OPEN))
    }

    pub(crate) const fn disabled() -> Self {
        Self(OFF | WHICH.of(DISABLED))
    }

    /// An open state with this attempt and this reason: where a restore begins. It is never made public.
    pub(crate) const fn restoring(attempt: u32, reason: OpenReason) -> Self {
        Self(OPEN | ATTEMPT.of(attempt) | REASON.of(reason as u32))
    }

    // Words of the same generation.

    /// The only probe came back, without a result.
    #[inline(always)]
    pub(crate) const fn slot_returned(self) -> Self {
        Self(self.0 & !ADMITTED.mask())
    }

    /// One more probe is admitted, and its lease begins.
    #[inline(always)]
    pub(crate) const fn with_probe(self) -> Self {
        Self(ADMITTED.replace(self.0, ADMITTED.get(self.0) + 1 & ADMITTED.max()))
    }

    /// The ramp is over. Ramping and closed share a window, so they share a generation, and the turn goes on: the deadline
    /// of a ramp includes the time for which the attempt is remembered.
    #[inline(always)]
    pub(crate) const fn ramped(self, remember: bool) -> Self {
        Self(self.0 & !(STATE.mask() | ATTEMPT.mask()) | if remember { self.prepared() } else { CLOSED })
    }

    /// Closed, and the attempt is forgotten.
    #[inline(always)]
    pub(crate) const fn forgotten(self) -> Self {
        Self(self.0 & !ATTEMPT.mask())
    }

    /// The same word with this run.
    #[inline(always)]
    pub(crate) const fn with_run(self, run: u32) -> Self {
        Self(RUN.replace(self.0, run))
    }

    /// The same word after a judgement: with this level, and if that was with the minimum of calls reached (`warms`), successes
    /// need not judge any more.
    pub(crate) const fn judged(self, warms: bool, level: u8) -> Self {
        Self(LEVEL.replace(self.0 & !COLD.flag(warms), level as u32 & LEVEL.max()))
    }

    /// The thresholds changed. Until a thread judges with the minimum of calls reached, successes judge again.
    pub(crate) const fn cold(self) -> Self {
        Self(self.0 | COLD.mask())
    }
}

/// The exponent of a power of two that is at least `ticks`. It is never 0, and at most 31 if `ticks` are at most 2³¹.
pub(crate) const fn bound_of(ticks: u32) -> u32 {
    u32::BITS - (ticks.saturating_sub(1) | 1).leading_zeros()
}
