use recloser::{Error, Recloser};

use super::{About, Rival, at_least_nothing, row};
use crate::caller::{Caller, Cycle, OpenFor, State, Subject};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::Judge;

pub fn rival(private: PrivateWork) -> Rival {
    Rival {
        about: About {
            package: "recloser",
            as_used: "`call` with a closure; the last 100 calls, trips at 100 %. Churn: rings of one call, open for \
                0 s.",
            wrong: "A ring of one judges only its second call: a cycle is two failures and two probes, four calls \
                where others need two. Every transition leaks its state (the bytes kept per cycle); the half-open \
                state lets everybody in. Its window is a ring of flags behind a spin lock. It does not tell its \
                state.",
        },
        rows: vec![row("recloser", Judge::Count).one_thread::<Ring>().churn::<Ring>().two_threads::<Ring>(private)],
    }
}

struct Ring;

impl Subject for Ring {
    type Breaker = Recloser;
    type Caller = &'static Recloser;
    const CYCLE: Cycle = Cycle { failures: 2, probes: 2 };

    fn healthy() -> Recloser {
        Recloser::custom().error_rate(1.0).closed_len(100).build()
    }

    fn nervous(open_for: OpenFor) -> Recloser {
        let open_wait = at_least_nothing(open_for);
        Recloser::custom().error_rate(0.5).closed_len(1).half_open_len(1).open_wait(open_wait).build()
    }

    fn hold(breaker: &'static mut Recloser) -> Self::Caller {
        breaker
    }
}

impl Caller for &'static Recloser {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        Recloser::call(self, || work(good)).map_err(|error| match error {
            Error::Inner(()) | Error::Rejected => (),
        })
    }

    fn state(&self) -> Option<State> {
        None
    }
}
