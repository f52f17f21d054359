//! Proves that a lost permit costs nothing else, however it is lost: dropped, dropped by a panic, dropped after the
//! slow limit, dropped with its future at any await point, or forgotten. Futures are polled by hand, so every point is
//! reached.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use microbreaker::metrics::{Counters, Counts};
use microbreaker::{
    Breaker, CallReport, Config, Effect, Error, FailureKind, GuardExt, ManualClock, Observer, OpenReason, Outcome,
    RejectReason, ReportKind, State, Streak, Tripped,
};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(8);
const LIMIT_TICKS: u32 = 2048;

type Counted<C> = Breaker<Streak, C, Counters>;

/// Two failures in a row open for a second; one successful probe closes.
const CONFIG: Config = Config::streak(2).jitter(false).open_for(SECOND).backoff_1024ths(1024).lease(LEASE);
const TIMED: Config = CONFIG.slow_after(Duration::from_secs(2));

fn breaker(config: Config) -> Counted<ManualClock> {
    Breaker::observed(config, ManualClock::new(), Counters::new("test"))
}

fn half_open(config: Config) -> Counted<ManualClock> {
    let breaker = breaker(config);
    assert!(matches!(breaker.trip(OpenReason::Manual, SECOND), Tripped::Opened(_)));
    breaker.clock().advance(SECOND);
    breaker
}

/// How the permits ended: permitted, successes, failures, cancelled.
fn ledger<C: microbreaker::Clock>(breaker: &Counted<C>) -> [u32; 4] {
    let Counts { permitted, success, failure, cancelled, .. } = breaker.observer().counts();
    [permitted, success, failure, cancelled]
}

/// Runs `call`, which must panic.
fn panics(call: impl FnOnce()) {
    // `AssertUnwindSafe` claims what this file proves: a breaker works after a panic as it did before.
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
}

mod dropped {
    use super::*;

    #[test]
    fn a_dropped_permit_says_nothing() {
        let breaker = breaker(CONFIG);
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
        drop(breaker.acquire().unwrap());
        assert_eq!(breaker.tally().failed, 1, "it neither adds to the streak nor ends it");
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
        assert_eq!(ledger(&breaker), [3, 0, 2, 1]);
    }

    #[test]
    fn a_dropped_probe_gives_its_slot_back() {
        let breaker = half_open(CONFIG);
        let probe = breaker.acquire().unwrap();
        assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::HalfOpen);
        drop(probe);
        assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 0));
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
    }

    #[test]
    fn a_dropped_probe_gives_no_slot_of_a_later_generation_back() {
        let breaker = half_open(CONFIG);
        let old = breaker.acquire().unwrap();
        assert!(matches!(breaker.trip(OpenReason::Manual, SECOND), Tripped::Opened(_)));
        breaker.clock().advance(SECOND);
        let probe = breaker.acquire().unwrap();
        drop(old);
        assert_eq!(breaker.status().probes_in_flight, 1);
        assert!(breaker.acquire().is_err());
        assert_eq!(probe.success(), Effect::Closed);
        assert_eq!(breaker.observer().counts().stale, 1);
    }

    #[test]
    fn a_permit_that_counts_nowhere_is_dropped_nowhere() {
        let breaker = breaker(TIMED.shadow(true));
        breaker.disable();
        let disabled = breaker.acquire().unwrap();
        breaker.reset();
        assert_eq!(breaker.latch(), Effect::Latched);
        let would_be_rejected = breaker.acquire().unwrap();
        breaker.reset();
        // A panic drops them past the slow limit, and they still count nowhere.
        breaker.clock().advance_ticks(LIMIT_TICKS + 1);
        panics(|| {
            let _held = (disabled, would_be_rejected);
            panic!("while they are held");
        });
        assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 0));
    }

    #[test]
    fn a_holder_that_owns_the_breaker_is_released_with_the_permit() {
        let breaker = Arc::new(breaker(CONFIG));
        let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
        assert_eq!(Arc::strong_count(&breaker), 2);
        thread::spawn(move || drop(permit)).join().unwrap();
        assert_eq!(Arc::strong_count(&breaker), 1);
        assert_eq!(Breaker::acquire_in(Arc::clone(&breaker)).unwrap().success(), Effect::Counted);
        assert_eq!(Arc::strong_count(&breaker), 1);
        assert_eq!(ledger(&breaker), [2, 1, 0, 1]);
    }
}

