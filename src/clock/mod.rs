//! Time as a breaker sees it: [`Ticks`] from a monotonic [`Clock`] that declares its exact rate.

mod manual;
#[cfg(feature = "std")]
mod std;

pub use self::manual::ManualClock;
#[cfg(feature = "std")]
pub use self::std::{CoarseClock, StdClock};

use core::fmt;
use core::time::Duration;

/// The longest duration that a breaker accepts, in ticks: 2³⁰ (12 days at 1024 Hz).
///
/// Jitter lengthens a duration by up to a quarter; this one then still stays below half of the tick counter's range.
pub const HORIZON: u32 = 1 << 30;

/// The most [slack](Clock::SLACK) that a clock may have.
pub(crate) const SLACK_MAX: u32 = 1023;

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

    /// The number of ticks from `earlier` to `self`, modulo 2³². It is right if less than a whole wrap lies between the
    /// two.
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
/// The rate is a ratio because the frequency of a real clock need not be a whole number of hertz. For example, a 1 MHz
/// counter that is shifted right by ten bits ticks 15625 times in 16 seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TickRate {
    ticks: Divisor,
    seconds: Divisor,
    /// `seconds`, in nanoseconds.
    nanos: Divisor,
}

const NANOS: u64 = 1_000_000_000;

impl TickRate {
    /// A rate of `ticks` in every `seconds`.
    ///
    /// # Panics
    /// If either number is zero, or if the clock is faster than 2³⁰ ticks a second. In a `const` this is a compile-time
    /// error.
    pub const fn new(ticks: u32, seconds: u32) -> Self {
        assert!(ticks > 0 && seconds > 0, "a tick rate is a ratio of two positive numbers");
        assert!(ticks / seconds <= HORIZON, "a clock may tick at most 2^30 times a second");
        let (ticks, seconds) = (ticks as u64, seconds as u64);
        Self { ticks: Divisor::new(ticks), seconds: Divisor::new(seconds), nanos: Divisor::new(NANOS * seconds) }
    }

    /// The ratio as it was given: ticks, and the seconds they take.
    #[expect(clippy::cast_possible_truncation, reason = "made of 32 bits each")]
    pub const fn ratio(self) -> (u32, u32) {
        (self.ticks.by as u32, self.seconds.by as u32)
    }

    /// The number of ticks that cover `duration`, rounded up; `None` if that is more than the [`HORIZON`].
    pub const fn ticks_in(self, duration: Duration) -> Option<u32> {
        // The whole seconds are converted first, so that no product overflows 64 bits.
        if duration.as_secs() > u32::MAX as u64 {
            return None;
        }
        let (whole, rest) = self.seconds.divide(duration.as_secs() * self.ticks.by);
        let (part, over) = self.nanos.divide(rest * NANOS + duration.subsec_nanos() as u64 * self.ticks.by);
        let all = whole + part + (over > 0) as u64;
        if all > HORIZON as u64 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most HORIZON")]
        Some(all as u32)
    }

    /// How long `ticks` last, rounded up to a nanosecond.
    pub const fn duration_of(self, ticks: u32) -> Duration {
        let (seconds, rest) = self.ticks.divide(ticks as u64 * self.seconds.by);
        let (nanos, over) = self.ticks.divide(rest * NANOS);
        let nanos = nanos + (over > 0) as u64;
        // If the part below a second rounds up to a whole second, it carries.
        let (seconds, nanos) = if nanos < NANOS { (seconds, nanos) } else { (seconds + 1, 0) };
        #[expect(clippy::cast_possible_truncation, reason = "below a second")]
        Duration::new(seconds, nanos as u32)
    }
}

impl fmt::Debug for TickRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ticks, seconds) = self.ratio();
        f.debug_struct("TickRate").field("ticks", &ticks).field("seconds", &seconds).finish()
    }
}

/// `ticks` / 2^`shift`, rounded up.
pub(crate) const fn shift_up(ticks: u32, shift: u32) -> u32 {
    (ticks >> shift) + (ticks & ((1 << shift) - 1) != 0) as u32
}

/// A divisor with its reciprocal, by which a multiplication replaces the division. The reciprocal is computed when the
/// divisor is made: for a rate, at compile time. A 64-bit division would take a kilobyte and a half of flash on a
/// Cortex-M0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Divisor {
    by: u64,
    /// (2⁶⁴ − 1) / by, rounded down.
    reciprocal: u64,
}

impl Divisor {
    const fn new(by: u64) -> Self {
        Self { by, reciprocal: u64::MAX / by }
    }

