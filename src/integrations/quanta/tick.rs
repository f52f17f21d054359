//! The tick that a clock was last seen in, shown for as long as a fast counter says that it lasts.

use crate::platform::atomics::{AtomicU64, Ordering};

/// Where a clock stands: how many ticks it has counted, and how much of the present one is over, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) tick: u64,
    pub(super) over: u64,
}

/// A clock's latest tick, and when it began by a counter.
///
/// What it shows was read from the clock in the present tick or before. So it never leads the clock, and never goes back.
/// It lags if the counter is slower than was thought: by less than a tick, while it is more than half as fast.
#[derive(Debug)]
pub(super) struct CachedTick {
    /// It only grows. It does not wrap: 64 bits last for ages.
    tick: AtomicU64,
    /// What the counter showed, or would have shown, when the tick began.
    began: AtomicU64,
    /// The counts in a tick. If it is 0, no tick is shown and every reading looks.
    counts: u64,
}

impl CachedTick {
    /// The counter shows `count`, and it did so before the clock showed `now`.
    pub(super) fn new(counts: u32, count: u64, now: Moment) -> Self {
        let counts = u64::from(counts);
        Self { tick: AtomicU64::new(now.tick), began: AtomicU64::new(began(counts, count, now)), counts }
    }

    /// The tick, unless it is over by the counter.
    #[inline(always)]
    pub(super) fn try_fast(&self, counter: impl FnOnce() -> u64) -> Option<u64> {
        // Acquire, partner: the Release in `look`. Who sees when a tick began sees that tick or a later one. Without it,
        // the tick before would be shown until this one is over, and lag by up to two.
        let began = self.began.load(Ordering::Acquire);
        // Relaxed: the word only grows, so coherence alone keeps its readings in order on all cores.
        let tick = self.tick.load(Ordering::Relaxed);
        // The difference is huge if the counter started anew or is behind on this core: the tick counts as over.
        (counter().wrapping_sub(began) < self.counts).then_some(tick)
    }

    /// Looks at the clock, and returns its tick.
    pub(super) fn look(&self, counter: impl FnOnce() -> u64, clock: impl FnOnce() -> Moment) -> u64 {
        // The counter is read first. If this thread sleeps between the two, the tick seems to have begun too early and
        // is over too early, which costs a look. The other way round it would be shown for too long.
        let count = counter();
        let now = clock();
        // Relaxed: see `try_fast`. It is a maximum because another thread may have looked since `clock` was read.
        self.tick.fetch_max(now.tick, Ordering::Relaxed);
        // Release, partner: the Acquire in `try_fast`. If another thread has looked since, this may put an older
        // beginning back: a benign race, because a tick that is over too early costs a look and no more.
        self.began.store(began(self.counts, count, now), Ordering::Release);
        // No earlier reading was later than this one, because they are all readings of the clock.
        now.tick
    }
}

/// The count at which the tick of `now` began, rounded up by less than one.
fn began(counts: u64, count: u64, now: Moment) -> u64 {
    // No overflow: the counts have 32 bits and the billionths 30.
    count.wrapping_sub(counts * now.over / 1_000_000_000)
}