mod slow {
    use super::*;

    #[test]
    fn dropped_after_the_limit_is_a_failure_and_at_the_limit_is_not() {
        let breaker = breaker(TIMED);
        let (at, after) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
        breaker.clock().advance_ticks(LIMIT_TICKS);
        drop(at);
        assert_eq!(ledger(&breaker), [2, 0, 0, 1]);
        breaker.clock().advance_ticks(1);
        drop(after);
        assert_eq!(ledger(&breaker), [2, 0, 1, 1]);
        assert_eq!(breaker.tally().failed, 1);
        assert_eq!(breaker.observer().counts().last_failure.unwrap().0, FailureKind::Timeout);
        assert_eq!(breaker.observer().counts().slow, 1);
    }

    #[test]
    fn a_probe_dropped_after_the_limit_reopens_with_backoff() {
        let breaker = half_open(TIMED.backoff_1024ths(2048));
        let probe = breaker.acquire().unwrap();
        breaker.clock().advance_ticks(LIMIT_TICKS + 1);
        drop(probe);
        assert_eq!((breaker.status().state, breaker.status().attempt), (State::Open, 1));
        assert_eq!(breaker.retry_in(), Some(2 * SECOND));
    }

    #[test]
    fn what_was_reported_as_saying_nothing_says_nothing_however_late() {
        let breaker = breaker(TIMED);
        let (ignored, alive) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
        breaker.clock().advance_ticks(LIMIT_TICKS + 1);
        assert_eq!(ignored.ignore(), Effect::Neutral);
        assert_eq!(alive.alive(), Effect::Neutral);
        assert_eq!(breaker.tally().failed, 0);
    }

    #[test]
    fn a_limit_set_while_the_call_ran_is_not_applied_to_it() {
        let breaker = breaker(CONFIG);
        let untimed = breaker.acquire().unwrap();
        breaker.reconfigure(&TIMED).unwrap();
        breaker.clock().advance_ticks(LIMIT_TICKS + 1);
        drop(untimed);
        assert_eq!(ledger(&breaker), [1, 0, 0, 1], "its beginning was not recorded");
    }
}

mod panicking {
    use super::*;

    #[test]
    fn a_permit_dropped_by_a_panic_is_a_failure() {
        let breaker = breaker(CONFIG);
        for expected in [State::Closed, State::Open] {
            panics(|| {
                let _held = breaker.acquire().unwrap();
                panic!("while it is held");
            });
            assert_eq!(breaker.state(), expected);
        }
        assert_eq!(ledger(&breaker), [2, 0, 2, 0]);
        assert_eq!(breaker.observer().counts().last_failure.unwrap().0, FailureKind::Panic);
    }

    #[test]
    fn a_probe_dropped_by_a_panic_reopens() {
        let breaker = half_open(CONFIG);
        panics(|| {
            let _probe = breaker.acquire().unwrap();
            panic!("while it is held");
        });
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
    }

    #[test]
    fn a_panic_names_the_failure_also_after_the_limit() {
        let breaker = breaker(TIMED);
        panics(|| {
            let _held = breaker.acquire().unwrap();
            breaker.clock().advance_ticks(LIMIT_TICKS + 1);
            panic!("while it is held");
        });
        assert_eq!(ledger(&breaker), [1, 0, 1, 0], "one failure, not two");
        assert_eq!(breaker.observer().counts().last_failure.unwrap().0, FailureKind::Panic);
    }

