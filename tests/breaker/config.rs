//! Tests every field of a configuration on both sides of every bound, at run time (`compile_fail` checks the same
//! sentences at compile time). Proves that a refused reload changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use microbreaker::registry::RegistryBuilder;
use microbreaker::{
    Bound, Breaker, Clock, Config, ConfigError, CountWindow, Effect, Field, HORIZON, LiveWindow, ManualClock, Mode,
    OpenReason, ProbeRule, RejectReason, State, StdClock, Streak, TickRate, Ticks, TimeWindow, count_words,
};

const SECOND: Duration = Duration::from_secs(1);
const ZERO: Duration = Duration::ZERO;
const NANO: Duration = Duration::from_nanos(1);
/// Exactly the horizon at 1024 Hz, and the shortest duration past it.
const FAR: Duration = Duration::from_secs(1 << 20);
const TOO_FAR: Duration = Duration::new(1 << 20, 1);

type Last100 = CountWindow<{ count_words(100, false) }>;
type Pair = (Streak, TimeWindow<16>);

const STREAK: Config = Config::streak(5);
const COUNT: Config = Config::count(100);
const TIME: Config = Config::time(10, SECOND);

fn made<W: LiveWindow>(config: Config) -> Result<(), ConfigError> {
    Breaker::<W, _>::try_new(config, ManualClock::new()).map(drop)
}

type Make = fn(Config) -> Result<(), ConfigError>;

const ON_STREAK: Make = made::<Streak>;
const ON_COUNT: Make = made::<Last100>;
const ON_ONE_WORD: Make = made::<CountWindow<1>>;
const ON_LARGEST: Make = made::<CountWindow<129>>;
const ON_TIME: Make = made::<TimeWindow<16>>;
const ON_LONG: Make = made::<TimeWindow<64>>;
const ON_PAIR: Make = made::<Pair>;

/// The duration of `ticks` at 1024 Hz, rounded down to a nanosecond. The crate rounds up, so it becomes `ticks` again.
fn ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * 1_000_000_000 / 1024)
}

