//! The data of a permit: two words that travel in registers. All bits of the first word are drawn and declared here.
//!
//! ```text
//!             31               16 15          8    7          6           5         4         3       2     0
//!            +------------------+-------------+----------+-----------+-------+-----------+-------+-------+
//! quiet      | generation (16)  | 0                                                                      |
//!            +------------------+-------------+----------+-----------+-------+-----------+-------+-------+
//! any other  | generation (16)  | payload (8) | answered | uncounted | probe | panicking | timed |   7   |
//!            +------------------+-------------+----------+-----------+-------+-----------+-------+-------+
//! refusal    | –                              | timeless | reason (4)                              |   6   |
//!            +--------------------------------+----------+-----------------------------------------+-------+
//! ```
//!
//! A quiet permit carries the word under which it was given. Any other permit carries the generation and the payload of that
//! word, and no state: 7 is none. The second word is the time when the call began or, once its answer has begun, the number of
//! ticks until then. A refusal takes the place of a ticket on the way out of the slow path. Its second word is the number of
//! ticks to wait before asking again.

use crate::clock::Ticks;
use crate::machine::word::Word;
use crate::platform::bits::Bits;

/// The data of a permit. A quiet permit (the ordinary permit of a healthy breaker) carries the word under which it was
/// given. Any other permit carries the generation and the payload of that word, and its own kind. A ticket has two words, so
/// it travels in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) word: Word,
    pub(super) start: Ticks,
}

impl Ticket {
    /// The ticket of a permit that is given under `word`.
    #[inline(always)]
    pub(super) fn new(word: Word, kind: u32, start: Ticks) -> Self {
        Self { word: Word::from_bits(word.without_state() | kind | fields::STATE.mask()), start }
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

    /// The closed word that has counted what the word had under which the permit was given; a probe's has counted nothing.
    pub(super) const fn closed_word(self) -> Word {
        if self.is_probe() { self.word.quiet() } else { Word::from_bits(self.word.without_state()) }
    }

    /// The ticket of a permit whose answer began after `took` ticks.
    pub(super) fn answered_after(self, took: u32) -> Self {
        let word = Word::from_bits(self.word.bits() | fields::ANSWERED.mask());
        Self { word, start: Ticks::new(took) }
    }
}

/// The fields of the first word.
mod fields {
    use crate::machine::word::{GENERATION, PAYLOAD};
    use crate::platform::bits::layout;

    layout! {
        pub(super) STATE: 3,
        pub(super) TIMED: 1,
        pub(super) PANICKING: 1,
        pub(super) PROBE: 1,
        pub(super) UNCOUNTED: 1,
        pub(super) ANSWERED: 1,
        PAYLOAD,
        GENERATION,
    }
    // Of a refusal.
    layout! {
        STATE,
        pub(super) REASON: 4,
        pub(super) TIMELESS: 1,
        unused: 24,
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

/// What stands in place of a state in a refusal.
pub(super) const REFUSAL: u32 = 6;
/// Whether the first word is that of a refusal, and not of a ticket.
#[inline(always)]
pub(super) const fn is_refusal(head: u32) -> bool {
    fields::STATE.get(head) == REFUSAL
}
/// In a refusal: there is no time after which to ask again.
pub(super) const TIMELESS: Bits = fields::TIMELESS;
/// In a refusal: its reason.
pub(super) const REASON: Bits = fields::REASON;
