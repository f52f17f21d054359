//! The clock by the cycle counter, beside the system's clock that it follows.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use microbreaker::quanta::QuantaClock;
use microbreaker::{Breaker, Clock, Config, OpenReason, Snapshot, State, StdClock, Streak, Ticks};

/// Whether `later` is `earlier` or after it.
fn in_order(earlier: Ticks, later: Ticks) -> bool {
    later.since(earlier) < 1 << 31
}

#[test]
fn it_never_leads_the_systems_clock_and_lags_by_a_tick_at_most() {
    let begin = StdClock.now();
    // The clock's own progress bounds this loop.
    while StdClock.now().since(begin) < 50 {
        let before = StdClock.now();
        let reading = QuantaClock.now();
        let after = StdClock.now();
        assert!(in_order(reading, after), "{reading:?} leads {after:?}");
        assert!(in_order(before, reading.after(QuantaClock::SLACK - 1)), "{reading:?} lags behind {before:?}");
        if let Some(reading) = QuantaClock.try_fast() {
            assert!(in_order(reading, StdClock.now()));
        }
    }
}

#[test]
fn a_thread_never_reads_an_earlier_time_than_another_has_told_it() {
    QuantaClock::start();
    let (told, over) = (AtomicU32::new(QuantaClock.now().count()), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let told_before = Ticks::new(told.load(Ordering::Acquire));
                    let reading = QuantaClock.now();
                    assert!(in_order(told_before, reading), "{reading:?} after {told_before:?}");
                    told.store(reading.count(), Ordering::Release);
                }
            });
        }
        let begin = StdClock.now();
        while StdClock.now().since(begin) < 50 {
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_started_clock_gives_its_reading_inline() {
    QuantaClock::start();
    // A tick may end between the two, but not every time.
    assert!((0..1000).any(|_| {
        let now = QuantaClock.now();
        QuantaClock.try_fast().is_some_and(|reading| in_order(now, reading))
    }));
}

#[test]
fn a_snapshot_goes_over_between_it_and_the_standard_clock() {
    let config = Config::streak(1).open_for(Duration::from_secs(30));
    let before: Breaker<Streak, StdClock> = Breaker::new(config, StdClock::new());
    before.acquire().unwrap().failure();
    let snapshot: Snapshot = before.snapshot();
    let after: Breaker<Streak, QuantaClock> = Breaker::new(config, QuantaClock::new());
    after.restore(&snapshot, Some(Duration::ZERO)).unwrap();
    assert_eq!((after.state(), after.status().reason), (State::Open, Some(OpenReason::Failures)));
    assert!(after.acquire().is_err());
}
