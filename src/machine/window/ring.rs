//! The count window of more outcomes than one word holds: a ring of shift registers.
//!
//! ```text
//!        31       24   23      22    21                                 0
//! chunk +-----------+-------+-------+------------------------------------+
//!       | lap (8)   | clean | first | 0…0 1 o o o o o o  (newest lowest) |
//!       +-----------+-------+-------+------------------------------------+
//!        31       23   22    21    15 14                              0
//! head  +-----------+-------+--------+-----------------------------------+
//!       | tag (9)   | first | run (7)| index (15): lap, then slot        |
//!       +-----------+-------+--------+-----------------------------------+
//! ```
//!
//! A chunk holds its outcomes below a sentinel bit: 21 outcomes of one bit (failed), or 10 of two bits (failed, slow)
//! where slow calls count. The head names the *active* chunk, the only one that changes. An outcome is placed by one
//! exchange on that chunk; the value says how many outcomes are in it and whether any of them failed or was slow. Only
//! a full chunk lets the head move on, and a full chunk does not change before its slot comes round. So the sums are
//! those of one instant: they come from one value of the active chunk, and from chunks behind it that no longer change.
//! The oldest chunk is masked to make exactly N outcomes.
//!
//! The index (lap and slot) runs on through generations. A new generation begins with a *first* chunk, and nothing
//! behind that chunk counts. So a chunk needs no tag of its generation, and a writer of an older generation can only
//! touch chunks that no newer generation reads.
//!
//! *Clean* says that none of the last N outcomes failed or was slow: one more success then changes nothing, and nothing
//! is written. The bit stands in the active chunk, and the very exchange that places an outcome sets or clears it.
//! Therefore a failure can never slip in beside it. (With the bit in the head, a failure published just before the bit
//! was set would stay unseen, and both sides would need a fence to notice it.) The head's *run* counts the chunks just
//! before the active one that hold successes alone, none of them slow. So "clean" is known without a look at those
//! chunks.

use super::{FastFailure, Placement, Recorded};
use crate::clock::Clock;
use crate::config::source::{Shape, Source};
use crate::machine::judge::judge_shares;
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::{Generation, Word};
use crate::platform::atomics::{AtomicU32, Ordering, fence};
use crate::platform::bits::layout;
use crate::terms::tally::{Tally, WindowKind};

// A chunk.
layout! {
    PAYLOAD: 22,
    FIRST: 1,
    CLEAN: 1,
    LAP: 8,
}
// The head. How much of the index is the slot depends on the number of words: see `SLOT_BITS`.
layout! {
    INDEX: 15,
    RUN: 7,
    HEAD_FIRST: 1,
    HEAD_TAG: 9,
}

/// The number of outcomes in a full chunk. It is smaller under loom and shuttle, so that a model sees chunks fill and
/// laps pass.
const fn per_chunk(slow: bool) -> u32 {
    if cfg!(microbreaker_loom) {
        2
    } else if cfg!(microbreaker_shuttle) {
        3
    } else {
        (PAYLOAD.width() - 1) >> (slow as u32)
    }
}

/// The longest window that a ring of `words` words holds: if the active chunk has one outcome, the other chunks must
/// make up N. A ring of one chunk holds nothing, because one word by itself holds more.
pub(super) const fn calls_in(words: u32, slow: bool) -> u32 {
    let calls = words.saturating_sub(2) * per_chunk(slow) + 1;
    // There are at most 2^7 slots, and N has ten bits.
    if words < 3 || words > 129 {
        0
    } else if calls > 1023 {
        1023
    } else {
        calls
    }
}

/// The number of words of a ring for the last `calls` outcomes: its head and its chunks.
pub(super) const fn words_for(calls: u32, slow: bool) -> u32 {
    calls.saturating_sub(1).div_ceil(per_chunk(slow)) + 2
}

/// A [`CountWindow`](super::CountWindow) as a ring.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a, const WORDS: usize> {
    head: &'a AtomicU32,
    /// The head, and behind it the chunks.
    words: &'a [AtomicU32; WORDS],
}

/// One value of the head.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RingHead(u32);

