//! Clocks for hosts with an operating system (feature `std`), at 1024 Hz.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Clock, TickRate, Ticks};

const RATE: TickRate = TickRate::new(1024, 1);

/// [`Instant`], counted from the first reading in this process. Costs one `Instant::now`.
///
/// It follows the platform's monotonic clock: on Linux that one stands still while the machine is suspended.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdClock;

impl StdClock {
    /// The clock.
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for StdClock {
    const RATE: TickRate = RATE;

    #[inline]
    fn now(&self) -> Ticks {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        ticks_after(ORIGIN.get_or_init(Instant::now).elapsed())
    }
}

/// The reading when `passed` has: 1024 ticks a second, whole seconds by a shift, the rest by a multiplication. Wraps as the
/// contract asks.
#[inline]
fn ticks_after(passed: Duration) -> Ticks {
    #[expect(clippy::cast_possible_truncation, reason = "the counter is modulo 2^32")]
    let whole = (passed.as_secs() << 10) as u32;
    let part = (u64::from(passed.subsec_nanos()) << 10) / 1_000_000_000;
    #[expect(clippy::cast_possible_truncation, reason = "below 1024")]
    Ticks::new(whole.wrapping_add(part as u32))
}

/// A clock whose reading is one load of a word that a background thread moves on about once a millisecond.
///
/// The thread starts by itself at the first reading and lives as long as the process; call [`start`](Self::start)
/// early to choose the moment and to see whether it could start. Until it runs, and where it cannot, each reading
/// asks [`StdClock`]. It lags the true time by a millisecond or two, more on a starved machine, and never leads it.
/// Periods are lengthened by 3 ticks for that; a lag of more at the moment a circuit opens shortens its open time by
/// the rest. The first reading waits for the thread to be started. A `fork` without `exec` leaves the child's clock
/// standing: use [`StdClock`] there.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoarseClock;

/// The ticking word. Zero means "nobody ticks": the ticker never writes it.
///
/// Every access is Relaxed: coherence alone keeps the readings of one word in order, and nothing is published with it.
static COARSE: AtomicU32 = AtomicU32::new(0);

impl CoarseClock {
    /// The clock.
    pub const fn new() -> Self {
        Self
    }

    /// Starts the ticking thread unless it runs; says whether it runs now.
    pub fn start() -> bool {
        static RUNS: OnceLock<bool> = OnceLock::new();
        *RUNS.get_or_init(|| {
            let ticker = || loop {
                Self::tick();
                thread::sleep(Duration::from_millis(1));
            };
            let runs = thread::Builder::new().name("microbreaker-clock".into()).spawn(ticker).is_ok();
            if runs {
                // So that the first reading after this call is already the coarse one. The ticker may run at the same
                // time; both write readings taken just now, and `tick` never moves the word back.
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
            // A process younger than one tick has nothing to show yet; zero is then the true reading.
            Ticks::new(COARSE.load(Ordering::Relaxed))
        } else {
            StdClock.now()
        }
    }
}

/// Whether the ticking word goes from `last` to `now`. Zero is skipped (it lags by one tick once in 48 days), and so is a
/// reading older than what stands there.
fn moves_on(last: u32, now: u32) -> bool {
    now != 0 && (last == 0 || now.wrapping_sub(last) < 1 << 31)
}

impl Clock for CoarseClock {
    const RATE: TickRate = RATE;
    // Rounding, and the ticker's usual lag at the beginning of a period.
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
        // Bounded by the ticker's progress, not by a duration.
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