/// A refused configuration, its error (field, value, bound, text), and one that is accepted on the other side of the
/// bound.
struct Row(Make, Config, Field, u32, Bound, &'static str, Config);

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    use Bound::{AtLeast, AtMost, NeedsShares, NeedsSlowAfter, NotInType, PowerOfTwo};
    let slow = COUNT.slow_after(SECOND);
    let horizon = AtMost(HORIZON);
    let past = u32::MAX;
    vec![
        Row(
            ON_STREAK,
            Config::streak(0),
            Field::Streak,
            0,
            AtLeast(1),
            "streak must be at least 1 failure (it is 0, the least is 1)",
            Config::streak(1),
        ),
        Row(
            ON_STREAK,
            Config::streak(1024),
            Field::Streak,
            1024,
            AtMost(1023),
            "streak may be at most 1023 failures (it is 1024, the most is 1023)",
            Config::streak(1023),
        ),
        Row(
            ON_COUNT,
            COUNT.and_streak(7),
            Field::Streak,
            7,
            NotInType,
            "streak is set, but the window type is no Streak",
            COUNT,
        ),
        Row(
            ON_PAIR,
            TIME,
            Field::Streak,
            0,
            AtLeast(1),
            "streak must be at least 1 failure (it is 0, the least is 1)",
            TIME.and_streak(1),
        ),
        Row(
            ON_COUNT,
            Config::count(0),
            Field::Count,
            0,
            AtLeast(1),
            "count must be at least 1 call (it is 0, the least is 1)",
            Config::count(1),
        ),
        // 7 words: a head, 5 full chunks of 21, and one outcome in the active one.
        Row(
            ON_COUNT,
            Config::count(107),
            Field::Count,
            107,
            AtMost(106),
            "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count) (it is 107, the most is 106)",
            Config::count(106),
        ),
        // If slow calls are counted too, a chunk holds 10 outcomes.
        Row(
            ON_COUNT,
            Config::count(52).slow_permille(500).slow_after(SECOND),
            Field::Count,
            52,
            AtMost(51),
            "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count) (it is 52, the most is 51)",
            Config::count(51).slow_permille(500).slow_after(SECOND),
        ),
        // One word: 24 outcomes of one bit, or 12 of two bits.
        Row(
            ON_ONE_WORD,
            Config::count(25),
            Field::Count,
            25,
            AtMost(24),
            "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count) (it is 25, the most is 24)",
            Config::count(24),
        ),
        Row(
            ON_ONE_WORD,
            Config::count(13).slow_permille(500).slow_after(SECOND),
            Field::Count,
            13,
            AtMost(12),
            "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count) (it is 13, the most is 12)",
            Config::count(12).slow_permille(500).slow_after(SECOND),
        ),
        Row(
            ON_LARGEST,
            Config::count(1024),
            Field::Count,
            1024,
            AtMost(1023),
            "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count) (it is 1024, the most is 1023)",
            Config::count(1023),
        ),
        Row(
            ON_STREAK,
            STREAK.and_count(9),
            Field::Count,
            9,
            NotInType,
            "count is set, but the window type is no CountWindow",
            STREAK,
        ),
        // A preset for another window type: the error names what is set, not what is missing.
        Row(
            ON_STREAK,
            Config::upstream(),
            Field::Count,
            100,
            NotInType,
            "count is set, but the window type is no CountWindow",
            Config::modem(),
        ),
        Row(
            ON_COUNT,
            Config::modem(),
            Field::Streak,
            3,
            NotInType,
            "streak is set, but the window type is no Streak",
            Config::upstream(),
        ),
        Row(ON_COUNT, TIME, Field::Buckets, 10, NotInType, "time is set, but the window type is no TimeWindow", COUNT),
        Row(
            ON_PAIR,
            STREAK,
            Field::Buckets,
            0,
            AtLeast(1),
            "time must have at least 1 bucket (it is 0, the least is 1)",
            STREAK.and_time(10, SECOND),
        ),
        Row(
            ON_TIME,
            Config::time(0, SECOND),
            Field::Buckets,
            0,
            AtLeast(1),
            "time must have at least 1 bucket (it is 0, the least is 1)",
            Config::time(1, SECOND),
        ),
        Row(
            ON_TIME,
            Config::time(17, SECOND),
            Field::Buckets,
            17,
            AtMost(16),
            "time has more buckets than the TimeWindow has slots, or more than 64 (it is 17, the most is 16)",
            Config::time(16, SECOND),
        ),
        Row(
            ON_LONG,
            Config::time(65, SECOND),
            Field::Buckets,
            65,
            AtMost(64),
            "time has more buckets than the TimeWindow has slots, or more than 64 (it is 65, the most is 64)",
            Config::time(64, SECOND),
        ),
        Row(
            ON_STREAK,
            STREAK.and_time(3, SECOND),
            Field::Buckets,
            3,
            NotInType,
            "time is set, but the window type is no TimeWindow",
            STREAK,
        ),
        Row(
            ON_TIME,
            Config::time(10, ticks(1000)),
            Field::Bucket,
            1000,
            PowerOfTwo,
            "a bucket must be a power of two of clock ticks (it is 976.5625ms: 1000 ticks)",
            Config::time(10, ticks(1024)),
        ),
        Row(
            ON_TIME,
            Config::time(10, ZERO),
            Field::Bucket,
            0,
            AtLeast(64),
            "a bucket must be at least 64 clock ticks (it is 0ns, the least is 62.5ms)",
            Config::time(10, ticks(64)),
        ),
        Row(
            ON_TIME,
            Config::time(10, ticks(32)),
            Field::Bucket,
            32,
            AtLeast(64),
            "a bucket must be at least 64 clock ticks (it is 31.25ms, the least is 62.5ms)",
            Config::time(10, ticks(64)),
        ),
        Row(
            ON_LONG,
            Config::time(64, ticks(1 << 25)),
            Field::Bucket,
            1 << 25,
            AtMost(1 << 24),
            "a bucket is too long (it is 32768s, the most is 16384s)",
            Config::time(64, ticks(1 << 24)),
        ),
        Row(
            ON_TIME,
            Config::time(10, Duration::MAX),
            Field::Bucket,
            past,
            AtMost(1 << 24),
            "a bucket is too long (the most is 16384s)",
            Config::time(10, ticks(1 << 24)),
        ),
        Row(
            ON_COUNT,
            COUNT.failure_permille(0),
            Field::FailurePermille,
            0,
            AtLeast(1),
            "failure_permille must be at least 1, or a slow share set (it is 0, the least is 1)",
            COUNT.failure_permille(1),
        ),
        Row(
            ON_TIME,
            TIME.ignore_failure_share(),
            Field::FailurePermille,
            0,
            AtLeast(1),
            "failure_permille must be at least 1, or a slow share set (it is 0, the least is 1)",
            TIME.ignore_failure_share().slow_permille(1).slow_after(SECOND),
        ),
        Row(
            ON_COUNT,
            COUNT.failure_permille(1001),
            Field::FailurePermille,
            1001,
            AtMost(1000),
            "failure_permille may be at most 1000 (it is 1001, the most is 1000)",
            COUNT.failure_permille(1000),
        ),
        Row(
            ON_TIME,
            TIME.slow_permille(200),
            Field::SlowPermille,
            200,
            NeedsSlowAfter,
            "slow_permille needs slow_after",
            TIME.slow_permille(200).slow_after(SECOND),
        ),
        Row(
            ON_TIME,
            TIME.slow_after(SECOND).slow_permille(0),
            Field::SlowPermille,
            0,
            AtLeast(1),
            "slow_permille must be at least 1 (it is 0, the least is 1)",
            TIME.slow_after(SECOND).slow_permille(1),
        ),
        Row(
            ON_TIME,
            TIME.slow_after(SECOND).slow_permille(1001),
            Field::SlowPermille,
            1001,
            AtMost(1000),
            "slow_permille may be at most 1000 (it is 1001, the most is 1000)",
            TIME.slow_after(SECOND).slow_permille(1000),
        ),
        Row(
            ON_STREAK,
            STREAK.slow_after(ZERO),
            Field::SlowAfter,
            0,
            AtLeast(1),
            "slow_after must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.slow_after(NANO),
        ),
        Row(
            ON_COUNT,
            slow.slow_after(TOO_FAR),
            Field::SlowAfter,
            past,
            horizon,
            "slow_after is past the horizon (the most is 1048576s)",
            slow.slow_after(FAR),
        ),
        Row(
            ON_COUNT,
            COUNT.minimum(0),
            Field::Minimum,
            0,
            AtLeast(1),
            "minimum must be at least 1 call (it is 0, the least is 1)",
            COUNT.minimum(1),
        ),
        Row(
            ON_COUNT,
            COUNT.minimum(101),
            Field::Minimum,
            101,
            AtMost(100),
            "minimum may be at most the count window's length, or 4095 (it is 101, the most is 100)",
            COUNT.minimum(100),
        ),
        Row(
            ON_TIME,
            TIME.minimum(4096),
            Field::Minimum,
            4096,
            AtMost(4095),
            "minimum may be at most the count window's length, or 4095 (it is 4096, the most is 4095)",
            TIME.minimum(4095),
        ),
        Row(
            ON_STREAK,
            STREAK.open_for(ZERO),
            Field::OpenFor,
            0,
            AtLeast(1),
            "open_for must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.open_for(NANO),
        ),
        Row(
            ON_STREAK,
            STREAK.open_for(TOO_FAR),
            Field::OpenFor,
            past,
            horizon,
            "open_for is past the horizon (the most is 1048576s)",
            STREAK.open_for(FAR),
        ),
        Row(
            ON_STREAK,
            STREAK.backoff_1024ths(1023),
            Field::Backoff,
            1023,
            AtLeast(1024),
            "backoff_1024ths must be at least 1024 (a factor of 1) (it is 1023, the least is 1024)",
            STREAK.backoff_1024ths(1024),
        ),
        Row(
            ON_STREAK,
            STREAK.backoff_1024ths(65_536),
            Field::Backoff,
            65_536,
            AtMost(65_535),
            "backoff_1024ths may be at most 65535 (it is 65536, the most is 65535)",
            STREAK.backoff_1024ths(65_535),
        ),
        Row(
            ON_STREAK,
            STREAK.open_for(SECOND).open_at_most(ticks(1023)),
            Field::OpenAtMost,
            1023,
            AtLeast(1024),
            "open_at_most must be at least open_for (it is 999.023438ms, the least is 1s)",
            STREAK.open_for(SECOND).open_at_most(SECOND),
        ),
        // The error does not name the one tick that any time must last, because the cap's own bound is larger.
        Row(
            ON_STREAK,
            STREAK.open_for(SECOND).open_at_most(ZERO),
            Field::OpenAtMost,
            0,
            AtLeast(1024),
            "open_at_most must be at least open_for (it is 0ns, the least is 1s)",
            STREAK.open_for(SECOND).open_at_most(SECOND),
        ),
        Row(
            ON_STREAK,
            STREAK.open_at_most(TOO_FAR),
            Field::OpenAtMost,
            past,
            horizon,
            "open_at_most is past the horizon (the most is 1048576s)",
            STREAK.open_at_most(FAR),
        ),
        Row(
            ON_STREAK,
            STREAK.hold_at_most(ZERO),
            Field::HoldAtMost,
            0,
            AtLeast(1),
            "hold_at_most must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.hold_at_most(NANO),
        ),
        Row(
            ON_STREAK,
            STREAK.hold_at_most(TOO_FAR),
            Field::HoldAtMost,
            past,
            horizon,
            "hold_at_most is past the horizon (the most is 1048576s)",
            STREAK.hold_at_most(FAR),
        ),
        Row(
            ON_STREAK,
            STREAK.probe_rule(ProbeRule::Rates),
            Field::ProbeRule,
            0,
            NeedsShares,
            "a verdict by rates needs a count or a time window",
            STREAK.probe_rule(ProbeRule::FirstFailure),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(0),
            Field::Probes,
            0,
            AtLeast(1),
            "probes must be at least 1 (it is 0, the least is 1)",
            STREAK.probes(1),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(16),
            Field::Probes,
            16,
            AtMost(15),
            "probes may be at most 15 (it is 16, the most is 15)",
            STREAK.probes(15),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(3).at_once(0),
            Field::AtOnce,
            0,
            AtLeast(1),
            "at_once must be at least 1 (it is 0, the least is 1)",
            STREAK.probes(3).at_once(1),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(3).at_once(4),
            Field::AtOnce,
            4,
            AtMost(3),
            "at_once may be at most probes (it is 4, the most is 3)",
            STREAK.probes(3).at_once(3),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(3).successes(0),
            Field::Successes,
            0,
            AtLeast(1),
            "successes must be at least 1 (it is 0, the least is 1)",
            STREAK.probes(3).successes(1),
        ),
        Row(
            ON_STREAK,
            STREAK.probes(3).successes(4),
            Field::Successes,
            4,
            AtMost(3),
            "successes may be at most probes (it is 4, the most is 3)",
            STREAK.probes(3).successes(3),
        ),
        Row(
            ON_STREAK,
            STREAK.lease(ZERO),
            Field::Lease,
            0,
            AtLeast(1),
            "lease must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.lease(NANO),
        ),
        Row(
            ON_STREAK,
            STREAK.lease(TOO_FAR),
            Field::Lease,
            past,
            horizon,
            "lease is past the horizon (the most is 1048576s)",
            STREAK.lease(FAR),
        ),
        Row(
            ON_STREAK,
            STREAK.ramp(ZERO),
            Field::Ramp,
            0,
            AtLeast(1),
            "ramp must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.ramp(NANO),
        ),
        Row(
            ON_STREAK,
            STREAK.ramp(TOO_FAR),
            Field::Ramp,
            past,
            horizon,
            "ramp is past the horizon (the most is 1048576s)",
            STREAK.ramp(FAR),
        ),
        Row(
            ON_STREAK,
            STREAK.stable_after(ZERO),
            Field::StableAfter,
            0,
            AtLeast(1),
            "stable_after must be at least 1 tick (it is 0ns, the least is 976.563µs)",
            STREAK.stable_after(NANO),
        ),
        // A ramp and the memory after it are one period, so they are shorter together.
        Row(
            ON_STREAK,
            STREAK.stable_after(ticks((1 << 28) + 1)),
            Field::StableAfter,
            (1 << 28) + 1,
            AtMost(1 << 28),
            "stable_after is too long (it is 262144.000976563s, the most is 262144s)",
            STREAK.stable_after(ticks(1 << 28)),
        ),
        Row(
            ON_STREAK,
            STREAK.stable_after(Duration::MAX),
            Field::StableAfter,
            past,
            AtMost(1 << 28),
            "stable_after is too long (the most is 262144s)",
            STREAK.stable_after(Duration::MAX).forget_at_once(),
        ),
    ]
}

