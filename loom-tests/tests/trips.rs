//! Closed: no trip is lost, each generation has one opener and one event, and stale outcomes stay out.
#![cfg(feature = "models")]

mod common;

use common::{Events, Hand, Still, assert_one_path, done, explore, fixed, plain, shared, ticks};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use microbreaker::{
    Breaker, Circuit, Config, CountWindow, FailureKind, LiveWindow, ManualClock, Mode, Outcome, Permit, State, Streak,
    TimeWindow, Window,
};

type Lanes = TimeWindow<2, 2>;

/// Two buckets of 64 ticks.
fn time() -> Config {
    Config::time(2, ticks(64))
}

policies! {
    One = plain(Config::streak(1));
    Two = plain(Config::streak(2));
    Three = plain(Config::streak(3));
    Five = plain(Config::streak(5));
}

/// Two threads report one failure each; together they reach the threshold.
fn two_failures<W: Window>(breaker: &Arc<Breaker<W, Still, Events>>, before: u32)
where
    Breaker<W, Still, Events>: Send + Sync + 'static,
{
    for _ in 0..before {
        breaker.acquire().unwrap().success();
    }
    race!(breaker;
        |breaker| done(breaker.acquire().map(Permit::failure)),
        |breaker| done(breaker.acquire().map(Permit::failure)),
    );
    assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    assert_eq!(breaker.observer().all().len(), 1, "one opener, one event");
}

fn two_failures_open<W: LiveWindow + Send + Sync + 'static>(config: Config, before: u32) {
    explore(move || two_failures(&shared::<W, _, _>(plain(config), Still, Events::default()), before));
}

#[test]
fn no_trip_is_lost_by_a_streak() {
    explore_both!(Streak, Two, Still, Events::default(); |breaker| {
        two_failures(&breaker, 0);
    });
}

#[test]
fn no_trip_is_lost_by_a_streak_of_three() {
    explore_both!(Streak, Three, Still, Events::default(); |breaker| {
        let permits = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race(permits.map(|permit| Box::new(move || done(permit.failure())) as Box<dyn FnOnce() + Send>));
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.observer().all().len(), 1, "one opener, one event");
    });
}

/// In a pair the run stands beside the word that decides.
#[test]
fn no_trip_is_lost_by_a_streak_of_a_pair() {
    two_failures_open::<(Streak, CountWindow<4>)>(Config::count(4).minimum(4).and_streak(2), 0);
}

#[test]
fn no_trip_is_lost_in_one_word() {
    two_failures_open::<CountWindow<1>>(Config::count(3).failure_permille(600).minimum(3), 1);
    // The generation is warm, so successes do not judge any more. The window is filling, or full.
    for before in [2, 4] {
        two_failures_open::<CountWindow<1>>(Config::count(4).failure_permille(500).minimum(2), before);
    }
}

#[test]
fn no_trip_is_lost_across_two_chunks() {
    // A chunk holds two outcomes: after one success, the two failures fall into two chunks.
    two_failures_open::<CountWindow<4>>(Config::count(3).failure_permille(600).minimum(3), 1);
}

