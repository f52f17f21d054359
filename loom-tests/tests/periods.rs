//! Periods: a deadline is decided once and by nobody too early, none is taken for another's, and a snapshot is of one
//! generation.
#![cfg(feature = "models")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Events, OPEN, Stepping, Still, done, explore, plain, shared, ticks, unsaid, whole_ticks};
use loom::sync::Arc;
use loom::thread;
use microbreaker::{
    Breaker, Clock, Config, Effect, ManualClock, OpenReason, Permit, Retained, Snapshot, State, Streak, TickRate,
    Ticks, Window,
};

policies! {
    One = plain(Config::streak(1));
    Long = plain(Config::streak(1)).open_for(ticks(200));
}

/// A failure opens the circuit while each of `helpers` threads reads the deadline `times` times: all see one deadline.
fn the_deadline_is_decided_once<W: Window>(breaker: &Arc<Breaker<W, Stepping>>, helpers: usize, times: usize)
where
    Breaker<W, Stepping>: Send + Sync + 'static,
{
    let failing = Breaker::acquire_in(Arc::clone(breaker)).unwrap();
    let deadlines = std::sync::Arc::new(Mutex::new(Vec::new()));
    let look = || {
        let (breaker, deadlines) = (Arc::clone(breaker), std::sync::Arc::clone(&deadlines));
        move || {
            for _ in 0..times {
                let rest = whole_ticks(breaker.retry_in().unwrap());
                if rest > 0 {
                    deadlines.lock().unwrap().push(breaker.clock().last() + rest);
                }
            }
        }
    };
    let failing = thread::spawn(move || done(failing.failure()));
    let threads: Vec<_> = (0..helpers).map(|_| thread::spawn(look())).collect();
    for thread in threads.into_iter().chain([failing]) {
        thread.join().unwrap();
    }
    look()();
    let deadlines = deadlines.lock().unwrap();
    assert!(deadlines.windows(2).all(|pair| pair[0] == pair[1]), "{deadlines:?}");
    // The clock moves on with each reading, so a beginning before the failure would show.
    assert!(deadlines[0] > 200, "{deadlines:?}");
}

#[test]
fn the_deadline_is_decided_once_whoever_is_preempted() {
    explore_both!(Streak, Long, Stepping::default(), (); |breaker| {
        the_deadline_is_decided_once(&breaker, 1, 2);
    });
}

#[test]
fn the_deadline_is_decided_once_by_two_helpers() {
    explore_both!(Streak, Long, Stepping::default(), (); |breaker| {
        the_deadline_is_decided_once(&breaker, 2, 1);
    });
}

#[test]
fn an_open_time_never_begins_before_its_transition() {
    explore_both!(Streak, One, ManualClock::new(), (); |breaker| {
        // In loom's memory model the failing thread alone moves the clock. A helper that saw the transition, but read
        // the clock as it was before, would decide an early deadline.
        race!(breaker;
            |breaker| {
                breaker.clock().advance_ticks(8);
                breaker.acquire().unwrap().failure();
            },
            |breaker| if let Err(rejected) = breaker.acquire() {
                assert_eq!(rejected.retry_in_ticks(), Some(OPEN));
            },
        );
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(OPEN));
    });
}

/// A manual clock whose first reading never returns: the thread that takes it stops there for good.
#[derive(Debug)]
struct Stopping {
    stopped: AtomicBool,
    clock: ManualClock,
}

impl Clock for Stopping {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        if !self.stopped.swap(true, Ordering::Relaxed) {
            resume_unwind(Box::new(()));
        }
        self.clock.now()
    }
}

#[test]
fn a_deadline_that_another_decided_is_not_compared_with_an_older_reading() {
    explore(|| {
        let clock = Stopping { stopped: AtomicBool::new(false), clock: ManualClock::new() };
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), clock, ());
        // The thread that opened the circuit stopped before it published the deadline: the next caller decides it. It is
        // at the same tick, whoever does.
        let opening = catch_unwind(AssertUnwindSafe(|| breaker.trip(OpenReason::Failures, ticks(OPEN))));
        assert!(opening.is_err() && breaker.state() == State::Open);
        race!(breaker;
            // In loom's memory model this thread alone moves the clock.
            |breaker| {
                breaker.clock().clock.advance_ticks(8);
                assert!(breaker.acquire().is_err(), "open for no time at all");
            },
            // A deadline by the moved clock is further away from an older reading than the period is long: it would be
            // taken for one that is over.
            |breaker| assert!(breaker.acquire().is_err(), "open for no time at all"),
        );
    });
}

#[test]
fn nobody_is_admitted_before_the_open_time_is_over() {
    explore_both!(Streak, One, Stepping::default(), (); |breaker| {
        let failing = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let (asking, moved) = (Arc::clone(&breaker), Arc::clone(&breaker));
        let before = std::sync::Arc::new(Mutex::new(None));
        let begin = std::sync::Arc::clone(&before);
        common::race([
            Box::new(move || {
                // The move comes after this reading.
                *begin.lock().unwrap() = Some(moved.clock().now().count());
                assert_eq!(failing.failure(), Effect::Opened(OpenReason::Failures));
            }),
            Box::new(move || for _ in 0..2 {
                match asking.acquire() {
                    Ok(permit) if permit.is_probe() => {
                        let passed = asking.clock().last() - before.lock().unwrap().unwrap();
                        assert!(passed >= OPEN, "after {passed} ticks");
                        permit.success();
                    }
                    Ok(permit) => done(permit.ignore()),
                    // The time passes in a moment.
                    Err(rejected) => asking.clock().advance(rejected.retry_in_ticks().unwrap()),
                }
            }),
        ]);
    });
}

