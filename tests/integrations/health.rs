//! The body that a status endpoint answers with.

use core::time::Duration;

use microbreaker::health::{Condition, Health, HealthBody};
use microbreaker::registry::{Registry, RegistryBuilder};
use microbreaker::{Breaker, Config, CountWindow, ManualClock, Mode, OpenReason, State, Streak, count_words};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

type Hundred = CountWindow<{ count_words(10, true) }>;

#[test]
fn one_breaker_tells_all() {
    let clock = ManualClock::new();
    let config =
        Config::count(10).slow_permille(900).slow_after(SECOND).open_for(2 * SECOND).jitter(false).probes(3).at_once(2);
    let breaker: Breaker<Hundred, _> = Breaker::new(config, &clock);
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().record_elapsed(microbreaker::Outcome::Success, 2 * SECOND);
    breaker.acquire().unwrap().failure();
    assert_eq!(
        serde_json::to_value(Health::of("upstream", &breaker)).unwrap(),
        json!({
            "name": "upstream", "state": "closed", "reason": null, "retry_in_ms": 0, "level": 0, "attempt": 0,
            "generation": 0, "window": { "total": 3, "failed": 1, "slow": 1 }, "probes_in_flight": 0, "shadow": false,
        })
    );

    breaker.trip(OpenReason::Dependency, 2 * SECOND);
    clock.advance_ticks(1);
    let body = serde_json::to_value(Health::of("upstream", &breaker)).unwrap();
    assert_eq!((&body["state"], &body["reason"]), (&json!("open"), &json!("dependency")));
    // 2047 ticks at 1024 Hz are left: 1999.02 ms, rounded up.
    assert_eq!(body["retry_in_ms"], 2000);

    clock.advance(2 * SECOND);
    let _probe = breaker.acquire().unwrap();
    let body = serde_json::to_value(Health::of("upstream", &breaker)).unwrap();
    assert_eq!((&body["state"], &body["probes_in_flight"]), (&json!("half_open"), &json!(1)));
    assert_eq!(body["reason"], "dependency", "what it recovers from");

    breaker.latch();
    breaker.switch(Mode::Shadow);
    assert_eq!(serde_json::to_value(Health::of("upstream", &breaker)).unwrap()["reason"], json!(null));
    let body = serde_json::to_value(Health::of("upstream", &breaker)).unwrap();
    assert_eq!((&body["retry_in_ms"], &body["shadow"]), (&json!(null), &json!(true)));
}

#[test]
fn the_condition_says_whether_calls_are_made() {
    let condition = |move_it: fn(&Breaker<Streak, &ManualClock>, &ManualClock)| {
        let clock = ManualClock::new();
        let config = Config::streak(4).levels(true).ramp(9 * SECOND).open_for(SECOND).jitter(false);
        let breaker: Breaker<Streak, _> = Breaker::new(config, &clock);
        move_it(&breaker, &clock);
        (breaker.state(), Health::of("", &breaker).condition())
    };
    assert_eq!(condition(|_, _| ()), (State::Closed, Condition::Ok));
    assert_eq!(condition(|b, _| _ = b.acquire().unwrap().failure()), (State::Closed, Condition::Degraded));
    assert_eq!(condition(|b, _| _ = b.hold(SECOND)), (State::Open, Condition::Down));
    let over = |b: &Breaker<Streak, &ManualClock>, clock: &ManualClock| {
        b.hold(SECOND);
        clock.advance(2 * SECOND);
        assert_eq!(b.retry_in(), Some(Duration::ZERO), "the next call is a probe");
    };
    assert_eq!(condition(over), (State::Open, Condition::Degraded));
    assert_eq!(condition(|b, _| _ = b.latch()), (State::Latched, Condition::Down));
    assert_eq!(condition(|b, _| _ = b.force_open()), (State::ForcedOpen, Condition::Down));
    assert_eq!(condition(|b, _| _ = b.disable()), (State::Disabled, Condition::Ok));
    let recover = |b: &Breaker<Streak, &ManualClock>, clock: &ManualClock| {
        b.hold(SECOND);
        clock.advance(2 * SECOND);
        let probe = b.acquire().unwrap();
        assert_eq!(Health::of("", b).condition(), Condition::Degraded, "half-open");
        probe.success();
    };
    assert_eq!(condition(recover), (State::Ramping, Condition::Degraded));
    assert_eq!(
        condition(|b, _| {
            b.switch(Mode::Shadow);
            b.latch();
        }),
        (State::Latched, Condition::Ok)
    );
}

#[test]
fn a_registry_is_told_by_labels_and_never_by_keys() {
    static CLOCK: ManualClock = ManualClock::new();
    let tenants: Registry<u32, Streak, &ManualClock> =
        RegistryBuilder::new("tenants", Config::streak(1)).build(&CLOCK).unwrap();
    tenants.get_or_create(&4711).acquire().unwrap().failure();
    let mut all = Vec::new();
    tenants.visit(|_, label, breaker| all.push(Health::of(label, breaker)));
    let text = serde_json::to_string(&HealthBody(all.iter().copied())).unwrap();
    assert!(text.starts_with(r#"{"status":"degraded","breakers":[{"name":"tenants","state":"open""#), "{text}");
    assert!(text.contains(r#"{"name":"overflow","state":"closed""#) && !text.contains("4711"), "{text}");
}

#[test]
fn many_are_ok_or_down_only_together() {
    use Condition::{Degraded, Down, Ok};
    for (all, expected) in [
        (&[][..], Ok),
        (&[Ok, Ok], Ok),
        (&[Down], Down),
        (&[Down, Down, Down], Down),
        (&[Ok, Down], Degraded),
        (&[Down, Down, Ok], Degraded),
        (&[Degraded, Down, Down], Degraded),
        (&[Down, Degraded], Degraded),
    ] {
        assert_eq!(Condition::of_all(all.iter().copied()), expected, "{all:?}");
    }
    let breakers = [(); 3].map(|()| Breaker::<Streak, _>::new(Config::streak(1), ManualClock::new()));
    breakers[1].latch();
    let readings: Vec<_> = ["a", "b", "c"].into_iter().zip(&breakers).map(|(name, b)| Health::of(name, b)).collect();
    let body = serde_json::to_value(HealthBody(readings.iter().copied())).unwrap();
    assert_eq!(body["status"], "degraded");
    let names: Vec<_> = body["breakers"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(serde_json::to_string(&HealthBody([])).unwrap(), r#"{"status":"ok","breakers":[]}"#);
}
