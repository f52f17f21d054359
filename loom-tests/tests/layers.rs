//! The verbs of the layers above the breaker: a release ends the period that it names or nothing, and none of them is lost or
//! done twice.
#![cfg(feature = "models")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use common::{Events, Hand, OPEN, Still, assert_one_path, done, explore, plain, shared, ticks, unsaid};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use microbreaker::{Config, Effect, OpenReason, RejectReason, State, Streak, Tripped};

const LAYERS: u32 = 50;

policies! {
    One = plain(Config::streak(1));
    Ramps = plain(Config::streak(1)).ramp(ticks(16));
}

/// The generation of a trip.
fn opened(tripped: Tripped) -> u32 {
    match tripped {
        Tripped::Opened(generation) => generation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_release_never_ends_anothers_period() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let first = opened(breaker.trip(OpenReason::Dependency, ticks(LAYERS)));
        race!(breaker;
            |breaker| done(breaker.release(first)),
            |breaker| {
                breaker.reset();
                opened(breaker.trip(OpenReason::Outlier, ticks(LAYERS)));
            },
        );
        let status = breaker.status();
        assert_eq!((status.state, status.reason), (State::Open, Some(OpenReason::Outlier)));
        assert_one_path(&breaker);
    });
}

#[test]
fn two_releases_are_one_move() {
    for reason in [OpenReason::Dependency, OpenReason::Budget] {
        explore_both!(Streak, One, Still, Events::default(); |breaker| {
            let generation = opened(breaker.trip(reason, ticks(LAYERS)));
            let ended = std::sync::Arc::new(AtomicU32::new(0));
            let release = || {
                let (breaker, ended) = (Arc::clone(&breaker), std::sync::Arc::clone(&ended));
                Box::new(move || done(ended.fetch_add(breaker.release(generation).into(), Ordering::Relaxed)))
                    as Box<dyn FnOnce() + Send>
            };
            common::race([release(), release()]);
            assert_eq!(ended.load(Ordering::Relaxed), 1);
            assert_eq!(breaker.observer().all().len(), 2, "opened, and released once");
            let state = if reason == OpenReason::Budget { State::Closed } else { State::HalfOpen };
            assert_eq!(breaker.state(), state);
        });
    }
}

#[test]
fn a_release_beside_a_longer_trip_ends_what_it_names() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let generation = opened(breaker.trip(OpenReason::Dependency, ticks(LAYERS)));
        race!(breaker;
            |breaker| done(breaker.release(generation)),
            |breaker| done(opened(breaker.trip(OpenReason::Dependency, ticks(2 * LAYERS)))),
        );
        // The trip lengthened the period, or it opened the half-open circuit again.
        let left = breaker.acquire().unwrap_err().retry_in_ticks().unwrap();
        assert!((2 * LAYERS..=unsaid(2 * LAYERS)).contains(&left), "{left}");
        assert_one_path(&breaker);
    });
}

#[test]
fn no_release_ends_a_hold() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let generation = opened(breaker.trip(OpenReason::Budget, ticks(LAYERS)));
        race!(breaker;
            |breaker| done(breaker.release(generation)),
            |breaker| assert_eq!(breaker.hold(ticks(10)), Effect::Opened(OpenReason::Hold)),
        );
        let rejected = breaker.acquire().unwrap_err();
        assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Hold));
        assert!((10..=unsaid(10)).contains(&rejected.retry_in_ticks().unwrap()));
    });
}

#[test]
fn no_release_undoes_a_reset() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        let generation = opened(breaker.trip(OpenReason::Fleet, ticks(LAYERS)));
        race!(breaker; |breaker| done(breaker.release(generation)), |breaker| breaker.reset());
        assert_eq!(breaker.state(), State::Closed);
        assert_one_path(&breaker);
    });
}

/// The time of a layer is over. One thread releases it while another asks: the circuit becomes half-open once, and one probe
/// is admitted.
#[test]
fn a_release_beside_a_caller_at_the_end_of_the_time_is_one_move() {
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        let generation = opened(breaker.trip(OpenReason::Outlier, ticks(LAYERS)));
        breaker.clock().advance(LAYERS);
        race!(breaker;
            |breaker| {
                breaker.release(generation);
                breaker.acquire().map(std::mem::forget).ok();
            },
            |breaker| done(breaker.acquire().map(std::mem::forget)),
        );
        assert_eq!(breaker.observer().count(|event| event.to == State::HalfOpen), 1);
        assert_eq!(breaker.status().probes_in_flight, 1);
        assert!(breaker.acquire().is_err());
    });
}

