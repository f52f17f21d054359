//! Proves that this breaker has none of the faults of other breakers. Each test is named after its fault. If the fault
//! is a race, threads really race; no test sleeps, and none measures a duration.
//!
//! Faults that are tested elsewhere:
//!
//! - 12 (memory that grows with every cycle) needs an allocator that counts: `tests/allocation`.
//! - 22 (a stream that is counted at its headers) and the HTTP half of 19 (client errors reset a streak, or those of
//!   one client open the circuit for all): `tests/integrations/classify/`, and over real connections
//!   `tests/packages/server/tests/http.rs`.
//! - 23 (a breaker per request) and 24 (a `poll_ready` that fails for good) are faults of layers; the core has no
//!   requests and no readiness. The tests of the layer cover them: `tests/packages/server/tests/tower.rs` and
//!   `stack.rs`.
//! - 13 (the operation runs although the circuit is open) and 18 (the breaker counts its own rejections as failures)
//!   have two halves. This file tests the core's half: what `call`, `call_async` and `guarded` run, and what a
//!   rejection counts as. The tests of the layer cover the other half: when the inner service is polled, and how an
//!   error that *contains* a rejection is classified.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use microbreaker::{
    Breaker, CallReport, Clock, CoarseClock, Config, ConfigError, CountWindow, Effect, Error, ErrorIf, Event,
    FailureKind, GuardExt, LiveWindow, ManualClock, Observer, OpenReason, Outcome, Permit, ProbeRule, RejectReason,
    State, StdClock, Streak, Ticks, TimeWindow, Tripped, count_words,
};

const SECOND: Duration = Duration::from_secs(1);
const OPEN_FOR: Duration = SECOND;
const LEASE: Duration = Duration::from_secs(8);
const DAY: Duration = Duration::from_secs(86_400);

type Last100 = CountWindow<{ count_words(100, false) }>;
type Plain<'a> = Breaker<Streak, &'a ManualClock>;

/// One failure opens for exactly a second, at every attempt.
const QUICK: Config = Config::streak(1).jitter(false).open_for(OPEN_FOR).backoff_1024ths(1024).lease(LEASE);

/// Opens a closed breaker and lets its open time pass.
fn until_probes_are_due<W: LiveWindow>(breaker: &Breaker<W, &ManualClock>) {
    assert!(matches!(breaker.trip(OpenReason::Manual, OPEN_FOR), Tripped::Opened(_)));
    breaker.clock().advance(OPEN_FOR);
}

#[test]
fn fault_01_half_open_lets_everybody_in() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(5), &clock);
    until_probes_are_due(&breaker);
    let start = Barrier::new(500);
    let permits: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..500)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    breaker.acquire().ok()
                })
            })
            .collect();
        callers.into_iter().filter_map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(permits.len(), 5, "of 500 callers at once, exactly the 5 probes are admitted");
    assert!(permits.iter().all(Permit::is_probe));
}

#[test]
fn fault_01_an_off_by_a_store_lets_extra_ones_in() {
    for _ in 0..200 {
        let clock = ManualClock::new();
        let breaker: Plain<'_> = Breaker::new(QUICK.probes(6).at_once(2), &clock);
        until_probes_are_due(&breaker);
        let (admitted, out, most_out) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    // The loop is bounded, so a breaker that never closes fails the test instead of hanging it.
                    for _ in 0..1_000_000 {
                        if breaker.state() == State::Closed {
                            break;
                        }
                        let Some(probe) = breaker.acquire().ok().filter(Permit::is_probe) else { continue };
                        admitted.fetch_add(1, Ordering::SeqCst);
                        most_out.fetch_max(out.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        out.fetch_sub(1, Ordering::SeqCst);
                        probe.success();
                    }
                });
            }
        });
        assert!((1..=2).contains(&most_out.into_inner()), "at_once");
        assert_eq!(admitted.into_inner(), 6, "as many as close it, and never one more");
    }
}

