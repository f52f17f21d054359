//! Half-open: how many probes are admitted in all, how many at once, and that each of them ends.
#![cfg(feature = "models")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{Events, OPEN, done, explore, plain, shared, ticks};
use loom::sync::Arc;
use microbreaker::{Breaker, Config, CountWindow, Effect, ManualClock, Outcome, ProbeRule, State, Streak, Window};

type Shared<W> = Arc<Breaker<W, ManualClock, Events>>;

/// A breaker whose open time has just passed: the next `acquire` makes it half-open.
fn due<W: Window>(config: Config) -> Shared<W> {
    let breaker: Shared<W> = shared(config, ManualClock::new(), Events::default());
    breaker.trip(microbreaker::OpenReason::Manual, ticks(OPEN));
    breaker.clock().advance_ticks(OPEN);
    breaker
}

/// Counts the probes that are certainly in flight: between the return of `acquire` and the beginning of the report.
#[derive(Default)]
struct Gauge {
    out: AtomicU32,
    counted: AtomicU32,
}

impl Gauge {
    fn enter(&self, at_once: u32) {
        let out = self.out.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(out <= at_once, "{out} probes out together");
    }

    fn leave(&self, counts: bool, probes: u32) {
        self.out.fetch_sub(1, Ordering::Relaxed);
        let counted = self.counted.fetch_add(u32::from(counts), Ordering::Relaxed) + u32::from(counts);
        assert!(counted <= probes, "{counted} probes counted");
    }
}

#[test]
fn at_most_n_are_admitted_and_at_once_out_while_probes_are_cancelled() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1).probes(2).at_once(1)));
        breaker.acquire().unwrap().ignore();
        let gauge = std::sync::Arc::new(Gauge::default());
        let probe = |outcome: Outcome, counts: bool| {
            let (breaker, gauge) = (Arc::clone(&breaker), std::sync::Arc::clone(&gauge));
            Box::new(move || {
                if let Ok(permit) = breaker.acquire() {
                    if permit.is_probe() {
                        gauge.enter(1);
                        // Another thread's probe would be admitted here, if the breaker allowed it.
                        loom::thread::yield_now();
                        gauge.leave(counts, 2);
                    }
                    permit.record(outcome);
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([probe(Outcome::Success, true), probe(Outcome::Ignored, false), probe(Outcome::Success, true)]);
        assert!(matches!(breaker.state(), State::HalfOpen | State::Closed));
        let generations = breaker.observer().count(|event| event.to == State::HalfOpen);
        assert_eq!(generations, 1);
    });
}

#[test]
fn a_written_off_probe_neither_counts_nor_frees_anothers_slot() {
    explore(|| {
        let config = Config::count(3).minimum(3).probes(3).at_once(1).probe_rule(ProbeRule::Rates).lease(ticks(8));
        let breaker = due::<CountWindow<2>>(plain(config));
        let lost = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance_ticks(8);
        let late = Arc::clone(&breaker);
        common::race([
            Box::new(move || {
                // Either the lost probe is written off and this one is in flight, or the lost probe reported first and
                // freed the slot.
                let second = late.acquire().unwrap();
                assert!(late.acquire().is_err(), "the slot is taken, whatever the lost probe does");
                assert_eq!(second.success(), Effect::Counted);
            }),
            Box::new(move || {
                let effect = lost.success();
                assert!(matches!(effect, Effect::Counted | Effect::Stale));
            }),
        ]);
        // One more probe completes the three results, so none was counted twice and none was lost.
        assert_eq!(breaker.status().probes_in_flight, 0);
        assert!(matches!(breaker.acquire().unwrap().success(), Effect::Closed));
    });
}

#[test]
fn a_probe_that_has_just_begun_is_not_written_off_for_an_older_one() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1).probes(1).lease(ticks(8))));
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance_ticks(8);
        race!(breaker;
            |breaker| {
                // The old probe gives its slot back, and a new probe takes it. The new lease begins now.
                drop(old);
                if let Ok(fresh) = breaker.acquire() {
                    // `Counted` if the other caller carried the verdict out, but never stale.
                    assert!(matches!(fresh.success(), Effect::Closed | Effect::Counted), "counted as lost");
                }
            },
            |breaker| drop(breaker.acquire()),
        );
    });
}

