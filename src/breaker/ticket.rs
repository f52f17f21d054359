//! The data of a permit: two words that travel in registers. All bits of the first word are drawn and declared here.
//!
//! ```text
//!             31               16 15   11 10    9          8           7       6           5       4   3 2     0
//!            +------------------+--------+-----+----------+-----------+-------+-----------+-------+-----+-------+
//! quiet      | generation (16)  | 0                                                                            |
//!            +------------------+--------+-----+----------+-----------+-------+-----------+-------+-----+-------+
//! any other  | generation (16)  | –      |  0  | answered | uncounted | probe | panicking | timed |level|   7   |
//!            +------------------+--------+-----+----------+-----------+-------+-----------+-------+-----+-------+
//! refusal    | –                         |  1  | timeless | –                                     | reason (4)  |
//!            +---------------------------+-----+----------+---------------------------------------+-------------+
//! ```
//!
//! A quiet permit carries the word under which it was given. Any other permit carries no such word: 7 is no state. The
//! second word is the time when the call began or, once its answer has begun, the number of ticks until then. A refusal
//! takes the place of a ticket on the way out of the slow path. Its second word is the number of ticks to wait before asking
//! again.

use crate::clock::Ticks;
use crate::machine::word::Word;
use crate::platform::bits::Bits;

/// The data of a permit. A quiet permit (the ordinary permit of a healthy breaker) carries the word under which it was
/// given. Any other permit carries the generation of that word, and its own kind. A ticket has two words, so it travels in
/// registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) word: Word,
    pub(super) start: Ticks,
}

impl Ticket {
    /// The ticket of a permit that is given under `word`.
    #[inline(always)]
    pub(super) fn new(word: Word, level: u8, kind: u32, start: Ticks) -> Self {
        let kind = kind | fields::LEVEL.of(level.into()) | fields::STATE.mask();
        Self { word: Word::from_bits(word.quiet().bits() | kind), start }
    }

    #[inline(always)]
    const fn has(self, field: Bits) -> bool {
        field.is_set(self.word.bits())
    }

    /// Whether the permit is a half-open probe.
    #[inline(always)]
    pub(super) const fn is_probe(self) -> bool {
        self.has(fields::PROBE)
    }

    /// Whether the permit's report changes nothing.
    #[inline(always)]
    pub(super) const fn is_uncounted(self) -> bool {
        self.has(fields::UNCOUNTED)
    }

    /// Whether it is like a quiet ticket, save that `start` is set and the answer has not begun.
    #[inline(always)]
    pub(super) const fn is_timed_only(self) -> bool {
        self.word.bits() ^ self.word.quiet().bits() == fields::STATE.mask() | TIMED
    }

    /// Whether `start` is set.
    #[inline(always)]
    pub(super) const fn is_timed(self) -> bool {
        self.has(fields::TIMED)
    }

    /// Whether the answer has begun. Then `start` is the number of ticks until it began.
    #[inline(always)]
    pub(super) const fn is_answered(self) -> bool {
        self.has(fields::ANSWERED)
    }

    /// Whether `start` is the time when the call began, and no answer has begun.
    #[inline(always)]
    pub(super) const fn awaits_answer(self) -> bool {
        self.is_timed() && !self.is_answered()
    }

    /// Whether the thread was already panicking when the permit was given.
    #[inline(always)]
    pub(super) const fn began_in_a_panic(self) -> bool {
        self.has(fields::PANICKING)
    }

    /// The degradation level when the permit was given.
    #[expect(clippy::cast_possible_truncation, reason = "two bits")]
    pub(super) const fn level(self) -> u8 {
        fields::LEVEL.get(self.word.bits()) as u8
    }

    /// The ticket of a permit whose answer began after `took` ticks.
    pub(super) fn answered_after(self, took: u32) -> Self {
        let word = Word::from_bits(self.word.bits() | fields::ANSWERED.mask());
        Self { word, start: Ticks::new(took) }
    }
}

/// The fields of the first word.
mod fields {
    use crate::machine::word::GENERATION;
    use crate::platform::bits::layout;

    layout! {
        pub(super) STATE: 3,
        pub(super) LEVEL: 2,
        pub(super) TIMED: 1,
        pub(super) PANICKING: 1,
        pub(super) PROBE: 1,
        pub(super) UNCOUNTED: 1,
        pub(super) ANSWERED: 1,
        pub(super) REFUSED: 1,
        unused: 5,
        GENERATION,
    }
    // Of a refusal.
    layout! {
        pub(super) REASON: 4,
        unused: 5,
        pub(super) TIMELESS: 1,
        REFUSED,
        unused: 21,
    }
}

/// `start` is set.
pub(super) const TIMED: u32 = fields::TIMED.mask();
/// The thread was already panicking when the permit was given.
pub(super) const PANICKING: u32 = fields::PANICKING.mask();
/// The permit is a half-open probe.
pub(super) const PROBE: u32 = fields::PROBE.mask();
/// The permit's report changes nothing.
pub(super) const UNCOUNTED: u32 = fields::UNCOUNTED.mask();

/// A refusal has this bit, and no ticket has it.
pub(super) const REFUSED: Bits = fields::REFUSED;
/// The degradation level.
pub(super) const LEVEL: Bits = fields::LEVEL;
/// In a refusal: there is no time after which to ask again.
pub(super) const TIMELESS: Bits = fields::TIMELESS;
/// In a refusal: its reason.
pub(super) const REASON: Bits = fields::REASON;
