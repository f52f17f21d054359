//! A shutdown in the order that the documentation of `Snapshot` gives keeps what the last calls report.

use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::channel;

use microbreaker::{Breaker, Config, Effect, ManualClock, Mode, Snapshot, State, Streak};

type Shared = Arc<Breaker<Streak, ManualClock>>;

const CONFIG: Config = Config::streak(3).open_for(Duration::from_secs(60)).jitter(false);

fn start() -> Shared {
    Arc::new(Breaker::new(CONFIG, ManualClock::new()))
}

#[test]
fn the_last_calls_are_waited_for_and_what_they_tell_outlives_the_restart() {
    let breaker = start();
    // Three calls are running; the permit of each holds the breaker.
    let (calls, ends): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
            let (end, ended) = channel::<()>();
            let call = std::thread::spawn(move || {
                ended.recv().unwrap();
                permit.failure();
            });
            (call, end)
        })
        .unzip();
    let mut out = 3;
    for (call, end) in calls.into_iter().zip(ends) {
        assert_eq!(Arc::strong_count(&breaker), 1 + out);
        end.send(()).unwrap();
        call.join().unwrap();
        out -= 1;
    }
    assert_eq!(Arc::strong_count(&breaker), 1, "drained");
    assert_eq!(breaker.state(), State::Open, "the drain itself showed that the peer is down");

    let last = breaker.snapshot().bytes();
    breaker.switch(Mode::Open);
    assert!(breaker.acquire().is_err(), "a straggler");

    let next = start();
    next.restore(&Snapshot::from_bytes(&last).unwrap(), None).unwrap();
    assert_eq!((next.state(), next.mode()), (State::Open, Mode::On));
    assert!(next.retry_in().unwrap() >= Duration::from_secs(60));
}

#[test]
fn at_the_deadline_a_call_that_is_dropped_counts_as_ever() {
    let breaker: Shared =
        Arc::new(Breaker::new(Config::streak(1).slow_after(Duration::from_secs(1)), ManualClock::new()));
    let [hanging, young] = [(); 2].map(|()| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
    drop(young);
    assert_eq!(breaker.state(), State::Closed, "cancelled");
    breaker.clock().advance(Duration::from_secs(2));
    drop(hanging);
    assert_eq!((breaker.state(), Arc::strong_count(&breaker)), (State::Open, 1));
}

/// The reason why a shutdown does not begin with forcing the circuit open.
#[test]
fn forced_open_first_the_last_calls_would_tell_nothing() {
    let breaker = start();
    let permits = [(); 3].map(|()| breaker.acquire().unwrap());
    breaker.switch(Mode::Open);
    assert_eq!(permits.map(microbreaker::Permit::failure), [Effect::Stale; 3]);
    let next = start();
    next.restore(&breaker.snapshot(), None).unwrap();
    assert_eq!(next.state(), State::ForcedOpen);
}
