//! The last B buckets of time, in one or more lanes.
//!
//! ```text
//!         31                    shift shift-1        0            31         9    8   7      0
//! head   +---------------------------+----------------+  counts  +-------------+------+---------+
//!        | epoch (clock >> shift)    | generation tag |          | count (23)  | turn | tag (8) |
//!        +---------------------------+----------------+          +-------------+------+---------+
//! ```
//!
//! A bucket is 2^shift ticks long and its number is its *epoch*, so no path divides and the index runs on across the
//! wrap of the ticks. The head keeps the whole epoch: after an idle time shorter than a wrap of the ticks (less two
//! buckets, the one begun and one by which a clock may be behind), no old count is taken for a recent one. Each bucket
//! has three words, for totals, failures and slow calls, tagged by lap and generation. A thread that moves the head
//! first clears the words whose tag would come round again. The *turn* bit flips whenever a bucket begins anew, so that
//! a thread that is late to clear such a word cannot take the new count for the old one.
//!
//! No layout declares the head: a setting (the bucket's shift), read at run time, says where its two fields meet.

use super::Recorded;
use super::sealed::Sealed;
use crate::clock::{Clock, Ticks};
use crate::config::capacity::Capacity;
use crate::machine::control::ControlWord;
use crate::machine::judge::judge_shares;
use crate::machine::scope::{Mark, Scope};
use crate::platform::atomics::{AtomicU32, Ordering, fence, initial, zeroed};
use crate::platform::bits::layout;
use crate::platform::lanes::{LaneCount, Lanes, Padded, lane};
use crate::terms::tally::{Tally, WindowKind};

// The word of each count.
layout! {
    TAG: 8,
    TURN: 1,
    /// The count is the highest field, so that its overflow is that of the word.
    COUNT: 23,
}

/// A window of the last B buckets of time ([`Config::time`](crate::Config::time)), which trips on the share of failures
/// or of slow calls in them. Its ring has `SLOTS` buckets (a power of two, at least B and at most 64).
///
/// It counts its successes, so each success writes one word. `LANES` (1, 2, 4, … 64) shards those writes for servers
/// with many cores: each thread writes to one lane, which is padded to cache lines of its own, and a verdict sums all
/// lanes. A lane costs 4 + 12 × `SLOTS` bytes; if there are several, each is padded to a multiple of 128 bytes. If a
/// bucket of a lane reaches 2²³ − 1 calls, it stops counting: its rate is that of the calls counted so far, and later
/// calls in the same bucket go unseen. So choose buckets that end before that.
///
/// A call that is reported while a verdict sums the words may be in the sum or not. Within a lane, a call is counted
/// before its failure and read after it. So a share may look smaller than it is, by no more failures than reports are
/// under way, and never larger; the last of those reports sees the whole share. Lanes are read one after the other. So
/// a sum of several lanes may also miss successes that were reported, while it was taken, to a lane that it had already
/// read.
#[derive(Debug)]
pub struct TimeWindow<const SLOTS: usize, const LANES: usize = 1>
where
    Lanes<LANES>: LaneCount,
{
    lanes: [Lane<SLOTS, <Lanes<LANES> as Padded>::Padding>; LANES],
}

#[derive(Debug)]
struct Lane<const SLOTS: usize, P> {
    head: AtomicU32,
    total: [AtomicU32; SLOTS],
    failed: [AtomicU32; SLOTS],
    slow: [AtomicU32; SLOTS],
    _padding: P,
}

/// One value of a head. A [`Ring`] reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LaneHead(u32);

/// The bucket length, the ring length and the generation, which turn ticks into epochs, and epochs into slots and tags.
#[derive(Clone, Copy)]
struct Ring {
    shift: u32,
    slots: u32,
    generation: u32,
}

impl Ring {
    #[inline]
    fn head(self, now: Ticks) -> LaneHead {
        // The upper bits are those of the ticks, the lower bits those of the generation.
        LaneHead((now.count() ^ self.generation) & u32::MAX << self.shift ^ self.generation)
    }

