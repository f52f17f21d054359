//! Settings: a `const` builder, and the check that turns it into words.

pub(crate) mod capacity;
pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod live;
pub(crate) mod policy;
pub(crate) mod source;
pub(crate) mod table;

use core::time::Duration;

use crate::clock::{HORIZON, SLACK_MAX, TickRate};
use crate::config::capacity::Capacity;
use crate::config::check::{Broken, missing, ticks, within};
use crate::config::error::{Bound, ConfigError, Field};
use crate::config::source::{
    AT_ONCE, BUCKET_SHIFT, BUCKETS_LESS_ONE, COUNT, COUNTS_SLOW, ConfigWords, FACTOR_1024THS, FAILURE_PERMILLE,
    HAS_SLOW_LIMIT, HOLD, JITTER, LEASE, LEVELS, MINIMUM, NEEDED, PROBES, RAMP, RATES, SHADOW, SLOW_LIMIT,
    SLOW_PERMILLE, STABLE, STREAK, Shape, TERMS_FAILURE, TERMS_SLOW, long, short,
};

/// How half-open probes are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeRule {
    /// The first failed probe reopens the circuit; a number of successful probes closes it. A slow success counts as a
    /// failure.
    FirstFailure,
    /// The window's own thresholds are applied to the results of the probes, once min(minimum, probes) results are in.
    Rates,
}

/// The settings of a breaker: a plain value, built in a `const` or at run time.
///
/// A configuration starts with a window ([`streak`](Self::streak), [`count`](Self::count), [`time`](Self::time)) or a
/// preset. Every other setting has a default, which the documentation of its method names. The settings are checked
/// when a breaker is made of them.
///
/// ```
/// use core::time::Duration;
/// use microbreaker::{Breaker, Config, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Streak, &ManualClock> =
///     Breaker::new(Config::streak(5).open_for(Duration::from_secs(30)).probes(2), &CLOCK);
/// assert!(MODEM.acquire().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a configuration does nothing until a breaker is made of it"]
pub struct Config {
    streak: Option<u16>,
    count: Option<u16>,
    pub(crate) time: Option<(u8, Duration)>,
    failure_permille: Option<u16>,
    slow_permille: Option<u16>,
    slow_after: Option<Duration>,
    minimum: Option<u16>,
    open_for: Duration,
    factor_1024ths: u32,
    open_at_most: Option<Duration>,
    jitter: bool,
    hold_at_most: Duration,
    probe_rule: ProbeRule,
    probes: u8,
    at_once: Option<u8>,
    successes: Option<u8>,
    lease: Duration,
    ramp: Option<Duration>,
    stable_after: Option<Duration>,
    levels: bool,
    shadow: bool,
}

impl Config {
    const DEFAULT: Self = Self {
        streak: None,
        count: None,
        time: None,
        failure_permille: Some(500),
        slow_permille: None,
        slow_after: None,
        minimum: None,
        open_for: Duration::from_secs(30),
        factor_1024ths: 2048,
        open_at_most: None,
        jitter: true,
        hold_at_most: Duration::from_secs(3600),
        probe_rule: ProbeRule::FirstFailure,
        probes: 1,
        at_once: None,
        successes: None,
        lease: Duration::from_secs(60),
        ramp: None,
        stable_after: None,
        levels: false,
        shadow: false,
    };

    /// Opens after `failures` failures or slow calls in a row (1 to 1023), for a [`Streak`](crate::Streak).
    pub const fn streak(failures: u16) -> Self {
        Self { streak: Some(failures), ..Self::DEFAULT }
    }

    /// Opens on the share of failures or of slow calls among the last `calls` (1 to 1023), for a
    /// [`CountWindow`](crate::CountWindow). By default it opens at 50 % failures, once `calls` are in.
    pub const fn count(calls: u16) -> Self {
        Self { count: Some(calls), ..Self::DEFAULT }
    }

    /// Opens on the share of failures or of slow calls within the last `buckets` (1 to 64) of length `bucket`, for a
    /// [`TimeWindow`](crate::TimeWindow). By default it opens at 50 % failures of at least 20 calls.
    ///
    /// The length of a bucket must be a power of two of clock ticks, at least 64, so that no path divides. At 1024 Hz,
    /// 62.5, 125, 250 and 500 ms are such lengths, and so is every number of seconds that is a power of two.
    pub const fn time(buckets: u8, bucket: Duration) -> Self {
        Self { time: Some((buckets, bucket)), ..Self::DEFAULT }
    }