#[test]
fn no_trip_is_lost_behind_a_chunk_that_another_filled() {
    explore(|| {
        // A chunk holds two outcomes: S S | S. The generation is warm, so successes do not judge any more.
        let config = plain(Config::count(4).minimum(3).failure_permille(500));
        let breaker = shared::<CountWindow<4>, _, _>(config, Still, ());
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

/// The second call reaches the threshold, whichever call that is, though it may be judged after others have filled a chunk.
/// This holds for the generation in which a breaker begins, as for any other.
#[test]
fn no_trip_is_lost_by_a_verdict_that_comes_late() {
    for resets in [0, 1] {
        explore(move || {
            let config = plain(Config::count(5).minimum(2).failure_permille(500));
            let breaker = shared::<CountWindow<4>, _, _>(config, Still, ());
            (0..resets).for_each(|_| breaker.reset());
            breaker.acquire().unwrap().failure();
            let permits = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
            let [one, two, three] = permits;
            common::race([
                Box::new(move || done(one.success())),
                Box::new(move || {
                    two.success();
                    done(three.success());
                }),
            ]);
            assert_eq!(breaker.state(), State::Open);
        });
    }
}

#[test]
fn no_trip_is_lost_across_two_lanes() {
    two_failures_open::<Lanes>(time().minimum(2), 0);
}

/// Two threads report one success each. Together with an earlier failure they complete the minimum.
fn two_successes_complete_the_minimum<W: LiveWindow + Send + Sync + 'static>(config: Config) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config.minimum(3).failure_permille(300)), Still, Events::default());
        breaker.acquire().unwrap().failure();
        race!(breaker;
            |breaker| done(breaker.acquire().map(Permit::success)),
            |breaker| done(breaker.acquire().map(Permit::success)),
        );
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

#[test]
fn no_trip_is_lost_when_two_successes_complete_the_minimum_of_a_count_window() {
    two_successes_complete_the_minimum::<CountWindow<4>>(Config::count(3));
}

#[test]
fn no_trip_is_lost_when_two_successes_complete_the_minimum_in_one_word() {
    two_successes_complete_the_minimum::<CountWindow<1>>(Config::count(3));
}

#[test]
fn no_trip_is_lost_when_two_successes_complete_the_minimum_across_lanes() {
    two_successes_complete_the_minimum::<Lanes>(time());
}

#[test]
fn no_trip_is_lost_across_lanes_and_a_bucket_boundary() {
    explore(|| {
        let breaker = shared::<Lanes, _, _>(plain(time().minimum(2)), ManualClock::new(), ());
        // In the first generation, words that were never written have the tag of the first bucket, and both threads would
        // clear them all.
        breaker.reset();
        let [one, other] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        let later = Arc::clone(&breaker);
        common::race([
            Box::new(move || {
                later.clock().advance_ticks(64);
                done(one.failure());
            }),
            Box::new(move || done(other.failure())),
        ]);
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

#[test]
fn no_trip_is_lost_by_a_failure_that_its_own_bucket_outweighs() {
    explore(|| {
        // The first bucket has a success and a failure, the second one a failure. Whoever comes last sees two failures
        // of three, also if the clock was read before the second bucket began.
        let config = plain(time().minimum(1).failure_permille(600));
        let breaker = shared::<TimeWindow<4>, _, _>(config, Hand::default(), ());
        breaker.reset();
        breaker.acquire().unwrap().success();
        let [one, two, three] = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        let later = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(one.failure())),
            Box::new(move || {
                later.clock().advance(64);
                done(two.failure());
            }),
            Box::new(move || done(three.failure())),
        ]);
        assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
    });
}

/// Two buckets, warm from the first call on, with a share of 600 permille. With a slow limit, a failure is never found
/// harmless by the successes of its bucket alone.
fn with_and_without_a_slow_limit() -> [Config; 2] {
    let config = plain(time().minimum(1).failure_permille(600));
    [config, config.slow_permille(1000).slow_after(ticks(1000))]
}

/// A failure comes beside another one and the success after that.
fn beside_a_failure_and_a_success<W: LiveWindow + Send + Sync + 'static>() {
    for config in with_and_without_a_slow_limit() {
        explore(move || {
            // S S F F: two of four fail. With one more failure it is 600 permille, in whatever order the other two come.
            let breaker = shared::<W, _, _>(config, Still, ());
            for good in [true, true, false, false] {
                let permit = breaker.acquire().unwrap();
                if good {
                    permit.success()
                } else {
                    permit.failure()
                };
            }
            let [one, other, good] = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
            common::race([
                Box::new(move || done(one.failure())),
                Box::new(move || {
                    other.failure();
                    done(good.success());
                }),
            ]);
            assert_eq!(breaker.state(), State::Open, "{:?}", breaker.tally());
        });
    }
}

#[test]
fn no_trip_is_lost_to_a_success_beside_a_failure() {
    beside_a_failure_and_a_success::<TimeWindow<2>>();
}

#[test]
fn no_trip_is_lost_to_a_success_beside_a_failure_in_another_lane() {
    beside_a_failure_and_a_success::<Lanes>();
}

#[test]
fn no_trip_is_made_of_a_failure_without_the_success_before_it() {
    for config in with_and_without_a_slow_limit() {
        explore(move || {
            // One success. Two failures of three calls are enough, but a success comes before the second failure, in
            // another lane.
            let breaker = shared::<Lanes, _, _>(config, Still, ());
            breaker.acquire().unwrap().success();
            let [one, good, other] = [0; 3].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
            let succeeded = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&succeeded);
            common::race([
                Box::new(move || {
                    if seen.load(Ordering::Acquire) {
                        other.failure();
                    }
                }),
                Box::new(move || {
                    good.success();
                    succeeded.store(true, Ordering::Release);
                }),
                Box::new(move || done(one.failure())),
            ]);
            assert_eq!(breaker.state(), State::Closed, "{:?}", breaker.tally());
        });
    }
}

#[test]
fn a_sum_never_shows_more_slow_calls_than_calls() {
    // A call that is slow counts as a success or as a failure too.
    for outcome in [Outcome::Success, Outcome::Failure(FailureKind::Other)] {
        explore(move || {
            let config = plain(time().minimum(4).slow_permille(1000).slow_after(ticks(1)));
            let breaker = shared::<TimeWindow<2>, _, _>(config, Still, ());
            let report = move |breaker: &Breaker<_, _>| {
                breaker.acquire().unwrap().record_elapsed(outcome, ticks(10));
            };
            report(&breaker);
            race!(breaker;
                |breaker| report(&breaker),
                |breaker| {
                    let tally = breaker.tally();
                    assert!(tally.slow <= tally.total, "{tally:?}");
                },
            );
            assert_eq!((breaker.tally().slow, breaker.tally().total), (2, 2));
        });
    }
}

#[test]
fn the_window_that_a_first_failure_begins_is_begun_once() {
    // Both threads find the head of an older generation. One begins the new one, and neither loses its outcome.
    fn model<W: LiveWindow + Send + Sync + 'static>(config: Config) {
        explore(move || {
            let breaker = shared::<W, _, _>(plain(config), Still, ());
            race!(breaker;
                |breaker| done(breaker.acquire().map(Permit::failure)),
                |breaker| done(breaker.acquire().map(Permit::success)),
            );
            let tally = breaker.tally();
            assert_eq!((tally.total, tally.failed), (2, 1));
        });
    }
    model::<CountWindow<1>>(Config::count(4));
    model::<CountWindow<4>>(Config::count(5));
    model::<TimeWindow<2>>(time());
}

