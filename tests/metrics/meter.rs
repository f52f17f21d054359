//! What a meter counts, and what a reading of it shows.

use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::common::now;
use microbreaker::metrics::{DuplicateName, Latency, Meter, Monitors, Reading, States};
use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, GuardExt, ManualClock, Mode, Observer, OpenReason, Outcome,
    State, Streak, Ticks, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

type Metered<'a> = Breaker<CountWindow<{ count_words(100, true) }>, &'a ManualClock, Meter<4>>;

fn metered(clock: &ManualClock) -> Metered<'_> {
    let config = Config::count(100).slow_after(SECOND).slow_permille(1000).failure_permille(1000).jitter(false);
    Breaker::observed(config.open_for(SECOND), clock, Meter::new("metered"))
}

fn outcomes(reading: &Reading) -> [u64; 7] {
    let Reading { success, failure, alive, ignored, cancelled, hold, latch, .. } = *reading;
    [success, failure, alive, ignored, cancelled, hold, latch]
}

#[test]
fn a_reading_of_a_new_breaker_is_all_zeros() {
    let clock = ManualClock::at(Ticks::new(77));
    let reading = metered(&clock).reading();
    assert_eq!((reading.name, reading.states, reading.probes_in_flight), ("metered", States::One(State::Closed), 0));
    assert_eq!(outcomes(&reading), [0; 7]);
    assert_eq!([reading.slow, reading.rejected, reading.would_reject, reading.anyway], [0; 4]);
    assert_eq!((reading.transitions, reading.open, reading.latency), ([[0; 7]; 7], Duration::ZERO, None));
}

/// Ends calls in every way, each a different number of times.
#[test]
fn each_number_is_what_was_done() {
    let clock = ManualClock::new();
    let breaker = metered(&clock);
    let report = |times: u32, outcome: Outcome| {
        for _ in 0..times {
            breaker.acquire().unwrap().record(outcome);
        }
    };
    report(1, Outcome::Success);
    report(2, Outcome::Slow);
    report(4, Outcome::Failure(FailureKind::Dns));
    report(5, Outcome::Alive);
    report(6, Outcome::Ignored);
    (0..7).for_each(|_| drop(breaker.acquire().unwrap()));
    report(1, Outcome::Hold(SECOND));
    (0..8).for_each(|_| assert!(breaker.acquire().is_err()));
    breaker.switch(Mode::Shadow);
    (0..9).for_each(|_| drop(breaker.acquire().unwrap()));
    breaker.switch(Mode::On);
    breaker.reset();
    breaker.trip(OpenReason::Outlier, SECOND);
    (0..10).for_each(|_| drop(breaker.acquire_anyway().unwrap()));
    clock.advance(SECOND);
    let probe = breaker.acquire().unwrap();
    let reading = breaker.reading();
    assert_eq!((reading.states, reading.probes_in_flight), (States::One(State::HalfOpen), 1));
    assert_eq!(outcomes(&reading), [3, 4, 5, 6, 26, 1, 0]);
    assert_eq!([reading.slow, reading.rejected, reading.would_reject, reading.anyway], [2, 8, 9, 10]);
    assert_eq!(reading.open, SECOND);
    probe.latch();
    let reading = breaker.reading();
    assert_eq!((reading.states, reading.probes_in_flight, reading.latch), (States::One(State::Latched), 0, 1));
    let moves = [State::Closed, State::Open, State::Closed, State::Open, State::HalfOpen, State::Latched];
    for pair in moves.windows(2) {
        let times = moves.windows(2).filter(|other| *other == pair).count();
        assert_eq!(reading.transitions(pair[0], pair[1]), times as u64, "{pair:?}");
    }
    assert_eq!(reading.transitions.as_flattened().iter().sum::<u64>(), 5, "and no others");
}

#[test]
fn open_seconds_run_while_all_calls_are_rejected_and_no_longer() {
    let clock = ManualClock::at(Ticks::new(u32::MAX - 512));
    let breaker = metered(&clock);
    let open = || breaker.reading().open;
    clock.advance(5 * SECOND);
    assert_eq!(open(), Duration::ZERO);
    breaker.trip(OpenReason::Manual, 10 * SECOND);
    assert_eq!(open(), Duration::ZERO);
    clock.advance(SECOND / 2);
    assert_eq!(open(), SECOND / 2, "while it lasts");
    breaker.hold(60 * SECOND);
    clock.advance(SECOND / 2);
    assert_eq!(open(), SECOND, "prolonged, it goes on");
    breaker.latch();
    clock.advance(SECOND);
    breaker.force_open();
    clock.advance(SECOND);
    assert_eq!(open(), 3 * SECOND, "latched and forced open, too");
    breaker.disable();
    clock.advance(SECOND);
    breaker.reset();
    clock.advance(SECOND);
    assert_eq!(open(), 3 * SECOND);
    breaker.trip(OpenReason::Manual, SECOND);
    clock.advance(7 * SECOND);
    assert_eq!((breaker.state(), open()), (State::Open, 10 * SECOND), "until somebody asks");
    breaker.acquire().unwrap().success();
    clock.advance(SECOND);
    assert_eq!(open(), 10 * SECOND);
}

