//! The last B buckets of time, under one head, in one or more lanes.
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
//! buckets, the one begun and one by which a clock may be behind), no old count is taken for a recent one. In each lane
//! a bucket has three words, for successes, failures and slow calls, tagged by lap and generation. A thread that moves
//! the head first clears the words whose tag would come round again. The *turn* bit flips whenever a bucket begins
//! anew, so that a thread that is late to clear such a word cannot take the new count for the old one.
//!
//! No layout declares the head: a setting (the bucket's shift), read at run time, says where its two fields meet.
//!
//! # Why no trip is lost and none is made
//!
//! One exchange counts a call, as good or as failed, so no moment shows half of it. A failure is judged by a sum that
//! is taken after it was counted: first the failures of all lanes, then the successes of all lanes.
//!
//! - *No trip is made that no order gives.* When the sum had read its last failure, and no success yet, the window held
//!   at least as many failures as the sum and at most as many successes. So its share was no smaller. If the window was
//!   still below the minimum then, it reached the minimum while the successes were read, by no more calls than the sum
//!   has and with at least as many failures. Either moment lies within the judged report. So the order by the moments of
//!   counting trips, if the judged failure comes at that moment.
//! - *No trip is lost that every order gives.* While the successes are read, there is a moment at which the window holds
//!   exactly as many as the sum. Let each failure take effect at the earliest such moment among the sums of all failures
//!   that were counted with it or after it. That moment lies within its report. All failures that have taken effect by
//!   then are in the sum that the moment belongs to. So if no sum reaches a threshold, no prefix of this order does.
//!
//! A sum is one of the buckets up to the bucket in which the call was counted, and then up to each newer one that has
//! begun, if the ring still holds them. So a bucket that ends between counting and judging takes nothing out of the sum.

use super::Recorded;
use super::sealed::Sealed;
use crate::clock::{Clock, Ticks};
use crate::config::capacity::Capacity;
use crate::config::live::Live;
use crate::config::source::Source;
use crate::machine::judge::{Assessment, judge_shares};
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::Word;
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
/// lanes. A window takes 4 + 12 × `SLOTS` bytes. If it has several lanes, each takes 12 × `SLOTS` bytes, padded to a
/// multiple of 128, and the window takes 128 bytes more. If a bucket of a lane reaches 2²³ − 1 successes, it stops
/// counting: its rate is that of the calls counted so far, and later calls in the same bucket go unseen. If it reaches
/// 2²³ − 1 failures, later failures go unseen. So choose buckets that end before that.
///
/// # Reports that overlap
///
/// By the failure threshold, the window trips as if the reports came one after the other: no trip is lost that every
/// order of them gives, and none is made that no order gives. This holds for any number of lanes. It has these bounds:
///
/// - *A bucket ends during a report.* The call counts in the bucket in which the report read the clock, and leaves the
///   window with it. It is judged by the buckets up to that one, and by those up to each newer one that has begun since.
///   If more than `SLOTS` − B newer ones have begun, the ring does not hold the older buckets any more, and the call is
///   judged by the newer ones alone. So give the ring a slot to spare.
/// - *A success completes the minimum.* Until the minimum of calls is reached, each success is judged too. If another
///   success is reported meanwhile, both are in the sum. So a share that reached the threshold with the first success,
///   and not with the second, may not trip.
/// - *The slow threshold.* A slow call is counted as a call first and then as slow. A sum that is taken in between shows
///   it as not slow. So the share of slow calls may look smaller than it is, by no more slow calls than reports are
///   under way, and never larger. The last of those reports sees the whole share.
#[derive(Debug)]
pub struct TimeWindow<const SLOTS: usize, const LANES: usize = 1>
where
    Lanes<LANES>: LaneCount,
{
    head: AtomicU32,
    lanes: [Lane<SLOTS, <Lanes<LANES> as Padded>::Padding>; LANES],
}

#[derive(Debug)]
struct Lane<const SLOTS: usize, P> {
    good: [AtomicU32; SLOTS],
    failed: [AtomicU32; SLOTS],
    slow: [AtomicU32; SLOTS],
    _padding: P,
}

