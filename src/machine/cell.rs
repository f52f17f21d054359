//! The two words that decide, and the third that counts beside them. Every ordering on them lives here.
//!
//! ```text
//! word    see `word`
//!
//! due    | a whole reading of the clock; its lowest bit is the parity of the turn that it belongs to                     |
//!
//! counts  see `counts`
//! ```
//!
//! # The deadline
//!
//! A move changes the word and nothing else. The thread that first needs the deadline of the new turn decides it, in this
//! order: it loads `due`, reads the clock, looks at the word *again*, and exchanges `due`. The winner of the move does so
//! at once. Three invariants make this safe.
//!
//! 1. A turn is left only when its deadline is decided (`Breaker::move_to`). So `due` is the deadline of the present turn or
//!    of the one before, never that of two turns ago, which has the same parity.
//! 2. `due` is written only while its parity is not that of the word, and then gets that parity. So each turn's deadline is
//!    decided once and never changes.
//! 3. A thread that slept between its look at the word and its exchange holds a value of `due` that is no longer there,
//!    unless a later deadline falls on the same tick: [`bounds`](crate::bounds) says what then happens.
//!
//! A deadline is rounded up to its parity, so a period may be one tick longer than it should be, and is never shorter. For a
//! clock whose time moves in whole ticks (`Clock::SLACK` 0, a simulation) readings are doubled, which makes deadlines
//! exact and lets them come round after 2³¹ ticks.

use crate::machine::counts::Counts;
use crate::machine::word::{Generation, Word};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, fence};

#[derive(Debug)]
pub(crate) struct Cell {
    word: AtomicU32,
    due: AtomicU32,
    counts: AtomicU32,
}

impl Cell {
    const_fn! {
        /// In generation 0. Words that were never written carry tag 0, and are empty.
        pub(crate) const fn new(word: Word) -> Self {
            Self { word: AtomicU32::new(word.bits()), due: AtomicU32::new(0), counts: AtomicU32::new(0) }
        }
    }

    /// A look after which the caller reads at most words that carry a tag of their own, or exchanges this word.
    ///
    /// Relaxed: a tag is checked against this word, so no order between the two is needed. A stale value only makes the caller
    /// act as if it had come a moment earlier, and lets an exchange fail. Before a deadline is read, which has no tag but its
    /// parity, stands [`catch_up`](Self::catch_up).
    #[inline(always)]
    pub(crate) fn peek(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Relaxed))
    }

    /// Makes the [`peek`](Self::peek) before this as good as a [`load`](Self::load). It stands between a look at the word and
    /// the load of its deadline.
    ///
    /// Acquire, partner: the Release half of `exchange`. Without it, `due` could be older than the word: of two turns
    /// before, whose parity is the same, so that a period of long ago would be taken for the present one. And the clock could be
    /// read before the move that the word shows, so that a period would end early.
    #[inline(always)]
    pub(crate) fn catch_up() {
        fence(Ordering::Acquire);
    }

    /// A look by which a window is known to have begun.
    ///
    /// Acquire, partner: the Release half of `exchange`. What breaks without it stands where this is used.
    #[inline(always)]
    pub(crate) fn load(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// The second look, between loading a tagged word and writing it: whether `generation` is still the present one.
    ///
    /// The caller loaded the tagged word with Acquire, whose partner is the Release of the thread that wrote it. A word
    /// of a newer generation was written by a thread that had seen the word move, so this look sees that move too.
    /// Therefore, if this returns `true`, a tag that differs is an *older* one, and the word may be taken over.
    /// Relaxed suffices, because the Acquire keeps this load behind the first. Without this look a stale helper
    /// overwrites a later generation.
    #[inline]
    pub(crate) fn is(&self, generation: Generation) -> bool {
        self.peek().generation() == generation
    }

    /// One exchange of the word; `true` if it happened.
    #[inline]
    pub(crate) fn exchange(&self, from: Word, to: Word) -> bool {
        exchange(&self.word, from.bits(), to.bits())
    }

    /// The deadline that was decided last: of the present turn or of the one before.
    ///
    /// Acquire, partner: the Release of the exchange in `publish`. The thread that decided the deadline had read its clock
    /// before, so a reading behind this load is not older. Without this, the difference of the two could be too large.
    #[inline(always)]
    pub(crate) fn due(&self) -> u32 {
        self.due.load(Ordering::Acquire)
    }

    /// Publishes `next`, whose parity is that of `word`, in place of the deadline `due`, unless another thread has published
    /// one or the word has moved on.
    ///
    /// The caller has loaded `due`, and has read its clock after it saw the word. The second look: a thread that slept since
    /// its first must not write to a later turn. Relaxed: `due` was loaded with Acquire, so if it is of a later turn, this
    /// look sees that turn's word.
    #[inline]
    pub(crate) fn publish(&self, word: Word, due: u32, next: u32) {
        if self.peek() == word {
            exchange(&self.due, due, next);
        }
    }

    /// The counts of `generation`, which begin empty; `None` if the generation is over. The winner of each move asks for them, so
    /// that no tag gets so old that it comes round.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn counts(&self, generation: Generation) -> Option<Counts> {
        loop {
            // Acquire, partner: the Release of `exchange`. It orders `is` (see there) behind the exchange that this word shows.
            let counts = Counts::from_bits(self.counts.load(Ordering::Acquire));
            if counts.is_of(generation) {
                return Some(counts);
            }
            if !self.is(generation) {
                return None;
            }
            self.exchange_counts(counts, Counts::empty(generation));
        }
    }

    /// One exchange of the counts; `true` if it happened.
    #[inline(always)]
    pub(crate) fn exchange_counts(&self, from: Counts, to: Counts) -> bool {
        exchange(&self.counts, from.bits(), to.bits())
    }

    /// Whether the counts are of `quiet`'s generation and count nothing.
    #[inline(always)]
    pub(crate) fn counts_nothing(&self, quiet: Word) -> bool {
        // Relaxed: one word, read for itself.
        self.counts.load(Ordering::Relaxed) == quiet.bits()
    }

    /// The counts of `generation`, for status only.
    pub(crate) fn read_counts(&self, generation: Generation) -> Counts {
        // Acquire, partner: the Release of `exchange`. A look at the word after this sees the admission of every probe that these
        // counts show; without it, more would have come back than were admitted.
        let counts = Counts::from_bits(self.counts.load(Ordering::Acquire));
        if counts.is_of(generation) { counts } else { Counts::empty(generation) }
    }
}

/// One exchange. On a small core it is out of line: without compare-exchange it is a critical section.
///
/// AcqRel. Release: a thread that sees `to` sees what was read and written before it, the clock among it. Acquire: moves are
/// totally ordered in every thread that makes them. Relaxed on failure: the caller starts over with a load of its own.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn exchange(word: &AtomicU32, from: u32, to: u32) -> bool {
    word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}
