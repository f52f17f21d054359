//! Clocks for hosts with an operating system (feature `std`), at 1024 Hz.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Clock, TickRate, Ticks};

const RATE: TickRate = TickRate::new(1024, 1);

/// A clock that counts [`Instant`] from the first reading in this process. A reading costs one `Instant::now`.
///
/// It follows the platform's monotonic clock, which on Linux stands still while the machine is suspended.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdClock;

impl StdClock {
    /// The clock.
    pub const fn new() -> Self {
        Self
    }

    /// The time since the first reading in this process.
    #[inline]
    pub(crate) fn passed() -> Duration {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        ORIGIN.get_or_init(Instant::now).elapsed()
    }
}

impl Clock for StdClock {
    const RATE: TickRate = RATE;

    #[inline]
    fn now(&self) -> Ticks {
        ticks_after(Self::passed())
    }
}

/// The reading after the time `passed`, at 1024 ticks a second: whole seconds are shifted, the rest is multiplied. It
/// wraps as [`Clock`] requires.
#[inline]
fn ticks_after(passed: Duration) -> Ticks {
    #[expect(clippy::cast_possible_truncation, reason = "the counter is modulo 2^32")]
    let whole = (passed.as_secs() << 10) as u32;
    // The factor is 2^50 * 1024 / 10^9, rounded up. Below a second, the error of the product is less than what a product
    // just below a tick lacks to it, so the reading is exact.
    let part = (u64::from(passed.subsec_nanos()) * 1_152_921_505) >> 50;
    Ticks::new(whole.wrapping_add(part as u32))
}

/// A clock that a background thread advances about once a millisecond, so that a reading is one load.
///
/// The thread lives as long as the process. Call [`start`](Self::start) in `main`: otherwise the first reading starts
/// the thread and waits for it, once. `start` also tells whether the thread could start. If it could not, each reading
/// asks [`StdClock`].
///
/// The clock lags the true time by a millisecond or two, more on a starved machine, and never leads it. Its periods are
/// lengthened by 3 ticks for that. If the lag is larger when a circuit opens, the open time is shorter by the excess.
/// After a `fork` without `exec` the child's clock stands still: use [`StdClock`] there.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoarseClock;

/// The word that the background thread advances. Zero means that no reading has been written yet: the thread never
/// writes zero.
///
/// Every access is Relaxed: coherence alone keeps the readings of one word in order, and nothing is published with it.
static COARSE: AtomicU32 = AtomicU32::new(0);

impl CoarseClock {
    /// The clock.
    pub const fn new() -> Self {
        Self
    }

    /// Starts the background thread unless it runs, and returns whether it runs. A start that failed is not tried
    /// again.
    pub fn start() -> bool {
        static RUNS: OnceLock<bool> = OnceLock::new();
        *RUNS.get_or_init(|| {
            let ticker = || loop {
                Self::tick();
                thread::sleep(Duration::from_millis(1));
            };
            let runs = thread::Builder::new().name("microbreaker-clock".into()).spawn(ticker).is_ok();
            if runs {
                // After this the first reading that follows the start is already a coarse one. The thread may tick at
                // the same time: a benign race, because both write readings taken just now and `tick` never moves the
                // word back.
                Self::tick();
            }
            runs
        })
    }

    fn tick() {
        let now = StdClock.now().count();
        let last = COARSE.load(Ordering::Relaxed);
        if moves_on(last, now) {
            let _ = COARSE.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    #[cold]
    fn first() -> Ticks {
        if Self::start() {
            // Nothing has been written within the first tick; zero is then the true reading.
            Ticks::new(COARSE.load(Ordering::Relaxed))
        } else {
            StdClock.now()
        }
    }
}

/// Whether to move the word from `last` to `now`. Zero is skipped (the clock then lags by one tick, once in 48 days),
/// and so is a reading older than `last`.
fn moves_on(last: u32, now: u32) -> bool {
    now != 0 && (last == 0 || now.wrapping_sub(last) < 1 << 31)
}

impl Clock for CoarseClock {
    const RATE: TickRate = RATE;
    // For rounding, and for the thread's usual lag at the beginning of a period.
    const SLACK: u32 = 3;

    #[inline(always)]
    fn try_fast(&self) -> Option<Ticks> {
        match COARSE.load(Ordering::Relaxed) {
            0 => None,
            ticks => Some(Ticks::new(ticks)),
        }
    }

    #[inline]
    fn now(&self) -> Ticks {
        self.try_fast().unwrap_or_else(Self::first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_1024_ticks_rounded_down() {
        let ticks = |secs, nanos| ticks_after(Duration::new(secs, nanos)).count();
        assert_eq!([ticks(0, 0), ticks(0, 976_562), ticks(0, 976_563), ticks(0, 999_999_999)], [0, 0, 1, 1023]);
        assert_eq!([ticks(1, 0), ticks(1, 500_000_000), ticks(86_400, 0)], [1024, 1536, 88_473_600]);
        assert_eq!(
            [ticks((1 << 22) - 1, 999_999_999), ticks(1 << 22, 0), ticks((1 << 22) + 3, 0)],
            [u32::MAX, 0, 3072]
        );
    }

    #[test]
    fn every_nanosecond_of_a_second_is_in_the_right_tick() {
        let ticks = |nanos| u64::from(ticks_after(Duration::from_nanos(nanos)).count());
        // Within the second the reading never falls. So it is right everywhere if it is right on both sides of each tick.
        for tick in 1..1024 {
            // A tick is 976 562.5 ns.
            let begins = (tick * 1_953_125_u64).div_ceil(2);
            assert_eq!((ticks(begins - 1), ticks(begins)), (tick - 1, tick), "{begins} ns");
        }
        assert_eq!((ticks(999_999_999), ticks(1_000_000_000)), (1023, 1024));
    }

    #[test]
    fn the_ticking_word_never_goes_back_and_never_to_zero() {
        let (half, wrapped) = (1 << 31, u32::MAX - 5);
        for (last, now) in [(0, 1), (0, half + 7), (7, 7), (7, 8), (7, half + 6), (wrapped, 3), (wrapped, wrapped + 1)]
        {
            assert!(moves_on(last, now), "{last} to {now}");
        }
        for (last, now) in [(0, 0), (7, 0), (wrapped, 0), (8, 7), (7, half + 7), (3, wrapped)] {
            assert!(!moves_on(last, now), "{last} to {now}");
        }
    }

    #[test]
    fn the_coarse_clock_ticks_by_itself_and_never_leads() {
        assert!(CoarseClock::start());
        let begin = CoarseClock.now();
        // The thread's progress bounds this loop, not a duration.
        while CoarseClock.now() == begin {
            thread::yield_now();
        }
        for _ in 0..10_000 {
            let coarse = CoarseClock.now();
            let exact = StdClock.now();
            assert!(exact.since(coarse) < 1 << 31, "{coarse:?} leads {exact:?}");
        }
    }
}
