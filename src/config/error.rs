//! What makes a configuration impossible: the setting, its value, and the bound that it broke.

use core::fmt;

use crate::clock::TickRate;

/// Which setting is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// [`Config::streak`]
    Streak,
    /// [`Config::count`]
    Count,
    /// The number of buckets of [`Config::time`]
    Buckets,
    /// The length of a bucket of [`Config::time`], in ticks
    Bucket,
    /// [`Config::failure_permille`]
    FailurePermille,
    /// [`Config::slow_permille`]
    SlowPermille,
    /// [`Config::slow_after`], in ticks
    SlowAfter,
    /// [`Config::minimum`]
    Minimum,
    /// [`Config::open_for`], in ticks
    OpenFor,
    /// [`Config::backoff_1024ths`]
    Backoff,
    /// [`Config::open_at_most`], in ticks
    OpenAtMost,
    /// [`Config::hold_at_most`], in ticks
    HoldAtMost,
    /// [`Config::probe_rule`]
    ProbeRule,
    /// [`Config::probes`]
    Probes,
    /// [`Config::at_once`]
    AtOnce,
    /// [`Config::successes`]
    Successes,
    /// [`Config::lease`], in ticks
    Lease,
    /// [`Config::ramp`], in ticks
    Ramp,
    /// A streak's threshold or a window's length, which a [reload](crate::Breaker::reconfigure) may not change
    Shape,
    /// How many breakers a registry holds
    Capacity,
    /// How long a registry's breaker must have been idle before it may go, in ticks
    IdleAfter,
    /// How long it must have been idle before it may go though it is not clean, in ticks
    ForgetAfter,
}

impl Field {
    /// Whether its value is in ticks.
    const fn is_time(self) -> bool {
        matches!(
            self,
            Self::Bucket
                | Self::SlowAfter
                | Self::OpenFor
                | Self::OpenAtMost
                | Self::HoldAtMost
                | Self::Lease
                | Self::Ramp
                | Self::IdleAfter
        )
    }
}

/// Which bound a setting broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// It must be at least this.
    AtLeast(u32),
    /// It may be at most this.
    AtMost(u32),
    /// It must be a power of two.
    PowerOfTwo,
    /// The breaker's window type does not count this.
    NotInType,
    /// A share of slow calls needs [`Config::slow_after`].
    NeedsSlowAfter,
    /// A verdict by rates needs a count or a time window.
    NeedsShares,
    /// A live reload must leave it as it is.
    Fixed,
}

/// Settings that cannot work: which one, its value (durations in ticks of the clock, `u32::MAX` past the
/// [horizon](crate::HORIZON)), and the bound it broke. Shown, durations are times (`480s`), rounded up to a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting.
    pub field: Field,
    /// What it was.
    pub value: u32,
    /// What it must be.
    pub bound: Bound,
    /// To show ticks as a time.
    rate: &'static TickRate,
}

impl ConfigError {
    pub(crate) const fn new(field: Field, value: u32, bound: Bound, rate: &'static TickRate) -> Self {
        Self { field, value, bound, rate }
    }