#[test]
fn fault_02_half_open_for_ever_after_a_cancelled_panicked_or_ignored_probe() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(2).at_once(1), &clock);
    until_probes_are_due(&breaker);
    // More rounds than any field of the words can count.
    for _ in 0..40 {
        drop(breaker.acquire().expect("cancelled: its slot is back"));
        assert_eq!(breaker.acquire().expect("ignored: its slot is back").ignore(), Effect::Neutral);
    }
    // A probe that panics has failed: it leads to an ordinary verdict, with an ordinary way back.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _probe = breaker.acquire().unwrap();
        panic!("while the probe is in flight");
    }));
    assert!(panicked.is_err());
    assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
    clock.advance(OPEN_FOR);
    // A probe that never reports has failed too.
    std::mem::forget(breaker.acquire().unwrap());
    clock.advance(LEASE);
    assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::Open(OpenReason::Failures));
    assert_eq!(breaker.status().attempt, 2);
    clock.advance(OPEN_FOR);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
}

#[test]
fn fault_03_half_open_for_ever_when_results_age_out_and_permits_are_forgotten() {
    let config = Config::time(4, SECOND).minimum(3).jitter(false).open_for(OPEN_FOR).lease(LEASE).probes(3).at_once(1);
    for rule in [ProbeRule::FirstFailure, ProbeRule::Rates] {
        let clock = ManualClock::new();
        let breaker: Breaker<TimeWindow<4>, _> = Breaker::new(config.probe_rule(rule), &clock);
        until_probes_are_due(&breaker);
        for expected in [Effect::Counted, Effect::Counted, Effect::Closed] {
            // Each result is older than the window is long, by days, before the next result comes.
            clock.advance(DAY);
            assert_eq!(breaker.acquire().unwrap().success(), expected, "{rule:?}");
        }
    }
    let clock = ManualClock::new();
    let breaker: Breaker<TimeWindow<4>, _> = Breaker::new(config.probe_rule(ProbeRule::Rates), &clock);
    until_probes_are_due(&breaker);
    for lost in 1..=3_u8 {
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        clock.advance(DAY);
        std::mem::forget(breaker.acquire().unwrap());
        clock.advance(DAY);
        // A success and a lost probe would be a share below the threshold. Under either rule, a lost probe opens the
        // circuit again with a longer open time, because a peer that hangs must not be probed without end.
        assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::Open(OpenReason::Failures));
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, lost));
        clock.advance(DAY);
    }
    for expected in [Effect::Counted, Effect::Counted, Effect::Closed] {
        assert_eq!(breaker.acquire().unwrap().success(), expected);
    }
}

#[test]
fn fault_04_a_stale_result_counts_for_what_came_after_it() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
    let mut old: Vec<_> = (0..6).map(|_| breaker.acquire().unwrap()).collect();
    let mut stale = || old.pop().unwrap();
    until_probes_are_due(&breaker);
    let probe = breaker.acquire().unwrap();

    assert_eq!(stale().success(), Effect::Stale, "does not close half-open while the real probe is in flight");
    assert_eq!(stale().failure(), Effect::Stale, "nor reopen it");
    assert_eq!(stale().ignore(), Effect::Stale, "nor free the probe's slot");
    drop(stale());
    assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 1));
    assert!(breaker.acquire().is_err());
    assert_eq!(probe.success(), Effect::Closed);

    assert_eq!(stale().failure(), Effect::Stale, "failures of one closed period do not open the next");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _old = stale();
        panic!("while a stale permit is held");
    }));
    assert!(panicked.is_err());
    assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 0));
}

