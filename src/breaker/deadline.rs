//! Deadlines: how long a turn lasts, who decides it, and how much of it is left. The protocol stands in
//! [`cell`](crate::machine::cell).

use crate::breaker::Breaker;
use crate::clock::{Clock, HORIZON};
use crate::config::source::Source;
use crate::machine::backoff;
use crate::machine::cell::Cell;
use crate::machine::window::Window;
use crate::machine::word::{Word, bound_of};
use crate::terms::observer::Observer;

/// The longest time that can be given, and longer than any that is configured: more than the horizon and a quarter of jitter.
const LONGEST: u32 = HORIZON + HORIZON / 4 + 1024;

/// A time that the circuit is to stay open.
#[derive(Clone, Copy)]
pub(super) struct Given(u32);

impl Given {
    /// At least a tick, and at most [`LONGEST`].
    #[inline]
    pub(super) fn new(ticks: u32) -> Self {
        Self(ticks.clamp(1, LONGEST))
    }

    pub(super) const fn ticks(self) -> u32 {
        self.0
    }

    /// The bound that stands in the word: it leaves room for the clock's slack and for the parity.
    pub(super) const fn bound<C: Clock>(self) -> u32 {
        bound_of(self.0 + C::SLACK + 1)
    }
}

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// By how much readings are shifted, so that deadlines are exact where time moves in whole ticks: one bit of a deadline
    /// is its parity.
    const SHIFT: u32 = (C::SLACK == 0) as u32;
    /// By how much a deadline may be further away than its period is long.
    const SPARE: u32 = C::SLACK + 1;

    #[inline(always)]
    fn is_decided(word: Word, due: u32) -> bool {
        (word.parity(Self::MANY) ^ due) & 1 == 0
    }

    /// How long the period of `word` lasts that this caller has just begun; `span` as for [`decide`](Self::decide). If it is
    /// over by now, this is how long it was to be, without jitter: what jitter it had is gone with its deadline.
    pub(super) fn lasts(&self, word: Word, span: u32) -> u32 {
        // A moment that is the seed leaves nothing random.
        let whole = || if span > 0 { span } else { self.span(word, self.settings.seed()) } + C::SLACK;
        let left = self.left_of_its_own(word).unwrap_or_else(whole);
        if word.is_ramping() { self.ramp_left(word, left) } else { left }
    }

    /// Decides the deadline of `word`, unless another thread has or its turn is over. Returns whether the turn had its deadline
    /// before, or needs none. `span`: the length, if the caller knows better than the word; otherwise 0.
    #[inline(never)]
    pub(super) fn decide(&self, word: Word, span: u32) -> bool {
        Cell::catch_up();
        let due = self.cell.due();
        if Self::is_decided(word, due) {
            return true;
        }
        let now = self.clock.now().count();
        let span = if span > 0 { span } else { self.span(word, now) };
        let least = (now << Self::SHIFT).wrapping_add((span + C::SLACK) << Self::SHIFT);
        self.cell.publish(word, due, least.wrapping_add((least ^ word.parity(Self::MANY)) & 1));
        false
    }

    /// How long the turn of `word` lasts, as far as the word says.
    #[inline(always)]
    fn span(&self, word: Word, now: u32) -> u32 {
        if word.is_half_open() {
            self.settings.lease::<C>()
        } else if word.is_open() || !Self::RAMPS && !Self::REMEMBERS {
            // If the thread that opened the circuit for a given time has not published it yet, assume the longest that the
            // word allows. So the time never ends early, and it ends even if that thread never continues.
            match word.bound() {
                0 => backoff::open_time::<_, C>(&self.settings, word.attempt_while_open(), now),
                bound => (1 << bound) - Self::SPARE,
            }
        } else {
            self.ramp_and_memory(word)
        }
    }

    /// The deadline of a ramp includes the time for which the attempt is remembered after it.
    #[inline]
    fn ramp_and_memory(&self, word: Word) -> u32 {
        let ramp = if Self::RAMPS && word.is_ramping() { self.ramp_step() << 4 } else { 0 };
        ramp + self.memory(word)
    }

    /// A sixteenth of the ramp, rounded up to a tick.
    #[inline]
    pub(super) fn ramp_step(&self) -> u32 {
        (self.settings.ramp::<C>() + 15 >> 4).max(1)
    }

    /// For how long a closed circuit is to remember the attempt of `word`, which is ramping or closed.
    #[inline]
    pub(super) fn memory(&self, word: Word) -> u32 {
        let remembers = Self::RAMPS && word.is_ramping() || word.remembers();
        if Self::REMEMBERS && remembers { self.settings.stable_after::<C>() } else { 0 }
    }

    /// Ticks until the deadline of `word`, which may come from a `peek`, or 0 if it is over. `None` if no thread had decided it, or if the word has moved on:
    /// then the caller starts over. So a loop around this makes progress each time: this caller's or another's.
    #[inline(always)]
    pub(super) fn left(&self, word: Word) -> Option<u32> {
        // Where there is much that asks, one copy of the code serves all.
        if Self::MANY { self.left_of_many(word) } else { self.left_here(word) }
    }

    #[inline(never)]
    fn left_of_many(&self, word: Word) -> Option<u32> {
        self.left_here(word)
    }

    #[inline(always)]
    fn left_here(&self, word: Word) -> Option<u32> {
        Cell::catch_up();
        let due = self.cell.due();
        if Self::is_decided(word, due) {
            return Some(self.ticks_left(word, due, self.clock.now().count()));
        }
        self.decide(word, 0);
        None
    }

    /// [`left`](Self::left) for who tells it or goes by it, without an exchange of the word that would fail if it had moved on.
    ///
    /// Two turns later the parity is the same again. `due` was loaded with Acquire, so if it is of that turn, this look sees that
    /// turn's word. Without it, the time of one period would be told with the reason of another, and a hold would be covered by
    /// a time that a layer can end early.
    pub(super) fn left_of_its_own(&self, word: Word) -> Option<u32> {
        let left = self.left(word);
        if self.cell.is(word.generation()) { left } else { None }
    }

    /// [`left`](Self::left) of an open circuit on the fast path: if its deadline is decided, and the clock can be read without
    /// a call out of line. There is no second look here. A caller that sleeps for two turns between its loads tells the reason of
    /// one period with the time of a later one. This is a benign race: either was so during its call.
    #[inline(always)]
    pub(super) fn try_left(&self, word: Word) -> Option<u32> {
        Cell::catch_up();
        let due = self.cell.due();
        if !Self::is_decided(word, due) {
            return None;
        }
        Some(self.ticks_left(word, due, self.clock.try_fast()?.count()))
    }

    /// A deadline that is further away than anything lasts is over: the clock has come round since.
    #[inline(always)]
    fn ticks_left(&self, word: Word, due: u32, now: u32) -> u32 {
        let left = due.wrapping_sub(now << Self::SHIFT) >> Self::SHIFT;
        let given = if word.is_open() { word.bound() } else { 0 };
        let bound = if given > 0 { given } else { self.settings.longest::<C>() };
        // The power of two itself is within its bound. Where time moves in whole ticks, `left` has 31 bits: there no power of
        // two bounds the longest times, and what is over would be within it for ever.
        let is_over = left.wrapping_sub(1) >> bound != 0 || Self::SHIFT > 0 && left > LONGEST;
        if is_over { 0 } else { left }
    }

    /// Ticks until a ramp is over, of those until its deadline.
    #[inline]
    pub(super) fn ramp_left(&self, word: Word, left: u32) -> u32 {
        left.saturating_sub(self.memory(word))
    }

    /// Whether `word` was closed and has forgotten its attempt just now, or may have: then the caller starts over.
    #[inline(always)]
    pub(super) fn forgets(&self, word: Word) -> bool {
        Self::REMEMBERS && word.remembers() && self.forgets_the_attempt(word)
    }

    #[inline(never)]
    fn forgets_the_attempt(&self, word: Word) -> bool {
        let left = self.left(word);
        if left == Some(0) {
            // No turn begins or ends here: the deadline stays decided. A failure means that the word has moved on.
            self.cell.exchange(word, word.forgotten());
        }
        left.is_none_or(|left| left == 0)
    }
}