    #[inline]
    fn is_of_generation(self, head: LaneHead) -> bool {
        (head.0 ^ self.generation) & ((1 << self.shift) - 1) == 0
    }

    #[inline]
    fn epoch(self, head: LaneHead) -> u32 {
        head.0 >> self.shift
    }

    /// Buckets from `earlier` to `later`, modulo the range of epochs.
    #[inline]
    fn distance(self, later: u32, earlier: u32) -> u32 {
        later.wrapping_sub(earlier) & (u32::MAX >> self.shift)
    }

    /// Whether `a` is the epoch just before `b`, as read by a clock that is a little behind.
    #[inline]
    fn is_behind(self, a: u32, b: u32) -> bool {
        self.distance(b, a) == 1
    }

    #[inline]
    fn slot(self, epoch: u32) -> usize {
        (epoch & (self.slots - 1)) as usize
    }

    /// The tag of `epoch`: its lap plus twice the generation. Both only grow, and so does the tag. The factor is for a
    /// generation that begins, by a clock slightly behind, on the lap before: its tag must grow too.
    #[inline]
    fn tag(self, epoch: u32) -> u32 {
        self.tag_in_range(epoch & u32::MAX >> self.shift, 2 * self.generation)
    }

    /// [`tag`](Self::tag) of an epoch that comes from a head.
    #[inline]
    fn tag_in_range(self, epoch: u32, twice_generation: u32) -> u32 {
        (epoch >> self.slots.trailing_zeros()).wrapping_add(twice_generation) & TAG.max()
    }
}

impl<const SLOTS: usize, P> Lane<SLOTS, P> {
    /// The head to record under; `None` if the generation is over. If the clock has moved on, this moves the head on.
    #[inline]
    fn current<C: Clock>(&self, scope: &Scope<'_, C>, ring: Ring) -> Option<LaneHead> {
        // Acquire, partner: the Release of the exchange in `advance`. With it the words of the new epochs are seen
        // clear, and the clock reading below is not older than the head. It also lets `is_current` see at least the
        // head's generation.
        let head = LaneHead(self.head.load(Ordering::Acquire));
        let wanted = ring.head(scope.clock.now());
        // If the head is the same, or the clock is slightly behind it, the head's epoch is used.
        let in_place =
            ring.is_of_generation(head) && (wanted == head || ring.is_behind(ring.epoch(wanted), ring.epoch(head)));
        if in_place { Some(head) } else { self.advance(scope, ring, head) }
    }

    #[cold]
    fn advance<C: Clock>(&self, scope: &Scope<'_, C>, ring: Ring, mut head: LaneHead) -> Option<LaneHead> {
        loop {
            let next = ring.head(scope.clock.now());
            if !ring.is_of_generation(head) && !scope.is_current() {
                return None;
            }
            if ring.is_of_generation(head) && (next == head || ring.is_behind(ring.epoch(next), ring.epoch(head))) {
                return Some(head);
            }
            // In a new generation every slot is new; otherwise the slots that the head passes over are.
            let passed = if ring.is_of_generation(head) {
                ring.distance(ring.epoch(next), ring.epoch(head)).min(ring.slots)
            } else {
                ring.slots
            };
            if self.clear(ring, head, ring.epoch(next), passed) {
                // Release and Acquire as in `current`. Bounded: a failure means that another thread moved the head.
                match self.head.compare_exchange(head.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Some(next),
                    Err(present) => head = LaneHead(present),
                }
            } else {
                head = LaneHead(self.head.load(Ordering::Acquire));
            }
        }
    }