/// A permit from before a reset reports during the reset or after it: no trace of the report is left.
fn a_failure_beside_a_reset<W: Window>(breaker: &Arc<Breaker<W, Still, Events>>)
where
    Breaker<W, Still, Events>: Send + Sync + 'static,
{
    let old = Breaker::acquire_in(Arc::clone(breaker)).unwrap();
    let other = Arc::clone(breaker);
    common::race([Box::new(move || done(old.failure())), Box::new(move || other.reset())]);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.tally().total, 0, "the reset came last, or the report was stale");
    // The new generation counts as if there had been no report.
    breaker.acquire().unwrap().success();
    assert_eq!(breaker.tally().failed, 0);
}

fn a_stale_result_changes_nothing<W: LiveWindow + Send + Sync + 'static>(config: Config) {
    explore(move || a_failure_beside_a_reset(&shared::<W, _, _>(plain(config), Still, Events::default())));
}

#[test]
fn a_stale_result_changes_no_streak() {
    explore_both!(Streak, Two, Still, Events::default(); |breaker| {
        a_failure_beside_a_reset(&breaker);
    });
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        a_failure_beside_a_reset(&breaker);
    });
}

#[test]
fn a_stale_result_changes_no_streak_of_a_pair() {
    a_stale_result_changes_nothing::<(Streak, CountWindow<3>)>(Config::count(3).minimum(3).and_streak(2));
}

