//! The layer together with tower's own layers: a buffer, a timeout, a concurrency limit.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::tower::BreakerLayer;
use microbreaker::{Breaker, Config, Error, FailureKind, ManualClock, OpenReason, Outcome, Rejected, State, Streak};
use server::dropped_after_every_poll;
use tokio::task::yield_now;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(2).jitter(false).open_for(SECOND).backoff_1024ths(1024);

type Held = Arc<Breaker<Streak, ManualClock, Counters>>;

fn breaker(config: Config) -> Held {
    Arc::new(Breaker::observed(config, ManualClock::new(), Counters::new("test")))
}

/// The rejection at the bottom of a boxed error, however it was wrapped.
fn rejection(error: &BoxError) -> Option<Rejected> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(rejected) = error.downcast_ref::<Rejected>() {
            return Some(*rejected);
        }
        if let Some(Error::Rejected(rejected)) = error.downcast_ref::<Error<std::num::ParseIntError>>() {
            return Some(*rejected);
        }
        next = error.source();
    }
    None
}

#[tokio::test]
async fn fault_24_a_buffer_lives_through_an_open_circuit() {
    let breaker = breaker(CONFIG);
    let service = ServiceBuilder::new()
        .buffer::<&'static str>(4)
        .layer(BreakerLayer::new(Arc::clone(&breaker)))
        .service(service_fn(|request: &'static str| async move { request.parse::<u8>() }));
    for _ in 0..2 {
        assert!(service.clone().oneshot("seven").await.unwrap_err().is::<Error<std::num::ParseIntError>>());
    }
    assert_eq!(breaker.state(), State::Open);
    for _ in 0..10 {
        let error = service.clone().oneshot("7").await.unwrap_err();
        assert_eq!(rejection(&error).and_then(|rejected| rejected.retry_in()), Some(SECOND));
    }
    breaker.clock().advance(SECOND);
    assert_eq!(service.clone().oneshot("7").await.unwrap(), 7);
    assert_eq!((breaker.state(), breaker.observer().counts().rejected), (State::Closed, 10));
}

#[tokio::test]
async fn a_buffered_call_may_be_dropped_after_any_poll() {
    let breaker = breaker(CONFIG);
    let service = ServiceBuilder::new().buffer::<()>(4).layer(BreakerLayer::new(Arc::clone(&breaker))).service(
        service_fn(|()| async {
            for _ in 0..3 {
                yield_now().await;
            }
            Ok::<_, Infallible>(())
        }),
    );
    let polls = dropped_after_every_poll(&breaker, async || service.clone().oneshot(()).await.is_ok()).await;
    assert!(polls > 3, "{polls}");
    assert!(breaker.observer().counts().cancelled > 2, "{:?}", breaker.observer().counts());
}

#[tokio::test(start_paused = true)]
async fn back_pressure_holds_a_buffers_requests_until_the_circuit_closes() {
    let breaker = breaker(CONFIG);
    let served = Arc::new(AtomicU32::new(0));
    let serving = Arc::clone(&served);
    let service = ServiceBuilder::new()
        .buffer::<u32>(4)
        .layer(BreakerLayer::new(Arc::clone(&breaker)).wait(tokio::time::sleep))
        .service(service_fn(move |request: u32| {
            serving.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, std::num::ParseIntError>(request) }
        }));
    assert_eq!(breaker.hold(5 * SECOND), microbreaker::Effect::Opened(OpenReason::Hold));
    let request = tokio::spawn(service.clone().oneshot(7));
    tokio::time::sleep(3 * SECOND).await;
    assert!(!request.is_finished() && served.load(Ordering::Relaxed) == 0);
    breaker.clock().advance(5 * SECOND);
    assert_eq!(request.await.unwrap().unwrap(), 7);
    assert_eq!(service.oneshot(8).await.unwrap(), 8);
    assert_eq!((breaker.state(), breaker.observer().counts().rejected), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_is_a_failure_of_its_kind() {
    let breaker = breaker(CONFIG);
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&kinds);
    let classify = move |result: &Result<(), BoxError>| {
        let outcome = match result {
            Ok(()) => Outcome::Success,
            Err(error) if error.is::<Elapsed>() => Outcome::Failure(FailureKind::Timeout),
            Err(_) => Outcome::Failure(FailureKind::Other),
        };
        seen.lock().unwrap().push(outcome);
        outcome
    };
    let service = ServiceBuilder::new()
        .map_err(Error::into_boxed)
        .layer(BreakerLayer::new(Arc::clone(&breaker)).classify(classify))
        .timeout(SECOND)
        .service(service_fn(|()| pending::<Result<(), BoxError>>()));
    for _ in 0..2 {
        assert!(service.clone().oneshot(()).await.unwrap_err().is::<Elapsed>());
    }
    assert_eq!(*kinds.lock().unwrap(), [Outcome::Failure(FailureKind::Timeout); 2]);
    assert!(service.oneshot(()).await.unwrap_err().is::<Rejected>());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_is_seen_by_the_slow_limit() {
    let breaker = breaker(CONFIG.slow_after(SECOND));
    let inside = Arc::clone(&breaker);
    let service = ServiceBuilder::new().timeout(2 * SECOND).layer(BreakerLayer::new(Arc::clone(&breaker))).service(
        service_fn(move |()| {
            inside.clock().advance(2 * SECOND);
            pending::<Result<(), std::num::ParseIntError>>()
        }),
    );
    for _ in 0..2 {
        assert!(service.clone().oneshot(()).await.unwrap_err().is::<Elapsed>());
    }
    assert_eq!((breaker.state(), breaker.observer().counts().failure), (State::Open, 2));
    assert!(rejection(&service.oneshot(()).await.unwrap_err()).is_some());
}

#[tokio::test]
async fn a_concurrency_limit_inside_or_outside_gets_its_places_back() {
    let breaker = breaker(CONFIG);
    let layer = BreakerLayer::new(Arc::clone(&breaker));
    let mut service = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(layer)
        .concurrency_limit(1)
        .service(service_fn(|request: &'static str| async move { request.parse::<u8>() }));
    for round in 0..5 {
        for _ in 0..2 {
            assert!(matches!(service.ready().await.unwrap().call("seven").await, Err(Error::Inner(_))), "{round}");
        }
        for _ in 0..5 {
            assert!(matches!(service.ready().await.unwrap().call("7").await, Err(Error::Rejected(_))), "{round}");
        }
        breaker.clock().advance(SECOND);
        // The probe is a call that is dropped.
        drop(service.ready().await.unwrap().call("7"));
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(service.ready().await.unwrap().call("7").await, Ok(7));
        assert_eq!(breaker.state(), State::Closed);
    }
    // One clone is asked and then dropped, so the inner service's place is free for the other.
    let mut other = service.clone();
    other.ready().await.unwrap();
    breaker.latch();
    assert!(matches!(other.call("7").await, Err(Error::Rejected(_))));
    drop(other);
    breaker.reset();
    assert_eq!(service.ready().await.unwrap().call("7").await, Ok(7));
}
