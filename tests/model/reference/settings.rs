//! Settings of a breaker, drawn at random: in ticks for the model, and as a `Config` for the crate.

use core::time::Duration;

use microbreaker::{Config, HORIZON, ProbeRule};
use proptest::option;
use proptest::prelude::*;

/// Ticks per second of the `ManualClock`.
const HZ: u64 = 1024;
const NANOS: u64 = 1_000_000_000;

/// `ticks` as a duration, rounded down to a nanosecond. The crate rounds up, so it becomes `ticks` again.
pub(crate) const fn lasting(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * NANOS / HZ)
}

/// A duration in ticks, rounded up, so that nothing happens early.
pub(crate) fn ticks_in(duration: Duration) -> u64 {
    let ticks = (duration.as_nanos() * u128::from(HZ)).div_ceil(u128::from(NANOS));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// `ticks` as a duration, rounded up, so that a sleep of it is never too short.
pub(crate) fn at_least(ticks: u64) -> Duration {
    Duration::from_nanos((ticks * NANOS).div_ceil(HZ))
}

/// `ticks`, rounded up to 11 significant bits, as the crate stores a lease, a ramp, the memory of the attempt and the
/// longest hold.
pub(crate) fn significant(ticks: u64) -> u64 {
    let mut unit = 1;
    while ticks.div_ceil(unit) >= 1 << 11 {
        unit *= 2;
    }
    ticks.div_ceil(unit) * unit
}

/// The settings that a reload may not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) streak: Option<u16>,
    pub(crate) count: Option<u16>,
    /// The number of buckets, and the ticks of a bucket.
    pub(crate) time: Option<(u8, u64)>,
    /// Whether a share of slow calls trips.
    pub(crate) slow: bool,
}

impl Shape {
    pub(crate) const fn streak(failures: u16) -> Self {
        Self { streak: Some(failures), count: None, time: None, slow: false }
    }

    pub(crate) const fn count(calls: u16, slow: bool) -> Self {
        Self { streak: None, count: Some(calls), time: None, slow }
    }

    pub(crate) const fn time(buckets: u8, bucket: u64, slow: bool) -> Self {
        Self { streak: None, count: None, time: Some((buckets, bucket)), slow }
    }

    pub(crate) fn and_streak(self, failures: u16) -> Self {
        Self { streak: Some(failures), ..self }
    }

    pub(crate) fn and_time(self, buckets: u8, bucket: u64) -> Self {
        Self { time: Some((buckets, bucket)), ..self }
    }

    pub(crate) fn has_shares(self) -> bool {
        self.count.is_some() || self.time.is_some()
    }
}

/// The settings that a reload may change. `None` stands for the crate's documented default. [`Settings::new`] cuts a
/// value that does not fit the shape to one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuning {
    pub(crate) failure_permille: Option<u16>,
    pub(crate) slow_permille: u16,
    pub(crate) slow_after: Option<u64>,
    pub(crate) minimum: Option<u16>,
    pub(crate) open_for: u64,
    pub(crate) factor_1024ths: u32,
    pub(crate) open_at_most: Option<u64>,
    pub(crate) hold_at_most: u64,
    pub(crate) rates: bool,
    pub(crate) probes: u8,
    pub(crate) at_once: Option<u8>,
    pub(crate) successes: Option<u8>,
    pub(crate) lease: u64,
    pub(crate) ramp: Option<u64>,
    pub(crate) stable_after: Option<u64>,
    pub(crate) jitter: bool,
    pub(crate) levels: bool,
}

impl Tuning {
    /// Plain settings, for tests that vary one of them.
    pub(crate) const PLAIN: Self = Self {
        failure_permille: Some(500),
        slow_permille: 500,
        slow_after: None,
        minimum: None,
        open_for: 100,
        factor_1024ths: 2048,
        open_at_most: None,
        hold_at_most: 10_000,
        rates: false,
        probes: 1,
        at_once: None,
        successes: None,
        lease: 50,
        ramp: None,
        stable_after: None,
        jitter: false,
        levels: false,
    };
}

