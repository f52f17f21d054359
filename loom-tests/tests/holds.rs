//! Holds: a time that the peer gave is never lost, to nobody who gives a shorter one, and no hold undoes a reset.
#![cfg(feature = "models")]

mod common;

use std::sync::Mutex;

use common::{Events, Hand, OPEN, Still, assert_one_path, done, explore, plain, shared, ticks, unsaid};
use loom::sync::Arc;
use microbreaker::{
    Breaker, Circuit, Clock, Config, Effect, ManualClock, Observer, OpenReason, RejectReason, Snapshot, State, Streak,
    Window,
};

policies! {
    One = plain(Config::streak(1));
}

/// It is open for this reason for at least `time` ticks, and not for much longer: another thread may have come between its
/// owner's move and its owner's saying how long.
fn assert_open<W: Window, C: Clock, O: Observer>(breaker: &Breaker<W, C, O>, reason: OpenReason, time: u32) {
    let rejected = breaker.acquire().map(|_| ()).expect_err("lost");
    assert_eq!(rejected.reason(), RejectReason::Open(reason));
    let left = rejected.retry_in_ticks().unwrap();
    assert!((time..=unsaid(100)).contains(&left), "{left}");
}

#[test]
fn a_hold_is_never_lost_against_a_trip() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let [hold, fail] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([
            Box::new(move || assert_eq!(hold.hold(ticks(100)), Effect::Opened(OpenReason::Hold))),
            Box::new(move || done(fail.failure())),
        ]);
        assert_open(&breaker, OpenReason::Hold, 100);
    });
}

#[test]
fn of_two_holds_the_longer_one_stays() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let [long, short] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([Box::new(move || done(long.hold(ticks(100)))), Box::new(move || done(short.hold(ticks(50))))]);
        assert_open(&breaker, OpenReason::Hold, 100);
    });
}

/// The owner of the long hold sleeps between its move and its saying how long. Others come, and time passes.
fn others_come_and_time_passes<W: Window>(breaker: &Arc<Breaker<W, Hand, Events>>, shorter: fn(&dyn Circuit))
where
    Breaker<W, Hand, Events>: Send + Sync + 'static,
{
    race!(breaker;
        |breaker| done(breaker.hold(ticks(100))),
        |breaker| {
            shorter(&*breaker);
            breaker.clock().advance(16);
            if let Ok(permit) = breaker.acquire() {
                permit.success();
            }
        },
    );
    // At least since before the time passed.
    assert_open(breaker, OpenReason::Hold, 84);
}

#[test]
fn a_hold_is_not_lost_to_a_shorter_one_that_runs_out() {
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        others_come_and_time_passes(&breaker, |breaker| done(breaker.hold(ticks(5))));
    });
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        others_come_and_time_passes(&breaker, |breaker| done(breaker.trip(OpenReason::Failures, ticks(5))));
    });
}

#[test]
fn a_hold_is_not_lost_to_a_layers_short_trip() {
    for reason in [OpenReason::Dependency, OpenReason::Budget] {
        let trip = match reason {
            OpenReason::Budget => |breaker: &dyn Circuit| done(breaker.trip(OpenReason::Budget, ticks(1))),
            _ => |breaker: &dyn Circuit| done(breaker.trip(OpenReason::Dependency, ticks(1))),
        };
        explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
            others_come_and_time_passes(&breaker, trip);
        });
    }
}

