//! Rings, and windows that turn in one word: writers that are delayed by a lap, and failures that come late to a clean
//! window.
#![cfg(feature = "models")]

mod common;

use common::{Still, done, explore, plain, shared, ticks};
use loom::sync::Arc;
use microbreaker::{Breaker, Config, CountWindow, LiveWindow, ManualClock, TimeWindow};

#[test]
fn a_late_failure_never_sticks_in_a_clean_window() {
    // Three outcomes in chunks of two: the third success makes the window clean.
    a_late_failure_never_sticks::<CountWindow<3>>();
}

#[test]
fn a_late_failure_never_sticks_in_a_clean_word() {
    a_late_failure_never_sticks::<CountWindow<1>>();
}

fn a_late_failure_never_sticks<W: LiveWindow + Send + Sync + 'static>() {
    explore(|| {
        let breaker = shared::<W, _, _>(plain(Config::count(3).failure_permille(1000)), Still, ());
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().success();
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().failure()),
            |breaker| {
                breaker.acquire().unwrap().success();
                breaker.acquire().unwrap().success();
            },
        );
        let tally = breaker.tally();
        assert_eq!((tally.total, tally.failed), (3, 1), "seen, wherever it fell");
        for _ in 0..3 {
            breaker.acquire().unwrap().success();
        }
        assert_eq!(breaker.tally().failed, 0, "and gone after three more");
    });
}

#[test]
fn a_full_word_that_turns_is_exact() {
    explore(|| {
        // F S S: full, warm and quiet.
        let breaker = shared::<CountWindow<1>, _, _>(plain(Config::count(3).failure_permille(1000)), Still, ());
        for good in [false, true, true] {
            let permit = breaker.acquire().unwrap();
            if good {
                permit.success()
            } else {
                permit.failure()
            };
        }
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().failure()),
            |breaker| {
                breaker.acquire().unwrap().success();
                breaker.acquire().unwrap().success();
            },
            |breaker| {
                let tally = breaker.tally();
                // Between the two failures there may be two successes, and then the window is clean for a moment.
                assert!(tally.total == 3 && tally.failed <= 1, "{tally:?}");
            },
        );
        // Wherever the failure falls among the two successes, the last three hold it alone.
        assert_eq!((breaker.tally().total, breaker.tally().failed), (3, 1));
    });
}

#[test]
fn a_writer_delayed_by_a_lap_neither_erases_nor_revives() {
    explore(|| {
        // The ring is two chunks of two: after five outcomes it comes round to the slot that the delayed writer read.
        let breaker = shared::<CountWindow<3>, _, _>(plain(Config::count(3).failure_permille(1000)), Still, ());
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().failure()),
            |breaker| for good in [false, true, false, true, true] {
                let permit = breaker.acquire().unwrap();
                if good { permit.success() } else { permit.failure() };
            },
        );
        // Wherever one more failure falls into F S F S S, the last three hold exactly one failure. An erased success or
        // a revived failure makes it two.
        let tally = breaker.tally();
        assert_eq!((tally.total, tally.failed), (3, 1));
        for _ in 0..3 {
            breaker.acquire().unwrap().success();
        }
        assert_eq!(breaker.tally().failed, 0);
    });
}

#[test]
fn a_sum_that_meets_a_recycled_chunk_is_not_short() {
    explore(|| {
        // Three chunks of two, F S | S S: the third outcome from here takes the place of the first chunk.
        let breaker = shared::<CountWindow<4>, _, _>(plain(Config::count(3).failure_permille(1000)), Still, ());
        for good in [false, true, true, true] {
            let permit = breaker.acquire().unwrap();
            if good {
                permit.success()
            } else {
                permit.failure()
            };
        }
        race!(breaker;
            |breaker| {
                breaker.acquire().unwrap().failure();
                breaker.acquire().unwrap().success();
                breaker.acquire().unwrap().success();
            },
            |breaker| assert_eq!(breaker.tally().total, 3, "full before, and ever since"),
        );
    });
}

