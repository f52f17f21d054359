//! Reloads: each verdict goes by one consistent group of settings, and no deadline by half of them.
#![cfg(feature = "models")]

mod common;

use std::sync::Mutex;

use common::{OPEN, Still, done, explore, plain, shared, ticks};
use loom::sync::Arc;
use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, ManualClock, Mode, OpenReason, Outcome, ProbeRule, State, Streak,
};

#[test]
fn a_reload_while_a_probe_closes_is_judged_by() {
    explore(|| {
        // As in the next model, but here a probe begins the generation and another outcome warms it, beside the reload.
        let old = plain(Config::count(3).minimum(1).failure_permille(1000));
        let new = plain(Config::count(3).minimum(3).failure_permille(100));
        let breaker = shared::<CountWindow<3>, _, _>(old, ManualClock::new(), ());
        breaker.trip(OpenReason::Manual, ticks(16));
        breaker.clock().advance_ticks(16);
        let probe = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        race!(breaker;
            |breaker| breaker.reconfigure(&new).unwrap(),
            |breaker| {
                probe.success();
                breaker.acquire().unwrap().success();
                done(breaker.acquire().unwrap().failure());
            },
        );
        if breaker.state() == State::Closed {
            let last = breaker.acquire().unwrap().success();
            assert!(matches!(last, Effect::Opened(_)), "{last:?} {:?}", breaker.tally());
        }
    });
}

#[test]
fn a_reload_is_judged_by_one_consistent_pair_of_threshold_and_minimum() {
    // One of two calls fails: 500 permille. The old settings need 1000 permille, and the new ones need three calls.
    // Only a mix of the old minimum and the new share would trip.
    explore(|| {
        let old = plain(Config::count(3).minimum(1).failure_permille(1000));
        let new = plain(Config::count(3).minimum(3).failure_permille(100));
        let breaker = shared::<CountWindow<3>, _, _>(old, Still, ());
        breaker.acquire().unwrap().success();
        race!(breaker;
            |breaker| breaker.reconfigure(&new).unwrap(),
            |breaker| assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted),
        );
        assert_eq!(breaker.state(), State::Closed);
        // The third call completes the new minimum. It judges, although the window was warm under the old one.
        assert!(matches!(breaker.acquire().unwrap().success(), Effect::Opened(_)));
    });
}

#[test]
fn a_shadow_switch_survives_a_reload() {
    explore(|| {
        let config = plain(Config::streak(1));
        let breaker = shared::<Streak, _, _>(config, Still, ());
        breaker.latch();
        race!(breaker;
            |breaker| breaker.reconfigure(&config.probes(2)).unwrap(),
            |breaker| breaker.switch(Mode::Shadow),
        );
        assert!(breaker.status().shadow);
        assert!(breaker.acquire().is_ok());
    });
}

/// Two probes, one good and one both failed and slow: by first failure as by rates, the circuit opens again. If the results
/// were counted by the one rule and judged by the other, it would close.
#[test]
fn a_reload_never_gives_half_of_a_verdict_on_probes() {
    explore(|| {
        let first = plain(Config::count(3).minimum(2).probes(2).failure_permille(1000));
        let first = first.slow_after(ticks(5)).slow_permille(500).lease(ticks(100));
        let rates = first.probe_rule(ProbeRule::Rates);
        let breaker = shared::<CountWindow<3>, _, _>(first, ManualClock::new(), ());
        common::come_due(&breaker);
        let [good, bad] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        good.success();
        let reloading = Arc::clone(&breaker);
        common::race([
            Box::new(move || reloading.reconfigure(&rates).unwrap()),
            Box::new(move || done(bad.record_elapsed(Outcome::Failure(FailureKind::Other), ticks(10)))),
        ]);
        assert_eq!(breaker.state(), State::Open);
    });
}

/// Nothing lasts for long by these settings.
fn short() -> Config {
    plain(Config::streak(1)).lease(ticks(8))
}

/// The open time is far longer than any before the reload: no caller takes its deadline for one that is over.
#[test]
fn a_deadline_by_new_settings_is_not_taken_for_one_that_is_over() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(short(), Still, ());
        let failing = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let (reloading, asking) = (Arc::clone(&breaker), Arc::clone(&breaker));
        let told = std::sync::Arc::new(Mutex::new(None));
        let tells = std::sync::Arc::clone(&told);
        common::race([
            Box::new(move || reloading.reconfigure(&short().open_for(ticks(1000 * OPEN))).unwrap()),
            Box::new(move || {
                failing.failure();
                let rejected = asking.acquire().map(|_| ()).expect_err("no time has passed");
                *tells.lock().unwrap() = rejected.retry_in_ticks();
            }),
        ]);
        let left = breaker.acquire().map(|_| ()).expect_err("no time has passed").retry_in_ticks();
        assert_eq!(left, *told.lock().unwrap(), "a reload changes no deadline");
    });
}

/// The same for a caller that sees the deadline of a thread which saw the new settings.
#[test]
fn a_deadline_by_new_settings_brings_their_longest_time_along() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(short(), Still, ());
        let failing = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let (reloading, asking) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || reloading.reconfigure(&short().open_for(ticks(1000 * OPEN))).unwrap()),
            Box::new(move || done(failing.failure())),
            Box::new(move || {
                if let Ok(permit) = asking.acquire() {
                    assert!(!permit.is_probe(), "no time has passed");
                    done(permit.ignore());
                }
            }),
        ]);
    });
}

/// The open time is far longer than any after the reload.
#[test]
fn a_deadline_by_old_settings_is_not_cut_short() {
    explore(|| {
        let long = short().open_for(ticks(1000 * OPEN));
        let breaker = shared::<Streak, _, _>(long, Still, ());
        race!(breaker;
            |breaker| breaker.reconfigure(&short()).unwrap(),
            |breaker| {
                breaker.acquire().unwrap().failure();
                assert!(breaker.acquire().is_err(), "no time has passed");
            },
        );
        let left = breaker.acquire().map(|_| ()).expect_err("no time has passed").retry_in_ticks();
        // The open time before, or the one after, or that of half a reload: the cap still holds.
        assert!([OPEN, 8 * OPEN, 1000 * OPEN].map(Some).contains(&left), "{left:?}");
    });
}