/// The words of one kind in a lane.
type WordsOf<const SLOTS: usize, const LANES: usize> =
    fn(&Lane<SLOTS, <Lanes<LANES> as Padded>::Padding>) -> &[AtomicU32; SLOTS];

/// One value of the head. A [`Ring`] reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head(u32);

/// The bucket length, the ring length and the generation, which turn ticks into epochs, and epochs into slots and tags.
#[derive(Clone, Copy)]
struct Ring {
    shift: u32,
    slots: u32,
    generation: u32,
}

impl Ring {
    #[inline]
    fn head(self, now: Ticks) -> Head {
        // The upper bits are those of the ticks, the lower bits those of the generation.
        Head((now.count() ^ self.generation) & u32::MAX << self.shift ^ self.generation)
    }

    #[inline]
    fn is_of_generation(self, head: Head) -> bool {
        (head.0 ^ self.generation) & ((1 << self.shift) - 1) == 0
    }

    #[inline]
    fn epoch(self, head: Head) -> u32 {
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

    /// The sum of one kind of words of a lane, over the `buckets` up to `newest`. It fits: there are at most 64 words.
    #[inline]
    fn sum<const SLOTS: usize>(self, words: &[AtomicU32; SLOTS], newest: u32, buckets: u32) -> u32 {
        let (mut sum, mut slot, mut tag) = (0, self.slot(newest), self.tag(newest));
        for _ in 0..buckets {
            // Relaxed: a fence follows.
            let word = word(words, slot).load(Ordering::Relaxed);
            if TAG.get(word) == tag {
                sum += COUNT.get(word);
            }
            if slot == 0 {
                // The lap before.
                (slot, tag) = (SLOTS, self.tag((newest & self.slots.wrapping_neg()).wrapping_sub(1)));
            }
            slot -= 1;
        }
        sum
    }
}

/// The word of a slot. `slot` is below SLOTS by its mask; the other branch is there instead of a panic.
#[inline]
fn word<const SLOTS: usize>(words: &[AtomicU32; SLOTS], slot: usize) -> &AtomicU32 {
    &words[if slot < SLOTS { slot } else { 0 }]
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
    fn ring<S: Source, C: Clock>(scope: &Scope<'_, S, C>) -> Ring {
        Ring { shift: scope.shape().bucket_shift(), slots: Self::SLOTS, generation: scope.generation.number() }
    }

    /// The head to record under; `None` if the generation is over. If the clock has moved on, this moves the head on.
    #[inline]
    fn current<S: Source, C: Clock>(&self, scope: &Scope<'_, S, C>, ring: Ring) -> Option<Head> {
        // Acquire, partner: the Release of the exchange in `advance`. With it the words of the new epochs are seen
        // clear, and the clock reading below is not older than the head. It also lets `is_current` see at least the
        // head's generation.
        let head = Head(self.head.load(Ordering::Acquire));
        let wanted = ring.head(scope.clock.now());
        // If the head is the same, or the clock is slightly behind it, the head's epoch is used.
        let in_place =
            ring.is_of_generation(head) && (wanted == head || ring.is_behind(ring.epoch(wanted), ring.epoch(head)));
        if in_place { Some(head) } else { self.advance(scope, ring, head) }
    }

    #[cold]
    fn advance<S: Source, C: Clock>(&self, scope: &Scope<'_, S, C>, ring: Ring, mut head: Head) -> Option<Head> {
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
                    Err(present) => head = Head(present),
                }
            } else {
                head = Head(self.head.load(Ordering::Acquire));
            }
        }
    }

    /// Empties the words of the `passed` epochs up to `last` that would be taken for theirs, because the tag left in
    /// them laps ago is the same. `false` if the head moved from `head` meanwhile.
    fn clear(&self, ring: Ring, head: Head, last: u32, passed: u32) -> bool {
        for lane in &self.lanes {
            for back in 0..passed {
                let epoch = last.wrapping_sub(back);
                let tag = ring.tag(epoch);
                for words in [&lane.good, &lane.failed, &lane.slow] {
                    let word = word(words, ring.slot(epoch));
                    // Acquire, partner: the Release of `count`. If the word was counted under the new head, the look
                    // below sees that head.
                    let mut present = word.load(Ordering::Acquire);
                    while TAG.get(present) == tag {
                        // Relaxed, behind the Acquire above. Without this look, a second thread that moves the same
                        // head clears what was counted after the first thread moved it.
                        if self.head.load(Ordering::Relaxed) != head.0 {
                            return false;
                        }
                        // Release, partner: the Acquire of `count`. Acquire on failure: as above. Bounded: a failure
                        // means that another thread cleared the word, or that a writer as old as the word has counted
                        // into it. The highest bit of the tag is flipped, which puts the tag half its range away.
                        let cleared = (present ^ 1 << (TAG.width() - 1)) & (TAG.mask() | TURN.mask());
                        match word.compare_exchange(present, cleared, Ordering::Release, Ordering::Acquire) {
                            Ok(_) => break,
                            Err(found) => present = found,
                        }
                    }
                }
            }
        }
        true
    }

    /// Adds one to a word of `head`'s bucket. `None` if its slot was recycled; `Some(false)` if the bucket is full.
    #[inline]
    fn count<S: Source, C: Clock>(
        &self,
        scope: &Scope<'_, S, C>,
        ring: Ring,
        head: Head,
        word: &AtomicU32,
    ) -> Option<bool> {
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
                // old bucket in the place of a new one. The word is looked at too, because the head's tag is
                // short: a writer of 64 generations ago must not take a word of this generation for an old one.
                let moved = Head(self.head.load(Ordering::Relaxed));
                let recycled = ring.distance(ring.epoch(moved), epoch) >= ring.slots;
                if !ring.is_of_generation(moved) || recycled || !scope.is_current() {
                    return None;
                }
                TAG.of(tag) | !present & TURN.mask() | COUNT.unit()
            };
            // Release, partner: the Acquire fences of `sum`, and the Acquire loads of `count` and `clear`. Acquire on
            // failure: see above. Bounded: but for spurious failures, a failure means that another thread counted.
            match word.compare_exchange_weak(present, next, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(found) => present = found,
            }
        }
    }

    /// Counts one outcome in `lane`. Returns the epoch of the bucket that it belongs to; `None` if the generation is
    /// over.
    #[inline]
    fn record_in<S: Source, C: Clock>(
        &self,
        lane: usize,
        scope: &Scope<'_, S, C>,
        ring: Ring,
        mark: Mark,
    ) -> Option<u32> {
        let lane = &self.lanes[lane];
        loop {
            let head = self.current(scope, ring)?;
            // The head's tag is short: a permit of 64 generations ago must not pass for one of this generation.
            if !scope.is_current() {
                return None;
            }
            let epoch = ring.epoch(head);
            let slot = ring.slot(epoch);
            let good = word(&lane.good, slot);
            if mark.failed() {
                // Relaxed: the successes of a bucket end once, and a report at that moment may come before or after.
                let present = good.load(Ordering::Relaxed);
                if present >= COUNT.mask() && TAG.get(present) == ring.tag(epoch) {
                    return Some(epoch);
                }
            }
            // One exchange counts the call and whether it failed, so that no sum shows half of it.
            match self.count(scope, ring, head, if mark.failed() { word(&lane.failed, slot) } else { good }) {
                None => continue,
                // A slow call is counted before it is counted as slow, and `sum` reads in the opposite order. The other
                // way round a sum could show a slow call without its call, and trip below the threshold. If the bucket
                // has been recycled by now, it has left the window.
                Some(true) if mark.slow() => {
                    let _ = self.count(scope, ring, head, word(&lane.slow, slot));
                }
                Some(_) => {}
            }
            return Some(epoch);
        }
    }

    /// The sum of one kind of words over all lanes and the `buckets` up to `newest`.
    fn over(&self, ring: Ring, newest: u32, buckets: u32, words: WordsOf<SLOTS, LANES>) -> u64 {
        self.lanes.iter().map(|lane| u64::from(ring.sum(words(lane), newest, buckets))).sum()
    }

    /// The sums of the `buckets` up to `newest`, an epoch no newer than the head; `None` if the ring does not hold them
    /// any more.
    fn sum(&self, ring: Ring, newest: u32, buckets: u32) -> Option<Tally> {
        // First the slow calls of all lanes, then the failures of all lanes, then the successes of all lanes.
        let slow = self.over(ring, newest, buckets, |lane| &lane.slow);
        // Acquire, partner: the Release of `count`. If the sum shows a slow call, it shows the call. Otherwise it could
        // show more slow calls than calls.
        fence(Ordering::Acquire);
        let failed = self.over(ring, newest, buckets, |lane| &lane.failed);
        // Acquire, partner: the Release of `count`. If the sum shows a failure, it shows each success that came before
        // it, in whichever lane. Otherwise the window could trip where no order of the reports does.
        fence(Ordering::Acquire);
        let total = failed + self.over(ring, newest, buckets, |lane| &lane.good);
        if ring.distance(ring.epoch(self.head_after_sums(ring)?), newest) + buckets > ring.slots {
            return None;
        }
        // Only that many words hold more than 2^32 calls. The sums are then made smaller, and the shares stay.
        let excess = if SLOTS * LANES > 256 { u64::BITS - (total >> u32::BITS).leading_zeros() } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "no sum is larger than the total")]
        let fit = |sum: u64| (sum >> excess) as u32;
        Some(Tally { window: WindowKind::Time, total: fit(total), failed: fit(failed), slow: fit(slow) })
    }

    /// The head, behind the words of a sum; `None` if the generation is over. If it has moved on so far that a slot of
    /// the sum was recycled, the sum may be short of a bucket, or of a part of it.
    #[inline]
    fn head_after_sums(&self, ring: Ring) -> Option<Head> {
        // Acquire, partner: the Release of `count`. If a word was of a newer lap, this look sees the head that its
        // writer had seen. Relaxed, behind that.
        fence(Ordering::Acquire);
        let head = Head(self.head.load(Ordering::Relaxed));
        ring.is_of_generation(head).then_some(head)
    }

    /// Whether a failure plainly calls for nothing: it was counted in the bucket `epoch`, no newer one has begun, and the
    /// successes of this bucket alone keep the share of the failures of the whole window below the threshold.
    fn is_harmless<S: Source, C: Clock>(&self, scope: &Scope<'_, S, C>, ring: Ring, epoch: u32) -> bool {
        let limits = scope.limits();
        // With a slow limit or with levels, the sums decide about more than a trip by failures.
        if limits.slow() > 0 || scope.rules().levels() {
            return false;
        }
        let failed = self.over(ring, epoch, scope.shape().buckets(), |lane| &lane.failed);
        let good = self.over(ring, epoch, 1, |lane| &lane.good);
        let permille = u64::from(limits.failure());
        failed * (1000 - permille) < good * permille
            && self.head_after_sums(ring).is_some_and(|head| ring.epoch(head) == epoch)
    }

    /// Judges the sums as of the bucket `epoch`, in which an outcome was counted, and then as of each newer one that has
    /// begun, until a sum trips.
    fn judge<S: Source, C: Clock>(&self, scope: &Scope<'_, S, C>, ring: Ring, mut epoch: u32) -> Assessment {
        let buckets = scope.shape().buckets();
        loop {
            // Acquire, partner: the Release of `advance`. With it the words of the head's epochs are seen clear of
            // older laps.
            let head = Head(self.head.load(Ordering::Acquire));
            if !ring.is_of_generation(head) {
                return judge_shares::<true, _, _>(scope, Tally::empty(WindowKind::Time));
            }
            // Newer buckets are judged too, because a failure that was counted there may have missed this outcome.
            // Only so many buckets back does the ring hold a whole window.
            let newer = ring.distance(ring.epoch(head), epoch).min(ring.slots.saturating_sub(buckets));
            epoch = ring.epoch(head).wrapping_sub(newer);
            // Bounded: `None` means that another thread moved the head.
            if let Some(tally) = self.sum(ring, epoch, buckets) {
                let assessment = judge_shares::<true, _, _>(scope, tally);
                if assessment.trip.is_some() || newer == 0 {
                    return assessment;
                }
                epoch = epoch.wrapping_add(1);
            }
        }
    }
}