/// A valid configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Settings {
    pub(crate) shape: Shape,
    tuning: Tuning,
}

impl Settings {
    /// Settings of which the caller knows that they fit, in a constant.
    pub(crate) const fn of(shape: Shape, tuning: Tuning) -> Self {
        Self { shape, tuning }
    }

    /// `tuning`, cut to fit `shape`.
    pub(crate) fn new(shape: Shape, mut tuning: Tuning) -> Self {
        if !shape.slow {
            tuning.failure_permille = tuning.failure_permille.or(Some(500));
        } else if tuning.slow_after.is_none() {
            tuning.slow_after = Some(20);
        }
        if let Some(calls) = shape.count {
            tuning.minimum = tuning.minimum.map(|minimum| minimum.min(calls));
        }
        tuning.open_at_most = tuning.open_at_most.map(|cap| cap.max(tuning.open_for));
        tuning.rates &= shape.has_shares();
        tuning.at_once = tuning.at_once.map(|at_once| at_once.min(tuning.probes));
        tuning.successes = tuning.successes.map(|successes| successes.min(tuning.probes));
        Self { shape, tuning }
    }

    pub(crate) fn failure_permille(&self) -> Option<u16> {
        self.tuning.failure_permille
    }

    pub(crate) fn slow_permille(&self) -> Option<u16> {
        self.shape.slow.then_some(self.tuning.slow_permille)
    }

    pub(crate) fn slow_after(&self) -> Option<u64> {
        self.tuning.slow_after
    }

    pub(crate) fn minimum(&self) -> u32 {
        self.tuning.minimum.or(self.shape.count).unwrap_or(20).into()
    }

    fn open_at_most(&self) -> u64 {
        self.tuning.open_at_most.unwrap_or((8 * self.tuning.open_for).min(HORIZON.into()))
    }

    /// The open time after `attempt` failed recoveries, without jitter. It grows step by step; each step is rounded up and
    /// capped.
    pub(crate) fn open_time(&self, attempt: u8) -> u64 {
        let mut time = self.tuning.open_for;
        for _ in 0..attempt {
            time = (time * u64::from(self.tuning.factor_1024ths)).div_ceil(1024).min(self.open_at_most());
        }
        time
    }

    pub(crate) fn jitters(&self) -> bool {
        self.tuning.jitter
    }

    /// The longest time that the peer or an operator may ask for.
    pub(crate) fn hold_at_most(&self) -> u64 {
        significant(self.tuning.hold_at_most)
    }

    pub(crate) fn judges_by_rates(&self) -> bool {
        self.tuning.rates
    }

    pub(crate) fn probes(&self) -> usize {
        self.tuning.probes.into()
    }

    pub(crate) fn at_once(&self) -> usize {
        self.tuning.at_once.unwrap_or(self.tuning.probes).into()
    }

    pub(crate) fn successes(&self) -> u32 {
        self.tuning.successes.unwrap_or(self.tuning.probes).into()
    }

    pub(crate) fn lease(&self) -> u64 {
        significant(self.tuning.lease)
    }

    /// A sixteenth of the ramp, rounded up.
    pub(crate) fn ramp_step(&self) -> Option<u64> {
        self.tuning.ramp.map(|ramp| significant(ramp).div_ceil(16))
    }

    /// For how long a closed circuit remembers its attempt.
    pub(crate) fn stable_after(&self) -> u64 {
        self.tuning.stable_after.map_or(0, significant)
    }

    /// The longest that anything lasts by these settings.
    pub(crate) fn longest(&self) -> u64 {
        let cap = self.open_at_most();
        (cap + cap / 4).max(self.lease()).max(16 * self.ramp_step().unwrap_or(0) + self.stable_after())
    }

    pub(crate) fn levels(&self) -> bool {
        self.tuning.levels
    }