    /// Makes a call when it is dropped, as a connection does that takes leave of its peer.
    struct Goodbye<'a>(&'a Counted<ManualClock>, fn(&Counted<ManualClock>));

    impl Drop for Goodbye<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.1(self.0);
        }
    }

    #[test]
    fn a_permit_taken_during_unwinding_and_dropped_there_is_no_failure() {
        let breaker = breaker(CONFIG);
        panics(|| {
            let _goodbye = Goodbye(&breaker, |breaker| drop(breaker.acquire().unwrap()));
            panic!("before any permit is taken");
        });
        assert_eq!(ledger(&breaker), [1, 0, 0, 1]);
    }

    #[test]
    fn a_permit_taken_during_unwinding_is_reported_like_any_other() {
        let breaker = breaker(CONFIG);
        panics(|| {
            let _goodbye = Goodbye(&breaker, |breaker| {
                assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
                assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
            });
            panic!("before any permit is taken");
        });
        assert_eq!(ledger(&breaker), [2, 1, 1, 0]);
    }

    #[test]
    fn a_panic_that_was_caught_while_it_was_held_is_over() {
        let breaker = breaker(CONFIG);
        let held = breaker.acquire().unwrap();
        panics(|| panic!("not the call's"));
        drop(held);
        assert_eq!(ledger(&breaker), [1, 0, 0, 1]);
    }

    #[test]
    fn another_threads_panic_is_not_this_ones() {
        let breaker = breaker(CONFIG);
        let held = breaker.acquire().unwrap();
        thread::scope(|scope| assert!(scope.spawn(|| panic!("not the call's")).join().is_err()));
        drop(held);
        assert_eq!(ledger(&breaker), [1, 0, 0, 1]);
    }

    #[test]
    fn a_panic_in_the_call_passes_through_and_counts_once() {
        let breaker = breaker(CONFIG);
        panics(|| {
            let _ = breaker.call(|| -> Result<(), ()> { panic!("in the call") });
        });
        panics(|| breaker.call_or(|| -> Result<(), ()> { panic!("in the call") }, |_| unreachable!("no fallback")));
        assert_eq!((breaker.state(), ledger(&breaker)), (State::Open, [2, 0, 2, 0]));
    }

    #[test]
    fn a_panic_in_the_fallback_is_none_of_the_breakers_business() {
        let breaker = breaker(CONFIG);
        panics(|| breaker.call_or(|| Err::<(), _>(()), |_| panic!("in the fallback")));
        assert_eq!(ledger(&breaker), [1, 0, 1, 0], "the call's own failure, and that alone");
    }

    #[test]
    fn a_panic_in_the_classifier_is_a_failure() {
        let classify = |_: &Result<(), ()>| -> Outcome { panic!("in the classifier") };
        let breaker = breaker(CONFIG);
        panics(|| {
            let _ = breaker.call_with(&classify, || Ok(()));
        });
        assert_eq!(ledger(&breaker), [1, 0, 1, 0]);
        panics(|| {
            let mut call = Box::pin(async { Ok(()) }.guarded_with(&breaker, classify));
            let _ = poll(&mut call);
        });
        assert_eq!((breaker.state(), ledger(&breaker)), (State::Open, [2, 0, 2, 0]));

        let breaker = half_open(CONFIG);
        panics(|| {
            let _ = breaker.call_with(&classify, || Ok(()));
        });
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
    }

    /// Panics at every report except that of a dropped permit: a panic while unwinding would abort.
    struct Clumsy(Cell<u32>);

    impl Observer for Clumsy {
        fn on_report(&self, report: &CallReport) {
            self.0.set(self.0.get() + 1);
            assert!(report.kind == ReportKind::Cancelled, "in the hook");
        }
    }

    #[test]
    fn a_panic_in_a_hook_reports_nothing_twice() {
        let breaker: Breaker<Streak, _, _> = Breaker::observed(CONFIG, ManualClock::new(), Clumsy(Cell::new(0)));
        panics(|| {
            breaker.acquire().unwrap().failure();
        });
        assert_eq!((breaker.tally().failed, breaker.observer().0.get()), (1, 1));
        panics(|| {
            breaker.acquire().unwrap().failure();
        });
        assert_eq!(breaker.state(), State::Open, "the move was made before the hook");
    }
}

mod forgotten {
    use super::*;

