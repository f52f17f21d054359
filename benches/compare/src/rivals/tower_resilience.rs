use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use tower_resilience_circuitbreaker::{CircuitBreaker, CircuitBreakerLayer, CircuitState, DefaultClassifier};
use tower_service::Service;

use super::{About, Rival, at_least_nothing, row};
use crate::caller::{Caller, OpenFor, State, Subject, at_once};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "tower-resilience-circuitbreaker",
            as_used: "As a service: `poll_ready`, `call`, and the future polled with a waker that does nothing: no \
                runtime. The count window of 100, trips at 100 %. A clone for each thread. Churn: a window of one, \
                one probe, open for 0 s. On two threads one that waits for its asynchronous lock asks again at once, \
                which is cheaper than to be woken.",
            wrong: "No window, compared with the streak: that of 100 counts all calls since the circuit closed, so \
                at 50 %, 10,000 good ones take as many failures to open. (The one by time keeps a record of every \
                call and goes through all of them at each.) A tower service only, on tokio: it panics without a \
                runtime where the lock is taken while open. Boxes each future. The half-open state can last for \
                ever.",
        },
        rows: vec![
            row("tower-resilience", Judge::Streak)
                .one_thread::<Lifetime>()
                .churn::<Lifetime>()
                .two_threads::<Lifetime>(private),
        ],
    }
}

/// The service that is guarded.
#[derive(Clone)]
struct Work;

impl Service<bool> for Work {
    type Response = u32;
    type Error = ();
    type Future = Ready<Result<u32, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, good: bool) -> Self::Future {
        ready(work(good))
    }
}

type Guarded = CircuitBreaker<Work, DefaultClassifier>;

struct Lifetime;

impl Subject for Lifetime {
    type Breaker = Guarded;
    type Caller = Guarded;

    fn healthy() -> Guarded {
        let layer = CircuitBreakerLayer::builder().failure_rate_threshold(1.0).sliding_window_size(100);
        layer.build().expect("within bounds").layer_fn(Work)
    }

    fn nervous(open_for: OpenFor) -> Guarded {
        let layer = CircuitBreakerLayer::builder()
            .failure_rate_threshold(1.0)
            .sliding_window_size(1)
            .minimum_number_of_calls(1)
            .permitted_calls_in_half_open(1)
            .wait_duration_in_open(at_least_nothing(open_for));
        layer.build().expect("within bounds").layer_fn(Work)
    }

    fn hold(breaker: &'static mut Guarded) -> Guarded {
        breaker.clone()
    }
}

impl Caller for Guarded {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        let Poll::Ready(Ok(())) = self.poll_ready(&mut Context::from_waker(Waker::noop())) else { return Err(()) };
        at_once(Service::call(self, good)).map_err(|_| ())
    }

    fn state(&self) -> Option<State> {
        Some(match self.state_sync() {
            CircuitState::Closed => State::Closed,
            CircuitState::Open => State::Open,
            CircuitState::HalfOpen => State::HalfOpen,
        })
    }
}
