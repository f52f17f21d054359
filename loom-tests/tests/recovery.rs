//! Recovery: ramps, and the memory of how often recovery failed.
#![cfg(feature = "models")]

mod common;

use std::sync::Mutex;

use common::{Events, Hand, OPEN, assert_one_path, done};
use loom::sync::Arc;
use microbreaker::{Breaker, Config, Effect, Permit, State, Streak, Window};

const RAMP: u32 = 32;
const MEMORY: u32 = 8;

policies! {
    Ramps = common::plain(Config::streak(2)).ramp(common::ticks(RAMP));
    RampsAndRemembers = common::plain(Config::streak(2)).ramp(common::ticks(RAMP)).stable_after(common::ticks(MEMORY));
    Remembers = common::plain(Config::streak(1)).backoff_1024ths(2048).stable_after(common::ticks(MEMORY));
}

/// Two failures open it, and its time passes. Returns a probe.
fn probing<W: Window>(breaker: &Arc<Breaker<W, Hand, Events>>, failures: u32) -> Permit<Arc<Breaker<W, Hand, Events>>> {
    for _ in 0..failures {
        breaker.acquire().unwrap().failure();
    }
    breaker.clock().advance(OPEN);
    Breaker::acquire_in(Arc::clone(breaker)).unwrap()
}

#[test]
fn the_ramp_admits_its_share_and_ends_once() {
    explore_both!(Streak, Ramps, Hand::default(), Events::default(); |breaker| {
        assert_eq!(probing(&breaker, 2).success(), Effect::Ramping);
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
        breaker.clock().advance(RAMP);
        common::race([ask(), ask()]);
        assert_eq!(breaker.observer().count(|event| event.from == State::Ramping), 1);
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Two failures that were admitted during the ramp are reported as it ends: ramping and closed are one generation.
#[test]
fn a_trip_as_a_ramp_ends_is_not_lost() {
    explore_both!(Streak, Ramps, Hand::default(), Events::default(); |breaker| {
        probing(&breaker, 2).success();
        breaker.clock().advance(RAMP - 1);
        // All but one sixteenth are admitted.
        let ask = || loop {
            if let Ok(permit) = Breaker::acquire_in(Arc::clone(&breaker)) {
                return permit;
            }
        };
        let [one, other] = [ask(), ask()];
        breaker.clock().advance(1);
        let ending = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(one.failure())),
            Box::new(move || done(other.failure())),
            Box::new(move || done(ending.acquire().map(Permit::ignore))),
        ]);
        assert_eq!(breaker.observer().count(|event| event.to == State::Open), 2, "tripped twice in all");
        let left = breaker.acquire().map(|_| ()).expect_err("early").retry_in_ticks();
        assert_eq!((breaker.state(), left), (State::Open, Some(OPEN)));
        assert_one_path(&breaker);
    });
}

/// The thread whose probe recovered the circuit sleeps before it says for how long the ramp lasts.
#[test]
fn no_ramp_ends_early_nor_does_what_opens_in_it() {
    explore_both!(Streak, RampsAndRemembers, Hand::default(), Events::default(); |breaker| {
        let probe = probing(&breaker, 2);
        let failing = Arc::clone(&breaker);
        common::race([
            // `Counted` if the other caller carried the verdict out.
            Box::new(move || assert!(matches!(probe.success(), Effect::Ramping | Effect::Counted))),
            Box::new(move || for _ in 0..2 {
                if let Ok(permit) = failing.acquire() {
                    assert!(!permit.is_probe());
                    permit.failure();
                }
            }),
        ]);
        if breaker.state() == State::Open {
            // A caller that began the ramp was admitted beside its share.
            assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(OPEN));
            return;
        }
        breaker.clock().advance(RAMP - 1);
        breaker.acquire().map(Permit::ignore).ok();
        assert_eq!(breaker.state(), State::Ramping);
        breaker.clock().advance(1);
        assert!(breaker.acquire().is_ok());
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Closed, after one probe that failed and one that did not: the attempt is 1.
fn remembering<W: Window>(breaker: &Arc<Breaker<W, Hand, Events>>) {
    probing(breaker, 1).failure();
    breaker.clock().advance(OPEN);
    assert_eq!(probing(breaker, 0).success(), Effect::Closed);
    assert_eq!(breaker.status().attempt, 1);
}

#[test]
fn a_failure_after_the_memory_is_the_first_whoever_forgets() {
    explore_both!(Streak, Remembers, Hand::default(), Events::default(); |breaker| {
        remembering(&breaker);
        let failing = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let asking = Arc::clone(&breaker);
        let effect = std::sync::Arc::new(Mutex::new(Effect::Neutral));
        let told = std::sync::Arc::clone(&effect);
        breaker.clock().advance(MEMORY);
        common::race([
            Box::new(move || *told.lock().unwrap() = failing.failure()),
            Box::new(move || done(asking.acquire().map(Permit::ignore))),
        ]);
        assert!(matches!(*effect.lock().unwrap(), Effect::Opened(_)), "forgetting makes no permit stale");
        let left = breaker.acquire().unwrap_err().retry_in_ticks();
        assert_eq!((breaker.status().attempt, left), (0, Some(OPEN)));
        assert_eq!(breaker.observer().all().len(), 6, "forgetting is no event");
    });
}

#[test]
fn a_failure_within_the_memory_grows_the_attempt_though_the_time_passes_beside_it() {
    explore_both!(Streak, Remembers, Hand::default(), Events::default(); |breaker| {
        remembering(&breaker);
        race!(breaker;
            |breaker| done(breaker.acquire().map(Permit::failure)),
            |breaker| {
                breaker.clock().advance(MEMORY);
                done(breaker.acquire().map(Permit::ignore));
            },
        );
        let (attempt, left) = (breaker.status().attempt, breaker.acquire().unwrap_err().retry_in_ticks().unwrap());
        match attempt {
            0 => assert_eq!(left, OPEN),
            // It may have opened before the time passed.
            2 => assert!((4 * OPEN - MEMORY..=4 * OPEN).contains(&left), "{left}"),
            other => panic!("{other}"),
        }
    });
}

/// The thread whose probe closed the circuit sleeps before it says for how long the attempt is remembered.
#[test]
fn no_attempt_is_forgotten_early() {
    explore_both!(Streak, Remembers, Hand::default(), Events::default(); |breaker| {
        probing(&breaker, 1).failure();
        breaker.clock().advance(OPEN);
        let probe = probing(&breaker, 0);
        let failing = Arc::clone(&breaker);
        common::race([
            // `Counted` if the other caller carried the verdict out.
            Box::new(move || assert!(matches!(probe.success(), Effect::Closed | Effect::Counted))),
            Box::new(move || if let Ok(permit) = failing.acquire() {
                permit.failure();
            }),
        ]);
        if breaker.state() == State::Closed {
            breaker.acquire().unwrap().failure();
        }
        assert_eq!(breaker.status().attempt, 2, "no time has passed");
    });
}