#[test]
fn the_lapse_of_a_budget_is_one_move_and_admits_all_its_callers() {
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        breaker.trip(OpenReason::Budget, ticks(LAYERS));
        breaker.clock().advance(LAYERS);
        race!(breaker;
            |breaker| assert!(!breaker.acquire().unwrap().is_probe()),
            |breaker| assert!(!breaker.acquire().unwrap().is_probe()),
        );
        assert_eq!(breaker.observer().all().len(), 2, "opened and lapsed");
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn the_lapse_of_a_budget_beside_its_release_begins_one_ramp() {
    explore_both!(Streak, Ramps, Hand::default(), Events::default(); |breaker| {
        let generation = opened(breaker.trip(OpenReason::Budget, ticks(LAYERS)));
        breaker.clock().advance(LAYERS);
        race!(breaker;
            |breaker| done(breaker.release(generation)),
            |breaker| done(breaker.acquire().map(microbreaker::Permit::ignore)),
        );
        assert_eq!(breaker.observer().all().len(), 2, "opened, and released or lapsed");
        assert_eq!(breaker.state(), State::Ramping);
    });
}

/// A budget lapses while a failure that was admitted at its end opens the circuit: money never heals a sick circuit.
#[test]
fn a_budget_that_is_tripped_again_at_its_lapse_hides_no_failure() {
    explore_both!(Streak, One, Hand::default(), Events::default(); |breaker| {
        breaker.trip(OpenReason::Budget, ticks(LAYERS));
        breaker.clock().advance(LAYERS);
        let failed = std::sync::Arc::new(Mutex::new(Effect::Neutral));
        let told = std::sync::Arc::clone(&failed);
        let (failing, tripping) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || if let Ok(permit) = failing.acquire() {
                *told.lock().unwrap() = permit.failure();
            }),
            Box::new(move || done(tripping.trip(OpenReason::Budget, ticks(LAYERS)))),
        ]);
        let reason = breaker.status().reason;
        match *failed.lock().unwrap() {
            Effect::Opened(_) => assert_eq!(reason, Some(OpenReason::Failures)),
            _ => assert_eq!(reason, Some(OpenReason::Budget)),
        }
    });
}

/// By hand, no slot is taken: the next caller has the first probe, whatever time was left of the period before.
#[test]
fn a_half_open_state_by_hand_has_one_probe_at_a_time() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        breaker.acquire().unwrap().failure();
        let admitted = std::sync::Arc::new(AtomicU32::new(0));
        let ask = |by_hand: bool| {
            let (breaker, admitted) = (Arc::clone(&breaker), std::sync::Arc::clone(&admitted));
            Box::new(move || {
                if by_hand {
                    assert!(breaker.half_open());
                }
                if let Ok(permit) = breaker.acquire() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    std::mem::forget(permit);
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([ask(true), ask(false)]);
        assert_eq!(admitted.load(Ordering::Relaxed), 1);
        assert_eq!(breaker.observer().count(|event| event.to == State::HalfOpen), 1);
        // A lease of its own, and not what was left of the open time.
        assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::HalfOpen);
    });
}

#[test]
fn no_half_open_by_hand_undoes_a_hold_that_follows() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        breaker.acquire().unwrap().failure();
        let ended = std::sync::Arc::new(Mutex::new(false));
        let told = std::sync::Arc::clone(&ended);
        let (hand, holding) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || *told.lock().unwrap() = hand.half_open()),
            Box::new(move || done(holding.hold(ticks(2 * OPEN)))),
        ]);
        assert!(*ended.lock().unwrap(), "it was open all the time");
        let moves = breaker.observer().all();
        assert_one_path(&breaker);
        assert_eq!(moves.len(), 3, "opened, held and half-opened in one order or the other: {moves:?}");
    });
}

/// A doubt that becomes a hold: who comes after it is admitted no more, and who comes before counts nowhere.
#[test]
fn nobody_is_admitted_anyway_past_a_hold() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, Events::default());
        breaker.acquire().unwrap().failure();
        let held = Arc::new(AtomicBool::new(false));
        let is_held = Arc::clone(&held);
        let (holding, asking) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || {
                holding.hold(ticks(2 * OPEN));
                is_held.store(true, Ordering::Release);
            }),
            Box::new(move || {
                let comes_after = held.load(Ordering::Acquire);
                match asking.acquire_anyway() {
                    Ok(permit) => {
                        assert!(!comes_after && !permit.is_counted());
                        assert_eq!(permit.success(), Effect::Uncounted);
                    }
                    Err(rejected) => assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Hold)),
                }
            }),
        ]);
        assert_eq!(breaker.status().reason, Some(OpenReason::Hold));
    });
}