#[test]
fn every_bound_holds_on_both_sides() {
    let mut fields = HashSet::new();
    for Row(make, refused, field, value, bound, text, accepted) in rows() {
        let error = make(refused).expect_err(text);
        assert_eq!((error.field, error.value, error.bound), (field, value, bound), "{text}");
        assert_eq!(error.to_string(), text);
        assert_eq!(make(accepted), Ok(()), "the other side of: {text}");
        fields.insert(field);
    }
    // The rows cover all fields except the shape, which only a reload can get wrong, and those of a registry; see
    // below.
    let elsewhere = [Field::Shape, Field::Capacity, Field::IdleAfter, Field::ForgetAfter];
    assert_eq!(fields, HashSet::from(Field::ALL).difference(&elsewhere.into()).copied().collect());
    // A number is always shown in the error. (A time past the horizon is not: it is too large for its ticks.)
    let text = "backoff_1024ths may be at most 65535 (it is 4294967295, the most is 65535)";
    assert_eq!(ON_STREAK(STREAK.backoff_1024ths(u32::MAX)).unwrap_err().to_string(), text);
}

#[test]
fn every_field_has_a_name_of_its_own() {
    let names: HashSet<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    assert_eq!(names.len(), Field::ALL.len());
    for field in Field::ALL {
        assert!(field.name().starts_with(|first: char| first.is_ascii_lowercase()), "{field:?}");
        assert_eq!(field.to_string(), field.name());
    }
}

