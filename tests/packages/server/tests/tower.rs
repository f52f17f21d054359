//! The layer by itself, in front of a service that follows a script. The tests check when the service is polled and
//! called, the effect of a call that is dropped or panics, and back-pressure. They poll futures by hand, to reach every
//! point.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use microbreaker::metrics::{Counters, Meter};
use microbreaker::tower::{BreakerLayer, BreakerService};
use microbreaker::{
    Breaker, Clock, Config, Effect, Error, ErrorIf, FailureKind, ManualClock, Mode, OpenReason, Outcome, RejectReason,
    Rejected, Report, Settle, State, Streak, TickRate, Ticks,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// Two failures in a row open the circuit for a second, and one successful probe closes it.
const CONFIG: Config =
    Config::streak(2).jitter(false).open_for(SECOND).backoff_1024ths(1024).lease(Duration::from_secs(8));

type Held<C = ManualClock> = Arc<Breaker<Streak, C, Counters>>;

fn breaker(config: Config) -> Held {
    Arc::new(Breaker::observed(config, ManualClock::new(), Counters::new("test")))
}

fn half_open(config: Config) -> Held {
    let breaker = breaker(config);
    breaker.trip(OpenReason::Manual, SECOND);
    breaker.clock().advance(SECOND);
    breaker
}

/// The behaviour of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Ok,
    Err(&'static str),
    /// Succeeds after so many pending polls.
    After(u32),
    Hang,
    PanicInCall,
    PanicInFuture,
}

/// The answer of `poll_ready`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Ready,
    Pending,
    /// Not ready any more, which breaks tower's contract.
    Retract,
    Err(&'static str),
}

/// The inner service. Unless told otherwise it keeps tower's contract (once ready, ready until called). It enforces the
/// contract on its caller.
#[derive(Debug)]
struct Upstream {
    log: Arc<Log>,
    ready: bool,
}

#[derive(Debug)]
struct Log {
    says: Mutex<Says>,
    polls: AtomicU32,
    calls: AtomicU32,
}

impl Log {
    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), ready: false }
    }
}

impl Service<Ask> for Upstream {
    type Response = u32;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<u32, &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.log.polls.fetch_add(1, Ordering::Relaxed);
        match *self.log.says.lock().unwrap() {
            Says::Err(error) => {
                self.ready = false;
                Poll::Ready(Err(error))
            }
            Says::Retract => {
                self.ready = false;
                Poll::Pending
            }
            Says::Pending if !self.ready => Poll::Pending,
            Says::Pending | Says::Ready => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        assert!(self.ready, "called without having said that it is ready");
        self.ready = false;
        let call = self.log.calls.fetch_add(1, Ordering::Relaxed);
        match ask {
            Ask::Ok => Box::pin(ready(Ok(call))),
            Ask::Err(error) => Box::pin(ready(Err(error))),
            Ask::Hang => Box::pin(pending()),
            Ask::After(mut polls) => Box::pin(poll_fn(move |_| {
                if polls == 0 {
                    return Poll::Ready(Ok(call));
                }
                polls -= 1;
                Poll::Pending
            })),
            Ask::PanicInCall => panic!("in the call"),
            Ask::PanicInFuture => Box::pin(poll_fn(|_| panic!("in the future"))),
        }
    }
}

fn upstream() -> (Upstream, Arc<Log>) {
    let log = Arc::new(Log { says: Mutex::new(Says::Ready), polls: AtomicU32::new(0), calls: AtomicU32::new(0) });
    (Upstream { log: Arc::clone(&log), ready: false }, log)
}

type Plain = BreakerService<Upstream, Held>;

fn service(breaker: &Held) -> (Plain, Arc<Log>) {
    let (inner, log) = upstream();
    (BreakerLayer::new(Arc::clone(breaker)).layer(inner), log)
}

fn poll_ready<S: Service<Ask>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

/// Polls `poll_ready`, calls, and polls the call once.
fn ask<S: Service<Ask>>(service: &mut S, ask: Ask) -> Poll<Result<S::Response, S::Error>> {
    assert!(matches!(poll_ready(service), Poll::Ready(Ok(()))));
    call(service, ask)
}

fn call<S: Service<Ask>>(service: &mut S, ask: Ask) -> Poll<Result<S::Response, S::Error>> {
    Box::pin(service.call(ask)).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn rejected<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Poll<Result<T, Error<E>>>) -> Rejected {
    match answer {
        Poll::Ready(Err(Error::Rejected(rejected))) => rejected,
        other => panic!("not rejected: {other:?}"),
    }
}

