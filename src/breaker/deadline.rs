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

    /// How long the period of `word` lasts that this caller has just begun; `span` as for [`decide`](Self::decide). If another
    /// caller has ended it by now, this is how long it was to be, without jitter: what jitter it had is gone with its deadline.
    pub(super) fn lasts(&self, word: Word, span: u32) -> u32 {
        // A moment that is the seed leaves nothing random.
        let whole = || if span > 0 { span } else { self.span(word, self.settings.seed()) } + C::SLACK;
        let left = self.left_of_its_own(word).unwrap_or_else(whole);
        if word.is_ramping() { self.ramp_left(word, left) } else { left }
    }

    /// The deadline of `word`, if it was decided before, or if there is none to decide. `None`: another one was due, and this
    /// caller or another has decided it now, or the turn is over. `span`: how long it is to last, if the caller knows better
    /// than the word; otherwise 0.
    #[inline(never)]
    pub(super) fn decide(&self, word: Word, span: u32) -> Option<u32> {
        Cell::catch_up();
        let due = self.cell.due();
        if Self::is_decided(word, due) {
            return Some(due);
        }
        let now = self.clock.now().count();
        let span = if span > 0 { span } else { self.span(word, now) };
        self.settings.catch_up();
        let least = (now << Self::SHIFT).wrapping_add((span + C::SLACK) << Self::SHIFT);
        self.cell.publish(word, due, least.wrapping_add((least ^ word.parity(Self::MANY)) & 1));
        None
    }

    /// How long the turn of `word` lasts, as far as the word says.
    #[inline(always)]
    fn span(&self, word: Word, now: u32) -> u32 {
        if word.is_half_open() {
            self.settings.lease::<C>()
        } else if word.is_open() || !(Self::RAMPS || Self::REMEMBERS) {
            // If the thread that opened the circuit for a given time has not published it yet, assume the longest that the
            // word allows. So the time never ends early, and it ends even if that thread never continues.
            match word.bound() {
                0 => backoff::open_time::<_, C>(&self.settings, word.attempt_while_open(), now),
                // At most what can be given. Where time moves in whole ticks, more than that is over: see `ticks_ahead`.
                bound if Self::SHIFT > 0 => ((1 << bound) - Self::SPARE).min(LONGEST),
                bound => (1 << bound) - Self::SPARE,
            }
        } else {
            // The deadline of a ramp includes the time for which the attempt is remembered after it.
            let ramp = if Self::RAMPS && word.is_ramping() { self.ramp_step() << 4 } else { 0 };
            ramp + self.memory(word)
        }
    }

    /// A sixteenth of the ramp, rounded up to a tick; a tick if a reload has taken the ramp away meanwhile.
    #[inline(always)]
    pub(super) fn ramp_step(&self) -> u32 {
        (self.settings.ramp::<C>() + 15 >> 4).max(1)
    }

    /// For how long a closed circuit is to remember the attempt of `word`, which is ramping or closed.
    #[inline(always)]
    pub(super) fn memory(&self, word: Word) -> u32 {
        let remembers = Self::RAMPS && word.is_ramping() || word.remembers();
        if Self::REMEMBERS && remembers { self.settings.stable_after::<C>() } else { 0 }
    }

    /// Ticks until the deadline of `word`, which may come from a `peek`, or 0 if it is over. `None` if no thread had decided it,
    /// or if the word has moved on: then the caller starts over. So a loop around this makes progress each time: this
    /// caller's or another's.
    ///
    /// It is for who exchanges the word then, which fails if the word has moved on. Who goes by the time otherwise, or tells it,
    /// looks at the word once more: two turns later the parity is the same again. `due` was loaded with Acquire, so if it is
    /// of that turn, that look sees that turn's word. Without it, the time of one period would be told with the reason of
    /// another, and a hold would be covered by a time that a layer can end early.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn left(&self, word: Word) -> Option<u32> {
        let due = self.decide(word, 0)?;
        Some(self.ticks_left(word, due, self.clock.now().count()))
    }

    /// [`left`](Self::left) with that last look, by generation: of two leases of one half-open state, either may be told.
    pub(super) fn left_of_its_own(&self, word: Word) -> Option<u32> {
        let left = self.left(word);
        if self.cell.is(word.generation()) { left } else { None }
    }

    /// [`left_of_its_own`](Self::left_of_its_own) of an open circuit on the fast path, if its deadline is decided, and the clock
    /// can be read without a call out of line. `Some(None)`: it is over.
    #[expect(clippy::option_option, reason = "a path each")]
    #[inline(always)]
    pub(super) fn try_left(&self, word: Word) -> Option<Option<u32>> {
        Cell::catch_up();
        let due = self.cell.due();
        let now = self.clock.try_fast()?.count();
        // The same word as before: the deadline is that of its turn.
        (Self::is_decided(word, due) && self.cell.peek() == word).then(|| self.ticks_ahead(word, due, now))
    }

    /// Ticks until the deadline `due` of `word`, or 0 if it is over.
    #[inline(always)]
    fn ticks_left(&self, word: Word, due: u32, now: u32) -> u32 {
        self.ticks_ahead(word, due, now).unwrap_or(0)
    }

    /// Ticks until the deadline `due` of `word`, unless it is over. One that is further away than anything lasts is over: the
    /// clock has come round since.
    #[inline(always)]
    fn ticks_ahead(&self, word: Word, due: u32, now: u32) -> Option<u32> {
        let left = due.wrapping_sub(now << Self::SHIFT) >> Self::SHIFT;
        let given = if word.is_open() { word.bound() } else { 0 };
        let bound = if given > 0 { given } else { self.settings.longest::<C>() };
        // The power of two itself is within its bound. Where time moves in whole ticks, `left` has 31 bits: there no power of
        // two bounds the longest times, and what is over would be within it for ever.
        let is_over = left.wrapping_sub(1) >> bound != 0 || Self::SHIFT > 0 && left > LONGEST;
        if is_over { None } else { Some(left) }
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