/// How a registry's errors show its own settings; `tests/compose/registry.rs` tests their bounds on both sides.
#[test]
fn a_registrys_settings_are_shown_in_their_units() {
    let text = |change: fn(RegistryBuilder<u32>) -> RegistryBuilder<u32>| {
        let builder = change(RegistryBuilder::new("tenants", STREAK));
        builder.build::<Streak, _>(StdClock::new()).map(drop).expect_err("it is refused").to_string()
    };
    assert_eq!(text(|builder| builder.capacity(0)), "capacity must be at least 1 breaker (it is 0, the least is 1)");
    assert_eq!(
        text(|builder| builder.idle_after(ticks(15))),
        "idle_after must be at least 16 ticks (it is 14.648438ms, the least is 15.625ms)"
    );
    assert_eq!(text(|builder| builder.idle_after(TOO_FAR)), "idle_after is past the horizon (the most is 1048576s)");
    assert_eq!(
        text(|builder| builder.forget_after(Some(599 * SECOND))),
        "forget_after must be at least idle_after (it is 599s, the least is 600s)"
    );
    assert_eq!(
        text(|builder| builder.forget_after(Some(TOO_FAR))),
        "forget_after is past the horizon (the most is 1048576s)"
    );
}

#[test]
fn every_preset_works() {
    assert_eq!(ON_STREAK(Config::database()), Ok(()));
    assert_eq!(ON_COUNT(Config::upstream()), Ok(()));
    assert_eq!(ON_STREAK(Config::modem()), Ok(()));
    assert_eq!(ON_PAIR(Config::modem().and_time(10, SECOND)), Ok(()));
}