#[test]
fn a_helper_of_an_older_period_leaves_the_new_one_alone() {
    explore_both!(Streak, One, ManualClock::new(), (); |breaker| {
        race!(breaker;
            // Opens, is reset, and opens again later.
            |breaker| {
                breaker.latch();
                breaker.reset();
                breaker.acquire().unwrap().failure();
                breaker.reset();
                breaker.clock().advance_ticks(5);
                breaker.acquire().unwrap().failure();
                breaker.clock().advance_ticks(3);
            },
            |breaker| done(breaker.retry_in()),
        );
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(OPEN - 3), "since the second opening");
    });
}

/// The thread that opened the circuit sleeps before it says for how long, and so does the one that resets it. The period after
/// that has the parity of the deadline before.
#[test]
fn no_period_is_left_before_its_deadline_is_decided() {
    explore_both!(Streak, One, Still, (); |breaker| {
        race!(breaker;
            |breaker| done(breaker.trip(OpenReason::Manual, ticks(OPEN))),
            |breaker| breaker.reset(),
            |breaker| for _ in 0..2 {
                if let Ok(permit) = breaker.acquire() {
                    assert!(!permit.is_probe(), "no time can be over");
                    permit.failure();
                }
            },
        );
    });
}

/// A reset ends the hold early, so its deadline still shows time left while the next periods come: one of the other
/// parity, and one of the same.
#[test]
fn no_rejection_tells_the_time_of_an_older_period() {
    explore_both!(Streak, One, Still, (); |breaker| {
        breaker.hold(ticks(100));
        breaker.reset();
        race!(breaker;
            |breaker| for _ in 0..2 {
                breaker.reset();
                breaker.acquire().unwrap().failure();
            },
            |breaker| if let Err(rejected) = breaker.acquire() {
                assert_eq!(rejected.retry_in_ticks(), Some(OPEN));
            },
        );
    });
}

/// A caller sleeps for two whole periods after it saw the first of three.
#[test]
fn what_is_told_of_a_period_is_told_by_one_moment() {
    explore_both!(Streak, One, Still, (); |breaker| {
        race!(breaker;
            |breaker| {
                breaker.acquire().unwrap().failure();
                breaker.hold(ticks(50));
                breaker.trip(OpenReason::Manual, ticks(200));
            },
            |breaker| {
                let status = breaker.status();
                let told = (status.reason, status.retry_in.map(whole_ticks));
                let expected = [
                    (None, Some(0)),
                    (Some(OpenReason::Failures), Some(OPEN)),
                    (Some(OpenReason::Hold), Some(50)),
                    (Some(OpenReason::Hold), Some(unsaid(50))),
                    (Some(OpenReason::Manual), Some(200)),
                    (Some(OpenReason::Manual), Some(unsaid(200))),
                ];
                assert!(expected.contains(&told), "{told:?}");
            },
        );
    });
}

#[test]
fn an_event_tells_how_long_its_own_period_lasts() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        race!(breaker;
            |breaker| done(breaker.acquire().map(Permit::failure)),
            |breaker| {
                breaker.hold(ticks(50));
                breaker.trip(OpenReason::Manual, ticks(200));
            },
        );
        for event in breaker.observer().all() {
            let lasts = match event.reason {
                Some(OpenReason::Failures) => [OPEN; 2],
                Some(OpenReason::Hold) => [50, unsaid(50)],
                _ => [200, unsaid(200)],
            };
            assert!(lasts.map(Some).contains(&event.lasts_ticks), "{event:?}");
        }
    });
}

/// The snapshot of a breaker that was opened for `time` ticks.
fn open_for(time: u32) -> Snapshot {
    let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, ());
    breaker.trip(OpenReason::Manual, ticks(time));
    breaker.snapshot()
}

#[test]
fn a_snapshot_is_of_one_generation() {
    explore_both!(Streak, One, Still, (); |breaker| {
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        race!(breaker;
            |breaker| {
                permit.failure();
                breaker.hold(ticks(100));
                breaker.trip(OpenReason::Manual, ticks(200));
            },
            |breaker| {
                let snapshot = breaker.snapshot();
                let told = (snapshot.state(), snapshot.reason(), snapshot.remaining_ticks());
                let expected = [
                    (State::Closed, None, 0),
                    (State::Open, Some(OpenReason::Failures), OPEN),
                    // The thread that opened it may not have said the time yet.
                    (State::Open, Some(OpenReason::Hold), 100),
                    (State::Open, Some(OpenReason::Hold), unsaid(100)),
                    (State::Open, Some(OpenReason::Manual), 200),
                    (State::Open, Some(OpenReason::Manual), unsaid(200)),
                ];
                assert!(expected.contains(&told), "{told:?}");
            },
        );
    });
}

#[test]
fn retained_memory_is_never_without_a_whole_snapshot_while_one_is_saved() {
    explore(|| {
        let retained = Arc::new(Retained::new());
        let times = |snapshot: Snapshot| snapshot.remaining_ticks();
        retained.save(&open_for(10));
        retained.save(&open_for(20));
        let snapshot = open_for(30);
        race!(retained; |retained| retained.save(&snapshot), |retained| {
            let found = retained.load().map(times);
            assert!(matches!(found, Ok(20 | 30)), "{found:?}");
        });
        assert_eq!(retained.load().map(times), Ok(30));
    });
}