    /// One sentence for a compile-time panic, which cannot format numbers.
    pub(crate) const fn sentence(&self) -> &'static str {
        match (self.field, self.bound) {
            (Field::Streak, Bound::AtLeast(_)) => "streak must be at least 1 failure",
            (Field::Streak, Bound::AtMost(_)) => "streak may be at most 1023 failures",
            (Field::Streak, _) => "streak is set, but the window type is no Streak",
            (Field::Count, Bound::AtLeast(_)) => "count must be at least 1 call",
            (Field::Count, Bound::AtMost(_)) => {
                "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count)"
            }
            (Field::Count, _) => "count is set, but the window type is no CountWindow",
            (Field::Buckets, Bound::AtLeast(_)) => "time must have at least 1 bucket",
            (Field::Buckets, Bound::AtMost(_)) => {
                "time has more buckets than the TimeWindow has slots, or more than 64"
            }
            (Field::Buckets, _) => "time is set, but the window type is no TimeWindow",
            (Field::Bucket, Bound::PowerOfTwo) => "a bucket must be a power of two of clock ticks",
            (Field::Bucket, Bound::AtLeast(_)) => "a bucket must be at least 64 clock ticks",
            (Field::Bucket, _) => "a bucket is too long",
            (Field::FailurePermille, Bound::AtLeast(_)) => "failure_permille must be at least 1, or a slow share set",
            (Field::FailurePermille, _) => "failure_permille may be at most 1000",
            (Field::SlowPermille, Bound::NeedsSlowAfter) => "slow_permille needs slow_after",
            (Field::SlowPermille, Bound::AtLeast(_)) => "slow_permille must be at least 1",
            (Field::SlowPermille, _) => "slow_permille may be at most 1000",
            (Field::SlowAfter, Bound::AtLeast(_)) => "slow_after must be at least 1 tick",
            (Field::SlowAfter, _) => "slow_after is past the horizon",
            (Field::Minimum, Bound::AtLeast(_)) => "minimum must be at least 1 call",
            (Field::Minimum, _) => "minimum may be at most the count window's length, or 4095",
            (Field::OpenFor, Bound::AtLeast(_)) => "open_for must be at least 1 tick",
            (Field::OpenFor, _) => "open_for is past the horizon",
            (Field::Backoff, Bound::AtLeast(_)) => "backoff_1024ths must be at least 1024 (a factor of 1)",
            (Field::Backoff, _) => "backoff_1024ths may be at most 65535",
            (Field::OpenAtMost, Bound::AtLeast(_)) => "open_at_most must be at least open_for",
            (Field::OpenAtMost, _) => "open_at_most is past the horizon",
            (Field::HoldAtMost, Bound::AtLeast(_)) => "hold_at_most must be at least 1 tick",
            (Field::HoldAtMost, _) => "hold_at_most is past the horizon",
            (Field::ProbeRule, _) => "a verdict by rates needs a count or a time window",
            (Field::Probes, Bound::AtLeast(_)) => "probes must be at least 1",
            (Field::Probes, _) => "probes may be at most 15",
            (Field::AtOnce, Bound::AtLeast(_)) => "at_once must be at least 1",
            (Field::AtOnce, _) => "at_once may be at most probes",
            (Field::Successes, Bound::AtLeast(_)) => "successes must be at least 1",
            (Field::Successes, _) => "successes may be at most probes",
            (Field::Lease, Bound::AtLeast(_)) => "lease must be at least 1 tick",
            (Field::Lease, _) => "lease is past the horizon",
            (Field::Ramp, Bound::AtLeast(_)) => "ramp must be at least 1 tick",
            (Field::Ramp, _) => "ramp is past the horizon",
            (Field::Shape, _) => {
                "a reload may not change a streak's threshold, a window's length, or whether it counts slow calls"
            }
            (Field::Capacity, _) => "capacity must be at least 1 breaker",
            (Field::IdleAfter, Bound::AtLeast(_)) => "idle_after must be at least 16 ticks",
            (Field::IdleAfter, _) => "idle_after is past the horizon",
            (Field::ForgetAfter, Bound::AtLeast(_)) => "forget_after must be at least idle_after",
            (Field::ForgetAfter, _) => "forget_after is past the horizon",
        }
    }
}

/// The sentence, the value and its bound; times as times.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, bound, rate } = self;
        let number = |number: u32| Number(number, field.is_time().then_some(*rate));
        f.write_str(self.sentence())?;
        match *bound {
            Bound::AtLeast(least) => write!(f, " (it is {}, the least is {})", number(*value), number(least)),
            // Past the horizon: how much is not known.
            Bound::AtMost(most) if field.is_time() && *value == u32::MAX => {
                write!(f, " (the most is {})", number(most))
            }
            Bound::AtMost(most) => write!(f, " (it is {}, the most is {})", number(*value), number(most)),
            Bound::PowerOfTwo => write!(f, " (it is {}: {value} ticks)", number(*value)),
            // What it should be is no number, or is all that is wrong.
            Bound::NotInType | Bound::NeedsSlowAfter | Bound::NeedsShares | Bound::Fixed => Ok(()),
        }
    }
}

/// Ticks, if they have a rate: shown as the time that they last.
struct Number(u32, Option<&'static TickRate>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(rate) => write!(f, "{:?}", rate.duration_of(self.0)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl core::error::Error for ConfigError {}