    /// Empties the words of the `passed` epochs up to `last` that would be taken for theirs, because the tag left in
    /// them laps ago is the same. `false` if the head moved from `head` meanwhile.
    fn clear(&self, ring: Ring, head: LaneHead, last: u32, passed: u32) -> bool {
        for back in 0..passed {
            let epoch = last.wrapping_sub(back);
            let tag = ring.tag(epoch);
            for word in self.counts(ring.slot(epoch)) {
                // Acquire, partner: the Release of `count`. If the word was counted under the new head, the look below
                // sees that head.
                let mut present = word.load(Ordering::Acquire);
                while TAG.get(present) == tag {
                    // Relaxed, behind the Acquire above. Without this look, a second thread that moves the same head
                    // clears what was counted after the first thread moved it.
                    if self.head.load(Ordering::Relaxed) != head.0 {
                        return false;
                    }
                    // Release, partner: the Acquire of `count`. Acquire on failure: as above. Bounded: a failure means
                    // that another thread cleared the word, or that a writer as old as the word has counted into it.
                    // The highest bit of the tag is flipped, which puts the tag half its range away.
                    let cleared = (present ^ 1 << (TAG.width() - 1)) & (TAG.mask() | TURN.mask());
                    match word.compare_exchange(present, cleared, Ordering::Release, Ordering::Acquire) {
                        Ok(_) => break,
                        Err(found) => present = found,
                    }
                }
            }
        }
        true
    }

    fn counts(&self, slot: usize) -> [&AtomicU32; 3] {
        // `slot` is below SLOTS by its mask; the other branch is there instead of a panic.
        let slot = if slot < SLOTS { slot } else { 0 };
        [&self.total[slot], &self.failed[slot], &self.slow[slot]]
    }

    /// Adds one to a word of `head`'s bucket. `None` if its slot was recycled; `Some(false)` if the bucket is full.
    #[inline]
    fn count<C>(&self, scope: &Scope<'_, C>, ring: Ring, head: LaneHead, word: &AtomicU32) -> Option<bool> {
        let epoch = ring.epoch(head);
        let tag = ring.tag(epoch);
        // Acquire, partner: the Release below. If the word is of a newer lap, the look at the head sees the newer head.
        let mut present = word.load(Ordering::Acquire);
        loop {
            let next = if TAG.get(present) == tag {
                match present.checked_add(COUNT.unit()) {
                    Some(next) => next,
                    None => return Some(false),
                }
            } else {
                // Relaxed, behind the Acquire above. Without this look, a writer that slept through a lap would put an
                // old bucket in the place of a new one. The control word is looked at too, because the head's tag is
                // short: a writer of 64 generations ago must not take a word of this generation for an old one.
                let moved = LaneHead(self.head.load(Ordering::Relaxed));
                let recycled = ring.distance(ring.epoch(moved), epoch) >= ring.slots;
                if !ring.is_of_generation(moved) || recycled || !scope.is_current() {
                    return None;
                }
                TAG.of(tag) | !present & TURN.mask() | COUNT.unit()
            };
            // Release, partner: the Acquire loads in `sum`: if a failure is seen, its total is seen. Acquire on
            // failure: see above. Bounded: but for spurious failures, a failure means that another thread counted.
            match word.compare_exchange_weak(present, next, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(found) => present = found,
            }
        }
    }

    /// Counts one outcome; `false` if the generation is over.
    #[inline]
    fn record<C: Clock>(&self, scope: &Scope<'_, C>, ring: Ring, mark: Mark) -> bool {
        loop {
            let Some(head) = self.current(scope, ring) else { return false };
            // The head's tag is short: a permit of 64 generations ago must not pass for one of this generation.
            if !scope.is_current() {
                return false;
            }
            let [total, failed, slow] = self.counts(ring.slot(ring.epoch(head)));
            // The total is counted first, then its parts; `sum` reads in the opposite order. In any other order a sum
            // could show a failure without its call, that is more failures than calls, and trip below the threshold.
            match self.count(scope, ring, head, total) {
                None => continue,
                Some(false) => return true,
                Some(true) => {}
            }
            // Both parts go to the total's bucket. If that bucket has been recycled by now, it has left the window.
            if mark.failed {
                let _ = self.count(scope, ring, head, failed);
            }
            if mark.slow {
                let _ = self.count(scope, ring, head, slow);
            }
            return true;
        }
    }