impl<const SLOTS: usize, const LANES: usize> Sealed for TimeWindow<SLOTS, LANES>
where
    Lanes<LANES>: LaneCount,
{
    type Settings = Live;
    const CAPACITY: Capacity = {
        let () = Self::SLOTS_ARE_A_POWER_OF_TWO;
        Capacity { time_slots: Self::SLOTS, ..Capacity::NONE }
    };
    const SHARES: bool = true;
    const WRITES: bool = true;
    initial!(give Self {
        // Of a generation that is over before it counts (the first may be 0, or after a restore 1). A head of the first
        // generation would stand in an epoch, and a clock that reads a little less than a wrap would be taken for one that is
        // slightly behind it.
        head: AtomicU32::new(u32::MAX),
        lanes: initial!(repeat LANES, Lane {
            good: zeroed!(SLOTS),
            failed: zeroed!(SLOTS),
            slow: zeroed!(SLOTS),
            _padding: <Lanes<LANES> as Padded>::PADDING,
        }),
    });

    #[inline]
    fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded {
        let ring = Self::ring(&scope);
        let Some(epoch) = self.record_in(lane(LANES), &scope, ring, mark) else { return Recorded::Stale };
        if mark.is_good() && !judge_always {
            return Recorded::Counted;
        }
        // SeqCst, partner: this fence in every other recorder. Each recorder has published to its own words and now
        // reads those of the others. Without the fence two recorders may both read the older values (store buffering),
        // so both see one failure too few, and the trip is lost. The same holds for the head, which the other recorder
        // may have moved on.
        fence(Ordering::SeqCst);
        if !judge_always && self.is_harmless(&scope, ring, epoch) {
            return Recorded::Counted;
        }
        Recorded::Judged(self.judge(&scope, ring, epoch))
    }

    #[inline(always)]
    fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, _: bool) -> bool {
        let lane = &self.lanes[lane(LANES)];
        let ring =
            Ring { shift: scope.shape().bucket_shift(), slots: Self::SLOTS, generation: quiet.generation().number() };
        // Acquire, and the order of head and clock: see `current`.
        let head = Head(self.head.load(Ordering::Acquire));
        let Some(now) = scope.clock.try_fast() else { return false };
        // The head must be of the present epoch. Its generation is not compared: it is this one or a newer one, because
        // the word is not quiet before a thread has judged outcomes that it counted under a head of this
        // generation. The bucket's tag tells the two apart.
        let epoch = ring.epoch(head);
        if epoch != ring.epoch(Head(now.count())) {
            return false;
        }
        let good = word(&lane.good, ring.slot(epoch));
        // Acquire and Release: see `count`. The word must be of this bucket and not full.
        let present = good.load(Ordering::Acquire);
        let Some(next) = present.checked_add(COUNT.unit()) else { return false };
        TAG.get(present ^ ring.tag_in_range(epoch, quiet.twice_quiet_generation())) == 0
            && good.compare_exchange(present, next, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally {
        let ring = Self::ring(&scope);
        loop {
            // Acquire, partner: the Release of `advance`. With it the words of the head's epochs are seen clear of older
            // laps, and the clock reading below is not older than the head.
            let head = Head(self.head.load(Ordering::Acquire));
            if !ring.is_of_generation(head) {
                return Tally::empty(WindowKind::Time);
            }
            let (newest, now) = (ring.epoch(head), ring.epoch(ring.head(scope.clock.now())));
            // A clock slightly behind the head uses the head's epoch, as in `current`.
            let age = if ring.is_behind(now, newest) { 0 } else { ring.distance(now, newest) };
            // Bounded: `None` means that another thread moved the head.
            if let Some(tally) = self.sum(ring, newest, scope.shape().buckets().saturating_sub(age)) {
                return tally;
            }
        }
    }

    fn renew<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) {
        let _ = self.current(&scope, Self::ring(&scope));
    }
}

