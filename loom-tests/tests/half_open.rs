//! Half-open: how many probes are admitted in all, how many at once, and that each of them ends.
#![cfg(feature = "models")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Events, Hand, OPEN, come_due, done, explore, fixed, plain, shared, ticks};
use loom::sync::Arc;
use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, ManualClock, Outcome, Permit, Policy, ProbeRule, State, Streak,
};

const LEASE: u32 = 8;

policies! {
    One = plain(Config::streak(1).lease(ticks(LEASE)));
    Doubling = plain(Config::streak(1).lease(ticks(LEASE))).backoff_1024ths(2048);
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
        let config = plain(Config::streak(1).probes(2).at_once(1));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), Events::default());
        come_due(&breaker);
        breaker.acquire().unwrap().ignore();
        let gauge = std::sync::Arc::new(Gauge::default());
        let probe = |outcomes: &'static [Outcome]| {
            let (breaker, gauge) = (Arc::clone(&breaker), std::sync::Arc::clone(&gauge));
            Box::new(move || {
                for &outcome in outcomes {
                    if let Ok(permit) = breaker.acquire() {
                        if permit.is_probe() {
                            gauge.enter(1);
                            // Another thread's probe would be admitted here, if the breaker allowed it.
                            loom::thread::yield_now();
                            gauge.leave(outcome == Outcome::Success, 2);
                        }
                        permit.record(outcome);
                    }
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([probe(&[Outcome::Ignored, Outcome::Success]), probe(&[Outcome::Success])]);
        assert!(matches!(breaker.state(), State::HalfOpen | State::Closed));
        let generations = breaker.observer().count(|event| event.to == State::HalfOpen);
        assert_eq!(generations, 1);
    });
}

#[test]
fn one_caller_at_a_time_has_the_only_probe() {
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
        come_due(&breaker);
        let gauge = std::sync::Arc::new(Gauge::default());
        let ask = |cancels: bool| {
            let (breaker, gauge) = (Arc::clone(&breaker), std::sync::Arc::clone(&gauge));
            Box::new(move || {
                if let Ok(permit) = breaker.acquire() {
                    assert!(permit.is_probe());
                    gauge.enter(1);
                    loom::thread::yield_now();
                    if cancels {
                        gauge.leave(false, 1);
                        drop(permit);
                    } else {
                        std::mem::forget(permit);
                    }
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([ask(true), ask(false)]);
        assert_eq!(breaker.observer().count(|event| event.to == State::HalfOpen), 1, "a slot that came back is no event");
    });
}

/// Whoever makes the circuit half-open has its first probe, and it counts among those in flight though no word but the
/// first has changed.
#[test]
fn of_two_callers_at_the_end_of_an_open_time_one_has_the_probe() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2).at_once(1));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), Events::default());
        come_due(&breaker);
        let admitted = std::sync::Arc::new(AtomicU32::new(0));
        let ask = || {
            let (breaker, admitted) = (Arc::clone(&breaker), std::sync::Arc::clone(&admitted));
            Box::new(move || {
                if let Ok(permit) = breaker.acquire() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    std::mem::forget(permit);
                }
            }) as Box<dyn FnOnce() + Send>
        };
        common::race([ask(), ask()]);
        assert_eq!(admitted.load(Ordering::Relaxed), 1);
        assert_eq!(breaker.status().probes_in_flight, 1);
    });
}

#[test]
fn a_verdict_and_a_leases_end_exclude_each_other() {
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
        come_due(&breaker);
        let late = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance_ticks(LEASE);
        let effect = std::sync::Arc::new(Mutex::new(Effect::Stale));
        let told = std::sync::Arc::clone(&effect);
        let asking = Arc::clone(&breaker);
        common::race([
            Box::new(move || *told.lock().unwrap() = late.success()),
            Box::new(move || match asking.acquire() {
                Ok(permit) => assert!(!permit.is_probe(), "admitted by the success alone"),
                Err(rejected) => assert_eq!(rejected.retry_in_ticks(), Some(OPEN)),
            }),
        ]);
        let status = breaker.status();
        match *effect.lock().unwrap() {
            Effect::Closed => assert_eq!(status.state, State::Closed),
            Effect::Stale => assert_eq!((status.state, status.attempt), (State::Open, 1)),
            // The other caller carried a verdict out: this one, or that of the lease.
            Effect::Counted => assert_eq!(status.attempt, u8::from(status.state == State::Open)),
            other => panic!("{other:?}"),
        }
        assert_eq!(breaker.observer().count(|event| event.from == State::HalfOpen), 1);
    });
}

