//! Settings from a file or the environment: what is read, what is refused with which error, and what a reload leaves
//! unchanged.

use core::time::Duration;

use microbreaker::settings::Settings;
use microbreaker::{
    Bound, Breaker, Config, CountWindow, Field, ManualClock, Mode, ProbeRule, State, Streak, TimeWindow, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

/// Every setting, each with a value of its own.
const ALL: &str = r#"{
    "streak": 7, "count": 50, "buckets": 8, "bucket": "2s", "failure_permille": 400,
    "slow_permille": 300, "slow_after": "250ms", "minimum": 20, "open_for": "5s", "backoff_1024ths": 1536,
    "open_at_most": "1m 30s", "jitter": false, "hold_at_most": "2h", "probe_rule": "rates", "probes": 5, "at_once": 2,
    "successes": 3, "lease": "20s", "ramp": "10s", "stable_after": "1m", "levels": true, "mode": "shadow"
}"#;

/// Every setting that can be off.
const OFF: &str = r#"{ "failure_permille": "off", "slow_after": "off", "ramp": "off", "stable_after": "off" }"#;

fn vars(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let pairs = pairs.iter().map(|&(name, value)| (name.to_string(), value.to_string()));
    Settings::from_vars("UP", pairs).map_err(|error| error.to_string())
}