#[test]
fn fault_04_a_stale_cancellation_frees_the_slot_in_a_race() {
    for _ in 0..200 {
        let clock = ManualClock::new();
        let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
        let old: Vec<_> = (0..4).map(|_| breaker.acquire().unwrap()).collect();
        until_probes_are_due(&breaker);
        let start = Barrier::new(8);
        let probes: Vec<_> = thread::scope(|scope| {
            let start = &start;
            for permit in old {
                scope.spawn(move || {
                    start.wait();
                    drop(permit);
                });
            }
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        breaker.acquire().ok()
                    })
                })
                .collect();
            callers.into_iter().filter_map(|caller| caller.join().unwrap()).collect()
        });
        assert_eq!(probes.len(), 1);
    }
}

/// The clock stands still from before each trip until well after it. If a thread gets a probe meanwhile, it has seen
/// the new state without its timestamp, or with the timestamp of the trip before.
#[test]
fn fault_05_the_cooldown_is_skipped() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
    let (cooling, skipped, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let asked = [AtomicU32::new(0), AtomicU32::new(0)];
    // Every probe closes the circuit, and the main thread begins the next round only after that. While a probe is in
    // flight, `cooling` therefore still has the value of the probe's own round.
    let ask = || {
        if let Some(probe) = breaker.acquire().ok().filter(Permit::is_probe) {
            skipped.fetch_or(cooling.load(Ordering::SeqCst), Ordering::SeqCst);
            probe.success();
        }
    };
    let round = || {
        cooling.store(true, Ordering::SeqCst);
        breaker.acquire().map(Permit::failure).ok()?;
        for asked in &asked {
            let before = asked.load(Ordering::SeqCst);
            while asked.load(Ordering::SeqCst).wrapping_sub(before) < 3 {
                thread::yield_now();
            }
        }
        let rest = breaker.acquire().err().and_then(|rejected| rejected.retry_in());
        cooling.store(false, Ordering::SeqCst);
        clock.advance(OPEN_FOR);
        while breaker.state() != State::Closed && !skipped.load(Ordering::SeqCst) {
            ask();
        }
        (rest == Some(OPEN_FOR)).then_some(())
    };
    // Nothing may panic in this scope: the scope would wait for the other threads for ever.
    let rounds = thread::scope(|scope| {
        for asked in &asked {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    ask();
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let rounds = (0..200).map_while(|_| round()).count();
        done.store(true, Ordering::SeqCst);
        rounds
    });
    assert!(!skipped.into_inner(), "a probe within the cooldown");
    assert_eq!(rounds, 200, "each round stays open for its whole time");
}

#[test]
fn fault_06_every_straggling_failure_rearms_the_open_timer() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
    let stragglers: Vec<_> = (0..1023).map(|_| breaker.acquire().unwrap()).collect();
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    for (passed, straggler) in (1_u32..).zip(stragglers) {
        clock.advance_ticks(1);
        assert_eq!(straggler.failure(), Effect::Stale);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(1024 - passed));
    }
    clock.advance_ticks(1);
    assert!(breaker.acquire().unwrap().is_probe(), "after its 1024 ticks, to the tick");
}

#[test]
fn fault_07_a_window_that_is_a_lifetime_average() {
    fn failures_to_open<W: LiveWindow>(config: Config, lull: Duration) -> u32 {
        let clock = ManualClock::new();
        let breaker: Breaker<W, _> = Breaker::new(config, &clock);
        for _ in 0..10_000 {
            breaker.acquire().unwrap().success();
        }
        clock.advance(lull);
        let mut failures = 1;
        while breaker.acquire().unwrap().failure() == Effect::Counted {
            failures += 1;
        }
        failures
    }
    assert_eq!(failures_to_open::<Streak>(Config::streak(5), Duration::ZERO), 5);
    assert_eq!(failures_to_open::<Last100>(Config::count(100), Duration::ZERO), 50);
    assert_eq!(failures_to_open::<TimeWindow<16>>(Config::time(10, SECOND), 10 * SECOND), 20);
}

