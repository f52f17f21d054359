use breaker::{CircuitBreaker, CircuitBreakerConfig};

use super::{About, DAY, Rival, at_least_nothing, row};
use crate::caller::{Caller, OpenFor, State, Subject, at_once};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "breaker",
            as_used: "`call` with a closure that makes a ready future, polled once with a waker that does nothing: \
                no runtime. The last 100 calls, trips at 100 %. Churn: one failure in a row, one probe, open for 0 \
                s.",
            wrong: "Asynchronous only, but for reports without admission. It is half-open by a look at the clock and \
                becomes so by the first report: a success of before closes it while the probe is out.",
        },
        rows: vec![row("breaker", Judge::Count).one_thread::<Ring>().churn::<Ring>().two_threads::<Ring>(private)],
    }
}

struct Ring;

impl Subject for Ring {
    type Breaker = CircuitBreaker;
    type Caller = &'static CircuitBreaker;

    fn healthy() -> CircuitBreaker {
        let config = CircuitBreakerConfig::builder()
            .failure_rate_threshold(1.0)
            .consecutive_failures(u32::MAX)
            .sliding_window_size(100)
            .minimum_calls(100)
            .wait_duration(DAY);
        CircuitBreaker::new(config.build())
    }

    fn nervous(open_for: OpenFor) -> CircuitBreaker {
        let config = CircuitBreakerConfig::builder()
            .consecutive_failures(1)
            .sliding_window_size(100)
            .half_open_max_calls(1)
            .success_threshold(1)
            .wait_duration(at_least_nothing(open_for));
        CircuitBreaker::new(config.build())
    }

    fn hold(breaker: &'static mut CircuitBreaker) -> Self::Caller {
        breaker
    }
}

impl Caller for &'static CircuitBreaker {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        at_once(CircuitBreaker::call(self, || async move { work(good) })).map_err(|_| ())
    }

    fn state(&self) -> Option<State> {
        Some(match CircuitBreaker::state(self) {
            breaker::State::Closed => State::Closed,
            breaker::State::Open => State::Open,
            breaker::State::HalfOpen => State::HalfOpen,
        })
    }
}
