//! Proves that a breaker never allocates (fault 12 of `tests/breaker/faults.rs`, memory that grows with every cycle):
//! runs thousands of cycles through every state, with every window, under an allocator that counts. A program has only
//! one allocator, so this is a binary of its own.

mod counting;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use counting::allocations;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::{Empty, Full};
use microbreaker::grpc::GrpcStatus;
use microbreaker::http::{AtEnd, HttpStatus};
use microbreaker::metrics::{Counters, Meter};
use microbreaker::{
    Breaker, Circuit, Classify, Clock, CoarseClock, Config, CountWindow, FailureKind, Fixed, GuardExt, LiveWindow,
    ManualClock, Observer, OpenReason, Outcome, Policy, Settle, Snapshot, State, StdClock, Streak, TimeWindow, Window,
    count_words,
};

const SECOND: Duration = Duration::from_secs(1);

/// Leads the breaker through every state and every kind of report, `cycles` times.
fn exercise<W: LiveWindow, O: Observer>(breaker: &Breaker<W, &ManualClock, O>, config: Config, cycles: u32) {
    for _ in 0..cycles {
        cycle(breaker);
        let _ = breaker.reconfigure(&config);
    }
}

/// What layers above the breaker do, through its object-safe face.
fn layer(circuit: &dyn Circuit) {
    for reason in OpenReason::ALL {
        circuit.trip(reason, SECOND);
        for ticket in [circuit.admit_anyway().ok(), circuit.admit().ok()].into_iter().flatten() {
            circuit.report(ticket, Outcome::Success);
        }
        let _ = circuit.release(circuit.status().generation) || circuit.half_open();
        if let Ok(ticket) = circuit.admit() {
            circuit.cancel(ticket);
        }
        let _ = (circuit.peek(), circuit.retry_in(), circuit.state());
        circuit.reset();
    }
}

fn cycle<W: Window, O: Observer>(breaker: &Breaker<W, &ManualClock, O>) {
    let clock = breaker.clock();
    let outcomes = [
        Outcome::Success,
        Outcome::Slow,
        Outcome::Alive,
        Outcome::Ignored,
        Outcome::Failure(FailureKind::Server),
        Outcome::Hold(SECOND),
        Outcome::Latch,
    ];
    for call in 0..2 {
        let stale = breaker.acquire().ok();
        for outcome in outcomes {
            for permit in [breaker.acquire().ok(), breaker.acquire().ok()].into_iter().flatten() {
                permit.record(outcome);
            }
            let _ = breaker.call(|| if call % 2 == 0 { Ok(()) } else { Err(()) });
        }
        let _ = (breaker.status(), breaker.tally(), breaker.retry_in());
        breaker.reset();
        // The circuit opens by its own verdict, is half-open with a lost probe, half-open again, ramping, closed.
        while let Ok(permit) = breaker.acquire() {
            permit.failure();
        }
        drop(stale);
        clock.advance(4 * SECOND);
        std::mem::forget(breaker.acquire());
        clock.advance(4 * SECOND);
        let _ = breaker.acquire().map(drop);
        clock.advance(4 * SECOND);
        let mut context = Context::from_waker(Waker::noop());
        let _ = pin!(async { Ok::<_, ()>(()) }.guarded(breaker)).poll(&mut context);
        let _ = pin!(breaker.call_async(|| async { Ok::<_, ()>(()) })).poll(&mut context);
        clock.advance(4 * SECOND);
        let _ = breaker.acquire().map(drop);
        breaker.latch();
        breaker.force_open();
        breaker.disable();
        breaker.trip(OpenReason::Manual, SECOND);
        breaker.reset();
        layer(breaker);
        let snapshot = breaker.snapshot().bytes();
        breaker.restore(&Snapshot::from_bytes(&snapshot).unwrap(), Some(SECOND)).unwrap();
    }
}

/// Makes this thread's first use of lanes, for which the platform may allocate: see `Lanes`.
fn use_lanes() {
    Counters::<2>::new("lanes").on_permit(false);
}

fn never_allocates<W: LiveWindow>(config: Config) {
    use_lanes();
    let config = config.jitter(false).open_for(SECOND).lease(SECOND).ramp(SECOND).levels(true);
    let clock = ManualClock::new();
    let mut counts = None;
    let counted = allocations(|| {
        let bare: Breaker<W, _> = Breaker::new(config, &clock);
        exercise(&bare, config, 1_000);
        let watched: Breaker<W, _, Counters<4>> = Breaker::observed(config, &clock, Counters::new("watched"));
        exercise(&watched, config, 1_000);
        counts = Some(watched.observer().counts());
        let metered: Breaker<W, _, Meter<4>> = Breaker::observed(config, &clock, Meter::new("metered").timed());
        exercise(&metered, config, 1_000);
        let timed = || metered.reading().latency.unwrap().count();
        let called = timed();
        assert!(called >= 2_000, "{called}");
        (0..2_000).for_each(|call| metered.observer().on_elapsed(SECOND * call));
        assert_eq!(timed(), called + 2_000);
    });
    assert_eq!(counted, 0, "{config:?}");
    for state in State::ALL {
        let cycles = counts.unwrap().transitions_to(state);
        assert!(cycles >= 2_000, "{cycles} times {state:?} says too little: {config:?}");
    }
}

