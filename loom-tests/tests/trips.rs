//! Closed: no trip is lost, each generation has one opener and one event, and stale outcomes stay out.
#![cfg(feature = "models")]

mod common;

use common::{Events, Still, done, explore, plain, shared, ticks};
use loom::sync::Arc;
use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, ManualClock, Mode, OpenReason, Outcome, State, Streak,
    TimeWindow, Window,
};

type Lanes = TimeWindow<2, 2>;

/// Two buckets of 64 ticks.
fn time() -> Config {
    Config::time(2, ticks(64))
}

/// Two threads report one failure each; together they reach the threshold.
fn two_failures_open<W: Window + Send + Sync + 'static>(config: Config, before: u32) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config), Still, Events::default());
        for _ in 0..before {
            breaker.acquire().unwrap().success();
        }
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
        );
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
        assert_eq!(breaker.observer().all().len(), 1, "one opener, one event");
    });
}

#[test]
fn no_trip_is_lost_by_a_streak() {
    two_failures_open::<Streak>(Config::streak(2), 0);
}

#[test]
fn no_trip_is_lost_across_two_chunks() {
    // A chunk holds two outcomes: after one success, the two failures fall into two chunks.
    two_failures_open::<CountWindow<3>>(Config::count(3).failure_permille(600).minimum(3), 1);
}

#[test]
fn no_trip_is_lost_behind_a_chunk_that_another_filled() {
    explore(|| {
        // A chunk holds two outcomes: S S | S. The generation is warm, so successes do not judge any more.
        let config = plain(Config::count(4).minimum(3).failure_permille(500));
        let breaker = shared::<CountWindow<3>, _, _>(config, Still, ());
        for _ in 0..3 {
            breaker.acquire().unwrap().success();
        }
        let [fills, moves_on, fails] = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race([
            Box::new(move || {
                fills.failure();
                done(moves_on.success());
            }),
            // Whether this failure comes before the other or after it, one of the two sees both.
            Box::new(move || done(fails.failure())),
        ]);
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

#[test]
fn no_trip_is_lost_across_two_lanes() {
    two_failures_open::<Lanes>(time().minimum(2), 0);
}

/// Two threads report one success each. Together with an earlier failure they complete the minimum.
fn two_successes_complete_the_minimum<W: Window + Send + Sync + 'static>(config: Config) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config.minimum(3).failure_permille(300)), Still, Events::default());
        breaker.acquire().unwrap().failure();
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
            |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
        );
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

#[test]
fn no_trip_is_lost_when_two_successes_complete_the_minimum_of_a_count_window() {
    two_successes_complete_the_minimum::<CountWindow<3>>(Config::count(3));
}

#[test]
fn no_trip_is_lost_when_two_successes_complete_the_minimum_across_lanes() {
    two_successes_complete_the_minimum::<Lanes>(time());
}

#[test]
fn no_trip_is_lost_across_lanes_and_a_bucket_boundary() {
    explore(|| {
        let breaker = shared::<Lanes, _, _>(plain(time().minimum(2)), ManualClock::new(), Events::default());
        race!(breaker;
            |breaker| {
                breaker.clock().advance_ticks(64);
                done(breaker.acquire().map(microbreaker::Permit::failure));
            },
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
        );
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

#[test]
fn a_sum_never_shows_more_failures_than_calls() {
    explore(|| {
        let breaker = shared::<TimeWindow<2>, _, _>(plain(time().minimum(4)), Still, ());
        breaker.acquire().unwrap().failure();
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
            |breaker| {
                let tally = breaker.tally();
                assert!(tally.failed <= tally.total, "{tally:?}");
            },
        );
        assert_eq!((breaker.tally().failed, breaker.tally().total), (2, 2));
    });
}

#[test]
fn the_window_that_a_first_failure_begins_is_begun_once() {
    // Both threads find the head of an older generation. One begins the new one, and neither loses its outcome.
    fn model<W: Window + Send + Sync + 'static>(config: Config) {
        explore(move || {
            let breaker = shared::<W, _, _>(plain(config), Still, ());
            race!(breaker;
                |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
                |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
            );
            let tally = breaker.tally();
            assert_eq!((tally.total, tally.failed), (2, 1));
        });
    }
    model::<CountWindow<3>>(Config::count(5));
    model::<TimeWindow<2>>(time());
}

/// A permit from before a reset reports during the reset or after it: no trace of the report is left.
fn a_stale_result_changes_nothing<W: Window + Send + Sync + 'static>(config: Config) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config), Still, Events::default());
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let other = Arc::clone(&breaker);
        common::race([Box::new(move || done(old.failure())), Box::new(move || other.reset())]);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.tally().total, 0, "the reset came last, or the report was stale");
        // The new generation counts as if there had been no report.
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.tally().failed, 0);
    });
}