    /// The same settings as a `Config`.
    pub(crate) const fn config(&self) -> Config {
        let Self { shape, tuning } = *self;
        let mut config = match (shape.streak, shape.count, shape.time) {
            (Some(failures), None, None) => Config::streak(failures),
            (None, Some(calls), None) => Config::count(calls),
            (None, None, Some((buckets, bucket))) => Config::time(buckets, lasting(bucket)),
            (Some(failures), Some(calls), None) => Config::count(calls).and_streak(failures),
            (Some(failures), None, Some((buckets, bucket))) => {
                Config::streak(failures).and_time(buckets, lasting(bucket))
            }
            (None, Some(calls), Some((buckets, bucket))) => Config::time(buckets, lasting(bucket)).and_count(calls),
            _ => unreachable!(),
        };
        config = match tuning.failure_permille {
            Some(share) => config.failure_permille(share),
            None => config.ignore_failure_share(),
        };
        if shape.slow {
            config = config.slow_permille(tuning.slow_permille);
        }
        if let Some(limit) = tuning.slow_after {
            config = config.slow_after(lasting(limit));
        }
        if let Some(minimum) = tuning.minimum {
            config = config.minimum(minimum);
        }
        if let Some(cap) = tuning.open_at_most {
            config = config.open_at_most(lasting(cap));
        }
        if let Some(at_once) = tuning.at_once {
            config = config.at_once(at_once);
        }
        if let Some(successes) = tuning.successes {
            config = config.successes(successes);
        }
        if let Some(ramp) = tuning.ramp {
            config = config.ramp(lasting(ramp));
        }
        if let Some(time) = tuning.stable_after {
            config = config.stable_after(lasting(time));
        }
        config
            .open_for(lasting(tuning.open_for))
            .backoff_1024ths(tuning.factor_1024ths)
            .jitter(tuning.jitter)
            .hold_at_most(lasting(tuning.hold_at_most))
            .probe_rule(if tuning.rates { ProbeRule::Rates } else { ProbeRule::FirstFailure })
            .probes(tuning.probes)
            .lease(lasting(tuning.lease))
            .levels(tuning.levels)
    }
}

prop_compose! {
    fn times()(
        slow_after in option::of(1..200_u64),
        open_for in prop_oneof![8 => 1..2000_u64, 1 => 1..=u64::from(HORIZON)],
        factor_1024ths in prop_oneof![Just(1024_u32), Just(1536), Just(2048), 1024..=0xFFFF_u32],
        open_at_most in option::of(prop_oneof![8 => 1..20_000_u64, 1 => 1..=u64::from(HORIZON)]),
        hold_at_most in prop_oneof![8 => 1..5000_u64, 1 => 1..=u64::from(HORIZON)],
        lease in prop_oneof![8 => 1..2048_u64, 1 => 1..=u64::from(HORIZON)],
        ramp in option::of(prop_oneof![8 => 1..2048_u64, 1 => 1..=u64::from(HORIZON)]),
        stable_after in option::of(prop_oneof![8 => 1..4096_u64, 1 => 1..=u64::from(HORIZON / 4)]),
        jitter in any::<bool>(),
    ) -> Tuning {
        let times = Tuning { slow_after, open_for, factor_1024ths, open_at_most, hold_at_most, ..Tuning::PLAIN };
        Tuning { lease, ramp, stable_after, jitter, ..times }
    }
}

prop_compose! {
    /// Any settings.
    pub(crate) fn tuning()(
        times in times(),
        failure_permille in option::weighted(0.9, prop_oneof![1..=1000_u16, Just(500), Just(1000)]),
        slow_permille in prop_oneof![1..=1000_u16, Just(500), Just(1000)],
        minimum in option::of(prop_oneof![6 => 1..30_u16, 1 => 1..=4095_u16]),
        rates in any::<bool>(),
        probes in prop_oneof![8 => 1..=6_u8, 1 => Just(15)],
        at_once in option::of(1..=6_u8),
        successes in option::of(1..=6_u8),
        levels in any::<bool>(),
    ) -> Tuning {
        Tuning { failure_permille, slow_permille, minimum, rates, probes, at_once, successes, levels, ..times }
    }
}

prop_compose! {
    /// The length of a bucket, in ticks.
    pub(crate) fn bucket()(shift in 6..=10_u32) -> u64 {
        1 << shift
    }
}