#[test]
fn a_time_window_writer_delayed_by_a_lap_neither_erases_nor_revives() {
    explore(|| {
        let breaker = shared::<TimeWindow<2>, _, _>(plain(Config::time(2, ticks(64))), ManualClock::new(), ());
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().failure()),
            |breaker| {
                breaker.clock().advance_ticks(128);
                breaker.acquire().unwrap().failure();
            },
        );
        let tally = breaker.tally();
        assert_eq!(tally.failed, tally.total);
        // The delayed failure is in the old bucket, which has left the window, or in the new one.
        assert!((1..=2).contains(&tally.total), "{tally:?}");
        breaker.clock().advance_ticks(128);
        assert_eq!(breaker.tally().total, 0, "nothing is revived");
    });
}

#[test]
fn a_bucket_that_two_threads_begin_keeps_both_their_outcomes() {
    explore(|| {
        // The slot's old word carries the tag of the bucket to come, which is 256 laps later.
        let breaker = shared::<TimeWindow<2>, _, _>(plain(Config::time(2, ticks(64))), ManualClock::new(), ());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance_ticks(256 * 2 * 64);
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().failure()),
            |breaker| done(breaker.acquire().unwrap().failure()),
        );
        let tally = breaker.tally();
        assert_eq!((tally.total, tally.failed), (2, 2), "both, and not the one of 256 laps ago");
    });
}

#[test]
fn a_success_beside_one_that_begins_a_chunk_is_not_lost() {
    explore(|| {
        // A window of four in chunks of two, with three chunks in the ring. The second chunk is left full and clean.
        // Two failures and two successes follow, so that the next outcome begins a chunk in that one's place.
        let config = plain(Config::count(4).minimum(1).failure_permille(1000));
        let breaker = shared::<CountWindow<4>, _, _>(config, Still, ());
        for good in [true, true, true, true, false, false, true, true] {
            let permit = breaker.acquire().unwrap();
            if good {
                permit.success()
            } else {
                permit.failure()
            };
        }
        assert_eq!(breaker.tally().failed, 2);
        race!(breaker;
            |breaker| done(breaker.acquire().unwrap().success()),
            |breaker| done(breaker.acquire().unwrap().success()),
        );
        let tally = breaker.tally();
        assert_eq!((tally.total, tally.failed), (4, 0), "the last four are good");
    });
}

#[test]
fn a_sum_that_comes_round_to_a_chunk_just_begun_is_not_short() {
    explore(|| {
        // The ring is two chunks of two, and holds F S | S: the second outcome from here takes the first chunk's place.
        let breaker = shared::<CountWindow<3>, _, _>(plain(Config::count(3).failure_permille(1000)), Still, ());
        breaker.acquire().unwrap().failure();
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().success();
        race!(breaker;
            |breaker| for _ in 0..2 {
                breaker.acquire().unwrap().success();
            },
            |breaker| assert_eq!(breaker.tally().total, 3, "full before, and ever since"),
        );
    });
}

#[test]
fn a_bucket_that_a_new_generation_clears_is_not_taken_for_an_older_lap() {
    explore(|| {
        // The slot's old word carries the tag of the bucket to come: 254 laps and a generation later.
        let breaker = shared::<TimeWindow<2>, _, _>(plain(Config::time(2, ticks(64))), ManualClock::new(), ());
        breaker.acquire().unwrap().failure();
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let resetting = Arc::clone(&breaker);
        common::race([
            Box::new(move || {
                resetting.clock().advance_ticks(254 * 2 * 64);
                resetting.reset();
            }),
            Box::new(move || done(old.failure())),
        ]);
        assert_eq!(breaker.tally().total, 0, "nothing of the older generation");
    });
}

#[test]
fn a_bucket_that_an_old_writer_counts_into_is_cleared_all_the_same() {
    explore(|| {
        // The slot's old word carries the tag of the bucket to come: 256 laps later.
        let config = plain(Config::time(2, ticks(64)).minimum(100));
        let breaker = shared::<TimeWindow<2>, _, _>(config, ManualClock::new(), ());
        breaker.acquire().unwrap().failure();
        let [one, other] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        let later = Arc::clone(&breaker);
        common::race([
            Box::new(move || {
                later.clock().advance_ticks(256 * 2 * 64);
                done(one.failure());
            }),
            Box::new(move || done(other.failure())),
        ]);
        assert!(breaker.tally().total <= 2, "the one of 256 laps ago is gone");
    });
}