    #[test]
    fn a_forgotten_probe_ends_by_its_lease() {
        let breaker = half_open(CONFIG.backoff_1024ths(2048));
        mem::forget(breaker.acquire().unwrap());
        breaker.clock().advance_ticks(8 * 1024 - 1);
        let rejected = breaker.acquire().unwrap_err();
        assert_eq!((rejected.reason(), rejected.retry_in_ticks()), (RejectReason::HalfOpen, Some(1)));
        breaker.clock().advance_ticks(1);
        let rejected = breaker.acquire().unwrap_err();
        assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Failures));
        assert_eq!(rejected.retry_in(), Some(2 * SECOND), "an ordinary verdict, with ordinary backoff");
        breaker.clock().advance(2 * SECOND);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
    }

    #[test]
    fn a_forgotten_future_ends_by_its_lease() {
        let breaker = half_open(CONFIG);
        let mut call = Box::pin(three_awaits().guarded(&breaker));
        assert!(poll(&mut call).is_pending());
        mem::forget(call);
        breaker.clock().advance(LEASE);
        assert!(breaker.acquire().is_err());
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
    }

    #[test]
    fn a_forgotten_permit_of_a_closed_circuit_costs_nothing() {
        let breaker = breaker(CONFIG);
        for _ in 0..1000 {
            mem::forget(breaker.acquire().unwrap());
        }
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        assert_eq!(breaker.tally().total, 0);
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Is pending once.
async fn pause() {
    let mut paused = false;
    poll_fn(|_| if mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

const AWAITS: u32 = 3;

async fn three_awaits() -> Result<u8, &'static str> {
    for _ in 0..AWAITS {
        pause().await;
    }
    Ok(7)
}

mod futures {
    use super::*;

    type Dynamic = Pin<Box<dyn Future<Output = Result<u8, Error<&'static str>>>>>;

    static CLOCK: ManualClock = ManualClock::new();

    type GuardBy = fn(&'static Counted<ManualClock>) -> Dynamic;

    /// Every way to guard a future. The breaker lives for ever, so the future is `'static`.
    const WAYS: [(&str, GuardBy); 4] = [
        ("guarded", |breaker| Box::pin(three_awaits().guarded(breaker))),
        ("guarded_with", |breaker| Box::pin(three_awaits().guarded_with(breaker, microbreaker::AnyError))),
        ("call_async", |breaker| Box::pin(breaker.call_async(three_awaits))),
        ("call_async_with", |breaker| Box::pin(breaker.call_async_with(&microbreaker::AnyError, three_awaits))),
    ];

    fn leaked(breaker: Counted<ManualClock>) -> &'static Counted<ManualClock> {
        Box::leak(Box::new(breaker))
    }

    /// Drops `call` after `polls` polls, all of them pending.
    fn drop_after(mut call: Dynamic, polls: u32) {
        for _ in 0..polls {
            assert!(poll(&mut call).is_pending());
        }
    }

    #[test]
    fn dropped_before_the_first_poll_nothing_was_asked() {
        for (way, guard) in WAYS {
            let breaker = leaked(half_open(CONFIG));
            drop_after(guard(breaker), 0);
            assert_eq!(ledger(breaker), [0; 4], "{way}");
            assert_eq!(breaker.state(), State::Open, "{way}: the circuit has not even moved");
        }
    }

    #[test]
    fn dropped_at_every_await_point_it_is_cancelled() {
        for (way, guard) in WAYS {
            for polls in 1..=AWAITS {
                let closed = leaked(breaker(CONFIG));
                drop_after(guard(closed), polls);
                assert_eq!(ledger(closed), [1, 0, 0, 1], "{way} after {polls}");

                let probing = leaked(half_open(CONFIG));
                drop_after(guard(probing), polls);
                assert_eq!(ledger(probing), [1, 0, 0, 1], "{way} after {polls}");
                assert_eq!(
                    (probing.state(), probing.status().probes_in_flight),
                    (State::HalfOpen, 0),
                    "{way} after {polls}"
                );
                assert!(probing.acquire().is_ok());
            }
        }
    }

    #[test]
    fn dropped_past_the_slow_limit_at_every_await_point_it_is_a_failure() {
        for (way, guard) in WAYS {
            for polls in 1..=AWAITS {
                let breaker = leaked(breaker(TIMED));
                let mut call = guard(breaker);
                for _ in 0..polls {
                    assert!(poll(&mut call).is_pending());
                }
                breaker.clock().advance_ticks(LIMIT_TICKS + 1);
                drop(call);
                assert_eq!(ledger(breaker), [1, 0, 1, 0], "{way} after {polls}");
            }
        }
    }

    #[test]
    fn polled_to_the_end_it_is_reported_and_dropping_it_then_does_nothing() {
        for (way, guard) in WAYS {
            let breaker = leaked(half_open(CONFIG));
            let mut call = guard(breaker);
            for _ in 0..AWAITS {
                assert!(poll(&mut call).is_pending(), "{way}");
                assert_eq!(breaker.state(), State::HalfOpen, "{way}");
            }
            assert_eq!(poll(&mut call), Poll::Ready(Ok(7)), "{way}");
            assert_eq!(breaker.state(), State::Closed, "{way}: reported when it was done");
            drop(call);
            assert_eq!(ledger(breaker), [1, 1, 0, 0], "{way}");
        }
    }

    #[test]
    fn rejected_it_is_never_polled_and_holds_nothing() {
        for (way, guard) in WAYS {
            let breaker = leaked(breaker(CONFIG));
            breaker.latch();
            let mut call = guard(breaker);
            let Poll::Ready(Err(Error::Rejected(rejected))) = poll(&mut call) else { panic!("{way} was admitted") };
            assert_eq!(rejected.reason(), RejectReason::Latched);
            drop(call);
            assert_eq!(ledger(breaker), [0; 4], "{way}");
        }
    }

    #[test]
    fn a_panic_at_every_poll_is_a_failure() {
        for at in 0..=AWAITS {
            let breaker = breaker(CONFIG);
            let inner = async {
                for step in 0.. {
                    assert!(step < at, "at the poll that was asked for");
                    pause().await;
                }
                Ok::<_, ()>(())
            };
            let mut call = Box::pin(inner.guarded(&breaker));
            panics(|| {
                for _ in 0..=at {
                    assert!(poll(&mut call).is_pending());
                }
            });
            assert_eq!(ledger(&breaker), [1, 0, 1, 0], "at {at}: reported with the panic, not when it is dropped");
            drop(call);
            assert_eq!(ledger(&breaker), [1, 0, 1, 0]);
        }
    }

    #[test]
    fn the_inner_future_is_dropped_before_its_permit() {
        /// State of the call that checks, as it is dropped, what the breaker shows.
        struct Connection<'a>(&'a Counted<ManualClock>);

        impl Drop for Connection<'_> {
            fn drop(&mut self) {
                assert_eq!(self.0.status().probes_in_flight, 1, "a slot is free only when the call has ended");
            }
        }

        let breaker = half_open(CONFIG);
        let connection = Connection(&breaker);
        let inner = async move {
            let _connection = connection;
            pause().await;
            Ok::<_, ()>(())
        };
        let mut call = Box::pin(inner.guarded(&breaker));
        assert!(poll(&mut call).is_pending());
        drop(call);
        assert_eq!(breaker.status().probes_in_flight, 0);
    }

    static STATIC: Counted<&ManualClock> = Breaker::observed(CONFIG, &CLOCK, Counters::new("static"));

    #[test]
    fn a_static_and_an_arc_hold_a_guarded_future_on_another_thread() {
        let call: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(three_awaits().guarded(&STATIC));
        let dropped = thread::spawn(move || {
            let mut call = call;
            assert!(poll(&mut call).is_pending());
        });
        dropped.join().unwrap();
        assert_eq!(ledger(&STATIC), [1, 0, 0, 1]);

        let shared = Arc::new(half_open(CONFIG));
        let mut call: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(three_awaits().guarded(Arc::clone(&shared)));
        assert!(poll(&mut call).is_pending());
        assert_eq!((Arc::strong_count(&shared), shared.status().probes_in_flight), (2, 1));
        thread::spawn(move || drop(call)).join().unwrap();
        assert_eq!((Arc::strong_count(&shared), shared.status().probes_in_flight), (1, 0));
    }
}
