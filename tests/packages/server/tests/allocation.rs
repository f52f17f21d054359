//! Proves that the layer allocates nothing for an admitted, rejected or cancelled call, nor for a wait that has nothing
//! to wait for. The allocator counts, as in the crate's own `tests/allocation`.

#[path = "../../../allocation/counting.rs"]
mod counting;

use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use counting::allocations;
use microbreaker::tower::BreakerLayer;
use microbreaker::{Breaker, Config, Effect, ManualClock, OpenReason, Rejected, State, Streak};
use tower::{Layer, Service};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(3).jitter(false).open_for(SECOND);

/// A service that halves even numbers and allocates nothing itself.
#[derive(Clone)]
struct Half;

impl Service<u32> for Half {
    type Response = u32;
    type Error = ();
    type Future = Ready<Result<u32, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, number: u32) -> Self::Future {
        ready(if number.is_multiple_of(2) { Ok(number / 2) } else { Err(()) })
    }
}

/// A call, from `poll_ready` to the result.
fn call<S: Service<u32>>(service: &mut S, number: u32) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut context), Poll::Ready(Ok(()))));
    match pin!(service.call(number)).poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it never is"),
    }
}

/// A thousand rounds, each through a clone: calls that are admitted, failed, rejected, cancelled, and a probe.
fn never_allocates<S>(service: &S, clock: &ManualClock, state: impl Fn() -> State)
where
    S: Service<u32> + Clone,
{
    let counted = allocations(|| {
        for _ in 0..1000 {
            let mut service = service.clone();
            for number in [2, 4, 1, 1, 1] {
                let _ = black_box(call(&mut service, number));
            }
            assert_eq!(state(), State::Open);
            let _ = black_box(call(&mut service, 2));
            clock.advance(60 * SECOND);
            let mut context = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut context).is_ready());
            drop(service.call(2));
            assert_eq!(state(), State::HalfOpen);
            let _ = black_box(call(&mut service, 2));
            assert_eq!(state(), State::Closed);
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_call_through_the_layer_allocates_nothing() {
    static CLOCK: ManualClock = ManualClock::new();
    static BREAKER: Breaker<Streak, &ManualClock> = Breaker::new(CONFIG, &CLOCK);
    never_allocates(&BreakerLayer::new(&BREAKER).layer(Half), &CLOCK, || BREAKER.state());
    let answer = |rejected: Rejected| rejected.retry_in_ticks().unwrap_or(0);
    never_allocates(&BreakerLayer::new(&BREAKER).answer(answer).layer(Half), &CLOCK, || BREAKER.state());
    let shared: Arc<Breaker<Streak, _>> = Arc::new(Breaker::new(CONFIG, &CLOCK));
    never_allocates(&BreakerLayer::new(Arc::clone(&shared)).layer(Half), &CLOCK, || shared.state());
}

#[test]
fn a_layer_that_waits_allocates_only_to_sleep() {
    // A clock of its own, which no other test moves.
    static BREAKER: Breaker<Streak, ManualClock> = Breaker::new(CONFIG, ManualClock::new());
    let waiting = BreakerLayer::new(&BREAKER).wait(|_| std::future::pending::<()>()).layer(Half);
    let mut service = waiting.clone();
    let counted = allocations(|| {
        for _ in 0..1000 {
            let _ = black_box(call(&mut service, 2));
        }
        BREAKER.latch();
        let _ = black_box(call(&mut service, 2));
        BREAKER.reset();
    });
    assert_eq!(counted, 0);
    assert_eq!(BREAKER.hold(SECOND), Effect::Opened(OpenReason::Hold));
    let mut context = Context::from_waker(Waker::noop());
    let counted = allocations(|| {
        for _ in 0..3 {
            assert!(service.poll_ready(&mut context).is_pending());
        }
    });
    assert!(counted > 0, "a sleep is boxed: the allocator does count");
}
