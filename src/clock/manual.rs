//! A clock that moves when it is told to.

use core::time::Duration;

use super::{Clock, HORIZON, TickRate, Ticks};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn};

/// A clock for tests and simulations, at 1024 Hz. It moves only when it is told to, and can stand in a `static`.
///
/// ```
/// use core::time::Duration;
/// use microbreaker::{Clock, ManualClock, Ticks};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// CLOCK.advance(Duration::from_secs(2));
/// assert_eq!(CLOCK.now(), Ticks::new(2048));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicU32);

impl ManualClock {
    const_fn! {
        /// A clock that reads zero.
        pub const fn new() -> Self {
            Self::at(Ticks::new(0))
        }
    }

    const_fn! {
        /// A clock that reads `start`: for instance shortly before the counter wraps.
        pub const fn at(start: Ticks) -> Self {
            Self(AtomicU32::new(start.count()))
        }
    }

    /// Moves the clock on by `ticks`.
    ///
    /// A step of more than half the counter's range is fine: a breaker tells time by distances below a whole wrap.
    pub fn advance_ticks(&self, ticks: u32) {
        // Relaxed suffices for the clock contract: two reads of one atomic that are ordered by happens-before never
        // go backwards (coherence). Nothing else is published through this word.
        self.0.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Moves the clock on by `duration`, rounded up to a tick and at most the [`HORIZON`](crate::HORIZON).
    pub fn advance(&self, duration: Duration) {
        self.advance_ticks(Self::RATE.ticks_in(duration).unwrap_or(HORIZON));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    const RATE: TickRate = TickRate::new(1024, 1);
    const SLACK: u32 = 0;

    #[inline]
    fn now(&self) -> Ticks {
        // Relaxed: see `advance_ticks`.
        Ticks::new(self.0.load(Ordering::Relaxed))
    }
}