#[test]
fn fault_08_an_average_that_weighs_a_burst_as_nothing() {
    // A thousand calls a second, healthy for a minute, then all of them fail.
    let clock = ManualClock::new();
    let breaker: Breaker<TimeWindow<16>, _> = Breaker::new(Config::time(10, SECOND), &clock);
    for _ in 0..60 {
        for _ in 0..1000 {
            breaker.acquire().unwrap().success();
        }
        clock.advance(SECOND);
    }
    let mut failing = 0;
    while let Ok(permit) = breaker.acquire() {
        permit.failure();
        failing += 1;
        if failing % 1000 == 0 && breaker.state() == State::Closed {
            clock.advance(SECOND);
        }
    }
    assert_eq!(failing, 5000, "half of a window full, to the call");

    // A burst within one tick: the count window opens at its threshold, however short the time.
    let breaker: Breaker<Last100, _> = Breaker::new(Config::count(100), &clock);
    for _ in 0..1_000 {
        breaker.acquire().unwrap().success();
    }
    let mut failing = 0;
    while let Ok(permit) = breaker.acquire() {
        permit.failure();
        failing += 1;
    }
    assert_eq!(failing, 50);
}

#[test]
fn fault_09_divide_by_zero_and_panic_on_extreme_settings() {
    fn streak(config: Config) -> Result<(), ConfigError> {
        Breaker::<Streak, _>::try_new(config, ManualClock::new()).map(drop)
    }
    fn count(config: Config) -> Result<(), ConfigError> {
        Breaker::<Last100, _>::try_new(config, ManualClock::new()).map(drop)
    }
    fn time(config: Config) -> Result<(), ConfigError> {
        Breaker::<TimeWindow<16>, _>::try_new(config, ManualClock::new()).map(drop)
    }
    for length in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(5), Duration::MAX] {
        assert!(time(Config::time(10, length)).is_err(), "buckets of {length:?}");
    }
    assert!(time(Config::time(0, SECOND)).is_err());
    assert!(count(Config::count(0)).is_err());
    assert!(streak(Config::streak(0)).is_err());
    let ok = Config::streak(1);
    for extreme in [Duration::ZERO, Duration::MAX] {
        for config in [
            ok.open_for(extreme),
            ok.open_at_most(extreme),
            ok.hold_at_most(extreme),
            ok.lease(extreme),
            ok.ramp(extreme),
            ok.slow_after(extreme),
        ] {
            assert!(streak(config).is_err(), "{config:?}");
        }
    }

    // A time that is no setting, but comes from a peer or a caller, is cut to a valid one.
    for extreme in [Duration::ZERO, Duration::MAX] {
        let clock = ManualClock::new();
        let breaker: Plain<'_> = Breaker::new(QUICK.slow_after(SECOND).hold_at_most(LEASE), &clock);
        assert_eq!(
            breaker.acquire().unwrap().record_elapsed(Outcome::Success, extreme),
            if extreme == Duration::ZERO { Effect::Counted } else { Effect::Opened(OpenReason::Slow) }
        );
        breaker.reset();
        assert_eq!(breaker.acquire().unwrap().hold(extreme), Effect::Opened(OpenReason::Hold));
        let rest = breaker.acquire().unwrap_err().retry_in().unwrap();
        assert!(rest > Duration::ZERO && rest <= LEASE, "{rest:?}");
        clock.advance(extreme);
        clock.advance(LEASE);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
    }
}

