//! `quanta`: a clock that costs one look at the processor's cycle counter.
//!
//! ```
//! use std::time::Duration;
//!
//! use microbreaker::quanta::QuantaClock;
//! use microbreaker::{Breaker, Config, TimeWindow};
//!
//! static SEARCH: Breaker<TimeWindow<16>, QuantaClock> =
//!     Breaker::new(Config::time(10, Duration::from_secs(1)), QuantaClock::new());
//!
//! fn main() {
//!     QuantaClock::start(); // once, before the first call
//!     if let Ok(permit) = SEARCH.acquire() {
//!         permit.success();
//!     }
//! }
//! ```

mod tick;

use std::sync::OnceLock;
use std::time::Duration;

use crate::clock::{Clock, StdClock, TickRate, Ticks};
use tick::{CachedTick, Moment};

/// The [`StdClock`], read once a tick. In between, the processor's cycle counter tells that the tick is not over, so that
/// a reading costs one look at the counter: about half of an `Instant::now` (`.ci/check/quanta` measures it).
///
/// **The time is the system's.** The counter only tells how long to show a tick, so nothing drifts, and a rough
/// calibration costs a part of a tick at most. Rate and origin are those of `StdClock`, so a
/// [`Snapshot`](crate::Snapshot) of one may be restored by the other (by a clock of another rate it is a typed error).
/// The clock never leads `StdClock`. It may lag by less than a tick; periods are lengthened by 2 ticks for that and for
/// rounding, and nothing ends early.
///
/// **The counter may misbehave.** If it starts anew (as some do when the machine wakes up) or is behind on another core,
/// readings ask `StdClock` more often. If it becomes slower (on another host), they lag by a part of a tick. They lag by
/// more than a tick only if it becomes less than half as fast, or stands still while the system's time goes on, and then
/// only until the tick is over by the counter. If a circuit opens at such a reading, its open time is shorter by the
/// excess. After a `fork` the clock goes on.
///
/// **The first reading waits.** quanta measures the counter's speed, for up to 200 ms, and other threads' first readings
/// wait for it. Call [`start`](Self::start) in `main`: then none does.
///
/// **Where there is no such counter** (quanta takes that of x86-64 if the processor says that it is invariant, and that of
/// AArch64 except on iOS) quanta reads the system's clock. This one is right there too, and as slow as `StdClock`. It
/// needs 64-bit atomics.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuantaClock;

/// The counter of this process, and the tick that it is counting.
#[derive(Debug)]
struct Counter {
    source: quanta::Clock,
    cached: CachedTick,
}

static COUNTER: OnceLock<Counter> = OnceLock::new();

impl QuantaClock {
    /// The clock.
    pub const fn new() -> Self {
        Self
    }

    /// Measures the counter's speed, unless that has been done: for up to 200 ms. After this no reading waits.
    pub fn start() {
        Counter::started();
    }

    #[cold]
    #[inline(never)]
    fn look() -> Ticks {
        let counter = Counter::started();
        ticks(counter.cached.look(|| counter.source.raw(), || Moment::after(StdClock::passed())))
    }
}

impl Counter {
    fn started() -> &'static Self {
        COUNTER.get_or_init(|| {
            let source = quanta::Clock::new();
            let counts = counts_in_a_tick(source.delta_as_nanos(0, 1 << 32));
            let count = source.raw();
            let cached = CachedTick::new(counts, count, Moment::after(StdClock::passed()));
            Self { source, cached }
        })
    }
}

/// The counter's counts in a tick, rounded down, if 2^32 of them last so many nanoseconds.
fn counts_in_a_tick(nanos: u64) -> u32 {
    // A tick lasts 1 953 125 / 2 ns.
    let counts = (1_953_125_u64 << 31).checked_div(nanos).unwrap_or(0);
    u32::try_from(counts).unwrap_or(u32::MAX)
}