/// The bounds are in ticks of the clock that is used, so the same duration may fit one clock and not another.
#[test]
fn ticks_are_those_of_the_breakers_own_clock() {
    /// A 1 MHz counter shifted right by ten.
    struct Shifted;
    impl Clock for Shifted {
        const RATE: TickRate = TickRate::new(15_625, 16);
        fn now(&self) -> Ticks {
            Ticks::new(0)
        }
    }
    let error = Breaker::<TimeWindow<16>, _>::try_new(TIME, Shifted).err().unwrap();
    assert_eq!((error.field, error.value, error.bound), (Field::Bucket, 977, Bound::PowerOfTwo));
    let text = "a bucket must be a power of two of clock ticks (it is 1.000448s: 977 ticks)";
    assert_eq!(error.to_string(), text);
    let bucket = Duration::from_micros(1024 * 1024);
    assert!(Breaker::<TimeWindow<16>, _>::try_new(Config::time(10, bucket), Shifted).is_ok());
    assert!(Breaker::<Streak, _>::try_new(STREAK.open_for(TOO_FAR), Shifted).is_ok(), "a slower clock reaches further");
}

/// A breaker in use: it has counted a failure.
fn in_use<W: LiveWindow>(config: Config, clock: &ManualClock) -> Breaker<W, &ManualClock> {
    let breaker = Breaker::new(config.jitter(false), clock);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    breaker
}