fn panics(work: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
}

mod faults {
    use super::*;

    #[test]
    fn fault_2_a_probe_dropped_with_its_future_gives_its_place_back() {
        let breaker = half_open(CONFIG);
        let (mut service, log) = service(&breaker);
        for polls in 0..4 {
            assert_ready_ok!(poll_ready(&mut service));
            let mut call = Box::pin(service.call(Ask::After(3)));
            assert_eq!(breaker.status().probes_in_flight, 1);
            assert_eq!(rejected(ask(&mut service.clone(), Ask::Ok)).reason(), RejectReason::HalfOpen);
            for _ in 0..polls {
                assert_pending!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())));
            }
            drop(call);
            assert_eq!((breaker.status().probes_in_flight, breaker.state()), (0, State::HalfOpen));
        }
        // The future is ready, but nothing polls it, so the call counts as cancelled.
        assert_ready_ok!(poll_ready(&mut service));
        drop(service.call(Ask::Ok));
        assert_eq!((breaker.status().probes_in_flight, breaker.state()), (0, State::HalfOpen));
        assert_eq!(breaker.observer().counts().cancelled, 5);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!((breaker.state(), log.calls()), (State::Closed, 6));
    }

    #[test]
    fn fault_2_a_probe_that_panics_is_a_failure_and_lost_to_nobody() {
        for (polled, panicking) in [(false, Ask::PanicInCall), (true, Ask::PanicInFuture)] {
            let breaker = half_open(CONFIG);
            let (mut service, log) = service(&breaker);
            assert_ready_ok!(poll_ready(&mut service));
            panics(|| {
                let _ = call(&mut service, panicking);
            });
            assert_eq!((breaker.state(), breaker.status().attempt, log.calls()), (State::Open, 1, 1), "{panicking:?}");
            assert_eq!(breaker.observer().counts().last_failure.map(|(kind, _)| kind), Some(FailureKind::Panic));
            breaker.clock().advance(SECOND);
            // The call used up the inner service's readiness, although it panicked.
            assert_eq!(rejected(call(&mut service, Ask::Ok)).reason(), RejectReason::Unready, "{polled}");
            assert_ready_ok!(ask(&mut service, Ask::Ok));
            assert_eq!(breaker.state(), State::Closed);
        }
    }

    #[test]
    fn fault_2_a_service_that_was_asked_and_dropped_holds_no_probe() {
        let breaker = half_open(CONFIG);
        let (mut service, _) = service(&breaker);
        for _ in 0..20 {
            let mut clone = service.clone();
            assert_ready_ok!(poll_ready(&mut clone));
        }
        assert_eq!((breaker.status().probes_in_flight, breaker.observer().counts().permitted), (0, 0));
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn fault_4_what_was_called_before_the_circuit_opened_decides_nothing_after() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        let mut early = || {
            assert_ready_ok!(poll_ready(&mut service));
            task::spawn(service.call(Ask::After(1)))
        };
        let (mut good, mut dropped, mut failed) = (early(), early(), early());
        assert_pending!(good.poll());
        assert_pending!(failed.poll());
        for _ in 0..2 {
            assert_ready_err!(ask(&mut service, Ask::Err("down")));
        }
        breaker.clock().advance(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        let mut probe = task::spawn(service.call(Ask::After(1)));
        assert_pending!(probe.poll());
        let now = (State::HalfOpen, 1);
        // A stale success does not close the circuit, and a stale cancelled call frees no other call's slot.
        assert_ready_ok!(good.poll());
        assert_eq!((breaker.state(), breaker.status().probes_in_flight), now);
        assert_pending!(dropped.poll());
        drop(dropped);
        assert_eq!((breaker.state(), breaker.status().probes_in_flight), now);
        assert_eq!(rejected(ask(&mut service.clone(), Ask::Ok)).reason(), RejectReason::HalfOpen);
        drop(failed);
        assert_ready_ok!(probe.poll());
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn fault_13_the_inner_service_is_not_touched_while_the_circuit_is_open() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        breaker.hold(SECOND);
        for _ in 0..10 {
            let rejected = rejected(ask(&mut service, Ask::Ok));
            assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Hold));
            assert_eq!(rejected.retry_in(), Some(SECOND));
        }
        assert_eq!((log.polls(), log.calls(), breaker.observer().counts().rejected), (0, 0, 10));
    }

    #[test]
    fn fault_18_the_layers_own_rejections_count_as_nothing() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        for _ in 0..2 {
            assert_ready_err!(ask(&mut service, Ask::Err("down")));
        }
        for _ in 0..1000 {
            let _ = rejected(ask(&mut service, Ask::Ok));
        }
        assert_eq!((breaker.observer().counts().failure, breaker.observer().counts().rejected), (2, 1000));
        breaker.clock().advance(SECOND);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(breaker.state(), State::Closed);
    }

    /// A breaker for all endpoints surrounds one for each. A rejection by the inner one says nothing to the outer one.
    #[test]
    fn fault_18_rejections_of_an_inner_breaker_are_ignored_by_an_outer_one() {
        let (outer, inner) = (half_open(CONFIG), breaker(CONFIG));
        let classify = |result: &Result<u32, Error<&str>>| match result {
            Ok(_) => Outcome::Success,
            Err(Error::Rejected(_)) => Outcome::Ignored,
            Err(_) => Outcome::Failure(FailureKind::Other),
        };
        let layers = (BreakerLayer::new(Arc::clone(&outer)).classify(classify), BreakerLayer::new(Arc::clone(&inner)));
        let mut service = layers.layer(upstream().0);
        inner.latch();
        for _ in 0..100 {
            let error = assert_ready_err!(ask(&mut service, Ask::Ok));
            assert!(matches!(error, Error::Inner(Error::Rejected(_))), "{error:?}");
        }
        // The rejections neither fail the probe nor close the circuit, and the probe's slot is free.
        assert_eq!((outer.state(), outer.observer().counts().ignored), (State::HalfOpen, 100));
        inner.reset();
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(outer.state(), State::Closed);
    }

    #[test]
    fn fault_19_a_clients_error_neither_opens_nor_ends_a_run_of_failures() {
        let breaker = breaker(CONFIG);
        let down = |error: &&str| (*error == "down").then_some(FailureKind::Server);
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).classify(ErrorIf(down)).layer(upstream().0);
        for _ in 0..100 {
            assert_eq!(assert_ready_err!(ask(&mut service, Ask::Err("yours"))), Error::Inner("yours"));
        }
        assert_eq!(breaker.state(), State::Closed);
        for error in ["down", "yours", "down"] {
            assert_eq!(assert_ready_err!(ask(&mut service, Ask::Err(error))), Error::Inner(error));
        }
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn fault_23_every_service_of_a_layer_and_every_clone_of_one_shares_its_breaker() {
        let breaker = breaker(Config::streak(4));
        let layer = BreakerLayer::new(Arc::clone(&breaker));
        let (mut first, mut second) = (layer.layer(upstream().0), layer.clone().layer(upstream().0));
        for service in [&mut first, &mut second] {
            assert_ready_err!(ask(service, Ask::Err("down")));
            assert_ready_err!(ask(&mut service.clone(), Ask::Err("down")));
        }
        assert_eq!(breaker.state(), State::Open);
        let _ = (rejected(ask(&mut first, Ask::Ok)), rejected(ask(&mut layer.layer(upstream().0), Ask::Ok)));
    }

    #[test]
    fn fault_24_open_is_no_error_of_poll_ready() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        let shut: [fn(&Held); 3] = [
            |breaker| assert_eq!(breaker.latch(), Effect::Latched),
            |breaker| assert_eq!(breaker.hold(SECOND), Effect::Opened(OpenReason::Hold)),
            |breaker| assert!(breaker.force_open()),
        ];
        for shut in shut {
            shut(&breaker);
            assert_ready_ok!(poll_ready(&mut service));
            let _ = rejected(call(&mut service, Ask::Ok));
            breaker.reset();
            assert_ready_ok!(ask(&mut service, Ask::Ok));
        }
    }
}

