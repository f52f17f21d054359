//! A meter's reading while calls report. Transitions are not modelled: a mutex guards them, and a reading holds it.
#![cfg(feature = "models")]

mod common;

use std::time::Duration;

use common::{Still, explore, shared};
use loom::sync::Arc;
use loom::thread;
use microbreaker::metrics::{Meter, Reading};
use microbreaker::{Breaker, Config, Observer, Streak};

type Metered = Breaker<Streak, Still, Meter>;

/// The lower half of a sum holds 4.29 s of nanoseconds. The second time of the first pair carries, and the first time
/// of the second pair has an upper half of its own.
const TIMES: [[Duration; 2]; 2] =
    [[Duration::from_secs(3), Duration::from_secs(2)], [Duration::from_secs(5), Duration::from_secs(4)]];

fn sum(reading: &Reading) -> Duration {
    reading.latency.unwrap().sum
}

#[test]
fn a_sum_of_times_is_never_larger_than_it_is_nor_falls() {
    for times in TIMES {
        explore(move || timed(times));
    }
}

fn timed(times: [Duration; 2]) {
    let breaker: Arc<Metered> = shared(Config::streak(3), Still, Meter::new("times").timed());
    let calls = times.map(|time| {
        let breaker = Arc::clone(&breaker);
        thread::spawn(move || breaker.observer().on_elapsed(time))
    });
    let reading = Arc::clone(&breaker);
    let [first, second] = thread::spawn(move || [reading.reading(), reading.reading()]).join().unwrap();
    let whole = times.iter().sum();
    assert!(sum(&first) <= sum(&second) && sum(&second) <= whole, "{:?}, {:?}", sum(&first), sum(&second));
    for call in calls {
        call.join().unwrap();
    }
    let latency = breaker.reading().latency.unwrap();
    assert_eq!((latency.sum, latency.count()), (whole, 2));
}