    fn sum<C: Clock>(&self, ring: Ring, buckets: u32, clock: &C, tally: &mut Tally) {
        // Acquire, partner: the Release of `advance`. With it the words of the head's epochs are seen clear of older
        // laps, and the clock reading below is not older than the head.
        let head = LaneHead(self.head.load(Ordering::Acquire));
        if !ring.is_of_generation(head) {
            return;
        }
        let (lane_epoch, epoch) = (ring.epoch(head), ring.epoch(ring.head(clock.now())));
        // A clock slightly behind the head uses the head's epoch, as in `current`.
        let age = if ring.is_behind(epoch, lane_epoch) { 0 } else { ring.distance(epoch, lane_epoch) };
        for back in 0..buckets.saturating_sub(age) {
            let epoch = lane_epoch.wrapping_sub(back);
            let tag = ring.tag(epoch);
            let [total, failed, slow] = self.counts(ring.slot(epoch));
            // Acquire on the parts, partner: the Release of `count`: the total read after them includes their calls.
            // The total itself may be Relaxed: nothing is read after it.
            let (slow, failed) = (slow.load(Ordering::Acquire), failed.load(Ordering::Acquire));
            let total = total.load(Ordering::Relaxed);
            let counted = |word: u32| if TAG.get(word) == tag { COUNT.get(word) } else { 0 };
            // If the total is of another lap, so is the bucket.
            if TAG.get(total) == tag {
                // If the sum would pass 2^32 calls, the older buckets are left out; otherwise the shares would be
                // wrong.
                let Some(sum) = tally.total.checked_add(counted(total)) else { return };
                tally.total = sum;
                // Each is a part of that total.
                tally.failed = tally.failed.wrapping_add(counted(failed));
                tally.slow = tally.slow.wrapping_add(counted(slow));
            }
        }
    }
}

impl<const SLOTS: usize, const LANES: usize> TimeWindow<SLOTS, LANES>
where
    Lanes<LANES>: LaneCount,
{
    #[expect(clippy::cast_possible_truncation, reason = "asserted below")]
    const SLOTS: u32 = SLOTS as u32;
    const SLOTS_ARE_A_POWER_OF_TWO: () =
        assert!(SLOTS.is_power_of_two() && SLOTS <= 64, "SLOTS must be a power of two, at most 64");

    #[inline]
    fn ring<C>(scope: &Scope<'_, C>) -> Ring {
        Ring { shift: scope.shape.bucket_shift(), slots: Self::SLOTS, generation: scope.generation.number() }
    }

    /// Counts one outcome in `lane`; `false` if the generation is over.
    #[inline]
    fn record_in<C: Clock>(&self, lane: usize, scope: &Scope<'_, C>, ring: Ring, mark: Mark) -> bool {
        if LANES == 1 {
            return self.lanes[0].record(scope, ring, mark);
        }
        // Relaxed, both: it does not matter which thread moved the head, because some thread follows each move.
        let before = LaneHead(self.lanes[lane].head.load(Ordering::Relaxed));
        let recorded = self.lanes[lane].record(scope, ring, mark);
        let after = LaneHead(self.lanes[lane].head.load(Ordering::Relaxed));
        if before != after {
            self.follow(scope, ring, before, after);
        }
        recorded
    }

    /// Moves the heads of other lanes on, one lane for each epoch passed over. Otherwise a lane that no thread writes
    /// to would sleep through a wrap of the clock and show its old counts as recent. So no lane is behind by more than
    /// 64 buckets (2³⁰ ticks at most) or the time between two calls.
    #[cold]
    fn follow<C: Clock>(&self, scope: &Scope<'_, C>, ring: Ring, before: LaneHead, after: LaneHead) {
        let passed = ring.distance(ring.epoch(after), ring.epoch(before)) as usize;
        for back in 0..passed.min(LANES) {
            let lane = (ring.epoch(after) as usize).wrapping_sub(back) & (LANES - 1);
            let _ = self.lanes[lane].current(scope, ring);
        }
    }
}

