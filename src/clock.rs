//! Time as a breaker sees it: [`Ticks`] from a monotonic [`Clock`] that declares its exact rate.

mod manual;
#[cfg(feature = "std")]
mod std;

pub use self::manual::ManualClock;
#[cfg(feature = "std")]
pub use self::std::{CoarseClock, StdClock};

use core::time::Duration;

/// The longest duration a breaker takes, in ticks: 2³⁰ (12 days at 1024 Hz).
///
/// Lengthened by a quarter of jitter it stays below half of the tick counter's range.
pub const HORIZON: u32 = 1 << 30;

/// A reading of a [`Clock`], or a distance between two: a 32-bit counter that wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticks(u32);

impl Ticks {
    /// A reading of `count` ticks.
    #[inline]
    pub const fn new(count: u32) -> Self {
        Self(count)
    }

    /// The raw counter.
    #[inline]
    pub const fn count(self) -> u32 {
        self.0
    }

    /// Ticks that passed from `earlier` to `self`, modulo 2³²: right whenever less than a whole wrap lies between.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The reading `ticks` later.
    #[inline]
    #[must_use]
    pub const fn after(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }
}

/// An exact tick rate: `ticks` in every `seconds`.
///
/// A ratio, because real clocks are not whole hertz: a 1 MHz counter shifted right by ten ticks 15625 times in
/// 16 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickRate {
    ticks: u32,
    seconds: u32,
}

impl TickRate {
    /// `ticks` in every `seconds`.
    ///
    /// # Panics
    /// If either is zero, or the clock is faster than 2³⁰ ticks a second: at compile time in a `const`.
    pub const fn new(ticks: u32, seconds: u32) -> Self {
        assert!(ticks > 0 && seconds > 0, "a tick rate is a ratio of two positive numbers");
        assert!(ticks / seconds <= HORIZON, "a clock may tick at most 2^30 times a second");
        Self { ticks, seconds }
    }

    /// The ticks that cover `duration`, rounded up; `None` past the [`HORIZON`].
    pub const fn ticks_in(self, duration: Duration) -> Option<u32> {
        const NANOS: u64 = 1_000_000_000;
        let (ticks, seconds) = (self.ticks as u64, self.seconds as u64);
        // Whole seconds first, so that no product passes 64 bits: seconds_in * ticks, then (rest + nanos) * 2^32 / …
        if duration.as_secs() > u32::MAX as u64 {
            return None;
        }
        let scaled = duration.as_secs() * ticks;
        let whole = scaled / seconds;
        let rest = (scaled % seconds) * NANOS + duration.subsec_nanos() as u64 * ticks;
        let part = rest.div_ceil(NANOS * seconds);
        let all = whole + part;
        if all > HORIZON as u64 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most HORIZON")]
        Some(all as u32)
    }

    /// How long `ticks` last, rounded up to a nanosecond.
    pub const fn duration_of(self, ticks: u32) -> Duration {
        const NANOS: u64 = 1_000_000_000;
        let (rate, seconds) = (self.ticks as u64, self.seconds as u64);
        let scaled = ticks as u64 * seconds;
        let nanos = ((scaled % rate) * NANOS).div_ceil(rate);
        // A part that rounds up to a whole second carries, which `new` does for us.
        #[expect(clippy::cast_possible_truncation, reason = "a remainder below one second, rounded up")]
        Duration::new(scaled / rate, nanos as u32)
    }
}

/// Where a breaker gets its time.
///
/// Called only where time matters (while open, half-open or ramping, at a transition, in a time window, for a
/// slow-call limit), possibly from an interrupt and from every thread at once. An implementation
///
/// 1. MUST be monotonic: a call that happens after another (on any core) MUST NOT return an earlier reading, taken
///    modulo 2³². A wall clock that can be set is not one.
/// 2. MUST count at [`RATE`](Self::RATE) through the whole range of `u32` and wrap to zero.
/// 3. MUST round down: a reading of *n* says that *n* whole ticks have passed.
/// 4. MUST NOT panic, block or wait.
/// 5. SHOULD tick between 100 and 10 000 times a second: the counter wraps after 2³² ticks (48 days at 1024 Hz), and
///    an open circuit that nobody asked for longer than that may lose up to one open time.
///
/// What stands still while the machine sleeps delays recovery by as much, and does no other harm.
pub trait Clock {
    /// The exact rate. Durations of a configuration become ticks by it, once, rounded up.
    const RATE: TickRate;

    /// By how many ticks the difference of two readings may exceed the time between them: 1 for a clock that rounds
    /// down. Periods are lengthened by it, so that none ends early, and by more than 1 a call's time is shortened, so that
    /// none is slow too soon. 0 only where time moves in whole ticks, as in a simulation.
    const SLACK: u32 = 1;

    /// The current reading.
    fn now(&self) -> Ticks;

    /// The current reading, if it takes no call out of line.
    #[doc(hidden)]
    #[inline(always)]
    fn glance(&self) -> Option<Ticks> {
        Some(self.now())
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    const RATE: TickRate = C::RATE;
    const SLACK: u32 = C::SLACK;

    #[inline]
    fn now(&self) -> Ticks {
        (**self).now()
    }

    #[inline(always)]
    fn glance(&self) -> Option<Ticks> {
        (**self).glance()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILO: TickRate = TickRate::new(1024, 1);
    const SHIFTED: TickRate = TickRate::new(15_625, 16);

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn durations_round_up_and_never_down() {
        for (rate, nanos_a_tick) in [(KILO, 976_562.5_f64), (SHIFTED, 1_024_000.0)] {
            for micros in [1_u64, 976, 977, 1024, 999_999, 1_000_000, 1_000_001, 30_000_000, 86_400_000_001] {
                let ticks = rate.ticks_in(Duration::from_micros(micros)).unwrap();
                let exact = micros as f64 * 1000.0 / nanos_a_tick;
                assert!(f64::from(ticks) >= exact && f64::from(ticks) < exact + 1.0, "{micros} us: {ticks} vs {exact}");
                assert!(rate.duration_of(ticks) >= Duration::from_micros(micros));
                assert_eq!(rate.ticks_in(rate.duration_of(ticks)).map(|back| back - ticks <= 1), Some(true));
            }
        }
    }

    #[test]
    fn the_horizon_is_a_bound_on_both_sides() {
        assert_eq!(KILO.ticks_in(Duration::from_secs(1 << 20)), Some(HORIZON));
        assert_eq!(KILO.ticks_in(Duration::from_secs(1 << 20) + Duration::from_nanos(1)), None);
        assert_eq!(KILO.ticks_in(Duration::MAX), None);
        assert_eq!(TickRate::new(1, u32::MAX).ticks_in(Duration::from_secs(u64::from(u32::MAX))), Some(1));
        assert_eq!(TickRate::new(1, u32::MAX).ticks_in(Duration::from_secs(1 << 32)), None);
        assert_eq!(TickRate::new(u32::MAX, u32::MAX).ticks_in(Duration::from_secs(u64::from(u32::MAX))), None);
        assert_eq!(KILO.duration_of(u32::MAX), Duration::new(4_194_303, 999_023_438));
    }
}