#[test]
fn the_tick_of_the_latest_admission_never_goes_back() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1).lease(ticks(8))));
        // Half-open, with its one slot free.
        breaker.acquire().unwrap().ignore();
        race!(breaker;
            |breaker| {
                // In loom's memory model this thread alone moves the clock, and only once.
                breaker.clock().advance_ticks(8);
                if let Ok(probe) = breaker.acquire() {
                    assert_ne!(probe.success(), Effect::Stale, "written off at the tick it was admitted at");
                }
            },
            |breaker| done(breaker.acquire().map(microbreaker::Permit::ignore)),
        );
    });
}

#[test]
fn a_dropped_permit_always_returns_its_slot() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1)));
        race!(breaker;
            |breaker| drop(breaker.acquire()),
            |breaker| drop(breaker.acquire()),
        );
        assert_eq!(breaker.status().probes_in_flight, 0);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
    });
}

#[test]
fn a_lost_probe_ends_in_one_verdict() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1).lease(ticks(8))));
        std::mem::forget(breaker.acquire().unwrap());
        breaker.clock().advance_ticks(8);
        race!(breaker;
            |breaker| assert!(breaker.acquire().is_err()),
            |breaker| assert!(breaker.acquire().is_err()),
        );
        let status = breaker.status();
        assert_eq!((status.state, status.attempt), (State::Open, 1), "ordinary backoff, once");
        assert_eq!(breaker.observer().count(|event| event.from == State::HalfOpen), 1);
    });
}

#[test]
fn two_verdicts_of_one_generation_are_one_transition() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1).probes(2).successes(1)));
        let (good, bad) =
            (Breaker::acquire_in(Arc::clone(&breaker)).unwrap(), Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        let third = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(good.success())),
            Box::new(move || {
                bad.failure();
                // A caller that sees complete results carries the verdict out.
                drop(third.acquire());
            }),
        ]);
        assert_eq!(breaker.observer().count(|event| event.from == State::HalfOpen), 1);
    });
}

#[test]
fn a_latch_is_never_lost_to_a_plain_verdict() {
    for other in [Outcome::Failure(microbreaker::FailureKind::Other), Outcome::Success] {
        explore(move || {
            let breaker = due::<Streak>(plain(Config::streak(1).probes(2).successes(2)));
            let latch = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
            let plain = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
            let other_thread = Arc::clone(&breaker);
            common::race([
                Box::new(move || assert_eq!(latch.latch(), Effect::Latched)),
                Box::new(move || {
                    plain.record(other);
                    // The next `acquire` may carry a verdict out, or make the circuit half-open.
                    drop(other_thread.acquire());
                }),
            ]);
            assert_eq!(breaker.state(), State::Latched);
        });
    }
}

#[test]
fn a_straggler_of_the_closed_period_changes_no_probe() {
    explore(|| {
        let breaker: Shared<Streak> = shared(plain(Config::streak(1)), ManualClock::new(), Events::default());
        let old = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance_ticks(OPEN);
        let probe = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let [cancelled, good] = old;
        common::race([Box::new(move || drop(cancelled)), Box::new(move || assert_eq!(good.success(), Effect::Stale))]);
        assert!(breaker.acquire().is_err(), "the probe is still out");
        assert_eq!(probe.success(), Effect::Closed);
    });
}

#[test]
fn a_caller_of_an_older_half_open_state_touches_no_newer_one() {
    explore(|| {
        let breaker = due::<Streak>(plain(Config::streak(1)));
        // Half-open, with its one slot free.
        breaker.acquire().unwrap().ignore();
        race!(breaker;
            |breaker| done(breaker.acquire().map(microbreaker::Permit::ignore)),
            |breaker| {
                breaker.hold(ticks(OPEN));
                breaker.clock().advance_ticks(OPEN);
                if let Ok(probe) = breaker.acquire() {
                    // `Counted` if the other caller sees the complete results and carries the verdict out.
                    assert!(matches!(probe.success(), Effect::Closed | Effect::Counted));
                    assert_eq!(breaker.state(), State::Closed);
                }
            },
        );
    });
}