    /// Quotient and remainder, exact. (Barrett, "Implementing the Rivest Shamir and Adleman Public Key Encryption
    /// Algorithm on a Standard Digital Signal Processor", 1986.)
    const fn divide(self, dividend: u64) -> (u64, u64) {
        // This estimate is at most two less than the quotient: the reciprocal is short by less than one, and so is each
        // rounding.
        let mut quotient = high_half(dividend, self.reciprocal);
        // The loop does not subtract from a remainder: on 32-bit RISC-V, LLVM 22 drops the comparison of such a
        // remainder with a divisor of more than 32 bits.
        while dividend >= self.by && quotient * self.by <= dividend - self.by {
            quotient += 1;
        }
        (quotient, dividend - quotient * self.by)
    }
}

/// The upper 64 bits of a product. They are computed from 32-bit pieces, because a 128-bit multiplication is a library
/// call on small cores.
const fn high_half(a: u64, b: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let (a_high, a_low, b_high, b_low) = (a >> 32, a & LOW, b >> 32, b & LOW);
    let (upper, lower) = (a_high * b_low, a_low * b_high);
    let carry = (a_low * b_low >> 32) + (upper & LOW) + (lower & LOW);
    a_high * b_high + (upper >> 32) + (lower >> 32) + (carry >> 32)
}

/// The source of a breaker's time.
///
/// A breaker reads its clock only where time matters (while open, half-open or ramping, at a transition, in a time
/// window, for a slow-call limit). It may do so from an interrupt, and from every thread at once. An implementation
///
/// 1. MUST be monotonic: a call that happens after another (on any core) MUST NOT return an earlier reading, taken
///    modulo 2³². A wall clock that can be set is not monotonic.
/// 2. MUST count at [`RATE`](Self::RATE) through the whole range of `u32` and wrap to zero.
/// 3. MUST round down: a reading of *n* says that *n* whole ticks have passed.
/// 4. MUST NOT panic, block or wait.
/// 5. SHOULD tick between 100 and 10 000 times a second. The counter wraps after 2³² ticks (48 days at 1024 Hz). If
///    nobody calls an open circuit for longer than that, it may stay open for up to one more open time.
///
/// A clock that stands still while the machine sleeps delays recovery by that time, and does no other harm.
///
/// ```
/// use microbreaker::{Clock, TickRate, Ticks};
///
/// /// A monotonic counter at 1 MHz, shifted right by ten bits, because no path of a breaker divides.
/// struct Uptime;
///
/// impl Clock for Uptime {
///     const RATE: TickRate = TickRate::new(15_625, 16); // 1 000 000 / 1024 Hz, exactly
///
///     fn now(&self) -> Ticks {
///         Ticks::new((micros() >> 10) as u32)
///     }
/// }
///
/// fn micros() -> u64 {
///     0 // your timer
/// }
/// # assert_eq!(Uptime.now(), Ticks::new(0));
/// ```
pub trait Clock {
    /// The exact rate. The durations of a configuration are converted to ticks with it, once, rounded up.
    const RATE: TickRate;

    /// By how many ticks two readings may be further apart than the true time between them.
    ///
    /// It is 1 for a clock that rounds down, more for a clock that may lag (at most 1023, or the breaker does not compile),
    /// and 0 only if time moves in whole ticks, as in a simulation. A breaker lengthens its periods by this many ticks, and
    /// by one more at times, so that none ends early. From the measured time of a call it takes off all but one of them, so
    /// that no call is slow too soon.
    ///
    /// By a clock with a slack of 0, periods are exact, and only half as much time may pass without a call before a period
    /// is taken for one that has just begun: 2³¹ ticks.
    const SLACK: u32 = 1;

    /// The current reading.
    fn now(&self) -> Ticks;

    /// The current reading, if it can be had without a call out of line.
    #[doc(hidden)]
    #[inline(always)]
    fn try_fast(&self) -> Option<Ticks> {
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
    fn try_fast(&self) -> Option<Ticks> {
        (**self).try_fast()
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
    fn dividing_by_a_reciprocal_is_exact() {
        let mut random = 1_u64;
        for round in 0..200_000_u32 {
            let mut next = || {
                // Marsaglia's xorshift, shifted for numbers of every length.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random >> (random % 64)
            };
            let (dividend, by) = (next(), next().max(1));
            let dividend = if round % 4 == 0 { (dividend / by).wrapping_mul(by).wrapping_sub(1) } else { dividend };
            assert_eq!(Divisor::new(by).divide(dividend), (dividend / by, dividend % by), "{dividend} / {by}");
        }
        for by in [1, 2, 3, u64::MAX - 1, u64::MAX] {
            for dividend in [0, 1, by - 1, by, u64::MAX - 1, u64::MAX] {
                assert_eq!(Divisor::new(by).divide(dividend), (dividend / by, dividend % by), "{dividend} / {by}");
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
