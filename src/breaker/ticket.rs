//! What a permit knows: two words that travel in registers. All bits of the first one are drawn and declared here.
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
//! A quiet permit carries the control word that it was given under. Any other carries no control word: 7 is no state. The
//! second word is when the call began or, of an answered permit, how many ticks it took to be answered. A refusal stands
//! in the place of a ticket on the way out of the slow path; its second word is in how many ticks to ask again.

use crate::clock::Ticks;
use crate::machine::control::ControlWord;
use crate::platform::bits::Bits;

/// What a permit knows. A quiet one (the ordinary permit of a healthy breaker) carries the control word that it was
/// given under; any other the same generation and level, and what kind it is. Two words: it travels in registers.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) word: ControlWord,
    pub(super) start: Ticks,
}

impl Ticket {
    #[inline(always)]
    pub(super) const fn kind(self) -> u32 {
        self.word.kind()
    }
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

/// Of a probe, which has no level: the era it was admitted in.
pub(super) const ERA_AT: u32 = fields::ERA.at();
/// `start` is set.
pub(super) const TIMED: u32 = fields::TIMED.mask();
/// The thread was already panicking when it was given.
pub(super) const PANICKING: u32 = fields::PANICKING.mask();
/// A half-open probe.
pub(super) const PROBE: u32 = fields::PROBE.mask();
/// Reports change nothing.
pub(super) const UNCOUNTED: u32 = fields::UNCOUNTED.mask();
/// Of a timed one: its answer has begun, and `start` is how long that took.
pub(super) const ANSWERED: u32 = fields::ANSWERED.mask();

/// A refusal has both of these bits. A ticket has at most one: a quiet one has neither, and no probe is uncounted.
pub(super) const REFUSED: u32 = PROBE | UNCOUNTED;
/// Of a refusal: there is no time after which to ask again.
pub(super) const TIMELESS: Bits = fields::TIMELESS;
/// Of a refusal: why. Wider than it needs to be, so that it is read without a mask.
pub(super) const REASON: Bits = fields::REASON;
