//! Periods: an open time is decided once and never ends early, and a hold is never lost.
#![cfg(feature = "models")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Events, OPEN, Stepping, Still, done, explore, plain, shared, ticks, whole_ticks};
use loom::sync::Arc;
use loom::thread;
use microbreaker::{
    Breaker, Clock, Config, Effect, ManualClock, OpenReason, Retained, Snapshot, State, Streak, TickRate, Ticks,
};

/// A failure opens the circuit while each of `helpers` threads reads the deadline `times` times: all see one deadline.
fn the_deadline_is_decided_once(helpers: usize, times: usize) {
    explore(move || {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)).open_for(ticks(200)), Stepping::default(), ());
        let failing = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let deadlines = std::sync::Arc::new(Mutex::new(Vec::new()));
        let look = || {
            let (breaker, deadlines) = (Arc::clone(&breaker), std::sync::Arc::clone(&deadlines));
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
    });
}

#[test]
fn the_deadline_is_decided_once_whoever_is_preempted() {
    the_deadline_is_decided_once(1, 2);
}

#[test]
fn the_deadline_is_decided_once_by_two_helpers() {
    the_deadline_is_decided_once(2, 1);
}

#[test]
fn an_open_time_never_begins_before_its_transition() {
    explore(|| {
        // In loom's memory model the failing thread alone moves the clock. A helper that saw the transition, but read
        // the clock as it was before, would decide an early deadline.
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), ManualClock::new(), ());
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
fn a_beginning_that_another_decided_is_not_read_by_an_older_clock() {
    explore(|| {
        let clock = Stopping { stopped: AtomicBool::new(false), clock: ManualClock::new() };
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), clock, ());
        // The thread that opened the circuit stopped before it published the beginning: the next caller decides it.
        let opening = catch_unwind(AssertUnwindSafe(|| breaker.trip(OpenReason::Manual, ticks(OPEN))));
        assert!(opening.is_err() && breaker.state() == State::Open);
        race!(breaker;
            // In loom's memory model this thread alone moves the clock.
            |breaker| {
                breaker.clock().clock.advance_ticks(8);
                assert!(breaker.acquire().is_err(), "open for no time at all");
            },
            // A beginning by the moved clock and an older reading would make an open time that is over at once.
            |breaker| assert!(breaker.acquire().is_err(), "open for no time at all"),
        );
    });
}

#[test]
fn a_helper_of_an_older_period_leaves_the_new_one_alone() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), ManualClock::new(), ());
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

#[test]
fn no_rejection_tells_the_time_of_an_older_period() {
    explore(|| {
        // A reset ends the hold early, so its words still show time left when the next period takes them over.
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, ());
        breaker.hold(ticks(100));
        breaker.reset();
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
            |breaker| if let Err(rejected) = breaker.acquire() {
                assert_eq!(rejected.retry_in_ticks(), Some(OPEN));
            },
        );
    });
}

#[test]
fn a_hold_that_is_over_is_not_taken_for_one_whose_length_nobody_has_said() {
    explore(|| {
        // The hold's length is decided, and then the next period's length replaces it.
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1).hold_at_most(ticks(100))), Still, ());
        breaker.hold(ticks(60));
        race!(breaker;
            |breaker| {
                breaker.reset();
                done(breaker.acquire().map(microbreaker::Permit::failure));
            },
            |breaker| if let Err(rejected) = breaker.acquire() {
                assert!(matches!(rejected.retry_in_ticks(), Some(60 | OPEN)), "{rejected:?}");
            },
        );
    });
}

#[test]
fn a_hold_is_never_lost_against_a_trip() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, Events::default());
        let [hold, fail] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([
            Box::new(move || assert_eq!(hold.hold(ticks(100)), Effect::Opened(OpenReason::Hold))),
            Box::new(move || done(fail.failure())),
        ]);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
    });
}

#[test]
fn of_two_holds_the_longer_one_stays() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, Events::default());
        let [long, short] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([Box::new(move || done(long.hold(ticks(100)))), Box::new(move || done(short.hold(ticks(50))))]);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
    });
}