#[test]
fn a_stale_result_changes_no_streak() {
    a_stale_result_changes_nothing::<Streak>(Config::streak(2));
    a_stale_result_changes_nothing::<Streak>(Config::streak(1));
}

#[test]
fn a_stale_result_changes_no_count_window() {
    a_stale_result_changes_nothing::<CountWindow<2>>(Config::count(3).minimum(2));
    a_stale_result_changes_nothing::<CountWindow<2>>(Config::count(3).minimum(1));
}

#[test]
fn a_stale_result_changes_no_time_window() {
    a_stale_result_changes_nothing::<TimeWindow<2>>(time().minimum(2));
}

/// A permit from before a reset reports while another thread resets and then reports the same outcome.
fn beside_the_new_generation<W, M>(make: M, outcome: Outcome)
where
    W: Window + Send + Sync + 'static,
    M: Fn() -> Arc<Breaker<W, Still>> + Send + Sync + 'static,
{
    explore(move || {
        let breaker = make();
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let other = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(old.record(outcome))),
            Box::new(move || {
                other.reset();
                other.acquire().unwrap().record(outcome);
            }),
        ]);
        let tally = breaker.tally();
        let failed = u32::from(outcome != Outcome::Success);
        assert_eq!((tally.total, tally.failed), (1, failed), "just the new one");
    });
}

#[test]
fn a_stale_writer_cannot_touch_a_generation_that_records_already() {
    let failure = Outcome::Failure(FailureKind::Other);
    beside_the_new_generation::<Streak, _>(|| shared(plain(Config::streak(5)), Still, ()), failure);
    beside_the_new_generation::<CountWindow<2>, _>(|| shared(plain(Config::count(3)), Still, ()), failure);
    beside_the_new_generation::<TimeWindow<2>, _>(|| shared(plain(time()), Still, ()), failure);
}

#[test]
fn a_stale_failure_cannot_take_over_a_streak_that_its_resetter_has_not_begun() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(5)), Still, ());
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let of_the_new = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&of_the_new);
        let (resetting, failing) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || resetting.reset()),
            Box::new(move || {
                let permit = failing.acquire().unwrap();
                seen.store(permit.generation() == 2, std::sync::atomic::Ordering::Relaxed);
                done(permit.failure());
            }),
            Box::new(move || done(old.failure())),
        ]);
        let of_the_new = of_the_new.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(breaker.tally().total, u32::from(of_the_new), "just the new generation's");
    });
}

/// A warm, quiet window: from here on a success takes the fast path.
fn quiet_time_window() -> Arc<Breaker<TimeWindow<2>, Still>> {
    let breaker = shared(plain(time().minimum(1)), Still, ());
    breaker.acquire().unwrap().success();
    breaker
}

#[test]
fn of_two_successes_on_the_fast_path_neither_is_lost() {
    explore(|| {
        let breaker = quiet_time_window();
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
            |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
        );
        assert_eq!(breaker.tally().total, 3);
    });
}

#[test]
fn a_stale_success_on_the_fast_path_touches_no_newer_generation() {
    beside_the_new_generation(quiet_time_window, Outcome::Success);
}

/// A warm, quiet window that shows a failure: from here on the fast path places a success by one exchange.
fn quiet_count_window() -> Arc<Breaker<CountWindow<4>, Still>> {
    // A chunk holds two outcomes: S F | and an empty chunk.
    let breaker = shared(plain(Config::count(6).minimum(2).failure_permille(1000)), Still, ());
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().failure();
    breaker
}

#[test]
fn no_success_is_lost_beside_another_outcome() {
    let failure = Outcome::Failure(FailureKind::Other);
    // The outcomes go into a chunk that has begun, or into one that they have to begin.
    for (other, more) in [(Outcome::Success, 1), (failure, 1), (Outcome::Success, 0), (failure, 0)] {
        explore(move || {
            let breaker = quiet_count_window();
            for _ in 0..more {
                breaker.acquire().unwrap().failure();
            }
            race!(breaker;
                |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
                |breaker| done(breaker.acquire().map(|permit| permit.record(other))),
            );
            let tally = breaker.tally();
            assert_eq!((tally.total, tally.failed), (4 + more, 1 + more + u32::from(other == failure)));
        });
    }
}

#[test]
fn a_stale_success_in_a_window_with_failures_touches_no_newer_generation() {
    beside_the_new_generation(quiet_count_window, Outcome::Success);
}