    // No preset sets a slow limit: see `slow_after`.

    /// A database or another service behind a connection: five failures in a row open the circuit for 30 s, doubling up
    /// to 8 minutes; then two successes, one after the other, close it. The doubling goes on if the circuit opens again
    /// within a minute. For a [`Streak`](crate::Streak).
    pub const fn database() -> Self {
        Self::streak(5)
            .open_for(Duration::from_secs(30))
            .open_at_most(Duration::from_secs(480))
            .probes(2)
            .at_once(1)
            .stable_after(Duration::from_secs(60))
    }

    /// A busy upstream: 50 % failures among the last 100 calls open the circuit for 5 s, doubling up to 1 minute; then
    /// 3 of 5 probes close it, and the load comes back over 10 s. The doubling goes on if the circuit opens again within 30
    /// s after that. For a [`CountWindow<{ count_words(100, false) }>`](crate::CountWindow).
    pub const fn upstream() -> Self {
        Self::count(100)
            .open_for(Duration::from_secs(5))
            .open_at_most(Duration::from_secs(60))
            .probes(5)
            .successes(3)
            .ramp(Duration::from_secs(10))
            .stable_after(Duration::from_secs(30))
    }

    /// A low-power modem: three failures in a row open the circuit for 1 minute, doubling up to 1 hour, so that a dead
    /// network does not drain the battery. There is one probe at a time, which may take 3 minutes. The network's own
    /// back-off timers are obeyed up to 24 hours. The doubling goes on if the circuit opens again within 10 minutes. For a
    /// [`Streak`](crate::Streak).
    pub const fn modem() -> Self {
        Self::streak(3)
            .open_for(Duration::from_secs(60))
            .open_at_most(Duration::from_secs(3600))
            .lease(Duration::from_secs(180))
            .hold_at_most(Duration::from_secs(86_400))
            .stable_after(Duration::from_secs(600))
    }

    /// Counts consecutive failures too, for a pair of windows: `(Streak, …)` trips when either window does.
    pub const fn and_streak(mut self, failures: u16) -> Self {
        self.streak = Some(failures);
        self
    }

    /// Counts the last `calls` too, for a pair of windows.
    pub const fn and_count(mut self, calls: u16) -> Self {
        self.count = Some(calls);
        self
    }

    /// Counts the last `buckets` too, for a pair of windows.
    pub const fn and_time(mut self, buckets: u8, bucket: Duration) -> Self {
        self.time = Some((buckets, bucket));
        self
    }

    /// The share of failures that opens the circuit, in thousandths (1 to 1000, default 500); compared with `>=`. A
    /// streak alone has no shares and ignores this setting.
    pub const fn failure_permille(mut self, share: u16) -> Self {
        self.failure_permille = Some(share);
        self
    }

    /// Opens on the share of slow calls only; then [`slow_permille`](Self::slow_permille) must be set. A streak still
    /// counts failures and slow calls.
    pub const fn ignore_failure_share(mut self) -> Self {
        self.failure_permille = None;
        self
    }

    /// The share of slow calls that opens the circuit, in thousandths (1 to 1000, default: none); compared with `>=`.
    ///
    /// It needs [`slow_after`](Self::slow_after). A count window that counts slow calls holds half as many outcomes.
    pub const fn slow_permille(mut self, share: u16) -> Self {
        self.slow_permille = Some(share);
        self
    }

    /// The slow limit: a call that takes longer is slow. By default there is no limit, in the presets too.
    ///
    /// A call that is *dropped* after this time counts as a failure. Set the limit to less than your own timeouts, or
    /// the breaker does not see them. The limit is rounded up to a tick. It costs two clock readings per call. A permit
    /// that is held for 2³² ticks (48 days at 1024 Hz) looks young again.
    pub const fn slow_after(mut self, limit: Duration) -> Self {
        self.slow_after = Some(limit);
        self
    }

    /// Removes the slow limit, so that no call is slow: takes back [`slow_after`](Self::slow_after) and
    /// [`slow_permille`](Self::slow_permille).
    pub const fn no_slow_limit(mut self) -> Self {
        self.slow_after = None;
        self.slow_permille = None;
        self
    }