#[test]
fn fault_10_counter_underflow_wraps_to_four_billion() {
    // First in sequence: every way in which a slot could be given back twice.
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(3), &clock);
    until_probes_are_due(&breaker);
    for round in 0..40 {
        // All slots are taken. After the lease the next caller writes the probes off, and only then do they report.
        let lost: Vec<_> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
        assert_eq!(breaker.status().probes_in_flight, 3);
        clock.advance(LEASE);
        assert!(breaker.acquire().is_err(), "round {round}");
        clock.advance(OPEN_FOR);
        let probe = breaker.acquire().unwrap();
        for (way, late) in lost.into_iter().enumerate() {
            match way {
                0 => assert_eq!(late.success(), Effect::Stale),
                1 => assert_eq!(late.ignore(), Effect::Stale),
                _ => drop(late),
            }
            assert_eq!(breaker.status().probes_in_flight, 1, "only the new probe is in flight");
        }
        drop(probe);
        assert_eq!(breaker.status().probes_in_flight, 0);
    }

    // If the verdict is by rates, the results before the loss are gone as well, and so are the slots.
    let config = Config::count(100).minimum(5).jitter(false).open_for(OPEN_FOR).lease(LEASE);
    let breaker: Breaker<Last100, _> = Breaker::new(config.probe_rule(ProbeRule::Rates).probes(5).at_once(2), &clock);
    until_probes_are_due(&breaker);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
    let lost = [breaker.acquire().unwrap(), breaker.acquire().unwrap()];
    clock.advance(LEASE);
    assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::Open(OpenReason::Failures));
    clock.advance(2 * OPEN_FOR);
    let fresh = [breaker.acquire().unwrap(), breaker.acquire().unwrap()];
    for late in lost {
        assert_eq!(late.failure(), Effect::Stale);
        assert_eq!(breaker.status().probes_in_flight, 2);
    }
    assert_eq!(fresh.map(Permit::success), [Effect::Counted; 2]);
    assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 0));
    for expected in [Effect::Counted, Effect::Counted, Effect::Closed] {
        assert_eq!(breaker.acquire().unwrap().success(), expected, "five results of its own, as ever");
    }

    // Then four threads at once.
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(3), &clock);
    until_probes_are_due(&breaker);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for round in 0..2_000 {
                    if let Ok(permit) = breaker.acquire() {
                        if round % 2 == 0 {
                            drop(permit);
                        } else {
                            permit.ignore();
                        }
                    }
                    assert!(breaker.status().probes_in_flight <= 3);
                }
            });
        }
    });
    assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 0));
}

static NOSY_CLOCK: ManualClock = ManualClock::new();
static NOSY: Breaker<Streak, &ManualClock, Nosy> = Breaker::observed(QUICK, &NOSY_CLOCK, Nosy(AtomicU32::new(0)));

/// An observer that reads all its own breaker shows, from within every hook.
struct Nosy(AtomicU32);

impl Nosy {
    fn look(&self) {
        let _ = (NOSY.state(), NOSY.status(), NOSY.tally(), NOSY.retry_in());
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Observer for Nosy {
    fn on_event(&self, event: &Event) {
        self.look();
        assert_eq!(NOSY.state(), event.to, "told after it was made");
        // A hook may even act on the breaker: this hook resets a latched circuit, and is thereby called from within
        // itself.
        if event.to == State::Latched {
            NOSY.reset();
        }
    }

    fn on_permit(&self, _: bool) {
        self.look();
    }

    fn on_reject(&self, _: RejectReason) {
        self.look();
    }

    fn on_report(&self, _: &CallReport) {
        self.look();
    }
}

#[test]
fn fault_11_a_reset_that_deadlocks_when_the_hook_asks_for_the_state() {
    NOSY.reset();
    assert_eq!(NOSY.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    assert!(NOSY.acquire().is_err());
    NOSY.reset();
    assert_eq!(NOSY.latch(), Effect::Latched);
    assert_eq!(NOSY.state(), State::Closed, "reset from within the hook");
    // Five events: two resets, an opening, a latch, and the reset that the hook makes. Then a permit, its report, a
    // rejection.
    assert_eq!(NOSY.observer().0.load(Ordering::SeqCst), 5 + 3);
}

#[test]
fn fault_13_the_operation_runs_although_the_circuit_is_open() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
    for closed in [true, false] {
        let ran = AtomicU32::new(0);
        let run = || {
            ran.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>(())
        };
        assert_eq!(breaker.call(run).is_ok(), closed);
        breaker.call_or(run, |_| ());
        let mut context = Context::from_waker(Waker::noop());
        let by_closure = pin!(breaker.call_async(|| async { run() })).poll(&mut context);
        // The closure that makes the future is not run either.
        let made = pin!(breaker.call_async(|| std::future::ready(run()))).poll(&mut context);
        let in_place = pin!(async { run() }.guarded(&breaker)).poll(&mut context);
        for polled in [by_closure, made, in_place] {
            assert_eq!(matches!(polled, Poll::Ready(Ok(()))), closed);
            assert_eq!(matches!(polled, Poll::Ready(Err(Error::Rejected(_)))), !closed);
        }
        assert_eq!(ran.into_inner(), if closed { 5 } else { 0 });
        assert_eq!(breaker.latch(), if closed { Effect::Latched } else { Effect::Unchanged });
    }
}

#[test]
fn fault_14_a_rate_of_exactly_100_percent_can_never_trip() {
    let clock = ManualClock::new();
    let breaker: Breaker<Last100, _> = Breaker::new(Config::count(10).failure_permille(1000), &clock);
    assert_eq!([(); 9].map(|()| breaker.acquire().unwrap().failure()), [Effect::Counted; 9]);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));