#[test]
fn a_stale_failure_on_the_fast_path_touches_no_newer_generation() {
    beside_the_new_generation(quiet_count_window, Outcome::Failure(FailureKind::Other));
}

#[test]
fn no_trip_is_lost_of_two_failures_on_the_fast_path() {
    // The window is warm and quiet, and two failures of four open the circuit. They fall into one chunk or into two.
    for before in [2, 3] {
        two_failures_open::<CountWindow<3>>(Config::count(4).minimum(2).failure_permille(500), before);
    }
}

/// Another thread has just begun a generation and warmed it. An outcome of its permit, on the fast path, is in the
/// window of that generation.
fn the_fast_path_is_as_new_as_the_control_word<W: Window + Send + Sync + 'static>(config: Config, outcome: Outcome) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config.minimum(1).failure_permille(1000)), Still, ());
        for _ in 0..4 {
            breaker.acquire().unwrap().success();
        }
        let of_the_new = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&of_the_new);
        race!(breaker;
            |breaker| {
                breaker.reset();
                done(breaker.acquire().map(microbreaker::Permit::success));
            },
            |breaker| {
                let permit = breaker.acquire().unwrap();
                seen.store(permit.generation() == 2, std::sync::atomic::Ordering::Relaxed);
                permit.record(outcome);
            },
        );
        let of_the_new = u32::from(of_the_new.load(std::sync::atomic::Ordering::Relaxed));
        let failed = if outcome == Outcome::Success { 0 } else { of_the_new };
        // If the failure comes first of all outcomes, it opens the circuit.
        if breaker.state() == State::Open {
            return assert_eq!(failed, 1);
        }
        assert_eq!((breaker.tally().total, breaker.tally().failed), (1 + of_the_new, failed));
    });
}

#[test]
fn the_fast_path_of_a_count_window_is_as_new_as_the_control_word() {
    for outcome in [Outcome::Success, Outcome::Failure(FailureKind::Other)] {
        // There are two chunks of two, and the newer one has room for a failure.
        the_fast_path_is_as_new_as_the_control_word::<CountWindow<3>>(Config::count(3), outcome);
    }
}

#[test]
fn the_fast_path_of_a_time_window_is_as_new_as_the_control_word() {
    the_fast_path_is_as_new_as_the_control_word::<TimeWindow<2>>(time(), Outcome::Success);
    the_fast_path_is_as_new_as_the_control_word::<Lanes>(time(), Outcome::Success);
}

#[test]
fn the_fast_path_of_a_pair_is_as_new_as_the_control_word() {
    the_fast_path_is_as_new_as_the_control_word::<(CountWindow<3>, TimeWindow<2>)>(
        time().and_count(2),
        Outcome::Success,
    );
}

#[test]
fn a_reload_while_a_probe_closes_is_judged_by() {
    explore(|| {
        // As in the next model, but here a probe begins the generation and another outcome warms it, beside the reload.
        let old = plain(Config::count(3).minimum(1).failure_permille(1000));
        let new = plain(Config::count(3).minimum(3).failure_permille(100));
        let breaker = shared::<CountWindow<2>, _, _>(old, ManualClock::new(), ());
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
        let breaker = shared::<CountWindow<2>, _, _>(old, Still, ());
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

/// The events told must be one path through the states, with consecutive generations.
fn assert_one_path(breaker: &Breaker<Streak, Still, Events>) {
    let mut events = breaker.observer().all();
    events.sort_by_key(|event| event.generation);
    let mut state = State::Closed;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.generation as usize, index + 2, "each generation is told once: {events:?}");
        assert_eq!(event.from, state, "{events:?}");
        state = event.to;
    }
    assert_eq!(breaker.state(), state);
}

#[test]
fn a_reset_races_a_trip_and_events_form_one_path() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, Events::default());
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::failure)),
            |breaker| breaker.reset(),
        );
        assert_one_path(&breaker);
    });
}

#[test]
fn a_reset_races_a_hold_a_latch_and_a_forced_state() {
    for other in [
        |breaker: &Breaker<Streak, Still, Events>| done(breaker.hold(ticks(50))),
        |breaker: &Breaker<Streak, Still, Events>| done(breaker.latch()),
        |breaker: &Breaker<Streak, Still, Events>| done(breaker.force_open()),
        |breaker: &Breaker<Streak, Still, Events>| done(breaker.disable()),
    ] {
        explore(move || {
            let breaker = shared::<Streak, _, _>(plain(Config::streak(1)), Still, Events::default());
            race!(breaker; |breaker| other(&breaker), |breaker| breaker.reset());
            assert_one_path(&breaker);
            breaker.reset();
            assert!(breaker.acquire().is_ok());
        });
    }
}