impl RingHead {
    const fn new(generation: Generation, first: bool, run: u32, index: u32) -> Self {
        let tag = HEAD_TAG.of(generation.tag(HEAD_TAG.width()));
        Self(tag | HEAD_FIRST.flag(first) | RUN.of(run) | INDEX.of(index & INDEX.max()))
    }

    #[inline]
    const fn is_of(self, generation: Generation) -> bool {
        HEAD_TAG.get(self.0) == generation.tag(HEAD_TAG.width())
    }

    #[inline]
    const fn is_first(self) -> bool {
        HEAD_FIRST.is_set(self.0)
    }

    #[inline]
    const fn run(self) -> u32 {
        RUN.get(self.0)
    }

    #[inline]
    const fn index(self) -> u32 {
        INDEX.get(self.0)
    }
}

/// One value of a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Chunk(u32);

impl Chunk {
    /// A chunk before its first outcome: a lone sentinel.
    #[inline]
    const fn empty(lap: u32, first: bool) -> Self {
        Self(LAP.of(lap) | FIRST.flag(first) | PAYLOAD.of(1))
    }

    #[inline]
    const fn is_of(self, lap: u32) -> bool {
        LAP.get(self.0) == lap
    }

    #[inline]
    const fn is_clean(self) -> bool {
        CLEAN.is_set(self.0)
    }

    /// Compares the lap and the clean bit with a chunk of `lap` that is not clean. 0: same lap, not clean. 1: same lap,
    /// clean. Larger: another lap.
    #[inline(always)]
    const fn lap_and_clean_diff(self, lap: u32) -> u32 {
        self.0 >> CLEAN.at() ^ lap << 1
    }

    #[inline]
    const fn is_first(self) -> bool {
        FIRST.is_set(self.0)
    }

    #[inline]
    const fn payload(self) -> u32 {
        PAYLOAD.get(self.0)
    }

    /// The number of outcomes in it: the sentinel's position.
    const fn len(self, slow: bool) -> u32 {
        (self.payload() | 1).ilog2() >> (slow as u32)
    }

    /// Whether the sentinel stands as high as it can.
    const fn is_full(self, slow: bool) -> bool {
        self.full_bits(slow) != 0
    }

    /// 0 unless the chunk is full.
    #[inline(always)]
    const fn full_bits(self, slow: bool) -> u32 {
        self.payload() >> (per_chunk(slow) << (slow as u32))
    }

    /// The number of failures in it, if slow calls are not counted: all its bits but the sentinel.
    const fn failed(self) -> u32 {
        self.payload().count_ones() - 1
    }

    const fn is_all_good(self) -> bool {
        // The sentinel is always there; no other bit may be.
        self.payload() & self.payload().wrapping_sub(1) == 0
    }

    /// This chunk, the active one of `head`, with one more outcome. It is clean if none of the last N outcomes then
    /// failed or was slow.
    #[inline]
    fn after(self, mark: Mark, head: RingHead, slow: bool, shape: Shape) -> Self {
        let next = self.with(mark, slow, false);
        if next.is_all_good() && head.run() * per_chunk(slow) + next.len(slow) >= shape.count() {
            return self.with(mark, slow, true);
        }
        next
    }

    /// [`after`](Self::after) for a success, if slow calls are not counted and this chunk is neither clean nor full:
    /// the whole payload moves up by one bit.
    #[inline(always)]
    fn after_success(self, head: RingHead, shape: Shape) -> Self {
        let next = Self(self.0 + self.payload());
        let is_clean = self.is_all_good() && head.run() * per_chunk(false) + next.len(false) >= shape.count();
        if is_clean { Self(next.0 | CLEAN.mask()) } else { next }
    }

    const fn with(self, mark: Mark, slow: bool, clean: bool) -> Self {
        let outcome = mark.bits(slow);
        let payload = self.payload() << (1 + slow as u32) | outcome;
        Self(self.0 & (LAP.mask() | FIRST.mask()) | CLEAN.flag(clean) | payload)
    }