    let slow = Config::count(10).ignore_failure_share().slow_permille(1000).slow_after(SECOND);
    let breaker: Breaker<Last100, _> = Breaker::new(slow, &clock);
    let report = || breaker.acquire().unwrap().record_elapsed(Outcome::Success, 2 * SECOND);
    assert_eq!([(); 9].map(|()| report()), [Effect::Counted; 9]);
    assert_eq!(report(), Effect::Opened(OpenReason::Slow));
}

#[test]
fn fault_15_a_verdict_before_the_minimum_wedges_half_open() {
    let config = Config::count(100).jitter(false).open_for(OPEN_FOR).probe_rule(ProbeRule::Rates).probes(4);
    // Probes may be too few to reach the minimum of the window; the verdict therefore comes at min(minimum, probes).
    for (minimum, results) in [(100, 4), (4, 4), (3, 3), (1, 1)] {
        let clock = ManualClock::new();
        let breaker: Breaker<Last100, _> = Breaker::new(config.minimum(minimum), &clock);
        until_probes_are_due(&breaker);
        for number in 1..=results {
            let probe = breaker.acquire().expect("below the minimum there is no verdict, and the next probe is let in");
            assert!(probe.is_probe());
            let effect = probe.failure();
            if number < results {
                assert_eq!((effect, breaker.state()), (Effect::Counted, State::HalfOpen));
            } else {
                assert_eq!(effect, Effect::Opened(OpenReason::Failures), "minimum {minimum}");
            }
        }
    }
}

#[test]
fn fault_16_ignored_probes_starve_half_open() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(3).successes(2), &clock);
    until_probes_are_due(&breaker);
    // For many leases, ignored calls take all slots at once. They lead to no verdict, and every slot comes back.
    for _ in 0..100 {
        clock.advance(2 * LEASE);
        let probes = [(); 3].map(|()| breaker.acquire().unwrap());
        assert_eq!(probes.map(Permit::ignore), [Effect::Neutral; 3]);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
    assert_eq!(breaker.acquire().unwrap().ignore(), Effect::Neutral);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
}

/// A thread that has seen another thread's reading never reads less than that.
fn never_goes_back<C: Clock + Sync>(clock: &C) {
    let latest = AtomicU32::new(clock.now().count());
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..5_000 {
                    let before = Ticks::new(latest.load(Ordering::SeqCst));
                    let now = clock.now();
                    assert!(now.since(before) < 1 << 31, "{now:?} after {before:?}");
                    latest.fetch_max(now.count(), Ordering::SeqCst);
                }
            });
        }
    });
}

#[test]
fn fault_17_a_wall_clock_step_stretches_or_zeroes_the_open_time() {
    never_goes_back(&StdClock);
    never_goes_back(&CoarseClock);

    // The only step a monotonic tick counter makes is its wrap, and the open time is exact across it.
    for before_wrap in [0, 1, 511, 1023, 1024, 1025] {
        let clock = ManualClock::at(Ticks::new(0_u32.wrapping_sub(before_wrap)));
        let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
        clock.advance_ticks(1023);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(1), "{before_wrap}");
        clock.advance_ticks(1);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed, "{before_wrap}");
    }
}