/// The only probe gives its slot back when its lease is over, while another caller finds that. One exchange decides which comes
/// first. (Of many probes, the slot is given back in one word and the state ended in another: there the probe may be told that it
/// gave its slot back, though it counted as lost.)
#[test]
fn an_only_probe_that_gives_its_slot_back_is_not_lost() {
    explore(|| {
        let breaker = fixed::<Streak, One, _, _>(Hand::default(), Events::default());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance(OPEN);
        let late = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance(LEASE);
        let effect = std::sync::Arc::new(Mutex::new(Effect::Counted));
        let told = std::sync::Arc::clone(&effect);
        let asking = Arc::clone(&breaker);
        common::race([
            Box::new(move || *told.lock().unwrap() = late.ignore()),
            Box::new(move || done(asking.acquire().map(std::mem::forget))),
        ]);
        let status = breaker.status();
        match *effect.lock().unwrap() {
            Effect::Neutral => assert_eq!(status.state, State::HalfOpen),
            Effect::Stale => assert_eq!((status.state, status.attempt), (State::Open, 1)),
            other => panic!("{other:?}"),
        }
    });
}

/// Of many probes, the lost ones end together: no slot comes free before.
#[test]
fn a_lost_probe_of_several_ends_the_state_for_all_of_them() {
    explore(|| {
        let rates = Config::count(3).minimum(3).probes(3).at_once(2).probe_rule(ProbeRule::Rates).lease(ticks(LEASE));
        let breaker = shared::<CountWindow<3>, _, _>(plain(rates), ManualClock::new(), Events::default());
        come_due(&breaker);
        std::mem::forget(breaker.acquire().unwrap());
        let late = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance_ticks(LEASE);
        let (asking, also_asking) = (Arc::clone(&breaker), Arc::clone(&breaker));
        common::race([
            Box::new(move || {
                done(late.success());
                // Whoever asks while no slot is free ends the state, if the lease is over.
                done(also_asking.acquire().map(std::mem::forget));
            }),
            Box::new(move || {
                // The other probe's result makes room for a third one. Its lease begins with it.
                if let Ok(third) = asking.acquire() {
                    assert_ne!(third.success(), Effect::Stale, "written off for the lost one");
                }
            }),
        ]);
        let ended = breaker.observer().count(|event| event.from == State::HalfOpen);
        assert!(ended <= 1, "{:?}", breaker.observer().all());
        assert_eq!(ended == 1, breaker.state() == State::Open);
    });
}

#[test]
fn a_probe_that_has_just_begun_is_not_written_off_for_an_older_one() {
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
        come_due(&breaker);
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        breaker.clock().advance_ticks(LEASE);
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
fn a_probe_is_not_written_off_at_the_tick_it_was_admitted_at() {
    explore(|| {
        let breaker = shared::<Streak, _, _>(One::CONFIG, ManualClock::new(), Events::default());
        come_due(&breaker);
        // Half-open, with its one slot free.
        breaker.acquire().unwrap().ignore();
        race!(breaker;
            |breaker| {
                // In loom's memory model this thread alone moves the clock, and only once.
                breaker.clock().advance_ticks(LEASE);
                if let Ok(probe) = breaker.acquire() {
                    assert_ne!(probe.success(), Effect::Stale, "written off at the tick it was admitted at");
                }
            },
            |breaker| done(breaker.acquire().map(Permit::ignore)),
        );
    });
}

/// Admissions stand in the word and reports in the counts. A caller that sleeps between its looks at the two, while other probes
/// come and go, does not take a free slot for a taken one.
#[test]
fn no_caller_is_rejected_while_a_slot_is_free() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2).at_once(2));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), ());
        come_due(&breaker);
        let first = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        race!(breaker;
            |breaker| {
                first.ignore();
                done(breaker.acquire().unwrap().ignore());
            },
            |breaker| done(breaker.acquire().expect("one other probe is in flight at most").ignore()),
        );
    });
}

/// The same for who only looks.
#[test]
fn no_more_probes_are_told_than_are_in_flight_together() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2).at_once(1));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), ());
        come_due(&breaker);
        let first = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        race!(breaker;
            |breaker| {
                first.ignore();
                done(breaker.acquire().unwrap().ignore());
            },
            |breaker| assert!(breaker.status().probes_in_flight <= 1),
        );
    });
}