fn shape_is_fixed<W: LiveWindow>(config: Config, changes: &[Config]) {
    let clock = ManualClock::new();
    let breaker: Breaker<W, _> = in_use(config, &clock);
    let before = breaker.status();
    for change in changes {
        let error = breaker.reconfigure(change).unwrap_err();
        assert_eq!((error.field, error.value, error.bound), (Field::Shape, 0, Bound::Fixed), "{change:?}");
        let text = "a reload may not change a streak's threshold, a window's length, or whether it counts slow calls";
        assert_eq!(error.to_string(), text);
        assert_eq!(breaker.status(), before);
    }
    assert_eq!(breaker.reconfigure(&config), Ok(()), "but everything else it may");
}

#[test]
fn a_reload_may_not_change_the_shape() {
    shape_is_fixed::<Streak>(STREAK, &[Config::streak(4), Config::streak(6)]);
    shape_is_fixed::<Last100>(
        Config::count(50),
        &[Config::count(49), Config::count(51), Config::count(50).slow_permille(500).slow_after(SECOND)],
    );
    shape_is_fixed::<TimeWindow<16>>(
        TIME,
        &[
            Config::time(9, SECOND),
            Config::time(11, SECOND),
            Config::time(10, SECOND / 2),
            Config::time(10, 2 * SECOND),
            TIME.slow_permille(500).slow_after(SECOND),
        ],
    );
    shape_is_fixed::<Pair>(TIME.and_streak(5), &[TIME.and_streak(4), Config::time(9, SECOND).and_streak(5)]);
}

/// Every other setting of the refused configuration differs too, and none of them is taken over.
#[test]
fn a_refused_reload_changes_nothing() {
    let good = COUNT.minimum(4).jitter(false).open_for(SECOND).backoff_1024ths(1024).probes(2).hold_at_most(FAR);
    let other = COUNT
        .minimum(1)
        .failure_permille(1)
        .open_for(10 * SECOND)
        .backoff_1024ths(4096)
        .probes(1)
        .hold_at_most(SECOND)
        .ramp(SECOND)
        .probe_rule(ProbeRule::Rates);
    let refused = [
        other.probes(16),
        other.open_for(ZERO),
        other.ramp(ZERO),
        other.and_streak(3),
        other.slow_permille(500).slow_after(SECOND),
        Config::count(99).minimum(1).failure_permille(1).open_for(10 * SECOND),
    ];
    for refused in refused {
        let clock = ManualClock::new();
        let breaker: Breaker<Last100, _> = in_use(good, &clock);
        let report = |bad: bool| {
            let permit = breaker.acquire().unwrap();
            if bad { permit.failure() } else { permit.success() }
        };
        assert!(breaker.reconfigure(&refused).is_err(), "{refused:?}");
        // Minimum and threshold are still the old ones,
        assert_eq!([report(true), report(false)], [Effect::Counted; 2]);
        assert_eq!(report(false), Effect::Opened(OpenReason::Failures));
        // so are the open time, its growth and the number of probes,
        for _ in 0..2 {
            assert_eq!(breaker.acquire().unwrap_err().retry_in(), Some(SECOND));
            clock.advance(SECOND);
            assert_eq!(report(true), Effect::Opened(OpenReason::Failures));
        }
        clock.advance(SECOND);
        assert_eq!([report(false), report(false)], [Effect::Counted, Effect::Closed], "no ramp either");
        // and so is the cap of a hold.
        assert_eq!(breaker.hold(60 * SECOND), Effect::Opened(OpenReason::Hold));
        assert_eq!(breaker.retry_in(), Some(60 * SECOND));
    }
}