#[cfg(all(test, not(microbreaker_loom)))]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Config;
    use crate::machine::cell::Cell;
    use crate::machine::word::GENERATION;

    const GOOD: Mark = Mark::GOOD;
    const BAD: Mark = Mark::new(true, false);

    /// Runs `test` on a window of two buckets, each `bucket` ticks long.
    fn in_use<const LANES: usize>(
        bucket: u32,
        test: impl FnOnce(&TimeWindow<2, LANES>, Scope<'_, Live, ManualClock>, Word),
    ) where
        Lanes<LANES>: LaneCount,
    {
        let config = Config::time(2, ManualClock::RATE.duration_of(bucket));
        let words = config.words(&ManualClock::RATE, TimeWindow::<2>::CAPACITY).unwrap();
        let (cell, settings, clock) =
            (Cell::new(Word::from_bits(GENERATION.of(1))), Live::new(&words), ManualClock::new());
        let quiet = cell.load();
        let scope = Scope { cell: &cell, generation: quiet.generation(), settings: &settings, clock: &clock, level: 0 };
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
            let head = window.head.load(Ordering::Relaxed);
            scope.clock.advance_ticks(1_u32.wrapping_neg());
            assert!(matches!(window.record(scope, BAD, false), Recorded::Judged(_)));
            assert_eq!(window.head.load(Ordering::Relaxed), head, "it does not move back");
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
                assert!(window.record_in(5, &scope, ring, BAD).is_some());
                assert_eq!(window.tally(scope).failed, 1);
                let mut passed = 0_u64;
                while passed <= 1 << 32 {
                    scope.clock.advance_ticks(step);
                    passed += u64::from(step);
                    assert!(window.record_in(2, &scope, ring, GOOD).is_some());
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

    fn a_full_bucket(window: &TimeWindow<2>, scope: Scope<'_, Live, ManualClock>, quiet: Word) {
        const MOST: u32 = (1 << 23) - 1;
        assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
        assert!(window.try_fast(scope, quiet, true));
        assert_eq!(window.tally(scope).total, 2);

        let good = &window.lanes[0].good[0];
        let full = good.load(Ordering::Relaxed) | COUNT.mask();
        good.store(full - COUNT.unit(), Ordering::Relaxed);
        assert!(matches!(window.record(scope, BAD, true), Recorded::Judged(_)));
        assert!(window.try_fast(scope, quiet, true), "there is room for one");
        for _ in 0..2 {
            assert!(!window.try_fast(scope, quiet, true));
            assert_eq!(window.record(scope, GOOD, false), Recorded::Counted);
            assert!(matches!(window.record(scope, BAD, true), Recorded::Judged(_)));
            assert_eq!(good.load(Ordering::Relaxed), full);
            let tally = window.tally(scope);
            assert_eq!((tally.total, tally.failed), (MOST + 1, 1), "later failures are no larger a share");
        }

        let failed = &window.lanes[0].failed[0];
        failed.store(failed.load(Ordering::Relaxed) | COUNT.mask(), Ordering::Relaxed);
        good.store(full - COUNT.unit(), Ordering::Relaxed);
        assert!(matches!(window.record(scope, BAD, true), Recorded::Judged(_)));
        assert_eq!(window.tally(scope).failed, MOST, "failures do not wrap either");
    }

    #[test]
    fn more_calls_than_a_tally_holds_keep_their_shares() {
        let config = Config::time(8, ManualClock::RATE.duration_of(64));
        let words = config.words(&ManualClock::RATE, TimeWindow::<8>::CAPACITY).unwrap();
        let (cell, settings, clock) =
            (Cell::new(Word::from_bits(GENERATION.of(1))), Live::new(&words), ManualClock::new());
        let generation = cell.load().generation();
        let scope = Scope { cell: &cell, generation, settings: &settings, clock: &clock, level: 0 };
        let window = TimeWindow::<8, 64>::INITIAL;
        for _ in 0..8 {
            for lane in 0..64 {
                for mark in [GOOD, BAD] {
                    assert!(window.record_in(lane, &scope, TimeWindow::<8, 64>::ring(&scope), mark).is_some());
                }
            }
            clock.advance_ticks(64);
        }
        clock.advance_ticks(1_u32.wrapping_neg());
        for lane in &window.lanes {
            for word in lane.good.iter().chain(&lane.failed) {
                word.store(word.load(Ordering::Relaxed) | COUNT.mask(), Ordering::Relaxed);
            }
        }
        let tally = window.tally(scope);
        // 1024 full words make 2^33 calls, less 1024. Half of that fits.
        assert_eq!((tally.total, tally.failed), (u32::MAX - 511, u32::MAX / 2 - 255));
    }
}