/// The crate reads the wall clock only for a date in `Retry-After`: once, to learn how far ahead the date lies. The
/// hold then runs by the breaker's own clock.
#[test]
fn fault_17_no_source_file_knows_the_wall_clock() {
    fn read(folder: &std::path::Path, files: &mut u32) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, files);
            } else if !path.ends_with("src/integrations/http/status.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains("SystemTime") && !text.contains("UNIX_EPOCH"), "{}", path.display());
                *files += 1;
            }
        }
    }
    let mut files = 0;
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files > 10, "{files} files read");
}

#[test]
fn fault_18_the_breakers_own_rejections_are_counted_as_failures() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(QUICK.probes(2).successes(2), &clock);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    let reject = |times| {
        for _ in 0..times {
            assert!(matches!(breaker.call(|| Ok::<_, ()>(())), Err(Error::Rejected(_))));
        }
    };
    let before = breaker.status();
    reject(10_000);
    assert_eq!(breaker.status(), before, "while open");
    clock.advance(OPEN_FOR);
    let probes = [breaker.acquire().unwrap(), breaker.acquire().unwrap()];
    reject(10_000);
    assert_eq!((breaker.state(), breaker.status().attempt), (State::HalfOpen, 0), "while half-open");
    assert_eq!(probes.map(Permit::success), [Effect::Counted, Effect::Closed]);
    assert_eq!(breaker.tally().total, 0);
}

#[test]
fn fault_19_a_client_error_resets_the_streak_or_opens_the_circuit() {
    // 4xx is the caller's own fault: the peer answered.
    let classify = ErrorIf(|status: &u16| (*status >= 500).then_some(FailureKind::Server));
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(Config::streak(3).jitter(false).open_for(OPEN_FOR), &clock);
    let answer = |status: u16| breaker.call_with(&classify, || Err::<(), _>(status)).unwrap_err();
    for _ in 0..10_000 {
        assert_eq!(answer(404), Error::Inner(404));
    }
    assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 0), "one client's 4xx do not open it");
    answer(503);
    answer(503);
    answer(400);
    assert_eq!(breaker.tally().failed, 2, "and do not end the streak");
    answer(503);
    assert_eq!(breaker.state(), State::Open);
    clock.advance(OPEN_FOR);
    answer(401);
    assert_eq!(breaker.state(), State::Closed, "any answer shows a probe that the peer is up");

    let breaker: Breaker<Last100, _> = Breaker::new(Config::count(100).minimum(2), &clock);
    for _ in 0..1000 {
        assert_eq!(breaker.acquire().unwrap().alive(), Effect::Neutral);
    }
    assert_eq!(breaker.tally().total, 0, "client errors do not lower the share of failures either");
}

#[test]
fn fault_20_zero_probes_accepted_in_the_config() {
    for config in [QUICK.probes(0), QUICK.at_once(0), QUICK.successes(0), QUICK.probes(2).successes(3)] {
        assert!(Breaker::<Streak, _>::try_new(config, ManualClock::new()).is_err(), "{config:?}");
        let clock = ManualClock::new();
        let breaker: Plain<'_> = Breaker::new(QUICK, &clock);
        assert!(breaker.reconfigure(&config).is_err(), "nor by a reload: {config:?}");
    }
}

#[test]
fn fault_21_a_consecutive_count_that_decays_so_sparse_failures_never_add_up() {
    let clock = ManualClock::new();
    let breaker: Plain<'_> = Breaker::new(Config::streak(100), &clock);
    // One failure a day: the tick counter wraps twice meanwhile.
    for _ in 0..99 {
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
        clock.advance(DAY);
    }
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
}
