use std::iter::Repeat;
use std::time::Duration;

use failsafe::failure_policy::{
    ConsecutiveFailures, SuccessRateOverTimeWindow, consecutive_failures, success_rate_over_time_window,
};
use failsafe::{CircuitBreaker, Config, FailurePolicy, StateMachine, backoff};

use super::{About, Rival, at_least_nothing, row};
use crate::caller::{Caller, OpenFor, State, Subject};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "failsafe",
            as_used: "`call` with a closure; constant backoff. One row by 1023 failures in a row, one by the success \
                rate over 10 s (trips below 1 %; its default policy is both at once and costs the sum). Churn: open \
                for 0 s; by rate with a window of 100 ms.",
            wrong: "The rate is an average over time that weighs the first call of each millisecond and no other, so \
                a burst counts as nothing. It cannot open in its first window; here one below a second, which it \
                takes for none, and one below 5 ms divides by zero. The half-open state lets everybody in; a success \
                of before closes it.",
        },
        rows: vec![
            row("failsafe, in a row", Judge::Streak)
                .one_thread::<InARow>()
                .churn::<InARow>()
                .two_threads::<InARow>(private),
            row("failsafe, by rate", Judge::Time)
                .one_thread::<ByRate>()
                .churn::<ByRate>()
                .two_threads::<ByRate>(private),
        ],
    }
}

type Constant = Repeat<Duration>;

struct InARow;

impl Subject for InARow {
    type Breaker = StateMachine<ConsecutiveFailures<Constant>, ()>;
    type Caller = &'static Self::Breaker;

    fn healthy() -> Self::Breaker {
        Config::new().failure_policy(consecutive_failures(1023, backoff::constant(Duration::from_secs(10)))).build()
    }

    fn nervous(open_for: OpenFor) -> Self::Breaker {
        Config::new().failure_policy(consecutive_failures(1, backoff::constant(at_least_nothing(open_for)))).build()
    }

    fn hold(breaker: &'static mut Self::Breaker) -> Self::Caller {
        breaker
    }
}

struct ByRate;

impl ByRate {
    fn build(required: f64, window: Duration, open_for: Duration) -> <Self as Subject>::Breaker {
        let policy = success_rate_over_time_window(required, 1, window, backoff::constant(open_for));
        Config::new().failure_policy(policy).build()
    }
}

impl Subject for ByRate {
    type Breaker = StateMachine<SuccessRateOverTimeWindow<Constant>, ()>;
    type Caller = &'static Self::Breaker;

    fn healthy() -> Self::Breaker {
        Self::build(0.01, Duration::from_secs(10), Duration::from_secs(10))
    }

    fn nervous(open_for: OpenFor) -> Self::Breaker {
        Self::build(1.0, Duration::from_millis(100), at_least_nothing(open_for))
    }

    fn hold(breaker: &'static mut Self::Breaker) -> Self::Caller {
        breaker
    }
}

impl<P: FailurePolicy + Send + 'static> Caller for &'static StateMachine<P, ()> {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        CircuitBreaker::call(*self, || work(good)).map_err(|error| match error {
            failsafe::Error::Inner(()) | failsafe::Error::Rejected => (),
        })
    }

    /// failsafe shows its state only in its debug output.
    fn state(&self) -> Option<State> {
        let text = format!("{self:?}");
        [("closed", State::Closed), ("half_open", State::HalfOpen), ("open", State::Open)]
            .into_iter()
            .find_map(|(name, state)| text.contains(&format!("{name:?}")).then_some(state))
    }
}