#[test]
fn a_dropped_permit_always_returns_its_slot() {
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
        come_due(&breaker);
        race!(breaker;
            |breaker| drop(breaker.acquire()),
            |breaker| drop(breaker.acquire()),
        );
        assert_eq!(breaker.status().probes_in_flight, 0);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
    });
}

#[test]
fn a_lost_probe_ends_in_one_verdict_and_a_longer_time() {
    explore_both!(Streak, Doubling, Hand::default(), Events::default(); |breaker| {
        breaker.acquire().unwrap().failure();
        breaker.clock().advance(OPEN);
        std::mem::forget(breaker.acquire().unwrap());
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(LEASE));
        breaker.clock().advance(LEASE);
        let ask = |breaker: Arc<Breaker<_, _, _>>| {
            let rejected = breaker.acquire().map(|_| ()).expect_err("open");
            assert_eq!(rejected.retry_in_ticks(), Some(2 * OPEN));
        };
        race!(breaker; |breaker| ask(breaker), |breaker| ask(breaker));
        let status = breaker.status();
        assert_eq!((status.state, status.attempt), (State::Open, 1), "ordinary backoff, once");
        assert_eq!(breaker.observer().count(|event| event.from == State::HalfOpen), 1);
    });
}

#[test]
fn two_verdicts_of_one_generation_are_one_transition() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2).successes(1));
        let breaker = shared::<Streak, _, _>(config, ManualClock::new(), Events::default());
        come_due(&breaker);
        let [good, bad] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
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
fn no_result_of_a_probe_is_lost_beside_another() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2));
        let breaker = shared::<Streak, _, _>(config, Hand::default(), Events::default());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance(OPEN);
        let probes = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
        common::race(probes.map(|probe| Box::new(move || done(probe.success())) as Box<dyn FnOnce() + Send>));
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.observer().count(|event| event.from == State::HalfOpen), 1);
    });
}

#[test]
fn a_latch_is_never_lost_to_a_plain_verdict() {
    for other in [Outcome::Failure(FailureKind::Other), Outcome::Success] {
        explore(move || {
            let config = plain(Config::streak(1).probes(2).successes(2));
            let breaker = shared::<Streak, _, _>(config, ManualClock::new(), Events::default());
            come_due(&breaker);
            let [latch, plain] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&breaker)).unwrap());
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
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
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
    explore_both!(Streak, One, ManualClock::new(), Events::default(); |breaker| {
        come_due(&breaker);
        // Half-open, with its one slot free.
        breaker.acquire().unwrap().ignore();
        race!(breaker;
            |breaker| done(breaker.acquire().map(Permit::ignore)),
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

/// A probe of an older half-open state reports, while in a newer one the counts are in use.
#[test]
fn a_probe_of_an_older_half_open_state_changes_no_newer_counts() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2));
        let breaker = shared::<Streak, _, _>(config, Hand::default(), Events::default());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance(OPEN);
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let newer = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(old.success())),
            Box::new(move || {
                newer.hold(ticks(OPEN));
                newer.clock().advance(OPEN);
                let [one, other] = [0; 2].map(|_| Breaker::acquire_in(Arc::clone(&newer)).unwrap());
                assert_eq!(one.success(), Effect::Counted);
                assert_eq!(other.success(), Effect::Closed, "a slot or a result is gone");
            }),
        ]);
    });
}

/// A probe's failure completes the results, and its reporter sleeps until a newer half-open state has begun.
#[test]
fn a_verdict_on_an_older_half_open_state_moves_no_newer_one() {
    explore(|| {
        let config = plain(Config::streak(1).probes(2));
        let breaker = shared::<Streak, _, _>(config, Hand::default(), Events::default());
        breaker.acquire().unwrap().failure();
        breaker.clock().advance(OPEN);
        let old = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        let newer = Arc::clone(&breaker);
        common::race([
            Box::new(move || done(old.failure())),
            Box::new(move || {
                newer.hold(ticks(OPEN));
                newer.clock().advance(OPEN);
                assert_eq!(newer.acquire().unwrap().success(), Effect::Counted, "the newer state is over");
                assert_eq!(newer.state(), State::HalfOpen);
            }),
        ]);
    });
}
