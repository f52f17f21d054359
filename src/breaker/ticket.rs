//! The data of a permit: two words that travel in registers. All bits of the first word are drawn and declared here.
//!
//! ```text
//!             31               12 11        10          9       8           7       6   5 4     3 2     0
//!            +------------------+----------+-----------+-------+-----------+-------+-----+-------+-------+
//! quiet      | generation (20)  | 0                                                                      |
//!            +------------------+----------+-----------+-------+-----------+-------+-----+-------+-------+
//! any other  | generation (20)  | answered | uncounted | probe | panicking | timed |  –  | level |   7   |
//!            +------------------+----------+-----------+-------+-----------+-------+-----+-------+-------+
//! of a probe | generation (20)  | answered |     0     |   1   | panicking | timed |   era (4)   |   7   |
//!            +------------------+----------+-----------+-------+-----------+-------+-------------+-------+
//! refusal    | reason (20)      | timeless |     1     |   1   | –                                      |
//!            +------------------+----------+-----------+-------+----------------------------------------+
//! ```
//!
//! A quiet permit carries the control word under which it was given. Any other permit carries no control word: 7 is no
//! state. The second word is the time when the call began or, once its answer has begun, the number of ticks until
//! then. A refusal takes the place of a ticket on the way out of the slow path. Its second word is the number of ticks
//! to wait before asking again.

use crate::clock::Ticks;
use crate::machine::control::ControlWord;
use crate::platform::bits::Bits;

/// The data of a permit. A quiet permit (the ordinary permit of a healthy breaker) carries the control word under which
/// it was given. Any other permit carries the generation and level of that word, and its own kind. A ticket has two
/// words, so it travels in registers.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) word: ControlWord,
    pub(super) start: Ticks,
}

impl Ticket {
    #[inline(always)]
    const fn has(self, field: Bits) -> bool {
        field.is_set(self.word.kind())
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

    /// Whether the permit's report goes to the window: it is neither a probe nor uncounted.
    #[inline(always)]
    pub(super) const fn is_plain(self) -> bool {
        self.word.kind() & REFUSED == 0
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
        let both = fields::TIMED.mask() | fields::ANSWERED.mask();
        self.word.kind() & both == fields::TIMED.mask()
    }

    /// Whether the thread was already panicking when the permit was given.
    #[inline(always)]
    pub(super) const fn began_in_a_panic(self) -> bool {
        self.has(fields::PANICKING)
    }

    /// The era in which a probe was admitted. Only the ticket of a probe has it, in place of the level.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "four bits")]
    pub(super) const fn era(self) -> u8 {
        fields::ERA.get(self.word.kind()) as u8
    }

    /// The ticket of a permit whose answer began after `took` ticks.
    pub(super) fn answered_after(self, took: u32) -> Self {
        let word = ControlWord::from_bits(self.word.bits() | fields::ANSWERED.mask());
        Self { word, start: Ticks::new(took) }
    }
}

/// The kind of a probe's ticket.
pub(super) fn probe_of(era: u8) -> u32 {
    PROBE | fields::ERA.of(era.into())
}

/// The fields of the first word.
mod fields {
    use crate::machine::control::{GENERATION, LEVEL, STATE};
    use crate::platform::bits::layout;

    layout! {
        STATE,
        LEVEL,
        unused: 2,
        pub(super) TIMED: 1,
        pub(super) PANICKING: 1,
        pub(super) PROBE: 1,
        pub(super) UNCOUNTED: 1,
        pub(super) ANSWERED: 1,
        GENERATION,
    }
    // Of a probe.
    layout! {
        STATE,
        pub(super) ERA: 4,
        TIMED,
        PANICKING,
        PROBE,
        UNCOUNTED,
        ANSWERED,
        GENERATION,
    }
    // Of a refusal.
    layout! {
        unused: 9,
        PROBE,
        UNCOUNTED,
        pub(super) TIMELESS: 1,
        pub(super) REASON: 20,
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

/// A refusal has both of these bits. A ticket has at most one of them: a quiet ticket has neither, and no probe is
/// uncounted.
pub(super) const REFUSED: u32 = PROBE | UNCOUNTED;
/// In a refusal: there is no time after which to ask again.
pub(super) const TIMELESS: Bits = fields::TIMELESS;
/// In a refusal: its reason. The field is wider than necessary, so that it is read without a mask.
pub(super) const REASON: Bits = fields::REASON;