    /// The number of failures and of slow calls among its newest `outcomes`.
    const fn sums(self, outcomes: u32, slow: bool) -> (u32, u32) {
        // Moves these outcomes to the top, and all older bits out. There are two steps, because one shift cannot be by
        // all 32 bits.
        let bits = self.payload() << (u32::BITS - 1 - (outcomes << (slow as u32))) << 1;
        if slow {
            ((bits & 0x5555_5555).count_ones(), (bits & 0xAAAA_AAAA).count_ones())
        } else {
            (bits.count_ones(), 0)
        }
    }
}

/// Places an outcome on the active chunk; `false` if another thread changed the chunk (or the exchange failed
/// spuriously).
#[inline]
fn place(word: &AtomicU32, raw: u32, next: Chunk) -> bool {
    // AcqRel. Release, partner: the Acquire loads of this word. Acquire, partner: the Release of the placement before
    // this one, so that placements form one chain: a thread that places an outcome sees all that were placed before it,
    // in this chunk and in those behind it. So of the failures that reach the threshold, the last one placed sees them
    // all, and no fence is needed. Without the chain the trip could be lost.
    word.compare_exchange_weak(raw, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

impl<'a, const WORDS: usize> Ring<'a, WORDS> {
    #[expect(clippy::cast_possible_truncation, reason = "a configuration with more than 129 words is refused")]
    const CHUNKS: u32 = WORDS.saturating_sub(1) as u32;

    /// The head of a new ring. It is the first one of generation 0, and begins with lap 1, because chunks that were never
    /// written carry lap 0.
    pub(super) const NEW_HEAD: u32 = HEAD_FIRST.mask() | INDEX.of(1 << Self::SLOT_BITS & INDEX.max());

    #[inline(always)]
    pub(super) fn new(words: &'a [AtomicU32; WORDS]) -> Self {
        Self { head: &words[0], words }
    }

    /// The word of `slot`, which is always below the number of chunks; `None` is there instead of a panic.
    #[inline(always)]
    fn chunk_at(self, slot: u32) -> Option<&'a AtomicU32> {
        self.words.get(slot as usize + 1)
    }

    /// The same, with the head instead of `None`.
    #[inline]
    fn chunk(self, slot: u32) -> &'a AtomicU32 {
        let at = slot as usize + 1;
        &self.words[if at < WORDS { at } else { 0 }]
    }

    /// The number of bits of the index that are the slot; the other bits count laps. The fewer chunks there are, the
    /// longer it takes for a head to come round. No layout declares these two fields, because their width depends on
    /// the type.
    const SLOT_BITS: u32 = Self::CHUNKS.next_power_of_two().trailing_zeros();

    #[inline]
    fn slot(head: RingHead) -> u32 {
        head.index() & ((1 << Self::SLOT_BITS) - 1)
    }

    /// The low bits of the lap, as a chunk carries them.
    #[inline]
    fn lap(head: RingHead) -> u32 {
        head.index() >> Self::SLOT_BITS & LAP.max()
    }

    fn next_index(head: RingHead) -> u32 {
        let slot = Self::slot(head);
        if slot + 1 < Self::CHUNKS { head.index() + 1 } else { head.index() - slot + (1 << Self::SLOT_BITS) }
    }

    /// The active chunk of `head` before its first outcome.
    fn empty(head: RingHead) -> Chunk {
        Chunk::empty(Self::lap(head), head.is_first())
    }

    /// The head of `scope`'s generation; `None` if the generation is over. If no thread has begun the generation, this
    /// does.
    #[inline]
    fn head<S: Source, C: Clock>(self, scope: &Scope<'_, S, C>) -> Option<RingHead> {
        // Acquire, partner: the Release of the head's exchanges. If the head has moved on, the chunk behind it is full,
        // and this makes it visible as full. It also lets `is_current` see at least the generation that this head
        // belongs to.
        let head = RingHead(self.head.load(Ordering::Acquire));
        if head.is_of(scope.generation) { Some(head) } else { self.begin(scope, head) }
    }

    #[cold]
    fn begin<S: Source, C: Clock>(self, scope: &Scope<'_, S, C>, mut head: RingHead) -> Option<RingHead> {
        while !head.is_of(scope.generation) {
            if !scope.is_current() {
                return None;
            }
            let next = RingHead::new(scope.generation, true, 0, Self::next_index(head));
            // Release and Acquire as in `head`. Bounded: a failure means that another thread wrote a head.
            match self.head.compare_exchange(head.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(next),
                Err(present) => head = RingHead(present),
            }
        }
        Some(head)
    }

    /// Moves the head past the full chunk `filled`. If the exchange fails, another thread has moved the head, which
    /// serves as well.
    ///
    /// If a thread is stopped in here until the index has come round (2¹⁵ laps and slots: 16 640 chunks or more) to the
    /// very head that it read, it steps over a chunk that is not full. Until that chunk has left the window, the window
    /// is short of up to a chunk of outcomes; the sums stay those of real outcomes.
    fn advance(self, generation: Generation, head: RingHead, filled: Chunk) {
        let run = if filled.is_all_good() { (head.run() + 1).min(RUN.max()) } else { 0 };
        let next = RingHead::new(generation, false, run, Self::next_index(head));
        // Release, partner: the Acquire of `head`: a thread that sees the new head sees the chunk behind it full.
        let _ = self.head.compare_exchange(head.0, next.0, Ordering::Release, Ordering::Relaxed);
    }

    /// Whether the newest outcomes show so many successes that the failures among the last N cannot reach a threshold
    /// of `permille`. `false` if that is not plain. `active` is the value of the active chunk of `head`. For windows
    /// that count no slow calls.
    #[inline]
    fn shows_health(self, shape: Shape, head: RingHead, active: Chunk, permille: u32) -> bool {
        const FULL: u32 = 1 << per_chunk(false);
        // If there are more successes than this, the share of failures is below the threshold, among N outcomes and
        // among fewer.
        let spare = shape.count() * (1000 - permille) / 1000;
        let newest = active.len(false).min(shape.count());
        let mut good = newest - active.sums(newest, false).0;
        // Behind a first chunk nothing counts.
        let mut left = if active.is_first() { 0 } else { shape.count() - newest };
        // The bits that tell a full chunk of this lap: its lap, and the sentinel as high as it can be.
        let (mut slot, mut above) = (Self::slot(head), LAP.of(Self::lap(head)) | FULL);
        while good <= spare {
            // Only whole chunks are looked at.
            if left < per_chunk(false) {
                return false;
            }
            left -= per_chunk(false);
            if slot == 0 {
                slot = Self::CHUNKS;
                above = above.wrapping_sub(LAP.unit());
            }
            slot -= 1;
            let Some(word) = self.chunk_at(slot) else { return false };
            // Relaxed: see `sums`. A first chunk, or one that is short (see `advance`), shows nothing here and is left
            // to `sums`.
            let chunk = Chunk(word.load(Ordering::Relaxed));
            if (chunk.0 ^ above) & (LAP.mask() | FIRST.mask() | FULL) != 0 {
                return false;
            }
            good += per_chunk(false) - chunk.failed();
        }
        true
    }

    /// The sums of the last N outcomes, where `active` is the value of the active chunk of `head`; `None` if a chunk
    /// was recycled or begun meanwhile.
    fn sums(self, shape: Shape, head: RingHead, active: Chunk) -> Option<Tally> {
        let slow = shape.counts_slow();
        let (mut slot, mut lap) = (Self::slot(head), Self::lap(head));
        // If nothing was written under this head yet, its active chunk still holds an older lap and counts as empty.
        let was_empty = !active.is_of(lap);
        let mut chunk = if was_empty { Self::empty(head) } else { active };
        let (mut left, mut failed, mut slow_calls) = (shape.count(), 0, 0);
        let tally = |left, failed, slow| Tally { window: WindowKind::Count, total: shape.count() - left, failed, slow };
        loop {
            let outcomes = chunk.len(slow).min(left);
            let sums = chunk.sums(outcomes, slow);
            left -= outcomes;
            failed += sums.0;
            slow_calls += sums.1;
            if left == 0 || chunk.is_first() {
                return Some(tally(left, failed, slow_calls));
            }
            (slot, lap) = if slot > 0 { (slot - 1, lap) } else { (Self::CHUNKS - 1, lap.wrapping_sub(1) & LAP.max()) };
            // Relaxed: the Acquire of `head` ordered this load behind the moment when the chunk became full. Since then
            // it can only have been recycled, and then its lap says so. The loop ends: each chunk behind the active one
            // is full. If the active one is still empty, the last chunk of the ring is the old content of the active
            // slot.
            chunk = Chunk(self.chunk(slot).load(Ordering::Relaxed));
            if !chunk.is_of(lap) {
                // The loop came round to the slot of the active chunk, which was empty and no longer is: try again.
                if was_empty && slot == Self::slot(head) && chunk.is_of(Self::lap(head)) {
                    return None;
                }
                // If the chunk was recycled, the head has moved: try again. Acquire, partner: the Release of the
                // exchange that recycled the chunk. With it this look and the next attempt see the newer head; without
                // it the ring could be taken for one that is short of outcomes.
                fence(Ordering::Acquire);
                if self.head.load(Ordering::Relaxed) != head.0 {
                    return None;
                }
                // Otherwise the ring is short of outcomes, and the sums are those of the outcomes it has: see
                // `advance`.
                return Some(tally(left, failed, slow_calls));
            }
        }
    }
}

