use std::fmt;

use circuitbreaker_rs::{CircuitBreaker, DefaultPolicy};

use super::{About, Rival, at_least_nothing, row};
use crate::caller::{Caller, OpenFor, State, Subject};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "circuitbreaker-rs",
            as_used: "`call` with a closure; the default policy, trips at 100 % of at least 100 calls. Churn: one \
                failure in a row, one success, one probe, cooldown of 0 s.",
            wrong: "No window, compared with the streak: its rate is an average over its lifetime, and the windows \
                of its other policies are never fed by the breaker. It times every call: three clock readings. The \
                state is visible before its timestamp, so a cooldown can be skipped; extra probes get in, and lost \
                ones leave it half-open for ever.",
        },
        rows: vec![
            row("circuitbreaker-rs", Judge::Streak)
                .one_thread::<Lifetime>()
                .churn::<Lifetime>()
                .two_threads::<Lifetime>(private),
        ],
    }
}

/// circuitbreaker-rs accepts only errors that implement `Error`.
#[derive(Debug)]
struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

type Guarded = CircuitBreaker<DefaultPolicy, Failed>;

struct Lifetime;

impl Subject for Lifetime {
    type Breaker = Guarded;
    type Caller = &'static Self::Breaker;

    fn healthy() -> Self::Breaker {
        Guarded::builder().failure_threshold(1.0).min_throughput(100).consecutive_failures(u64::MAX).build()
    }

    fn nervous(open_for: OpenFor) -> Self::Breaker {
        Guarded::builder()
            .consecutive_failures(1)
            .consecutive_successes(1)
            .probe_interval(1)
            .cooldown(at_least_nothing(open_for))
            .build()
    }

    fn hold(breaker: &'static mut Self::Breaker) -> Self::Caller {
        breaker
    }
}

impl Caller for &'static Guarded {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        CircuitBreaker::call(self, || work(good).map_err(|()| Failed)).map_err(|_| ())
    }

    fn state(&self) -> Option<State> {
        Some(match self.current_state() {
            circuitbreaker_rs::State::Closed => State::Closed,
            circuitbreaker_rs::State::Open => State::Open,
            circuitbreaker_rs::State::HalfOpen => State::HalfOpen,
        })
    }
}