#[test]
fn a_reload_takes_everything_else_over() {
    let clock = ManualClock::new();
    let breaker: Breaker<Last100, _> = in_use(COUNT.minimum(4).shadow(true), &clock);
    let new = COUNT
        .minimum(2)
        .failure_permille(1000)
        .jitter(false)
        .open_for(2 * SECOND)
        .open_at_most(3 * SECOND)
        .probes(3)
        .at_once(1)
        .successes(2)
        .ramp(SECOND)
        .slow_after(SECOND)
        .hold_at_most(5 * SECOND);
    breaker.reconfigure(&new).unwrap();
    assert!(breaker.status().shadow, "but the shadow switch, which is moved by hand");
    breaker.switch(Mode::On);
    let act = || breaker.acquire().unwrap();
    assert_eq!(act().failure(), Effect::Opened(OpenReason::Failures), "2 of 2");
    assert_eq!(breaker.retry_in(), Some(2 * SECOND));
    clock.advance(2 * SECOND);
    let probe = act();
    assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::HalfOpen, "one at once");
    clock.advance_ticks(1025);
    drop(probe);
    assert_eq!(breaker.retry_in(), Some(3 * SECOND), "slow, so bad; doubled and capped");
    clock.advance(3 * SECOND);
    assert_eq!([act().success(), act().success()], [Effect::Counted, Effect::Ramping]);
    assert_eq!(breaker.hold(FAR), Effect::Opened(OpenReason::Hold));
    assert_eq!(breaker.retry_in(), Some(5 * SECOND));
}

/// An open circuit stays open for the time that it was given before the reload.
#[test]
fn a_reload_moves_no_deadline() {
    let clock = ManualClock::new();
    let config = Config::streak(2).jitter(false).open_for(10 * SECOND);
    let breaker: Breaker<Streak, _> = in_use(config, &clock);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    for other in [SECOND, 100 * SECOND] {
        breaker.reconfigure(&config.open_for(other)).unwrap();
        assert_eq!((breaker.state(), breaker.retry_in()), (State::Open, Some(10 * SECOND)));
    }
}

#[test]
fn a_seed_moves_the_next_open_time() {
    let clock = ManualClock::new();
    let open_time = |seed: u32| {
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1).open_for(Duration::from_secs(3600)), &clock);
        breaker.seed(seed);
        breaker.acquire().unwrap().failure();
        breaker.retry_in()
    };
    assert_ne!(open_time(1), open_time(2));
    assert_eq!(open_time(2), open_time(2));
}

#[test]
fn a_count_window_of_more_words_than_it_can_number_holds_nothing() {
    assert_eq!(made::<CountWindow<129>>(Config::count(1023)), Ok(()));
    let error = made::<CountWindow<130>>(Config::count(1)).unwrap_err();
    assert_eq!((error.field, error.value, error.bound), (Field::Count, 1, Bound::AtMost(0)));
}

#[test]
fn a_count_window_without_words_or_with_two_holds_nothing_in_a_pair_either() {
    let error = made::<CountWindow<0>>(Config::count(1)).unwrap_err();
    assert_eq!((error.field, error.value, error.bound), (Field::Count, 1, Bound::AtMost(0)));
    // A head and one chunk would hold less than one word does.
    let error = made::<CountWindow<2>>(Config::count(1)).unwrap_err();
    assert_eq!((error.field, error.value, error.bound), (Field::Count, 1, Bound::AtMost(0)));
    let error = made::<(CountWindow<0>, Streak)>(Config::streak(1)).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Count, Bound::AtLeast(1)));
    let error = made::<(CountWindow<0>, Streak)>(Config::streak(1).and_count(1)).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Count, Bound::AtMost(0)));
}