/// Tests the bound that the documentation gives, from both sides.
#[test]
fn open_seconds_need_a_reading_every_so_many_ticks() {
    let clock = ManualClock::new();
    let breaker = metered(&clock);
    breaker.latch();
    for round in 1..=5_u64 {
        clock.advance_ticks((1 << 31) - 1);
        assert_eq!(breaker.reading().open, Duration::from_nanos(round * ((1 << 31) - 1) * 1_000_000_000 / 1024));
    }
    let before = breaker.reading().open;
    clock.advance_ticks(1 << 31);
    assert_eq!(breaker.reading().open, before, "too late");
    clock.advance_ticks(1 << 31);
    assert_eq!(breaker.reading().open, before, "a whole wrap is lost");
    clock.advance_ticks(1024);
    assert_eq!(breaker.reading().open, before + SECOND);
}

#[test]
fn a_name_is_monitored_once() {
    static CLOCK: ManualClock = ManualClock::new();
    static ONE: Breaker<Streak, &ManualClock, Meter> = Breaker::observed(Config::streak(3), &CLOCK, Meter::new("one"));
    let monitors = Monitors::new();
    let two =
        || Arc::new(Breaker::<Streak, _, (Meter, ())>::observed(Config::streak(3), &CLOCK, (Meter::new("two"), ())));
    let held = two();
    let same = monitors.clone();
    assert_eq!((monitors.add(&ONE), monitors.add(Arc::clone(&held))), (Ok(()), Ok(())));
    assert_eq!(same.add(&ONE), Err(DuplicateName("one")));
    assert_eq!(same.add(two()).unwrap_err().to_string(), r#"a breaker of the name "two" is monitored already"#);
    held.acquire().unwrap().failure();
    let seen: Vec<_> = same.readings().iter().map(|reading| (reading.name, reading.failure)).collect();
    assert_eq!(seen, [("one", 0), ("two", 1)]);
    assert_eq!(format!("{same:?}"), r#"["one", "two"]"#);
    assert!(same.remove("two") && !same.remove("two"));
    assert_eq!(Arc::strong_count(&held), 1, "let go of");
    assert_eq!(monitors.readings().len(), 1);
    assert_eq!(same.add(held), Ok(()));
}

fn timed(times: &[(u64, Duration)]) -> Latency {
    let breaker: Breaker<Streak, _, Meter<2>> =
        Breaker::observed(Config::streak(3), ManualClock::new(), Meter::new("timed").timed());
    assert!(breaker.observer().times_calls());
    for &(calls, time) in times {
        (0..calls).for_each(|_| breaker.observer().on_elapsed(time));
    }
    breaker.reading().latency.unwrap()
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[test]
fn what_is_not_timed_has_no_histogram() {
    let breaker: Breaker<Streak, _, Meter> =
        Breaker::observed(Config::streak(3), ManualClock::new(), Meter::new("not"));
    assert!(!breaker.observer().times_calls());
    breaker.observer().on_elapsed(SECOND);
    assert_eq!(breaker.reading().latency, None);
}

#[test]
fn every_call_that_has_a_result_is_timed_once() {
    let breaker: Breaker<Streak, _, Meter> =
        Breaker::observed(Config::streak(100), ManualClock::new(), Meter::new("calls").timed());
    let timed = || breaker.reading().latency.unwrap();
    let (begun, millisecond) = (Instant::now(), Duration::from_millis(1));
    let work = || {
        let begun = Instant::now();
        while begun.elapsed() < millisecond {
            std::hint::spin_loop();
        }
        7
    };
    let good = || Ok::<_, ()>(work());
    let bad = || Err::<(), _>(work());
    let alive = |_: &Result<u8, ()>| Outcome::Alive;
    let calls: [&dyn Fn() -> bool; 8] = [
        &|| breaker.call(bad).is_err(),
        &|| breaker.call_with(&alive, good).is_ok(),
        &|| breaker.call_or(good, |_| 0) == 7,
        &|| now(breaker.call_async(async || bad())).is_err(),
        &|| now(breaker.call_async_with(&alive, async || good())).is_ok(),
        &|| now(async { good() }.guarded(&breaker)).is_ok(),
        &|| now(async { good() }.guarded_with(&breaker, alive)).is_ok(),
        &|| breaker.acquire().unwrap().record_elapsed(Outcome::Success, millisecond) == Effect::Counted,
    ];
    for (already, call) in (0..).zip(calls) {
        assert!(call());
        let latency = timed();
        assert_eq!(latency.count(), already + 1);
        assert!(latency.sum >= u32::try_from(already + 1).unwrap() * millisecond, "call {already}: {:?}", latency.sum);
    }
    assert!(timed().sum <= begun.elapsed() + millisecond, "the given one took no time");

    drop(breaker.acquire().unwrap());
    let mut dropped = Box::pin(std::future::pending::<Result<(), ()>>().guarded(&breaker));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(dropped);
    breaker.latch();
    assert!(breaker.call(|| Ok::<_, ()>(())).is_err() && now(breaker.call_async(async || Ok::<_, ()>(()))).is_err());
    assert_eq!(timed().count(), 8, "neither what was dropped nor what was rejected");
}

#[test]
fn a_bound_is_inclusive() {
    assert_eq!(
        Latency::BOUNDS.map(|bound| bound.as_micros()).into_iter().take(7).collect::<Vec<_>>(),
        [100, 200, 500, 1000, 2000, 5000, 10_000]
    );
    for (at, &bound) in Latency::BOUNDS.iter().enumerate() {
        let nanosecond = Duration::from_nanos(1);
        let latency = timed(&[(1, bound), (1, bound + nanosecond)]);
        assert_eq!((latency.buckets[at], latency.buckets[at + 1]), (1, 1), "{bound:?}");
        assert_eq!((latency.count(), latency.sum), (2, 2 * bound + nanosecond));
    }
    let latency = timed(&[(1, Duration::ZERO), (1, 51 * SECOND)]);
    assert_eq!((latency.buckets[0], latency.buckets[18], latency.count()), (1, 1, 2));
}

#[test]
fn quantiles_of_known_times() {
    // 900 calls below 100 µs, 80 of 1 to 2 ms, 15 of 50 to 100 ms, 5 beyond the last bound.
    let latency = timed(&[(900, micros(70)), (80, micros(1500)), (15, micros(80_000)), (5, 100 * SECOND)]);
    let quantile = |permille| latency.quantile(permille).unwrap();
    assert_eq!(quantile(0), Duration::ZERO);
    assert_eq!(quantile(450), micros(50), "half way through the first bucket");
    assert_eq!(quantile(900), micros(100));
    assert_eq!(quantile(940), micros(1500), "half way through the 80");
    assert_eq!(quantile(980), micros(2000));
    assert_eq!(quantile(995), micros(100_000));
    assert_eq!(quantile(1000), 50 * SECOND, "as much as is known");
    assert_eq!(latency.quantile(1001), None);
    assert_eq!(timed(&[]).quantile(500), None);
    assert_eq!(timed(&[]).sum, Duration::ZERO);
}

#[test]
fn a_sum_goes_beyond_its_words() {
    // 1000 calls of 4.1 s make the lower half carry 954 times. One call of 3 h is more than the lower half holds.
    let latency = timed(&[(1000, micros(4_100_000)), (1, 10_800 * SECOND), (1, Duration::from_nanos(1))]);
    assert_eq!(latency.sum, 14_900 * SECOND + Duration::from_nanos(1));
    let latency = timed(&[(2, Duration::MAX), (1, SECOND)]);
    assert_eq!(latency.count(), 3, "nonsense is counted, and harms nobody");
}

#[test]
fn threads_lose_nothing() {
    static CLOCK: ManualClock = ManualClock::new();
    static SHARED: Breaker<Streak, &ManualClock, Meter<4>> =
        Breaker::observed(Config::streak(1).open_for(SECOND), &CLOCK, Meter::new("shared").timed());
    const CALLS: u64 = 20_000;
    let readings = thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for call in 0..CALLS {
                    match SHARED.acquire() {
                        Ok(permit) if (call + thread) % 7 == 0 => drop(permit.failure()),
                        Ok(permit) => drop(permit.success()),
                        Err(_) => CLOCK.advance_ticks(64),
                    }
                    SHARED.observer().on_elapsed(micros(call));
                }
            });
        }
        (0..1000).map(|_| SHARED.reading()).collect::<Vec<_>>()
    });
    let last = SHARED.reading();
    for (before, after) in readings.iter().zip(readings[1..].iter().chain([&last])) {
        assert!(outcomes(before).iter().zip(outcomes(after)).all(|(before, after)| *before <= after));
        assert!(before.rejected <= after.rejected && before.open <= after.open);
        let [before, after] = [before, after].map(|reading| reading.latency.unwrap());
        assert!(before.count() <= after.count() && before.sum <= after.sum, "{before:?}, {after:?}");
    }
    assert_eq!(outcomes(&last).iter().sum::<u64>() + last.rejected, 4 * CALLS);
    let latency = last.latency.unwrap();
    assert_eq!((latency.count(), latency.sum), (4 * CALLS, micros(4 * (0..CALLS).sum::<u64>())));
    let opened: u64 = State::ALL.iter().map(|&from| last.transitions(from, State::Open)).sum();
    let left: u64 = State::ALL.iter().map(|&to| last.transitions(State::Open, to)).sum();
    assert_eq!(opened - left, u64::from(last.states.count(State::Open)));
}