    /// The number of calls that must be in the window before a share is judged (1 to 4095; default: all calls of a
    /// count window, 20 calls of a time window). A streak alone ignores this setting.
    ///
    /// The call that reaches the minimum is judged even if it is a success. After that call, only failures and slow
    /// calls are judged. Suppose a time window falls below the minimum during a lull. The success that reaches the
    /// minimum again is not judged, but the next failure or slow call is.
    pub const fn minimum(mut self, calls: u16) -> Self {
        self.minimum = Some(calls);
        self
    }

    /// How long the circuit stays open the first time (default 30 s).
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// The factor by which the open time grows with each failed recovery, in 1/1024 (1024 to 65 535). The default of
    /// 2048 doubles the open time; 1024 keeps it constant.
    pub const fn backoff_1024ths(mut self, factor: u32) -> Self {
        self.factor_1024ths = factor;
        self
    }

    /// The cap of a growing open time (default: eight times [`open_for`](Self::open_for)). Jitter may lengthen a capped
    /// time by a quarter.
    pub const fn open_at_most(mut self, cap: Duration) -> Self {
        self.open_at_most = Some(cap);
        self
    }

    /// Whether jitter lengthens each open time by up to a quarter (default: yes). It differs on every device that is
    /// [seeded](crate::Breaker::seed), so that a fleet does not probe in step.
    pub const fn jitter(mut self, on: bool) -> Self {
        self.jitter = on;
        self
    }

    /// The longest time that a hold (a peer's `Retry-After`) or a [`trip`](crate::Breaker::trip) by hand may ask for
    /// (default one hour). A longer time is cut to this one. A layer's trip is not: this is a cap of the peer's word.
    ///
    /// The time is kept in 16 bits and rounded up by less than a 1024th.
    pub const fn hold_at_most(mut self, cap: Duration) -> Self {
        self.hold_at_most = cap;
        self
    }

    /// How probes are judged (default: [`FirstFailure`](ProbeRule::FirstFailure)).
    pub const fn probe_rule(mut self, rule: ProbeRule) -> Self {
        self.probe_rule = rule;
        self
    }

    /// How many probes a half-open circuit admits in all (1 to 15, default 1).
    ///
    /// A probe that is ignored or cancelled gives its slot back. While every caller gives up, there is no verdict, and
    /// any number of probes may follow each other. If callers end calls by their own timeouts, set
    /// [`slow_after`](Self::slow_after) to less than these timeouts: a call that is dropped after it is a failure.
    pub const fn probes(mut self, probes: u8) -> Self {
        self.probes = probes;
        self
    }

    /// How many probes may be in flight together (1 to `probes`, default: all).
    pub const fn at_once(mut self, at_once: u8) -> Self {
        self.at_once = Some(at_once);
        self
    }

    /// How many successful probes close the circuit, under [`FirstFailure`](ProbeRule::FirstFailure) (1 to `probes`,
    /// default: all). A verdict by [rates](ProbeRule::Rates) ignores this setting.
    pub const fn successes(mut self, successes: u8) -> Self {
        self.successes = Some(successes);
        self
    }

    /// How long a probe may be in flight (default 60 s). If no slot is free and the latest probe was admitted that long
    /// ago, all probes in flight count as failed. So a lost probe cannot wedge the breaker.
    ///
    /// The lease is kept in 16 bits and rounded up by less than a 1024th.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// After recovery, admits a share of the calls that grows over this time (default: all calls at once).
    ///
    /// The time is kept in 16 bits and rounded up by less than a 1024th.
    pub const fn ramp(mut self, time: Duration) -> Self {
        self.ramp = Some(time);
        self
    }

    /// After recovery, admits all calls at once: takes back [`ramp`](Self::ramp).
    pub const fn no_ramp(mut self) -> Self {
        self.ramp = None;
        self
    }