/// The table at the top of `src/integrations/tower/service.rs`.
mod turns {
    use super::*;

    #[test]
    fn a_call_without_asking_is_rejected_and_nobody_is_called() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        let rejected = rejected(call(&mut service, Ask::Ok));
        assert_eq!((rejected.reason(), rejected.retry_in()), (RejectReason::Unready, Some(Duration::ZERO)));
        assert_eq!(rejected.to_string(), "called without asking first whether the service is ready");
        assert_eq!((log.polls(), log.calls(), breaker.observer().counts().rejected), (0, 0, 1));
        assert_eq!(breaker.observer().counts().permitted, 0);
    }

    #[test]
    fn a_call_while_the_inner_service_is_pending_is_rejected() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        log.say(Says::Pending);
        assert_pending!(poll_ready(&mut service));
        assert_eq!(rejected(call(&mut service, Ask::Ok)).reason(), RejectReason::Unready);
        log.say(Says::Ready);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
    }

    #[test]
    fn asked_while_closed_and_called_while_open_keeps_the_inner_service_ready() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        assert_eq!(rejected(call(&mut service, Ask::Ok)).retry_in(), Some(SECOND));
        assert_ready_ok!(poll_ready(&mut service));
        assert_eq!((log.polls(), log.calls()), (1, 0), "not touched since");
        breaker.reset();
        // The inner service's reservation is still there: it is ready, although a fresh one would have to wait.
        log.say(Says::Pending);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(log.calls(), 1);
    }

    #[test]
    fn asked_while_open_and_called_while_half_open_is_rejected_with_what_was_seen() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.clock().advance(2 * SECOND);
        let rejected = rejected(call(&mut service, Ask::Ok));
        assert_eq!((rejected.reason(), rejected.retry_in()), (RejectReason::Open(OpenReason::Hold), Some(SECOND)));
        assert_eq!((log.polls(), breaker.observer().counts().rejected), (0, 1));
        assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::Open, 0), "nobody asked");
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn asked_while_open_and_again_while_half_open_is_admitted() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.clock().advance(SECOND);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
    }

    #[test]
    fn what_was_ready_to_reject_stays_ready_though_the_inner_service_is_not() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.reset();
        log.say(Says::Pending);
        assert_ready_ok!(poll_ready(&mut service));
        let _ = rejected(call(&mut service, Ask::Ok));
        assert_pending!(poll_ready(&mut service));
        assert_eq!(log.calls(), 0);
    }

    #[test]
    fn a_rejection_tells_what_was_seen_last() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.clock().advance_ticks(1000);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.clock().advance_ticks(1000);
        assert_eq!(rejected(call(&mut service, Ask::Ok)).retry_in_ticks(), Some(24));
    }

    #[test]
    fn an_inner_service_that_takes_its_word_back_is_not_called() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        assert_ready_ok!(poll_ready(&mut service));
        log.say(Says::Retract);
        assert_pending!(poll_ready(&mut service));
        assert_eq!(rejected(call(&mut service, Ask::Ok)).reason(), RejectReason::Unready);
        assert_eq!(log.calls(), 0);
    }

    #[test]
    fn a_clone_is_asked_itself() {
        let breaker = breaker(CONFIG);
        let (mut service, _) = service(&breaker);
        assert_ready_ok!(poll_ready(&mut service));
        assert_eq!(rejected(call(&mut service.clone(), Ask::Ok)).reason(), RejectReason::Unready);
        assert_ready_ok!(call(&mut service, Ask::Ok));
    }

    #[test]
    fn in_shadow_and_disabled_everything_passes() {
        let breaker = breaker(CONFIG.shadow(true));
        let (mut service, log) = service(&breaker);
        breaker.latch();
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        let counts = breaker.observer().counts();
        assert_eq!((counts.rejected, counts.would_reject, counts.permitted), (0, 1, 1));
        breaker.switch(Mode::On);
        let _ = rejected(ask(&mut service, Ask::Ok));
        breaker.disable();
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!(log.calls(), 2);
    }

    #[test]
    fn a_reconnect_that_fails_is_a_failure_and_its_error_is_passed_on() {
        let breaker = breaker(CONFIG);
        let (mut service, log) = service(&breaker);
        log.say(Says::Err("refused"));
        for _ in 0..2 {
            assert_eq!(assert_ready_err!(poll_ready(&mut service)), Error::Inner("refused"));
        }
        assert_eq!((breaker.state(), log.polls()), (State::Open, 2));
        let _ = rejected(ask(&mut service, Ask::Ok));
        assert_eq!(log.polls(), 2);
        // If the call is a probe, the probe fails: the circuit opens again and does not stay half-open.
        breaker.clock().advance(SECOND);
        assert_eq!(assert_ready_err!(poll_ready(&mut service)), Error::Inner("refused"));
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
        breaker.clock().advance(SECOND);
        assert_ready_err!(poll_ready(&mut service));
        assert_eq!(breaker.status().attempt, 2);
        breaker.clock().advance(SECOND);
        log.say(Says::Ready);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
        assert_eq!((breaker.state(), breaker.observer().counts().failure), (State::Closed, 4));
    }

    #[test]
    fn a_reconnect_that_fails_is_classified() {
        let breaker = breaker(CONFIG);
        let (inner, log) = upstream();
        let local = |_: &Result<u32, &str>| Outcome::Ignored;
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).classify(local).layer(inner);
        log.say(Says::Err("local"));
        for _ in 0..10 {
            assert_ready_err!(poll_ready(&mut service));
        }
        assert_eq!((breaker.state(), breaker.observer().counts().ignored), (State::Closed, 10));
    }

    #[test]
    fn a_reconnect_that_fails_while_the_probe_is_out_counts_as_nothing() {
        let breaker = half_open(CONFIG.probes(2).successes(2).at_once(2));
        let (mut service, log) = service(&breaker);
        let mut probes = Vec::new();
        let mut asked = service.clone();
        assert_ready_ok!(poll_ready(&mut asked));
        for _ in 0..2 {
            let mut clone = service.clone();
            assert_ready_ok!(poll_ready(&mut clone));
            probes.push(clone.call(Ask::After(1)));
        }
        // Every slot is taken: the call is rejected, and the inner service is not asked.
        log.say(Says::Err("refused"));
        assert_ready_ok!(poll_ready(&mut asked));
        assert_ready_ok!(poll_ready(&mut service));
        assert_eq!((breaker.state(), breaker.observer().counts().failure), (State::HalfOpen, 0));
        drop(probes);
        assert_ready_err!(poll_ready(&mut service));
        assert_eq!(breaker.state(), State::Open);
    }

    /// A `Settle` that makes a response of every result.
    #[derive(Clone)]
    struct Recover;

    impl<P: Report> Settle<P, Result<u32, &'static str>> for Recover {
        type Output = Result<u32, &'static str>;

        fn settle(&self, permit: P, result: Result<u32, &'static str>) -> Self::Output {
            permit.record(if result.is_ok() { Outcome::Success } else { Outcome::Failure(FailureKind::Other) });
            Ok(result.unwrap_or(404))
        }
    }

    #[test]
    fn a_response_made_of_a_reconnect_that_fails_is_given_to_nobody() {
        let breaker = breaker(CONFIG);
        let (inner, log) = upstream();
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).settle(Recover).layer(inner);
        assert_eq!(assert_ready_ok!(ask(&mut service, Ask::Err("down"))), 404);
        log.say(Says::Err("refused"));
        assert_ready_ok!(poll_ready(&mut service));
        assert_eq!(rejected(call(&mut service, Ask::Ok)).reason(), RejectReason::Unready);
        assert_eq!((log.calls(), breaker.state()), (1, State::Open));
    }

    #[test]
    fn an_answer_stands_in_for_an_error() {
        let breaker = breaker(CONFIG);
        let (inner, _) = upstream();
        let answer = |rejected: Rejected| rejected.retry_in_ticks().unwrap_or(u32::MAX);
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).answer(answer).layer(inner);
        assert_eq!(assert_ready_err!(ask(&mut service, Ask::Err("down"))), "down");
        breaker.hold(SECOND);
        assert_eq!(assert_ready_ok!(ask(&mut service, Ask::Ok)), 1024);
        breaker.latch();
        assert_eq!(assert_ready_ok!(ask(&mut service, Ask::Ok)), u32::MAX);
    }

    /// A thousand random sequences of events, and the promises that must hold in each.
    #[test]
    fn every_order_of_events_keeps_the_promises() {
        let (mut admitted, mut rejections, mut refused_then_ready) = (0, 0, 0);
        for seed in 1..=400_u64 {
            let breaker = breaker(CONFIG.probes(2).successes(2).at_once(1));
            let (first, log) = service(&breaker);
            let mut services = vec![(first, false)];
            let mut calls: VecDeque<_> = VecDeque::new();
            let (mut rejected, mut made, mut ready_errors) = (0, 0, 0);
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut next = |below: u64| {
                // Marsaglia's xorshift.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            for _ in 0..300 {
                let at = usize::try_from(next(services.len() as u64)).unwrap();
                let (service, promised) = &mut services[at];
                match next(12) {
                    0 => log.say(Says::Ready),
                    1 => log.say(Says::Pending),
                    2 => log.say(Says::Err("refused")),
                    3 => breaker.clock().advance_ticks(300),
                    4..=6 => match poll_ready(service) {
                        Poll::Ready(Ok(())) => *promised = true,
                        Poll::Ready(Err(_)) => {
                            *promised = false;
                            ready_errors += 1;
                        }
                        Poll::Pending => assert!(!*promised, "ready until called: {service:?}"),
                    },
                    7..=8 => {
                        let ask =
                            [Ask::Ok, Ask::Err("down"), Ask::After(1), Ask::Hang][usize::try_from(next(4)).unwrap()];
                        let before = log.calls();
                        let mut call = task::spawn(service.call(ask));
                        *promised = false;
                        if log.calls() > before {
                            made += 1;
                            calls.push_back(call);
                        } else {
                            rejected += 1;
                            assert!(matches!(call.poll(), Poll::Ready(Err(Error::Rejected(_)))));
                        }
                    }
                    9..=10 => {
                        if let Some(mut call) = calls.pop_front()
                            && call.poll().is_pending()
                            && next(2) == 0
                        {
                            calls.push_back(call);
                        }
                    }
                    _ => {
                        let clone = services[at].0.clone();
                        services.push((clone, false));
                        if services.len() > 4 {
                            services.swap_remove(at);
                        }
                    }
                }
                assert!(u32::from(breaker.status().probes_in_flight) <= 1);
            }
            let counts = breaker.observer().counts();
            assert_eq!(log.calls(), made);
            // An error of `poll_ready` asks for a permit too, and may be refused one.
            assert!(counts.permitted >= made && counts.permitted <= made + ready_errors, "{counts:?}");
            assert_eq!(counts.permitted + counts.rejected, made + rejected + ready_errors, "each told once");
            drop((calls, services));
            assert_eq!(breaker.status().probes_in_flight, 0);
            let counts = breaker.observer().counts();
            assert_eq!(counts.permitted, counts.success + counts.failure + counts.cancelled, "{counts:?}");
            (admitted, rejections) = (admitted + made, rejections + rejected);
            refused_then_ready += u32::from(counts.probes > 0);
        }
        assert!(admitted > 1000 && rejections > 1000 && refused_then_ready > 100, "says too little");
    }
}

