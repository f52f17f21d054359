//! What a permit knows: two words that travel in registers.

use crate::clock::Ticks;
use crate::machine::control::Word;

/// What a permit knows. A quiet one (the ordinary permit of a healthy breaker) carries the control word that it was
/// given under; any other the same generation and level, and what kind it is. Two words: it travels in registers.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) word: Word,
    pub(super) start: Ticks,
}

impl Ticket {
    #[inline(always)]
    pub(super) const fn kind(self) -> u32 {
        self.word.kind()
    }
}

// The bits of a kind. 0 to 2 say that it is one, 3 and 4 hold the level.

/// Of a probe, which has no level: the era it was admitted in.
pub(super) const ERA_AT: u32 = 3;
/// `start` is set.
pub(super) const TIMED: u32 = 1 << 7;
/// The thread was already panicking when it was given.
pub(super) const PANICKING: u32 = 1 << 8;
/// A half-open probe.
pub(super) const PROBE: u32 = 1 << 9;
/// Reports change nothing.
pub(super) const UNCOUNTED: u32 = 1 << 10;
/// Of a timed one: its answer has begun, and `start` is how long that took.
pub(super) const ANSWERED: u32 = 1 << 11;