#[test]
fn a_permits_hold_is_not_lost_to_a_layers_short_trip() {
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let other = Arc::clone(&breaker);
        let effect = std::sync::Arc::new(Mutex::new(Effect::Neutral));
        let told = std::sync::Arc::clone(&effect);
        common::race([
            Box::new(move || *told.lock().unwrap() = permit.hold(ticks(100))),
            Box::new(move || {
                other.trip(OpenReason::Dependency, ticks(1));
                other.clock().advance(16);
                if let Ok(permit) = other.acquire() {
                    permit.success();
                }
            }),
        ]);
        match *effect.lock().unwrap() {
            Effect::Opened(OpenReason::Hold) => assert_open(&breaker, OpenReason::Hold, 84),
            // The trip's time was over, and its probe out or back, before the hold looked.
            Effect::Stale => assert_eq!(breaker.state(), State::Closed),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn no_hold_of_a_permit_undoes_a_reset() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let resetting = Arc::clone(&breaker);
        common::race([Box::new(move || done(permit.hold(ticks(100)))), Box::new(move || resetting.reset())]);
        assert_one_path(&breaker);
        assert_eq!(breaker.state(), State::Closed, "the reset came last, or the hold was stale");
    });
}

/// A caller with a hold sleeps for two periods after it saw the first of three, an older hold. The third is a budget's: it
/// covers no hold.
#[test]
fn no_hold_is_covered_by_the_time_of_another_period() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        breaker.hold(ticks(130));
        race!(breaker;
            |breaker| done(breaker.hold(ticks(150))),
            |breaker| {
                breaker.reset();
                breaker.trip(OpenReason::Budget, ticks(60));
                breaker.trip(OpenReason::Budget, ticks(200));
            },
        );
        let held = breaker.observer().count(|event| event.reason == Some(OpenReason::Hold));
        // The reset may have ended the longer hold. Otherwise it is the last of all.
        if breaker.status().reason != Some(OpenReason::Hold) {
            assert_eq!(held, 2, "the hold vanished in a time that can be released: {:?}", breaker.observer().all());
        }
    });
}

#[test]
fn a_hold_is_never_lost_against_a_probe() {
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
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
            Effect::Opened(OpenReason::Hold) => assert_open(&breaker, OpenReason::Hold, 100),
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
        assert_open(&breaker, OpenReason::Hold, 100);
    });
}

#[test]
fn a_hold_whose_owner_sleeps_is_neither_early_nor_for_ever() {
    explore_both!(Streak, One, ManualClock::new(), (); |breaker| {
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let asking = Arc::clone(&breaker);
        let told = std::sync::Arc::new(Mutex::new(None));
        let tells = std::sync::Arc::clone(&told);
        common::race([
            Box::new(move || done(permit.hold(ticks(60)))),
            Box::new(move || if let Err(rejected) = asking.acquire() {
                // Its own time, or the bound of it that its owner's move said.
                assert!(matches!(rejected.retry_in_ticks(), Some(60 | 63)), "{rejected:?}");
                *tells.lock().unwrap() = rejected.retry_in_ticks();
            }),
        ]);
        let left = breaker.acquire().unwrap_err().retry_in_ticks();
        assert!(matches!(left, Some(60 | 63)), "{left:?}");
        if told.lock().unwrap().is_some() {
            assert_eq!(left, *told.lock().unwrap(), "what was told stays");
        }
    });
}

/// The snapshot of a breaker that was opened for 100 ticks.
fn open_for_100(reason: OpenReason) -> Snapshot {
    let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, ());
    breaker.trip(reason, ticks(100));
    breaker.snapshot()
}

#[test]
fn a_restored_time_is_never_lost_to_a_shorter_hold() {
    for reason in [OpenReason::Manual, OpenReason::Failures] {
        explore_both!(Streak, One, Hand::default(), (); |breaker| {
            let snapshot = open_for_100(reason);
            race!(breaker;
                |breaker| breaker.restore(&snapshot, None).unwrap(),
                |breaker| {
                    breaker.hold(ticks(5));
                    breaker.clock().advance(16);
                    if let Ok(permit) = breaker.acquire() {
                        permit.success();
                    }
                },
            );
            let left = breaker.acquire().map(|_| ()).expect_err("lost").retry_in_ticks().unwrap();
            assert!((84..=unsaid(100)).contains(&left), "{left}");
        });
    }
}