const SLOW_AFTER: Duration = Duration::from_millis(500);

#[test]
fn fault_12_memory_that_grows_with_every_cycle() {
    never_allocates::<Streak>(Config::streak(3));
    never_allocates::<CountWindow<{ count_words(24, false) }>>(Config::count(24).minimum(10));
    never_allocates::<CountWindow<{ count_words(100, false) }>>(Config::count(100).minimum(10));
    never_allocates::<CountWindow<{ count_words(100, true) }>>(
        Config::count(100).minimum(10).slow_permille(500).slow_after(SLOW_AFTER),
    );
    never_allocates::<TimeWindow<16>>(Config::time(10, SECOND));
    never_allocates::<TimeWindow<16, 8>>(Config::time(10, SECOND).slow_permille(500).slow_after(SLOW_AFTER));
    never_allocates::<(Streak, TimeWindow<16>)>(Config::streak(3).and_time(10, SECOND));
    never_allocates::<(CountWindow<7>, TimeWindow<16>)>(Config::count(100).and_time(10, SECOND));
}

#[test]
fn fixed_settings_allocate_nothing_either() {
    struct Constant;

    impl Policy for Constant {
        const CONFIG: Config = Config::streak(3).jitter(false).open_for(SECOND).lease(SECOND).stable_after(SECOND);
    }

    let clock = ManualClock::new();
    let counted = allocations(|| {
        let fixed: Breaker<Fixed<Streak, Constant>, _, Counters> =
            Breaker::fixed_observed(&clock, Counters::new("fixed"));
        (0..1_000).for_each(|_| cycle(&fixed));
        assert!(fixed.observer().counts().anyway >= 1_000);
    });
    assert_eq!(counted, 0);
}

#[test]
fn threads_that_share_a_breaker_allocate_nothing_either() {
    static CLOCK: ManualClock = ManualClock::new();
    static SHARED: Breaker<TimeWindow<16, 4>, &ManualClock> =
        Breaker::new(Config::time(10, SECOND).minimum(5).open_for(SECOND).lease(SECOND).ramp(SECOND), &CLOCK);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                use_lanes();
                let counted = allocations(|| {
                    for call in 0..5_000_u32 {
                        let Ok(permit) = SHARED.acquire() else {
                            CLOCK.advance_ticks(64);
                            continue;
                        };
                        if call % 3 == 0 {
                            permit.failure()
                        } else {
                            permit.success()
                        };
                    }
                });
                assert_eq!(counted, 0);
            });
        }
    });
}

#[test]
fn a_reading_of_the_hosts_clocks_allocates_nothing() {
    // Starting the clocks may allocate, once.
    let _ = (StdClock.now(), CoarseClock::start(), CoarseClock.now());
    let counted = allocations(|| {
        for _ in 0..10_000 {
            let _ = (StdClock.now(), CoarseClock.now());
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_response_is_classified_and_read_to_its_end_without_allocation() {
    let clock = ManualClock::new();
    let breaker: Breaker<Streak, _, Counters> =
        Breaker::observed(Config::streak(100).slow_after(SECOND), &clock, Counters::new("upstream"));
    let mut shedding = Response::new(Empty::<&[u8]>::new());
    *shedding.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    shedding.headers_mut().insert(RETRY_AFTER, "Fri, 31 Dec 9999 23:59:59 GMT".parse().unwrap());
    let mut pushback = HeaderMap::new();
    pushback.insert("grpc-retry-pushback-ms", "1500".parse().unwrap());
    let counted = allocations(|| {
        for _ in 0..1_000 {
            let response = Response::new(Full::new(&b"hello"[..]));
            let settled = AtEnd(HttpStatus).stall_after(SECOND).settle(breaker.acquire().unwrap(), response);
            let mut body = pin!(settled.into_body());
            assert!(body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
            assert!(matches!(HttpStatus.classify(&shedding), Outcome::Hold(_)));
            assert!(matches!(GrpcStatus::of(14, &pushback), Outcome::Hold(_)));
        }
    });
    assert_eq!((counted, breaker.observer().counts().success), (0, 1_000));
}

/// Proves that the allocator counts: otherwise every test here would pass.
#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 2);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![7; 3]))), 2);
}
