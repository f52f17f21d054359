//! The cost of a healthy call in shared memory and clock readings. With a streak or a count window it makes loads only
//! and reads no clock. With a time window it makes one write.

use core::time::Duration;
use std::cell::Cell;

use microbreaker::counted::take_counts;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Fixed, LiveWindow, Policy, Streak, TickRate, Ticks, TimeWindow, Window,
    count_words,
};

#[derive(Default)]
struct CountingClock {
    now: Cell<u32>,
    readings: Cell<u32>,
}

impl Clock for CountingClock {
    const RATE: TickRate = TickRate::new(1024, 1);

    fn now(&self) -> Ticks {
        self.readings.set(self.readings.get() + 1);
        Ticks::new(self.now.get())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Cost {
    loads: u32,
    writes: u32,
    readings: u32,
}

/// The cost of a successful call after `before` others.
fn cost<W: LiveWindow>(config: Config, before: u32) -> Cost {
    let clock = CountingClock::default();
    let by_reference: Breaker<W, _> = Breaker::new(config, &clock);
    let cost = cost_of(&by_reference, &clock, before);
    let breaker: Breaker<W, _> = Breaker::new(config, CountingClock::default());
    assert_eq!(cost, cost_of(&breaker, breaker.clock(), before), "a clock by reference costs the same");
    cost
}

fn cost_of<W: Window, C: Clock>(breaker: &Breaker<W, C>, clock: &CountingClock, before: u32) -> Cost {
    for _ in 0..before {
        breaker.acquire().unwrap().success();
    }
    take_counts();
    clock.readings.set(0);
    breaker.acquire().unwrap().success();
    let (loads, writes) = take_counts();
    Cost { loads, writes, readings: clock.readings.get() }
}

#[test]
fn a_healthy_streak_is_never_written_and_reads_no_clock() {
    for before in [0, 1, 1000] {
        let cost = cost::<Streak>(Config::streak(5), before);
        println!("streak after {before}: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
        assert_eq!((cost.writes, cost.readings), (0, 0));
        assert!(cost.loads <= 5);
    }
}

struct InARow;

impl Policy for InARow {
    const CONFIG: Config = Config::streak(5);
}

struct OfTheLast;

impl Policy for OfTheLast {
    const CONFIG: Config = Config::count(100);
}

#[test]
fn with_fixed_settings_a_healthy_call_loads_the_word_twice_and_what_its_window_needs() {
    fn cost_of_fixed<W: LiveWindow, P: Policy>() -> Cost {
        let breaker: Breaker<Fixed<W, P>, _> = Breaker::fixed(CountingClock::default());
        cost_of(&breaker, breaker.clock(), 100)
    }
    let cost = cost_of_fixed::<Streak, InARow>();
    println!("fixed streak after 100: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
    assert_eq!(cost, Cost { loads: 2, writes: 0, readings: 0 });
    let cost = cost_of_fixed::<CountWindow<{ count_words(100, false) }>, OfTheLast>();
    println!("fixed count 100 after 100: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
    assert_eq!(cost, Cost { loads: 4, writes: 0, readings: 0 });
}

#[test]
fn a_count_window_full_of_successes_is_never_written_and_reads_no_clock() {
    // The cost is nothing from the call after the one that fills the window: exactly 100 calls.
    for before in [100, 101, 150, 1000] {
        let cost = cost::<CountWindow<{ count_words(100, false) }>>(Config::count(100), before);
        println!("count 100 after {before}: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
        assert_eq!((cost.writes, cost.readings), (0, 0));
        assert!(cost.loads <= 5);
    }
    let filling = cost::<CountWindow<{ count_words(100, false) }>>(Config::count(100), 99);
    assert!(filling.writes > 0, "the counter is alive: the call that fills the window writes");
}

#[test]
fn a_count_window_of_one_word_full_of_successes_is_never_written_and_reads_no_clock() {
    type Count24 = CountWindow<{ count_words(24, false) }>;
    // The cost is nothing from the call after the one that fills the window: exactly 24 calls.
    for before in [24, 25, 100, 1000] {
        let cost = cost::<Count24>(Config::count(24), before);
        println!("count 24 after {before}: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
        assert_eq!((cost.writes, cost.readings), (0, 0));
        assert!(cost.loads <= 5);
    }
    let filling = cost::<Count24>(Config::count(24), 23);
    assert!(filling.writes > 0, "the counter is alive: the call that fills the window writes");
    let slow = Config::count(12).slow_after(Duration::from_secs(1)).slow_permille(500);
    let cost = cost::<CountWindow<{ count_words(12, true) }>>(slow, 12);
    assert_eq!((cost.writes, cost.readings), (0, 2), "the clock is read for the slow limit");
}

#[test]
fn a_slow_limit_reads_the_clock_twice_and_still_writes_nothing() {
    let config = Config::count(100).slow_after(Duration::from_secs(1)).slow_permille(500);
    let cost = cost::<CountWindow<{ count_words(100, true) }>>(config, 100);
    assert_eq!((cost.writes, cost.readings), (0, 2));
}

#[test]
fn a_time_window_writes_one_word_and_reads_the_clock_once() {
    let cost = cost::<TimeWindow<16>>(Config::time(10, Duration::from_secs(1)), 100);
    println!("time 10: {} loads, {} writes, {} readings", cost.loads, cost.writes, cost.readings);
    assert_eq!((cost.writes, cost.readings), (1, 1));
}

/// A thread changes its lane once if another thread that runs a test beside this one ends, and reads the clock twice then. So the
/// least of several counts.
#[test]
fn any_number_of_lanes_costs_one_write_and_one_reading() {
    fn least_cost<W: LiveWindow>() -> (u32, u32) {
        let config = Config::time(10, Duration::from_secs(1));
        let clock = CountingClock::default();
        let breaker: Breaker<W, _> = Breaker::new(config, &clock);
        let costs = (0..70).map(|_| cost_of(&breaker, &clock, 100));
        costs.map(|cost| (cost.writes, cost.readings)).min().unwrap()
    }
    assert_eq!([least_cost::<TimeWindow<16, 2>>(), least_cost::<TimeWindow<16, 8>>()], [(1, 1); 2]);
}

#[test]
fn a_failure_in_a_time_window_is_one_write_and_one_reading() {
    fn costs_one_of_each<W: LiveWindow>() {
        let config = Config::time(10, Duration::from_secs(1)).failure_permille(1000);
        let breaker: Breaker<W, _> = Breaker::new(config, CountingClock::default());
        for good in [true; 30].into_iter().chain([false]) {
            let permit = breaker.acquire().unwrap();
            if good {
                permit.success()
            } else {
                permit.failure()
            };
        }
        take_counts();
        breaker.clock().readings.set(0);
        breaker.acquire().unwrap().failure();
        assert_eq!((take_counts().1, breaker.clock().readings.get()), (1, 1));
    }
    costs_one_of_each::<TimeWindow<16>>();
    costs_one_of_each::<TimeWindow<16, 8>>();
}

#[test]
fn a_pair_costs_what_its_windows_do() {
    type Count = CountWindow<{ count_words(100, false) }>;
    type Short = CountWindow<{ count_words(24, false) }>;
    let time = Config::time(10, Duration::from_secs(1));
    for of_both in [
        cost::<(Streak, Count)>(Config::count(100).and_streak(5), 100),
        cost::<(Streak, Short)>(Config::count(24).and_streak(5), 100),
    ] {
        assert_eq!((of_both.writes, of_both.readings), (0, 0));
    }
    for cost in [
        cost::<(Streak, TimeWindow<16>)>(time.and_streak(5), 100),
        cost::<(TimeWindow<16>, Streak)>(time.and_streak(5), 100),
        cost::<(Count, TimeWindow<16>)>(time.and_count(100), 100),
        cost::<(Short, TimeWindow<16>)>(time.and_count(24), 100),
    ] {
        assert_eq!((cost.writes, cost.readings), (1, 1));
    }
}

#[test]
fn a_success_among_failures_is_one_write_and_no_reading() {
    fn in_window<W: LiveWindow>(calls: u16) {
        let breaker: Breaker<W, _> = Breaker::new(Config::count(calls).minimum(1), CountingClock::default());
        for _ in 0..9 {
            breaker.acquire().unwrap().success();
        }
        breaker.acquire().unwrap().failure();
        take_counts();
        breaker.acquire().unwrap().success();
        assert_eq!((take_counts().1, breaker.clock().readings.get()), (1, 0));
    }
    in_window::<CountWindow<{ count_words(100, false) }>>(100);
    in_window::<CountWindow<{ count_words(24, false) }>>(24);
}

#[test]
fn a_rejection_writes_nothing_and_reads_the_clock_once() {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), CountingClock::default());
    breaker.acquire().unwrap().failure();
    take_counts();
    breaker.clock().readings.set(0);
    assert!(breaker.acquire().is_err());
    assert_eq!((take_counts().1, breaker.clock().readings.get()), (0, 1));
}