mod waiting {
    use super::*;

    /// A clock of the runtime's own time, which the tests move.
    struct TokioClock(Instant);

    impl Clock for TokioClock {
        const RATE: TickRate = TickRate::new(1000, 1);

        fn now(&self) -> Ticks {
            Ticks::new(u32::try_from(self.0.elapsed().as_millis()).unwrap())
        }
    }

    fn waiting(config: Config) -> (BreakerService<Upstream, Held<TokioClock>>, Arc<Log>, Held<TokioClock>) {
        let breaker = Arc::new(Breaker::observed(config, TokioClock(Instant::now()), Counters::new("test")));
        let (inner, log) = upstream();
        let service = BreakerLayer::new(Arc::clone(&breaker)).wait(tokio::time::sleep).layer(inner);
        (shareable(service), log, breaker)
    }

    /// The bounds that axum and reqwest put on a service.
    fn shareable<T: Clone + Send + Sync + 'static>(service: T) -> T {
        service
    }

    const OPEN: Duration = Duration::from_millis(3500);

    #[tokio::test(start_paused = true)]
    async fn is_pending_while_open_and_ready_after() {
        let (mut service, log, breaker) = waiting(CONFIG);
        let begin = Instant::now();
        breaker.hold(OPEN);
        let mut other = service.clone();
        let (one, two) = tokio::join!(service.ready(), other.ready());
        assert!(begin.elapsed() >= OPEN, "not before its time");
        // Both services are ready, but only one probe is admitted.
        let (one, two) = (one.unwrap().call(Ask::After(1)), two.unwrap().call(Ask::Ok));
        assert_eq!(rejected(Poll::Ready(two.await)).reason(), RejectReason::HalfOpen);
        drop(one);
        assert_eq!((log.polls(), log.calls()), (2, 1));
        assert_eq!(service.ready().await.unwrap().call(Ask::Ok).await, Ok(1));
        assert_eq!(breaker.state(), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_seen_within_a_second() {
        let (mut service, _, breaker) = waiting(CONFIG);
        breaker.hold(Duration::from_secs(600));
        // The reset runs in a task of its own, so that its timer does not wake the task that waits.
        let reset = tokio::spawn({
            let breaker = Arc::clone(&breaker);
            async move {
                tokio::time::sleep(OPEN).await;
                breaker.reset();
                Instant::now()
            }
        });
        assert_eq!(service.ready().await.unwrap().call(Ask::Ok).await, Ok(0));
        let reset = reset.await.unwrap();
        assert!(reset.elapsed() <= SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_that_grows_meanwhile_is_waited_for() {
        let (mut service, _, breaker) = waiting(CONFIG);
        let begin = Instant::now();
        breaker.hold(SECOND);
        let longer = tokio::spawn({
            let breaker = Arc::clone(&breaker);
            async move {
                tokio::time::sleep(SECOND / 2).await;
                breaker.hold(OPEN)
            }
        });
        assert_eq!(service.ready().await.unwrap().call(Ask::Ok).await, Ok(0));
        assert_eq!(longer.await.unwrap(), Effect::Opened(OpenReason::Hold));
        assert!(begin.elapsed() >= SECOND / 2 + OPEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_out_is_waited_for() {
        let (mut service, _, breaker) = waiting(CONFIG);
        breaker.hold(SECOND);
        let probe = service.ready().await.unwrap().call(Ask::After(1));
        let mut probe = task::spawn(probe);
        assert_pending!(probe.poll());
        assert_pending!(poll_ready(&mut service));
        assert_ready_ok!(probe.poll());
        assert_ready_ok!(poll_ready(&mut service));
    }

    #[tokio::test(start_paused = true)]
    async fn where_waiting_does_not_help_the_call_fails() {
        let (mut service, log, breaker) = waiting(CONFIG);
        breaker.latch();
        assert_eq!(rejected(ask(&mut service, Ask::Ok)).reason(), RejectReason::Latched);
        breaker.force_open();
        assert_eq!(rejected(ask(&mut service, Ask::Ok)).reason(), RejectReason::ForcedOpen);
        breaker.reset();
        // The circuit is latched while the service waits.
        breaker.hold(OPEN);
        let mut waits = task::spawn(service.ready());
        assert_pending!(waits.poll());
        breaker.latch();
        tokio::time::advance(SECOND).await;
        assert!(waits.is_woken());
        assert_ready_ok!(waits.poll()).call(Ask::Ok).await.unwrap_err();
        assert_eq!((log.polls(), log.calls()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_promised_before_it_opened_is_kept_once() {
        let (mut service, log, breaker) = waiting(CONFIG);
        assert_ready_ok!(poll_ready(&mut service));
        breaker.hold(SECOND);
        assert_ready_ok!(poll_ready(&mut service));
        let _ = rejected(call(&mut service, Ask::Ok));
        assert_pending!(poll_ready(&mut service));
        breaker.reset();
        log.say(Says::Pending);
        assert_ready_ok!(ask(&mut service, Ask::Ok));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_leaves_nothing_behind() {
        let (mut service, log, breaker) = waiting(CONFIG);
        breaker.hold(OPEN);
        for _ in 0..3 {
            let mut waits = task::spawn(service.ready());
            assert_pending!(waits.poll());
        }
        assert_eq!((log.polls(), breaker.observer().counts().permitted, breaker.status().probes_in_flight), (0, 0, 0));
        breaker.reset();
        assert_ready_ok!(ask(&mut service, Ask::Ok));
    }

    #[test]
    fn a_sleep_is_dropped_when_there_is_nothing_to_wait_for() {
        let breaker = breaker(CONFIG);
        let asleep = Arc::new(());
        let sleeper = Arc::clone(&asleep);
        let sleep = move |_| {
            let asleep = Arc::clone(&sleeper);
            async move {
                pending::<()>().await;
                drop(asleep);
            }
        };
        let (inner, log) = upstream();
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).wait(sleep).layer(inner);
        let nobody = Arc::strong_count(&asleep);
        log.say(Says::Pending);
        let moves: [fn(&Held); 2] = [|breaker| breaker.reset(), |breaker| assert_eq!(breaker.latch(), Effect::Latched)];
        for wakes in moves {
            breaker.hold(SECOND);
            assert_pending!(poll_ready(&mut service));
            assert_pending!(poll_ready(&mut service));
            assert_eq!(Arc::strong_count(&asleep), nobody + 1);
            assert_eq!(rejected(call(&mut service.clone(), Ask::Ok)).reason(), RejectReason::Unready);
            wakes(&breaker);
            let _ = poll_ready(&mut service);
            assert_eq!(Arc::strong_count(&asleep), nobody);
            breaker.reset();
            assert!(call(&mut service, Ask::Ok).is_ready());
        }
    }

    #[test]
    fn a_sleep_that_does_not_sleep_lets_others_run() {
        let breaker = breaker(CONFIG);
        let mut service = BreakerLayer::new(Arc::clone(&breaker)).wait(|_| ready(())).layer(upstream().0);
        breaker.hold(SECOND);
        let mut waits = task::spawn(service.ready());
        for _ in 0..5 {
            assert_pending!(waits.poll());
            assert!(waits.is_woken(), "it looks again");
        }
        breaker.clock().advance(SECOND);
        assert_ready_ok!(waits.poll());
    }
}

/// With tower's own mock, which also enforces tower's contract.
#[tokio::test]
async fn under_the_mock_of_tower() {
    let breaker = breaker(CONFIG);
    let (mut service, mut upstream) =
        tower_test::mock::spawn_layer::<&str, &str, _>(BreakerLayer::new(Arc::clone(&breaker)));
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call("hello"));
    assert_pending!(call.poll());
    let (request, respond) = assert_ready!(upstream.poll_request()).unwrap();
    assert_eq!(request, "hello");
    respond.send_response("world");
    assert_eq!(assert_ready_ok!(call.poll()), "world");
    assert_pending!(service.poll_ready());
    breaker.hold(SECOND);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call("hello"));
    assert!(assert_ready_err!(call.poll()).rejected().is_some());
    assert_pending!(upstream.poll_request());
}

#[tokio::test]
async fn tells_an_observer_that_times_calls_how_long_each_took() {
    for (meter, told) in [(Meter::<1>::new("timed").timed(), Some(2)), (Meter::new("untimed"), None)] {
        let breaker = Arc::new(Breaker::<Streak, _, _>::observed(CONFIG, ManualClock::new(), meter));
        let ask = |ok: bool| async move { if ok { Ok(()) } else { Err("no") } };
        let service = BreakerLayer::new(Arc::clone(&breaker)).layer(tower::service_fn(ask));
        assert_eq!(service.clone().oneshot(true).await, Ok(()));
        assert_eq!(service.clone().oneshot(false).await, Err(Error::Inner("no")));
        // A call that is not made takes no time, and a call that is dropped has no result.
        breaker.force_open();
        assert!(service.oneshot(true).await.is_err());
        assert_eq!(breaker.reading().latency.map(|latency| latency.count()), told);
    }
}

/// A call whose panic is caught before the call is dropped, as by a layer that catches panics.
#[test]
fn fault_2_a_panic_that_is_caught_before_its_call_is_dropped_is_a_failure() {
    let breaker = half_open(CONFIG);
    let (mut service, _) = service(&breaker);
    assert!(poll_ready(&mut service).is_ready());
    let mut call = Box::pin(service.call(Ask::PanicInFuture));
    panics(|| {
        let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    assert_eq!(breaker.state(), State::Open, "the probe failed, and its place is free");
    drop(call);
    let counts = breaker.observer().counts();
    assert_eq!((counts.failure, counts.cancelled), (1, 0));
}

/// A call may give something back when it is dropped (a connection, for example). That is back before the next probe is
/// admitted.
#[test]
fn a_call_that_is_dropped_is_gone_before_its_place_is_free() {
    struct Leaves(Held, Arc<AtomicU32>);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.1.store(self.0.status().probes_in_flight.into(), Ordering::Relaxed);
        }
    }
    let (breaker, out) = (half_open(CONFIG), Arc::new(AtomicU32::new(7)));
    let mut service = BreakerLayer::new(Arc::clone(&breaker)).layer(tower::service_fn(|(): ()| {
        let leaves = Leaves(Arc::clone(&breaker), Arc::clone(&out));
        async move {
            let _leaves = leaves;
            pending::<Result<(), &str>>().await
        }
    }));
    let mut context = Context::from_waker(Waker::noop());
    assert_ready_ok!(service.poll_ready(&mut context));
    let mut call = Box::pin(service.call(()));
    assert_pending!(call.as_mut().poll(&mut context));
    drop(call);
    assert_eq!((out.load(Ordering::Relaxed), breaker.status().probes_in_flight), (1, 0));
}
