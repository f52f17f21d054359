//! How long a circuit stays open: exponential, capped, and lengthened by jitter.
//!
//! The jitter only lengthens, by up to a quarter, because nothing may happen early: full jitter from zero would let a
//! device probe at once. Its purpose is that of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a fleet
//! that lost its peer at one moment must not come back at one moment.

use crate::clock::Clock;
use crate::config::source::Source;

/// The open time in ticks of the `attempt`-th opening (from 0), decided when the clock read `now`.
#[inline]
pub(crate) fn open_time<S: Source, C: Clock>(settings: &S, attempt: u32, now: u32) -> u32 {
    let time = settings.open_time::<C>(attempt);
    if settings.rules::<C>().jitter() { lengthen(time, random(now ^ settings.seed())) } else { time }
}

/// `time` plus up to a quarter of it, by the 16 bits of `random`. No product needs more than 32 bits, because a wider one
/// is a library call on small cores.
#[inline]
const fn lengthen(time: u32, random: u32) -> u32 {
    let quarter = time >> 2;
    time + (quarter >> 16) * random + ((quarter & 0xFFFF) * random >> 16)
}

/// Fibonacci hashing: the upper 16 bits of the product depend on all bits of `of`, and consecutive numbers land far from
/// each other.
#[inline]
const fn random(of: u32) -> u32 {
    of.wrapping_mul(0x9E37_79B9) >> 16
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::clock::{Clock, HORIZON, ManualClock};
    use crate::config::Config;
    use crate::config::capacity::Capacity;
    use crate::config::live::{Live, grow};

    #[test]
    fn grows_by_the_factor_up_to_the_cap() {
        assert_eq!((0..5).map(|n| grow(1000, 10_000, 2048, n)).collect::<Vec<_>>(), [1000, 2000, 4000, 8000, 10_000]);
        assert_eq!((0..3).map(|n| grow(5120, 61_440, 1536, n)).collect::<Vec<_>>(), [5120, 7680, 11_520]);
        assert_eq!(grow(7, 7_000, 1024, 31), 7, "a factor of one stays");
        assert_eq!(grow(HORIZON, HORIZON, 0xFFFF, 31), HORIZON);
        assert_eq!(grow(20, 10, 1024, 0), 10, "a torn reload: the cap still holds");
    }

    #[test]
    fn the_seed_and_the_moment_both_move_the_jitter() {
        let config = Config::streak(1).open_for(ManualClock::RATE.duration_of(100_000));
        let capacity = Capacity { streak: true, ..Capacity::NONE };
        let live = Live::new(&config.words(&ManualClock::RATE, capacity).unwrap());
        let at = |seed: u32, now: u32| {
            live.set_seed(seed);
            open_time::<_, ManualClock>(&live, 0, now)
        };
        assert_eq!(at(77, 77), 100_000, "where they cancel out there is nothing random left");
        let all = [at(0, 77), at(1, 77), at(0, 78), at(5, 78)];
        assert!(
            (0..4).all(|one| all[one] > 100_000 && all[one + 1..].iter().all(|other| all[one] != *other)),
            "{all:?}"
        );
    }

    #[test]
    fn jitter_only_lengthens_and_by_at_most_a_quarter() {
        for time in [1, 3, 4, 5, 1024, HORIZON] {
            assert_eq!(lengthen(time, 0), time);
            assert!((0..1000).all(|n| (time..=time + time / 4).contains(&lengthen(time, random(n)))));
        }
        for moment in [0, 77, 1 << 20, u32::MAX] {
            for step in [1, 1 << 8, 1 << 24] {
                let mut spread: Vec<u32> =
                    (0..64_u32).map(|device| lengthen(100_000, random(device.wrapping_mul(step) ^ moment))).collect();
                spread.sort_unstable();
                assert!(spread[63] - spread[0] > 20_000, "64 devices spread over most of the quarter: {spread:?}");
                spread.dedup();
                assert!(spread.len() > 60, "and hardly two of them meet: {spread:?}");
            }
        }
    }
}