impl<const WORDS: usize> Ring<'_, WORDS> {
    #[inline]
    pub(super) fn record<S: Source, C: Clock>(
        self,
        scope: Scope<'_, S, C>,
        mark: Mark,
        judge_always: bool,
    ) -> Recorded {
        let slow = scope.shape().counts_slow();
        loop {
            let Some(head) = self.head(&scope) else { return Recorded::Stale };
            // The head's tag is short: a permit of 512 generations ago must not pass for one of this generation.
            if !scope.is_current() {
                return Recorded::Stale;
            }
            let word = self.chunk(Self::slot(head));
            // Acquire, partner: the Release of the exchange below. A word of a newer lap was written by a thread that
            // had seen a newer head, so the second look at the head sees a newer one too.
            let raw = word.load(Ordering::Acquire);
            let mut chunk = Chunk(raw);
            if !chunk.is_of(Self::lap(head)) {
                // Relaxed: see above; the Acquire keeps this load behind the first. Without this look, a writer that
                // slept through a lap would place its outcome over newer ones.
                if self.head.load(Ordering::Relaxed) != head.0 {
                    continue;
                }
                chunk = Self::empty(head);
            } else if chunk.is_clean() && mark.is_good() {
                // One more success changes nothing, so nothing is written.
                return if judge_always { self.verdict(scope, (head.0, raw)) } else { Recorded::Counted };
            } else if chunk.is_full(slow) {
                self.advance(scope.generation, head, chunk);
                continue;
            }
            let next = chunk.after(mark, head, slow, scope.shape());
            if !place(word, raw, next) {
                continue;
            }
            if !judge_always && (mark.is_good() || self.is_harmless(&scope, head, next)) {
                return Recorded::Counted;
            }
            return self.verdict(scope, (head.0, next.0));
        }
    }

    #[inline(always)]
    pub(super) fn try_fast<S: Source, C: Clock>(self, scope: Scope<'_, S, C>, quiet: Word, may_write: bool) -> bool {
        // The head is of this generation or of a newer one: the word is not quiet before a thread has judged
        // outcomes that it counted under a head of this generation. If the head is of a newer one, this generation
        // ended during the report, and the outcome changes nothing either way. Acquire: see `head` and `record`.
        let head = RingHead(self.head.load(Ordering::Acquire));
        let Some(word) = self.chunk_at(Self::slot(head)) else { return false };
        let raw = word.load(Ordering::Acquire);
        let chunk = Chunk(raw);
        let diff = chunk.lap_and_clean_diff(Self::lap(head));
        if diff == 1 {
            return true;
        }
        // Not clean: the outcome is placed if the chunk is begun and has room. A quiet permit means that there is no
        // slow limit, so slow calls are not counted. The second look at the word: see `record`. It also shows
        // that the head is not of a newer generation.
        if !may_write || diff | chunk.full_bits(false) != 0 || scope.peek() != quiet {
            return false;
        }
        // The head is loaded again, because to keep it would take one more register on the clean path. Relaxed: if the
        // head has moved on, the chunk was filled, and the exchange below fails.
        let head = RingHead(self.head.load(Ordering::Relaxed));
        place(word, raw, chunk.after_success(head, scope.shape()))
    }

    #[inline(always)]
    pub(super) fn try_fast_failure<S: Source, C: Clock>(self, scope: Scope<'_, S, C>, quiet: Word) -> FastFailure {
        // This is `try_fast` for a failure; see there for the Acquire and for the second look at the word.
        let head = RingHead(self.head.load(Ordering::Acquire));
        let Some(word) = self.chunk_at(Self::slot(head)) else { return FastFailure::Nothing };
        let raw = word.load(Ordering::Acquire);
        let chunk = Chunk(raw);
        // The chunk is begun, clean or not, and it is not full.
        let has_room = chunk.lap_and_clean_diff(Self::lap(head)) <= 1 && !chunk.is_full(false);
        if !has_room || scope.peek() != quiet {
            return FastFailure::Nothing;
        }
        let next = chunk.with(Mark::new(true, false), false, false);
        if place(word, raw, next) {
            let is_harmless = self.is_harmless(&scope, head, next);
            if is_harmless { FastFailure::Counted } else { FastFailure::Placed((head.0, next.0)) }
        } else {
            FastFailure::Nothing
        }
    }

    /// Judges the sums as of the caller's own placement. If the ring has come round since then, a whole window of newer
    /// outcomes was reported during this call. The present sums are then as right, because the reports overlap: a
    /// benign race.
    #[inline(never)]
    pub(super) fn verdict<S: Source, C: Clock>(self, scope: Scope<'_, S, C>, (head, placed): Placement) -> Recorded {
        let tally = self.sums(scope.shape(), RingHead(head), Chunk(placed)).unwrap_or_else(|| self.tally(scope));
        Recorded::Judged(judge_shares::<false, _, _>(&scope, tally))
    }

    pub(super) fn tally<S: Source, C: Clock>(self, scope: Scope<'_, S, C>) -> Tally {
        loop {
            // Acquire on both: see `record`.
            let head = RingHead(self.head.load(Ordering::Acquire));
            if !head.is_of(scope.generation) {
                return Tally::empty(WindowKind::Count);
            }
            let active = Chunk(self.chunk(Self::slot(head)).load(Ordering::Acquire));
            if let Some(tally) = self.sums(scope.shape(), head, active) {
                return tally;
            }
        }
    }

    pub(super) fn renew<S: Source, C: Clock>(self, scope: Scope<'_, S, C>) {
        let Some(head) = self.head(&scope) else { return };
        let word = self.chunk(Self::slot(head));
        // Acquire, and the second look at the head: see `record`. Generations may come and go without an outcome, and
        // each begins a chunk. If those chunks were not written, a chunk of 256 laps ago would be taken for one of this
        // lap.
        let raw = word.load(Ordering::Acquire);
        if !Chunk(raw).is_of(Self::lap(head)) && self.head.load(Ordering::Relaxed) == head.0 {
            // Release: see `record`. A failure means that an outcome was placed or that the lap is over.
            let _ = word.compare_exchange(raw, Self::empty(head).0, Ordering::Release, Ordering::Relaxed);
        }
    }

    /// Whether a failure plainly calls for nothing. It was `placed` under `head`, while the minimum was reached and the
    /// level was 0.
    #[inline]
    fn is_harmless<S: Source, C: Clock>(self, scope: &Scope<'_, S, C>, head: RingHead, placed: Chunk) -> bool {
        let limits = scope.limits();
        // With a slow limit or with levels, the sums decide about more than a trip by failures.
        limits.slow() == 0
            && !scope.rules().levels()
            && self.shows_health(scope.shape(), head, placed, limits.failure())
    }
}

#[cfg(all(test, not(microbreaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_clean_chunks_fits_its_field() {
        for slow in [false, true] {
            assert!(words_for(1023, slow) - 1 < RUN.max());
        }
    }
}
