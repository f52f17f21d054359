//! How often a breaker reads its clock. A reading of a real clock costs more than all other work of a call.

use std::cell::Cell;
use std::time::Duration;

use microbreaker::{
    Breaker, Clock, Config, CountWindow, LiveWindow, ManualClock, State, Streak, TickRate, Ticks, count_words,
};

/// A manual clock that counts its readings. Its slack is that of a real clock.
#[derive(Default)]
struct Counted {
    time: ManualClock,
    readings: Cell<u32>,
}

impl Clock for Counted {
    const RATE: TickRate = ManualClock::RATE;

    fn now(&self) -> Ticks {
        self.readings.set(self.readings.get() + 1);
        self.time.now()
    }
}

/// The readings of a whole outage: the failures that open the circuit, a rejection, the probe, and the success that closes it.
/// The rejection's reading is not counted.
fn readings_of_a_cycle<W: LiveWindow>(config: Config, failures: u32) -> u32 {
    let clock = Counted::default();
    let breaker: Breaker<W, _> = Breaker::new(config.open_for(Duration::from_secs(1)), &clock);
    let mut counted = 0;
    // The second cycle counts: the first one begins with a new breaker.
    for _ in 0..2 {
        clock.readings.set(0);
        for _ in 0..failures {
            breaker.acquire().unwrap().failure();
        }
        assert_eq!(breaker.state(), State::Open);
        let before = clock.readings.get();
        assert!(breaker.acquire().is_err());
        assert_eq!(clock.readings.replace(before) - before, 1, "a rejection reads the clock once");
        clock.time.advance(Duration::from_secs(2));
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
        counted = clock.readings.get();
    }
    counted
}

#[test]
fn a_half_open_cycle_reads_the_clock_at_most_three_times() {
    let streak = readings_of_a_cycle::<Streak>(Config::streak(3), 3);
    let many = readings_of_a_cycle::<Streak>(Config::streak(3).probes(5).successes(1), 3);
    let count = readings_of_a_cycle::<CountWindow<{ count_words(20, false) }>>(Config::count(20), 20);
    println!("clock readings of a half-open cycle: {streak} (streak), {many} (five probes), {count} (count window)");
    assert!([streak, many, count].iter().all(|readings| *readings <= 3));
}

#[test]
fn a_healthy_call_reads_no_clock() {
    let clock = Counted::default();
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(3), &clock);
    for _ in 0..10 {
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().failure();
    }
    assert_eq!(clock.readings.get(), 0);
}