#[test]
fn a_stale_result_changes_no_count_window() {
    a_stale_result_changes_nothing::<CountWindow<3>>(Config::count(3).minimum(2));
    a_stale_result_changes_nothing::<CountWindow<3>>(Config::count(3).minimum(1));
    a_stale_result_changes_nothing::<CountWindow<1>>(Config::count(3).minimum(2));
    a_stale_result_changes_nothing::<CountWindow<1>>(Config::count(3).minimum(1));
}

#[test]
fn a_stale_result_changes_no_time_window() {
    a_stale_result_changes_nothing::<TimeWindow<2>>(time().minimum(2));
}

/// A permit from before a reset reports while another thread resets and then reports the same outcome.
fn beside_the_new_generation<W, M>(make: M, outcome: Outcome)
where
    W: Window,
    Breaker<W, Still>: Send + Sync + 'static,
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
    beside_the_new_generation(|| fixed::<Streak, Five, _, _>(Still, ()), failure);
    let pair = || shared::<(Streak, CountWindow<3>), _, _>(plain(Config::count(3).and_streak(5)), Still, ());
    beside_the_new_generation(pair, failure);
    beside_the_new_generation::<CountWindow<3>, _>(|| shared(plain(Config::count(3)), Still, ()), failure);
    beside_the_new_generation::<TimeWindow<2>, _>(|| shared(plain(time()), Still, ()), failure);
}

#[test]
fn a_stale_failure_in_one_word_cannot_touch_a_generation_that_records_already() {
    let failure = Outcome::Failure(FailureKind::Other);
    beside_the_new_generation::<CountWindow<1>, _>(|| shared(plain(Config::count(3)), Still, ()), failure);
    // The window is warm and quiet, and shows a failure.
    beside_the_new_generation(quiet_one_word, failure);
}

fn a_stale_failure_cannot_take_over_what_its_resetter_has_not_begun<W: LiveWindow + Send + Sync + 'static>(
    config: Config,
) {
    explore(move || {
        let breaker = shared::<W, _, _>(plain(config), Still, ());
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

#[test]
fn a_stale_failure_cannot_take_over_a_streak_that_its_resetter_has_not_begun() {
    let config = Config::count(3).and_streak(5);
    a_stale_failure_cannot_take_over_what_its_resetter_has_not_begun::<(Streak, CountWindow<3>)>(config);
}

#[test]
fn a_stale_failure_cannot_take_over_one_word_that_its_resetter_has_not_begun() {
    a_stale_failure_cannot_take_over_what_its_resetter_has_not_begun::<CountWindow<1>>(Config::count(4));
}

/// A success that completes the minimum is judged. The thread that saw the minimum reached sleeps until a newer generation has
/// begun, in which no thread has seen that yet.
#[test]
fn a_verdict_on_an_older_generation_warms_no_newer_one() {
    explore(|| {
        let config = plain(Config::count(5).minimum(2).failure_permille(500));
        let breaker = shared::<CountWindow<4>, _, _>(config, Still, ());
        breaker.acquire().unwrap().success();
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let newer = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(old.success())),
            Box::new(move || {
                newer.reset();
                newer.acquire().unwrap().failure();
                done(newer.acquire().unwrap().success());
            }),
        ]);
        assert_eq!(breaker.state(), State::Open, "one of two failed");
    });
}

#[test]
fn one_word_is_not_emptied_by_a_neutral_report_that_comes_late() {
    explore(|| {
        let breaker = shared::<CountWindow<1>, _, _>(plain(Config::count(4)), Still, ());
        breaker.acquire().unwrap().success();
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let other = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(old.ignore())),
            Box::new(move || {
                other.reset();
                done(other.acquire().unwrap().failure());
            }),
        ]);
        assert_eq!((breaker.tally().total, breaker.tally().failed), (1, 1), "just the new one");
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
            |breaker| done(breaker.acquire().map(Permit::success)),
            |breaker| done(breaker.acquire().map(Permit::success)),
        );
        assert_eq!(breaker.tally().total, 3);
    });
}

#[test]
fn a_stale_success_on_the_fast_path_touches_no_newer_generation() {
    beside_the_new_generation(quiet_time_window, Outcome::Success);
}

