//! The private work of a thread between its calls: arithmetic in which each step waits for the step before.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Private work, calibrated to about [`AIM`](Self::AIM) nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct PrivateWork {
    steps: u32,
    /// The measured time, in nanoseconds.
    pub nanos: f64,
}

impl PrivateWork {
    const AIM: f64 = 15.0;

    pub fn calibrate() -> Self {
        const MANY: u32 = 100_000;
        let of_one = Self { steps: MANY, nanos: 0.0 }.quickest(1) / f64::from(MANY);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few steps")]
        let steps = (Self::AIM / of_one).round().max(1.0) as u32;
        let found = Self { steps, nanos: 0.0 };
        Self { nanos: found.quickest(10_000), ..found }
    }

    #[inline(always)]
    pub fn from(self, mut seed: u64) -> u64 {
        for _ in 0..self.steps {
            // Many of these steps have no closed form that the optimiser could find.
            seed = (seed ^ (seed >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        seed
    }

    /// Nanoseconds of one run out of `times`, in the quickest of many tries: the others were disturbed.
    fn quickest(self, times: u32) -> f64 {
        let one = || {
            let mut seed = black_box(1);
            let start = Instant::now();
            for _ in 0..times {
                seed = self.from(seed);
            }
            black_box(seed);
            start.elapsed()
        };
        let quickest = (0..50).map(|_| one()).min().unwrap_or(Duration::ZERO);
        quickest.as_secs_f64() * 1e9 / f64::from(times)
    }
}
