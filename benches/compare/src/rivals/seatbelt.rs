use std::future::{Ready, ready};
use std::sync::LazyLock;
use std::task::Waker;
use std::time::Duration;

use layered::{Execute, Layer, Service};
use seatbelt::breaker::{Breaker, HalfOpenMode};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;
use tick::runtime::{ClockDriver, InactiveClock};

use super::{About, Rival, at_least_nothing, row};
use crate::caller::{Caller, OpenFor, State, Subject, at_once};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "seatbelt",
            as_used: "As a `layered` service around a ready future, polled once with a waker that does nothing; the \
                clock that `Clock::new_tokio` makes, without tokio. 10 s in 10 parts, trips at 100 % of at least 100 \
                calls. Churn: the quick mode (one probe), a minimum of one, open for 0 s.",
            wrong: "Asynchronous only. Reads the clock and takes a lock, both twice a call. Failures of one closed \
                period that are reported in the next count there. It does not tell its state.",
        },
        rows: vec![row("seatbelt", Judge::Time).one_thread::<Parts>().churn::<Parts>().two_threads::<Parts>(private)],
    }
}

type Guarded = Breaker<bool, Result<u32, ()>, Execute<fn(bool) -> Ready<Result<u32, ()>>>>;

struct Parts;

impl Parts {
    fn build(least: u32, open_for: Duration) -> Guarded {
        // The driver would wake sleeping tasks, but nothing sleeps here.
        static CLOCK: LazyLock<(Clock, ClockDriver)> =
            LazyLock::new(|| InactiveClock::new_shared().activate(Waker::noop().clone()));
        Breaker::layer("work", &ResilienceContext::new(&CLOCK.0))
            .recovery_with(|result: &Result<u32, ()>, _| match result {
                Ok(_) => RecoveryInfo::never(),
                Err(()) => RecoveryInfo::retry(),
            })
            .rejected_input_error(|_, _| ())
            .failure_threshold(1.0)
            .min_throughput(least)
            .sampling_duration(Duration::from_secs(10))
            .half_open_mode(HalfOpenMode::quick())
            .break_duration(open_for)
            .layer(Execute::new((|good| ready(work(good))) as fn(bool) -> Ready<Result<u32, ()>>))
    }
}

impl Subject for Parts {
    type Breaker = Guarded;
    type Caller = &'static Guarded;

    fn healthy() -> Guarded {
        Self::build(100, Duration::from_secs(5))
    }

    fn nervous(open_for: OpenFor) -> Guarded {
        Self::build(1, at_least_nothing(open_for))
    }

    fn hold(breaker: &'static mut Guarded) -> Self::Caller {
        breaker
    }
}

impl Caller for &'static Guarded {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        at_once(self.execute(good))
    }

    fn state(&self) -> Option<State> {
        None
    }
}