/// A warm, quiet window that shows a failure: from here on the fast path places a success by one exchange.
fn quiet_count_window() -> Arc<Breaker<CountWindow<5>, Still>> {
    // A chunk holds two outcomes: S F | and an empty chunk.
    let breaker = shared(plain(Config::count(6).minimum(2).failure_permille(1000)), Still, ());
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().failure();
    breaker
}

/// The same in one word.
fn quiet_one_word() -> Arc<Breaker<CountWindow<1>, Still>> {
    let breaker = shared(plain(Config::count(6).minimum(2).failure_permille(1000)), Still, ());
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().failure();
    breaker
}

#[test]
fn no_success_in_one_word_is_lost_beside_another_outcome() {
    let failure = Outcome::Failure(FailureKind::Other);
    for other in [Outcome::Success, failure] {
        explore(move || {
            let breaker = quiet_one_word();
            race!(breaker;
                |breaker| done(breaker.acquire().map(microbreaker::Permit::success)),
                |breaker| done(breaker.acquire().map(|permit| permit.record(other))),
            );
            let tally = breaker.tally();
            assert_eq!((tally.total, tally.failed), (4, 1 + u32::from(other == failure)));
        });
    }
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
                |breaker| done(breaker.acquire().map(Permit::success)),
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
    beside_the_new_generation(quiet_one_word, Outcome::Success);
}

#[test]
fn a_stale_failure_on_the_fast_path_touches_no_newer_generation() {
    beside_the_new_generation(quiet_count_window, Outcome::Failure(FailureKind::Other));
}

#[test]
fn no_trip_is_lost_of_two_failures_on_the_fast_path() {
    // The window is warm and quiet, and two failures of four open the circuit. They fall into one chunk or into two.
    for before in [2, 3] {
        two_failures_open::<CountWindow<4>>(Config::count(4).minimum(2).failure_permille(500), before);
    }
}

/// Another thread has just begun a generation and warmed it. An outcome of its permit, on the fast path, is in the
/// window of that generation.
fn the_fast_path_is_as_new_as_the_word<W: LiveWindow + Send + Sync + 'static>(config: Config, outcome: Outcome) {
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
                done(breaker.acquire().map(Permit::success));
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
fn the_fast_path_of_a_count_window_is_as_new_as_the_word() {
    for outcome in [Outcome::Success, Outcome::Failure(FailureKind::Other)] {
        // There are two chunks of two, and the newer one has room for a failure.
        the_fast_path_is_as_new_as_the_word::<CountWindow<4>>(Config::count(3), outcome);
        the_fast_path_is_as_new_as_the_word::<CountWindow<1>>(Config::count(3), outcome);
    }
}

#[test]
fn the_fast_path_of_a_time_window_is_as_new_as_the_word() {
    the_fast_path_is_as_new_as_the_word::<TimeWindow<2>>(time(), Outcome::Success);
    the_fast_path_is_as_new_as_the_word::<Lanes>(time(), Outcome::Success);
}

#[test]
fn the_fast_path_of_a_pair_is_as_new_as_the_word() {
    the_fast_path_is_as_new_as_the_word::<(CountWindow<4>, TimeWindow<2>)>(time().and_count(2), Outcome::Success);
}

#[test]
fn a_reset_races_a_trip_and_events_form_one_path() {
    explore_both!(Streak, One, Still, Events::default(); |breaker| {
        race!(breaker;
            |breaker| done(breaker.acquire().map(Permit::failure)),
            |breaker| breaker.reset(),
        );
        assert_one_path(&breaker);
    });
}

#[test]
fn a_reset_races_a_hold_a_latch_and_a_forced_state() {
    for other in [
        |breaker: &dyn Circuit| done(breaker.hold(ticks(50))),
        |breaker: &dyn Circuit| done(breaker.latch()),
        |breaker: &dyn Circuit| done(breaker.switch(Mode::Open)),
        |breaker: &dyn Circuit| done(breaker.switch(Mode::Off)),
    ] {
        explore_both!(Streak, One, Still, Events::default(); |breaker| {
            race!(breaker; |breaker| other(&*breaker), |breaker| breaker.reset());
            assert_one_path(&breaker);
            breaker.reset();
            assert!(breaker.acquire().is_ok());
        });
    }
}