impl Moment {
    /// Where the standard clock stands after the time `passed`.
    fn after(passed: Duration) -> Self {
        let billionths = u64::from(passed.subsec_nanos()) << 10;
        Self { tick: (passed.as_secs() << 10) + billionths / 1_000_000_000, over: billionths % 1_000_000_000 }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a reading is modulo 2^32")]
fn ticks(tick: u64) -> Ticks {
    Ticks::new(tick as u32)
}

impl Clock for QuantaClock {
    const RATE: TickRate = StdClock::RATE;
    // For rounding, and for a tick that is shown for too long.
    const SLACK: u32 = 2;

    #[inline(always)]
    fn try_fast(&self) -> Option<Ticks> {
        let counter = COUNTER.get()?;
        counter.cached.try_fast(|| counter.source.raw()).map(ticks)
    }

    #[inline]
    fn now(&self) -> Ticks {
        self.try_fast().unwrap_or_else(Self::look)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_moment_is_exact() {
        for secs in [0, 1, (1 << 22) - 1, 1 << 22, 1 << 40] {
            for nanos in [0, 1, 976_562, 976_563, 1_953_124, 1_953_125, 500_000_000, 999_023_437, 999_999_999] {
                let Moment { tick, over } = Moment::after(Duration::new(secs, nanos));
                // In billionths of a tick.
                let exact = (u128::from(secs) * 1_000_000_000 + u128::from(nanos)) * 1024;
                assert_eq!(u128::from(tick) * 1_000_000_000 + u128::from(over), exact, "{secs} s {nanos} ns");
                assert!(over < 1_000_000_000);
            }
        }
        // Its reading wraps as the standard clock's does.
        let reading = |secs, nanos| ticks(Moment::after(Duration::new(secs, nanos)).tick).count();
        assert_eq!([reading((1 << 22) - 1, 999_999_999), reading(1 << 22, 0)], [u32::MAX, 0]);
    }

    #[test]
    fn the_counts_in_a_tick_are_rounded_down() {
        // 1 GHz, 2.4 GHz, 24 MHz.
        assert_eq!([1_u64 << 32, 1_789_569_706, 178_956_970_667].map(counts_in_a_tick), [976_562, 2_343_750, 23_437]);
        // A counter of no use: every reading looks.
        assert_eq!([u64::MAX, 0].map(counts_in_a_tick), [0, 0]);
        assert_eq!(counts_in_a_tick(1), u32::MAX);
    }

    /// The clock in the middle of a tick.
    const fn middle(tick: u64) -> Moment {
        Moment { tick, over: 500_000_000 }
    }

    /// 100 counts in a tick. Tick 7 begins at 1000.
    fn seventh() -> CachedTick {
        CachedTick::new(100, 1050, middle(7))
    }

    #[test]
    fn a_tick_is_shown_until_the_counter_says_that_it_is_over() {
        let cached = seventh();
        let shown = [1000, 1050, 1099, 1100, 5000].map(|count| cached.try_fast(|| count));
        assert_eq!(shown, [Some(7), Some(7), Some(7), None, None]);
        assert_eq!(cached.look(|| 1150, || middle(8)), 8);
        assert_eq!([1100, 1199, 1200].map(|count| cached.try_fast(|| count)), [Some(8), Some(8), None]);
    }

    #[test]
    fn a_counter_that_starts_anew_or_leaps_is_not_believed() {
        let cached = seventh();
        for count in [0, 1, 999, 1100, u64::MAX / 2, u64::MAX] {
            assert_eq!(cached.try_fast(|| count), None, "{count}");
        }
        // The next look counts from where it stands, across its wrap too.
        assert_eq!(cached.look(|| 20, || middle(9)), 9);
        let shown = [u64::MAX - 29, 0, 69, u64::MAX - 30, 70].map(|count| cached.try_fast(|| count));
        assert_eq!(shown, [Some(9), Some(9), Some(9), None, None]);
    }

    #[test]
    fn a_thread_that_sleeps_in_its_look_shows_no_tick_for_too_long() {
        // It sleeps for nine ticks between the counter and the clock, in the middle of tick 8.
        let cached = seventh();
        let time = Cell::new(1150);
        let counter = || time.replace(2050);
        assert_eq!(cached.look(counter, || middle((time.replace(2050) - 1050) / 100 + 7)), 17);
        assert_eq!(cached.try_fast(|| 2050), None, "it seems to have begun at 1100, so it is over");

        // Another looks while it sleeps after the clock.
        let cached = seventh();
        let counter = || 1150;
        let late = || {
            let seen = middle(8);
            assert_eq!(cached.look(|| 1250, || middle(9)), 9);
            seen
        };
        assert_eq!(cached.look(counter, late), 8);
        assert_eq!(cached.try_fast(|| 1199), Some(9), "what was shown once is not taken back");
        assert_eq!(cached.try_fast(|| 1250), None, "its beginning is the older one");
    }

    #[test]
    fn without_a_counter_every_reading_looks() {
        let cached = CachedTick::new(0, 1050, middle(7));
        assert_eq!([0, 1050, 1051].map(|count| cached.try_fast(|| count)), [None; 3]);
        assert_eq!(cached.look(|| 1051, || middle(8)), 8);
    }

    #[test]
    fn a_tick_begins_no_sooner_than_it_did_and_less_than_a_count_later() {
        for counts in [1, 3, 976_562, 2_246_093, u32::MAX] {
            for over in [0, 1, 333_333_333, 500_000_000, 999_999_999] {
                let cached = CachedTick::new(counts, 1 << 40, Moment { tick: 7, over });
                // How many counts ago it began, rounded down.
                let ago = u64::try_from(u128::from(counts) * u128::from(over) / 1_000_000_000).unwrap();
                let shown = [ago + 1, ago].map(|ago| cached.try_fast(|| (1 << 40) - ago));
                assert_eq!(shown, [None, Some(7)], "{counts} counts, {over} billionths");
            }
        }
    }
}