impl<const SLOTS: usize, const LANES: usize> Sealed for TimeWindow<SLOTS, LANES>
where
    Lanes<LANES>: LaneCount,
{
    const CAPACITY: Capacity = {
        let () = Self::SLOTS_ARE_A_POWER_OF_TWO;
        Capacity { time_slots: Self::SLOTS, ..Capacity::NONE }
    };
    const SHARES: bool = true;
    const WRITES: bool = true;
    initial!(give Self { lanes: initial!(repeat LANES, Lane {
        head: AtomicU32::new(0),
        total: zeroed!(SLOTS),
        failed: zeroed!(SLOTS),
        slow: zeroed!(SLOTS),
        _padding: <Lanes<LANES> as Padded>::PADDING,
    }) });

    #[inline]
    fn record<C: Clock>(&self, scope: Scope<'_, C>, mark: Mark, judge_always: bool) -> Recorded {
        let ring = Self::ring(&scope);
        if !self.record_in(lane(LANES), &scope, ring, mark) {
            return Recorded::Stale;
        }
        if mark.is_good() && !judge_always {
            return Recorded::Counted;
        }
        // SeqCst, partner: this fence in every other recorder. Each recorder has published to its own words and now
        // reads those of the others. Without the fence two recorders may both read the older values (store buffering),
        // so both see one failure too few, and the trip is lost.
        fence(Ordering::SeqCst);
        Recorded::Judged(judge_shares(&scope, self.tally(scope)))
    }

    #[inline(always)]
    fn try_fast<C: Clock>(&self, scope: Scope<'_, C>, quiet: ControlWord, _: bool) -> bool {
        let lane = &self.lanes[lane(LANES)];
        let ring =
            Ring { shift: scope.shape.bucket_shift(), slots: Self::SLOTS, generation: quiet.generation().number() };
        // Acquire, and the order of head and clock: see `current`.
        let head = LaneHead(lane.head.load(Ordering::Acquire));
        let Some(now) = scope.clock.try_fast() else { return false };
        // The head must be of the present epoch. With one lane its generation is not compared: it is this one or a
        // newer one, because the control word is not quiet before a thread has judged outcomes that it counted under a
        // head of this generation. The bucket's tag tells the two apart.
        let is_present =
            if LANES == 1 { ring.epoch(head) == ring.epoch(LaneHead(now.count())) } else { head == ring.head(now) };
        if !is_present {
            return false;
        }
        let epoch = ring.epoch(head);
        let [total, ..] = lane.counts(ring.slot(epoch));
        // This takes an instruction less where the generation is not needed for the head.
        let twice_generation = if LANES == 1 { quiet.twice_quiet_generation() } else { 2 * ring.generation };
        // Acquire and Release: see `count`. The word must be of this bucket and not full.
        let present = total.load(Ordering::Acquire);
        let Some(next) = present.checked_add(COUNT.unit()) else { return false };
        TAG.get(present ^ ring.tag_in_range(epoch, twice_generation)) == 0
            && total.compare_exchange(present, next, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    fn tally<C: Clock>(&self, scope: Scope<'_, C>) -> Tally {
        let ring = Self::ring(&scope);
        let mut tally = Tally::empty(WindowKind::Time);
        for lane in &self.lanes {
            lane.sum(ring, scope.shape.buckets(), scope.clock, &mut tally);
        }
        tally
    }

    fn renew<C: Clock>(&self, scope: Scope<'_, C>) {
        let ring = Self::ring(&scope);
        for lane in &self.lanes {
            let _ = lane.current(&scope, ring);
        }
    }
}

#[cfg(all(test, not(microbreaker_loom)))]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Config;
    use crate::config::live::Live;
    use crate::machine::control::StateCell;

    const GOOD: Mark = Mark::GOOD;
    const BAD: Mark = Mark { failed: true, slow: false };

    /// Runs `test` on a window of two buckets, each `bucket` ticks long.
    fn in_use<const LANES: usize>(
        bucket: u32,
        test: impl FnOnce(&TimeWindow<2, LANES>, Scope<'_, ManualClock>, ControlWord),
    ) where
        Lanes<LANES>: LaneCount,
    {
        let config = Config::time(2, ManualClock::RATE.duration_of(bucket));
        let words = config.words(&ManualClock::RATE, TimeWindow::<2>::CAPACITY).unwrap();
        let (state, live, clock) = (StateCell::new(false), Live::new(&words), ManualClock::new());
        let (quiet, shape) = (state.load(), &words.shape);
        let scope =
            Scope { state: &state, generation: quiet.generation(), live: &live, shape, clock: &clock, level: 0 };
        let window = TimeWindow::INITIAL;
        test(&window, scope, quiet);
    }

    /// On the fast path, nothing is counted under a head of another bucket.
    #[test]
    fn the_fast_path_counts_in_the_present_bucket_or_not_at_all() {
        fn refuses_at_first<const LANES: usize>()
        where
            Lanes<LANES>: LaneCount,
        {
            in_use::<LANES>(64, |window, scope, quiet| {
                for total in [0, 2, 2] {
                    assert!(!window.try_fast(scope, quiet, true), "there is no such bucket yet");
                    assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
                    assert!(window.try_fast(scope, quiet, true));
                    assert_eq!(window.tally(scope).total, total + 2, "the last two buckets");
                    scope.clock.advance_ticks(64);
                }
            });
        }
        refuses_at_first::<1>();
        refuses_at_first::<4>();
    }

    /// Clocks of two cores may differ by a moment, at the boundary of two buckets too.
    #[test]
    fn a_clock_a_bucket_behind_counts_under_the_newer_head() {
        in_use::<1>(64, |window, scope, _| {
            scope.clock.advance_ticks(64);
            assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
            let head = window.lanes[0].head.load(Ordering::Relaxed);
            scope.clock.advance_ticks(1_u32.wrapping_neg());
            assert!(matches!(window.record(scope, BAD, false), Recorded::Judged(_)));
            assert_eq!(window.lanes[0].head.load(Ordering::Relaxed), head, "it does not move back");
            let tally = window.tally(scope);
            assert_eq!((tally.total, tally.failed), (2, 1));
        });
    }

    /// The writer of a lane goes away; calls go on in another one.
    #[test]
    fn a_lane_that_nobody_writes_to_does_not_sleep_through_a_wrap() {
        const BUCKET: u32 = 1 << 20;
        for step in [BUCKET, 3 * BUCKET, 8 * BUCKET, 100 * BUCKET, 1 << 31] {
            in_use::<8>(BUCKET, |window, scope, _| {
                let ring = TimeWindow::<2, 8>::ring(&scope);
                assert!(window.record_in(5, &scope, ring, BAD));
                assert_eq!(window.tally(scope).failed, 1);
                let mut passed = 0_u64;
                while passed <= 1 << 32 {
                    scope.clock.advance_ticks(step);
                    passed += u64::from(step);
                    assert!(window.record_in(2, &scope, ring, GOOD));
                    assert_eq!(
                        window.tally(scope).failed,
                        u32::from(step == BUCKET && passed == step.into()),
                        "{step}"
                    );
                }
            });
        }
    }

    #[test]
    fn a_full_bucket_stands_still() {
        in_use::<1>(64, a_full_bucket);
    }

    fn a_full_bucket(window: &TimeWindow<2>, scope: Scope<'_, ManualClock>, quiet: ControlWord) {
        assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
        assert!(window.try_fast(scope, quiet, true));
        assert_eq!(window.tally(scope).total, 2);

        let total = &window.lanes[0].total[0];
        let full = total.load(Ordering::Relaxed) | COUNT.mask();
        for before in [full - COUNT.unit(), full] {
            total.store(before, Ordering::Relaxed);
            assert_eq!(window.try_fast(scope, quiet, true), before != full);
            assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
            assert!(matches!(window.record(scope, BAD, false), Recorded::Judged(_)));
            assert_eq!(total.load(Ordering::Relaxed), full);
        }
        let tally = window.tally(scope);
        assert_eq!((tally.total, tally.failed), ((1 << 23) - 1, 0), "what is not in the total is in no part of it");
    }
}