#[test]
fn a_hold_is_never_lost_against_a_probe() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), ManualClock::new(), Events::default());
        let straggler = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.acquire().unwrap().failure();
        breaker.clock().advance_ticks(OPEN);
        let probing = Arc::clone(&breaker);
        let held = std::sync::Arc::new(Mutex::new(None));
        let effect = std::sync::Arc::clone(&held);
        common::race([
            Box::new(move || *effect.lock().unwrap() = Some(straggler.hold(ticks(100)))),
            Box::new(move || done(probing.acquire().map(microbreaker::Permit::success))),
        ]);
        match held.lock().unwrap().unwrap() {
            // The hold found the circuit open, so it is in force, and no probe was admitted at the old deadline.
            Effect::Opened(OpenReason::Hold) => {
                assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
            }
            // The hold found the circuit half-open, or closed by the probe.
            Effect::Stale => assert_eq!(breaker.state(), State::Closed),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_probes_hold_is_never_lost_against_another_probe() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1).probes(2)), ManualClock::new(), ());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance_ticks(OPEN);
        let [hold, fail] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([Box::new(move || done(hold.hold(ticks(100)))), Box::new(move || done(fail.failure()))]);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
    });
}

#[test]
fn a_hold_whose_owner_sleeps_is_neither_early_nor_for_ever() {
    explore(|| {
        let config = plain(Config::streak(1).hold_at_most(ticks(100)));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), ());
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let asking = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(permit.hold(ticks(60)))),
            Box::new(move || {
                if let Err(rejected) = asking.acquire() {
                    assert!(matches!(rejected.retry_in_ticks(), Some(60 | 100)), "{rejected:?}");
                }
            }),
        ]);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(60));
    });
}

#[test]
fn the_ramp_admits_its_share_and_ends_once() {
    explore(|| {
        let config = plain(Config::streak(2).ramp(ticks(16)));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), Events::default());
        breaker.trip(OpenReason::Manual, ticks(OPEN));
        breaker.clock().advance_ticks(OPEN);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
        // The share is one sixteenth: of two calls exactly the first is admitted.
        let admitted = std::sync::Arc::new(Mutex::new(0));
        let ask = || {
            let (breaker, admitted) = (Arc::clone(&breaker), std::sync::Arc::clone(&admitted));
            Box::new(move || {
                if let Ok(permit) = breaker.acquire() {
                    *admitted.lock().unwrap() += 1;
                    permit.success();
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([ask(), ask()]);
        assert_eq!(*admitted.lock().unwrap(), 1);
        breaker.clock().advance_ticks(16);
        common::race([ask(), ask()]);
        assert_eq!(breaker.observer().count(|event| event.from == State::Ramping), 1);
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// The snapshot of a breaker that was opened for `time` ticks.
fn open_for(time: u32) -> Snapshot {
    let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, ());
    breaker.trip(OpenReason::Manual, ticks(time));
    breaker.snapshot()
}

#[test]
fn a_restored_time_is_never_lost_to_a_shorter_hold() {
    explore(|| {
        let snapshot = open_for(100);
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, ());
        race!(breaker; |breaker| breaker.restore(&snapshot, None).unwrap(), |breaker| breaker.hold(ticks(50)));
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
    });
}

#[test]
fn a_snapshot_is_of_one_generation() {
    explore(|| {
        let config = plain(Config::streak(1)).hold_at_most(ticks(100));
        let breaker = shared::<Streak, _, _>(config, Still, ());
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        race!(breaker;
        |breaker| {
            permit.failure();
            breaker.hold(ticks(100));
        },
        |breaker| {
            let snapshot = breaker.snapshot();
            let told = (snapshot.state(), snapshot.reason(), snapshot.remaining_ticks());
            assert!(
                matches!(
                    told,
                    (State::Closed, None, 0)
                        | (State::Open, Some(OpenReason::Failures), OPEN)
                        | (State::Open, Some(OpenReason::Hold), 100)
                ),
                "{told:?}"
            );
        });
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