    /// Remembers for this time after recovery how often recovery had failed (default: not at all; at most a quarter of the
    /// [horizon](HORIZON)).
    ///
    /// If failures or slow calls open the circuit again within this time, the open time grows as after a failed probe,
    /// instead of beginning with [`open_for`](Self::open_for). So a peer that answers one probe and then fails again is
    /// asked less and less. The time begins when the circuit is closed, after a [ramp](Self::ramp) if there is one. Until it
    /// is over, calls take the slower path of a circuit that is not quite healthy, and read the clock.
    ///
    /// The time is kept in 16 bits and rounded up by less than a 1024th. A ramp that is under way during a reload is measured
    /// by the new value.
    pub const fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = Some(time);
        self
    }

    /// Forgets at once, when the circuit closes, how often recovery had failed: takes back
    /// [`stable_after`](Self::stable_after).
    pub const fn forget_at_once(mut self) -> Self {
        self.stable_after = None;
        self
    }

    /// Whether permits carry a degradation level, 1 to 3 at a quarter, half and three quarters of the trip point
    /// (default: no). See [`Permit::level`](crate::Permit::level).
    pub const fn levels(mut self, on: bool) -> Self {
        self.levels = on;
        self
    }

    /// Whether the breaker starts in [shadow](crate::Mode::Shadow): it changes its states, but admits the calls that it
    /// would reject (default: no). [`Breaker::switch`](crate::Breaker::switch) leaves shadow.
    pub const fn shadow(mut self, on: bool) -> Self {
        self.shadow = on;
        self
    }

    /// Whether there may be more than one probe, or a verdict by rates.
    pub(crate) const fn has_many_probes(&self) -> bool {
        self.probes > 1 || matches!(self.probe_rule, ProbeRule::Rates)
    }

    pub(crate) const fn has_ramp(&self) -> bool {
        self.ramp.is_some()
    }

    pub(crate) const fn remembers(&self) -> bool {
        self.stable_after.is_some()
    }

    /// Checks the settings against the `capacity` of the window type and turns them into words, with ticks at `rate`.
    pub(crate) const fn words(&self, rate: &'static TickRate, capacity: Capacity) -> Result<ConfigWords, ConfigError> {
        match self.check(*rate, capacity) {
            Ok(words) => Ok(words),
            Err((field, value, bound)) => Err(ConfigError::new(field, value, bound, rate)),
        }
    }

    const fn check(&self, rate: TickRate, capacity: Capacity) -> Result<ConfigWords, Broken> {
        macro_rules! check {
            ($checked:expr) => {
                match $checked {
                    Ok(value) => value,
                    Err(error) => return Err(error),
                }
            };
        }
        let shape = check!(self.shape(rate, capacity));
        let rates = capacity.count || capacity.time_slots > 0;
        if matches!(self.probe_rule, ProbeRule::Rates) && !rates {
            return Err((Field::ProbeRule, 0, Bound::NeedsShares));
        }
        if rates && self.failure_permille.is_none() && self.slow_permille.is_none() {
            return missing!(FailurePermille);
        }
        let failure = match self.failure_permille {
            Some(share) => check!(within!(FailurePermille, share as u32)),
            None => 0,
        };
        let slow = match self.slow_permille {
            Some(share) => check!(within!(SlowPermille, share as u32)),
            None => 0,
        };
        let slow_after = match self.slow_after {
            None if slow > 0 => return Err((Field::SlowPermille, slow, Bound::NeedsSlowAfter)),
            None => 0,
            Some(limit) => SLOW_LIMIT.of(check!(within!(SlowAfter, ticks(limit, rate)))) | HAS_SLOW_LIMIT.mask(),
        };
        let full = match self.count {
            Some(calls) => calls as u32,
            None => MINIMUM_MAX,
        };
        let minimum = match self.minimum {
            Some(calls) => check!(within!(Minimum, calls as u32, most full)),
            None if full < MINIMUM_MAX => full,
            None => 20,
        };

        let base = check!(within!(OpenFor, ticks(self.open_for, rate)));
        let factor = check!(within!(Backoff, self.factor_1024ths));
        let cap = match self.open_at_most {
            Some(cap) => check!(within!(OpenAtMost, ticks(cap, rate), least base)),
            None if base > HORIZON / 8 => HORIZON,
            None => base * 8,
        };
        let hold = check!(within!(HoldAtMost, ticks(self.hold_at_most, rate)));

        let probes = check!(within!(Probes, self.probes as u32));
        let at_once = match self.at_once {
            Some(at_once) => check!(within!(AtOnce, at_once as u32, most probes)),
            None => probes,
        };
        let successes = match self.successes {
            Some(successes) => check!(within!(Successes, successes as u32, most probes)),
            None => probes,
        };
        let lease = check!(within!(Lease, ticks(self.lease, rate)));
        let ramp = match self.ramp {
            Some(time) => check!(within!(Ramp, ticks(time, rate))),
            None => 0,
        };
        let stable = match self.stable_after {
            Some(time) => check!(within!(StableAfter, ticks(time, rate))),
            None => 0,
        };
        let by_rates = matches!(self.probe_rule, ProbeRule::Rates);
        let needed = if !by_rates {
            successes
        } else if minimum < probes {
            minimum
        } else {
            probes
        };
        let (lease, ramp, stable, hold) = (short(lease), short(ramp), short(stable), short(hold));
        // A ramp is rounded up to sixteen equal steps.
        let longest = larger(cap + cap / 4, larger(long(lease), long(ramp) + 16 + long(stable)));
        Ok(ConfigWords([
            base,
            cap,
            slow_after,
            LEASE.of(lease) | RAMP.of(ramp),
            HOLD.of(hold) | STABLE.of(stable),
            FAILURE_PERMILLE.of(failure) | SLOW_PERMILLE.of(slow) | MINIMUM.of(minimum),
            RATES.flag(by_rates)
                | PROBES.of(probes)
                | NEEDED.of(needed)
                | TERMS_FAILURE.of(if by_rates { failure } else { 1 })
                | TERMS_SLOW.of(if by_rates { slow } else { 1 }),
            FACTOR_1024THS.of(factor)
                | AT_ONCE.of(at_once)
                | JITTER.flag(self.jitter)
                | LEVELS.flag(self.levels)
                | SHADOW.flag(self.shadow),
            shape.bits(),
            // With room for the clock's slack and the parity of a deadline.
            u32::BITS - (longest + SLACK_MAX).leading_zeros(),
        ]))
    }

    const fn shape(&self, rate: TickRate, capacity: Capacity) -> Result<Shape, Broken> {
        macro_rules! check {
            ($checked:expr) => {
                match $checked {
                    Ok(value) => value,
                    Err(error) => return Err(error),
                }
            };
        }
        // A setting that the window type cannot hold is an error. If it were ignored, the window would silently count
        // something else. It is looked for first: a preset for another window type also lacks what this type needs, and
        // the error is to name the mistake that was made.
        if let (Some(failures), false) = (self.streak, capacity.streak) {
            return Err((Field::Streak, failures as u32, Bound::NotInType));
        }
        if let (Some(calls), false) = (self.count, capacity.count) {
            return Err((Field::Count, calls as u32, Bound::NotInType));
        }
        if let (Some((buckets, _)), 0) = (self.time, capacity.time_slots) {
            return Err((Field::Buckets, buckets as u32, Bound::NotInType));
        }
        let streak = match self.streak {
            Some(failures) => check!(within!(Streak, failures as u32)),
            None if capacity.streak => return missing!(Streak),
            None => 0,
        };
        let slow = self.slow_permille.is_some();
        let count = match self.count {
            Some(calls) => check!(within!(Count, calls as u32, most capacity.calls(slow))),
            None if capacity.count => return missing!(Count),
            None => 0,
        };
        let (buckets, shift) = match self.time {
            Some((buckets, bucket)) => {
                const MOST: u32 = Field::Buckets.most();
                let most = if capacity.time_slots < MOST { capacity.time_slots } else { MOST };
                let buckets = check!(within!(Buckets, buckets as u32, most most));
                // A bucket may be at most so long that the slot of an epoch continues across the wrap of the ticks, and
                // that a window is shorter than a wrap.
                let bucket = check!(within!(Bucket, ticks(bucket, rate)));
                if !bucket.is_power_of_two() {
                    return Err((Field::Bucket, bucket, Bound::PowerOfTwo));
                }
                (buckets, bucket.trailing_zeros())
            }
            None if capacity.time_slots > 0 => return missing!(Buckets),
            None => (1, 0),
        };
        let time = BUCKETS_LESS_ONE.of(buckets - 1) | BUCKET_SHIFT.of(shift);
        Ok(Shape(STREAK.of(streak) | COUNT.of(count) | time | COUNTS_SLOW.flag(slow)))
    }
}

const fn larger(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

const MINIMUM_MAX: u32 = Field::Minimum.most();