fn json(text: &str) -> Result<Settings, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn every_setting_reaches_the_configuration() {
    let expected = Config::streak(7)
        .and_count(50)
        .and_time(8, 2 * SECOND)
        .failure_permille(400)
        .slow_permille(300)
        .slow_after(Duration::from_millis(250))
        .minimum(20)
        .open_for(5 * SECOND)
        .backoff_1024ths(1536)
        .open_at_most(90 * SECOND)
        .jitter(false)
        .hold_at_most(7200 * SECOND)
        .probe_rule(ProbeRule::Rates)
        .probes(5)
        .at_once(2)
        .successes(3)
        .lease(20 * SECOND)
        .ramp(10 * SECOND)
        .stable_after(60 * SECOND)
        .levels(true)
        .shadow(true);
    assert_eq!(json(ALL).unwrap().over(Config::streak(1)), expected);
    assert_eq!(json("{}").unwrap().over(expected), expected, "what is left out stays");
    let only_slow = json(r#"{"failure_permille": "off", "slow_permille": 9, "slow_after": "1s"}"#).unwrap();
    let expected = Config::count(9).ignore_failure_share().slow_permille(9).slow_after(SECOND);
    assert_eq!(only_slow.over(Config::count(9)), expected);
}

/// A setting that is switched off is not the same as a setting that is left out.
#[test]
fn what_the_base_has_can_be_switched_off() {
    let off = json(OFF).unwrap();
    let base = Config::upstream().slow_after(SECOND).slow_permille(300);
    let without = Config::upstream().ignore_failure_share().no_ramp().no_slow_limit().forget_at_once();
    assert_eq!(off.over(base), without);
    let names = ["UP_FAILURE_PERMILLE", "UP_SLOW_AFTER", "UP_RAMP", "UP_STABLE_AFTER"];
    assert_eq!(vars(&names.map(|name| (name, "off"))), Ok(off));
    // The settings on top win, whether they switch a setting off or on.
    let on = json(r#"{"failure_permille": 400, "ramp": "3s"}"#).unwrap();
    assert_eq!((off.or(on).failure_permille, on.or(off).failure_permille), (Some(None), Some(Some(400))));
    assert_eq!((off.or(on).ramp, on.or(off).ramp), (Some(None), Some(Some(3 * SECOND))));

    // A setting can be switched off live too. If another setting needs it, the reload is an error.
    let base = Config::streak(1).slow_after(SECOND).ramp(10 * SECOND);
    let breaker: Breaker<Streak, _> = Breaker::new(base, ManualClock::new());
    let after_a_slow_call = || {
        let permit = breaker.acquire().unwrap();
        breaker.clock().advance(2 * SECOND);
        permit.success();
        breaker.state()
    };
    let after_recovery = || {
        breaker.hold(SECOND);
        breaker.clock().advance(60 * SECOND);
        breaker.acquire().unwrap().success();
        breaker.state()
    };
    assert_eq!((after_a_slow_call(), after_recovery()), (State::Open, State::Ramping));
    breaker.reset();
    json(r#"{"slow_after": "off", "ramp": "off"}"#).unwrap().apply(base, &breaker).unwrap();
    assert_eq!((after_a_slow_call(), after_recovery()), (State::Closed, State::Closed));
    let error = json(r#"{"slow_after": "off", "slow_permille": 9}"#).unwrap().apply(base, &breaker).unwrap_err();
    assert_eq!((error.0.field, error.0.bound), (Field::SlowPermille, Bound::NeedsSlowAfter));
}

/// Each of the two halves of a time window may replace the base's own half.
#[test]
fn half_a_time_window_is_the_bases_in_the_other_half() {
    const QUARTER: Duration = Duration::from_millis(250);
    let base = Config::time(10, QUARTER);
    let over = |text, base| json(text).unwrap().over(base);
    assert_eq!(over(r#"{"buckets": 20}"#, base), Config::time(20, QUARTER));
    assert_eq!(over(r#"{"bucket": "500ms"}"#, base), Config::time(10, 2 * QUARTER));
    assert_eq!(over(r#"{"buckets": 4}"#, Config::streak(5)), Config::streak(5).and_time(4, SECOND));
    // A half that is the same as the base's does not change the shape.
    let breaker: Breaker<TimeWindow<16>, _> = Breaker::new(base, ManualClock::new());
    for same in [r#"{"buckets": 10}"#, r#"{"bucket": "250ms"}"#] {
        assert_eq!(json(same).unwrap().apply(base, &breaker), Ok(()), "{same}");
    }
    let error = json(r#"{"bucket": "500ms"}"#).unwrap().apply(base, &breaker).unwrap_err();
    assert_eq!((error.0.field, error.0.bound), (Field::Shape, Bound::Fixed));
    // The length of a bucket alone, over a base without a time window.
    let length = over(r#"{"bucket": "250ms"}"#, Config::streak(5));
    let error = Breaker::<Streak, _>::try_new(length, ManualClock::new()).unwrap_err();
    assert_eq!(error.to_string(), "time is set, but the window type is no TimeWindow");
    let error = Breaker::<(Streak, TimeWindow<16>), _>::try_new(length, ManualClock::new()).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Buckets, Bound::AtLeast(1)));
}

#[test]
fn what_is_written_reads_back_the_same() {
    for given in [ALL, OFF] {
        let settings = json(given).unwrap();
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(json(&written).unwrap(), settings);
        // The written settings have every value of the given ones, unchanged.
        let (written, given): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&written).unwrap(), serde_json::from_str(given).unwrap());
        assert_eq!(written, given);
    }
    assert_eq!(serde_json::to_string(&Settings::default()).unwrap(), "{}");
}

#[test]
fn the_environment_says_the_same_in_texts() {
    let file: serde_json::Map<String, serde_json::Value> = serde_json::from_str(ALL).unwrap();
    let pairs = file.into_iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        (format!("UP_{}", name.to_uppercase()), text)
    });
    assert_eq!(Settings::from_vars("UP", pairs).unwrap(), json(ALL).unwrap());
    // These variables are not ours: no underscore after the prefix, another prefix, lower case.
    assert_eq!(vars(&[("PATH", "/bin"), ("UPTIME", "5"), ("up_probes", "5")]), Ok(Settings::default()));
}

#[test]
fn a_bad_value_is_named_with_its_field() {
    let from_json = |text, expected: &str| {
        let error = json(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    from_json(r#"{"open_for": 5}"#, r#"integer `5`, expected open_for as a time with its unit, such as "5s""#);
    from_json(r#"{"open_for": "5 parsecs"}"#, "expected open_for as a time");
    from_json(r#"{"open_for": null}"#, "expected open_for as a time");
    from_json(r#"{"open_for": "-5s"}"#, "expected open_for as a time");
    from_json(r#"{"open_for": "off"}"#, "expected open_for as a time");
    from_json(r#"{"ramp": "of"}"#, r#"expected ramp as a time with its unit, such as "5s" or "250ms", or "off""#);
    // `off` has no second name, so no two settings can contradict each other.
    let both = json(r#"{"ignore_failure_share": true, "failure_permille": 500}"#).unwrap_err();
    assert!(both.contains("unknown field `ignore_failure_share`, expected one of"), "{both}");
    assert!(both.contains("`failure_permille`"), "{both}");
    from_json(r#"{"probes": -1}"#, "integer `-1`, expected probes as a whole number up to 255");
    from_json(r#"{"probes": 256}"#, "integer `256`, expected probes");
    from_json(r#"{"probes": 2.5}"#, "expected probes");
    from_json(r#"{"jitter": 1}"#, "expected jitter as true or false");
    from_json(r#"{"streak": true}"#, "boolean `true`, expected streak");
    from_json(r#"{"probe_rule": "Rates"}"#, r#"expected probe_rule as "first_failure" or "rates""#);
    from_json(r#"{"mode": "down"}"#, r#"expected mode as "on", "off", "open" or "shadow""#);
    from_json(r#"{"open_fro": "5s"}"#, "unknown field `open_fro`");
    from_json(r#"{"probes": 1, "probes": 2}"#, "duplicate field `probes`");
    from_json("[]", "expected settings of a circuit breaker");

    let error = vars(&[("UP_PROBES", "many")]).unwrap_err();
    assert!(error.contains(r#"string "many", expected probes"#), "{error}");
    let error = vars(&[("UP_PROBE", "1")]).unwrap_err();
    assert!(error.contains("unknown field `probe`"), "{error}");
    let error = vars(&[("UP_PROBES", "1"), ("UP_probes", "2")]).unwrap_err();
    assert!(error.contains("duplicate field `probes`"), "{error}");
}

/// An error names a setting by the name it has in the file.
#[test]
fn the_file_has_the_names_of_the_fields() {
    let file: serde_json::Map<String, serde_json::Value> = serde_json::from_str(ALL).unwrap();
    let fields: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    let not_in_the_file: Vec<&str> = fields.iter().copied().filter(|name| !file.contains_key(*name)).collect();
    assert_eq!(not_in_the_file, ["shape", "capacity", "idle_after", "forget_after"]);
    let mut unbounded: Vec<&str> = file.keys().map(String::as_str).filter(|name| !fields.contains(name)).collect();
    unbounded.sort_unstable();
    assert_eq!(unbounded, ["jitter", "levels", "mode"]);
    // `ALL` lists every setting that the file may have, in the file's order.
    let unknown = json(r#"{"colour": "red"}"#).unwrap_err();
    let listed: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    let given: Vec<&str> = ALL.split('"').filter(|text| file.contains_key(*text)).collect();
    assert_eq!(listed, given);
}

/// Sets every setting that has a bound past its bound. The error names the setting by the name it has in the file.
#[test]
fn a_value_out_of_bounds_is_named_with_its_field_and_its_bound() {
    type Both = (CountWindow<{ count_words(100, true) }>, TimeWindow<16>);
    let base = Config::count(100).and_time(8, SECOND);
    for (text, field, bound) in [
        (r#"{"streak": 5}"#, Field::Streak, Bound::NotInType),
        (r#"{"count": 0}"#, Field::Count, Bound::AtLeast(1)),
        (r#"{"buckets": 17}"#, Field::Buckets, Bound::AtMost(16)),
        (r#"{"buckets": 8, "bucket": "3s"}"#, Field::Bucket, Bound::PowerOfTwo),
        (r#"{"failure_permille": 1001}"#, Field::FailurePermille, Bound::AtMost(1000)),
        (r#"{"slow_permille": 1}"#, Field::SlowPermille, Bound::NeedsSlowAfter),
        (r#"{"slow_after": "0s"}"#, Field::SlowAfter, Bound::AtLeast(1)),
        (r#"{"minimum": 101}"#, Field::Minimum, Bound::AtMost(100)),
        (r#"{"open_for": "0s"}"#, Field::OpenFor, Bound::AtLeast(1)),
        (r#"{"backoff_1024ths": 1023}"#, Field::Backoff, Bound::AtLeast(1024)),
        (r#"{"open_at_most": "1ms"}"#, Field::OpenAtMost, Bound::AtLeast(30 * 1024)),
        (r#"{"hold_at_most": "100days"}"#, Field::HoldAtMost, Bound::AtMost(microbreaker::HORIZON)),
        (r#"{"probes": 16}"#, Field::Probes, Bound::AtMost(15)),
        (r#"{"probes": 2, "at_once": 3}"#, Field::AtOnce, Bound::AtMost(2)),
        (r#"{"probes": 2, "successes": 0}"#, Field::Successes, Bound::AtLeast(1)),
        (r#"{"lease": "0s"}"#, Field::Lease, Bound::AtLeast(1)),
        (r#"{"ramp": "0s"}"#, Field::Ramp, Bound::AtLeast(1)),
        (r#"{"stable_after": "0s"}"#, Field::StableAfter, Bound::AtLeast(1)),
        (r#"{"stable_after": "4days"}"#, Field::StableAfter, Bound::AtMost(microbreaker::HORIZON / 4)),
    ] {
        let made = Breaker::<Both, _>::try_new(json(text).unwrap().over(base), ManualClock::new());
        let error = made.expect_err(text);
        assert_eq!((error.field, error.bound), (field, bound), "{text}");
    }
    let rates = json(r#"{"probe_rule": "rates"}"#).unwrap().over(Config::streak(1));
    let error = Breaker::<Streak, _>::try_new(rates, ManualClock::new()).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::ProbeRule, Bound::NeedsShares));
}

#[test]
fn a_reload_takes_effect_while_calls_run_and_a_bad_one_keeps_the_old() {
    let clock = ManualClock::new();
    let base = Config::database().jitter(false);
    let breaker: Breaker<Streak, _> = Breaker::new(base, &clock);
    let running = breaker.acquire().unwrap();

    vars(&[("UP_OPEN_FOR", "2s"), ("UP_OPEN_AT_MOST", "2s")]).unwrap().apply(base, &breaker).unwrap();
    // The mode of an invalid reload is not applied either.
    let bad = vars(&[("UP_OPEN_FOR", "0s"), ("UP_MODE", "off")]).unwrap().apply(base, &breaker).unwrap_err();
    assert_eq!(
        bad.to_string(),
        "open_for must be at least 1 tick (it is 0ns, the least is 976.563µs); the settings before it stay in force"
    );
    let bad = vars(&[("UP_OPEN_FOR", "10m")]).unwrap().apply(base, &breaker).unwrap_err();
    assert_eq!(
        bad.to_string(),
        "open_at_most must be at least open_for (it is 480s, the least is 600s); the settings before it stay in force"
    );
    let bad = vars(&[("UP_STREAK", "6")]).unwrap().apply(base, &breaker).unwrap_err();
    assert_eq!((bad.0.field, bad.0.bound), (Field::Shape, Bound::Fixed));
    assert_eq!((breaker.mode(), breaker.state()), (Mode::On, State::Closed));

    running.failure();
    for _ in 0..4 {
        breaker.acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.retry_in_ticks(), Some(2 * 1024), "the one good reload, to the tick");
    // If the setting is left out again, the base's value applies again.
    breaker.reset();
    Settings::default().apply(base, &breaker).unwrap();
    for _ in 0..5 {
        breaker.acquire().unwrap().failure();
    }
    assert_eq!(breaker.retry_in_ticks(), Some(30 * 1024));
}

#[test]
fn the_mode_is_thrown_live_and_stays_where_it_is_left_out() {
    let base = Config::database();
    let breaker: Breaker<Streak, _> = Breaker::new(base, ManualClock::new());
    for mode in Mode::ALL {
        let settings = vars(&[("UP_MODE", mode.name())]).unwrap();
        assert_eq!(settings.breaker::<Streak, _, _>(base, ManualClock::new(), ()).unwrap().mode(), mode);
        for _ in 0..2 {
            settings.apply(base, &breaker).unwrap();
            assert_eq!(breaker.mode(), mode);
        }
        Settings::default().apply(base, &breaker).unwrap();
        assert_eq!(breaker.mode(), mode);
    }
}
