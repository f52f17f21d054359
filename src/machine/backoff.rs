//! How long a circuit stays open: exponential, capped, and lengthened by jitter.
//!
//! The jitter only lengthens, by up to a quarter, because nothing may happen early: full jitter from zero would let a
//! device probe at once. Its purpose is that of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a fleet
//! that lost its peer at one moment must not come back at one moment.

use crate::clock::Ticks;
use crate::config::live::Live;

/// The open time in ticks of the `attempt`-th opening (from 0) that began at `opened`.
pub(crate) fn open_time(live: &Live, attempt: u32, opened: Ticks) -> u32 {
    let rules = live.rules();
    let grown = grow(live.base(), live.cap(), rules.factor_1024ths(), attempt);
    if rules.jitter() { lengthen(grown, mix(live.seed() ^ mix(opened.count()))) } else { grown }
}

/// base × factor^attempt, at most `cap`.
fn grow(base: u32, cap: u32, factor_1024ths: u32, attempt: u32) -> u32 {
    let (mut time, cap) = (u64::from(base), u64::from(cap));
    // There are at most 31 rounds, when a circuit opens. Each product is below 2^30 × 2^16, so 64 bits hold it.
    // Rounding up keeps "nothing early" over the whole chain.
    for _ in 0..attempt {
        if time >= cap {
            break;
        }
        time = (time * u64::from(factor_1024ths) + 1023) >> 10;
    }
    u32::try_from(time.min(cap)).unwrap_or(u32::MAX)
}

/// `time` plus up to a quarter of it, by `random`.
fn lengthen(time: u32, random: u32) -> u32 {
    let quarter = u64::from(time) >> 2;
    let more = (quarter * u64::from(random)) >> 32;
    time.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
}

/// A 32-bit finalizer (MurmurHash3's): every input bit reaches every output bit.
fn mix(mut value: u32) -> u32 {
    value ^= value >> 16;
    value = value.wrapping_mul(0x85EB_CA6B);
    value ^= value >> 13;
    value = value.wrapping_mul(0xC2B2_AE35);
    value ^ value >> 16
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::clock::{Clock, HORIZON, ManualClock};
    use crate::config::Config;
    use crate::config::capacity::Capacity;

    #[test]
    fn grows_by_the_factor_up_to_the_cap() {
        assert_eq!((0..5).map(|n| grow(1000, 10_000, 2048, n)).collect::<Vec<_>>(), [1000, 2000, 4000, 8000, 10_000]);
        assert_eq!((0..3).map(|n| grow(5120, 61_440, 1536, n)).collect::<Vec<_>>(), [5120, 7680, 11_520]);
        assert_eq!(grow(7, 7_000, 1024, 31), 7, "a factor of one stays");
        assert_eq!(grow(HORIZON, HORIZON, 0xFFFF, 31), HORIZON);
        assert_eq!(grow(20, 10, 1024, 0), 10, "a torn reload: the cap still holds");
    }

    /// Values of the published finalizer.
    #[test]
    fn the_mixing_is_that_of_murmur_hash_3() {
        let known = [(0, 0), (1, 0x514E_28B7), (2, 0x30F4_C306), (u32::MAX, 0x81F1_6F39)];
        assert!(known.iter().all(|&(value, mixed)| mix(value) == mixed), "{:x?}", known.map(|(value, _)| mix(value)));
    }

    #[test]
    fn the_seed_and_the_moment_both_move_the_jitter() {
        let config = Config::streak(1).open_for(ManualClock::RATE.duration_of(100_000));
        let live = Live::new(&config.words(&ManualClock::RATE, Capacity { streak: true, ..Capacity::NONE }).unwrap());
        let at = |seed: u32, opened: u32| {
            live.set_seed(seed);
            open_time(&live, 0, Ticks::new(opened))
        };
        assert_eq!(at(mix(77), 77), 100_000, "where they cancel out there is nothing random left");
        let all = [at(0, 77), at(1, 77), at(0, 78), at(mix(77), 78)];
        assert!(
            (0..4).all(|one| all[one] > 100_000 && all[one + 1..].iter().all(|other| all[one] != *other)),
            "{all:?}"
        );
    }

    #[test]
    fn jitter_only_lengthens_and_by_at_most_a_quarter() {
        for time in [1, 3, 4, 5, 1024, HORIZON] {
            assert_eq!(lengthen(time, 0), time);
            assert!((0..1000).all(|n| (time..=time + time / 4).contains(&lengthen(time, mix(n)))));
        }
        let spread: Vec<u32> = (0..64).map(|device| lengthen(100_000, mix(device ^ mix(77)))).collect();
        let (least, most) = (spread.iter().min().unwrap(), spread.iter().max().unwrap());
        assert!(most - least > 20_000, "64 devices spread over most of the quarter: {least}..{most}");
    }
}
