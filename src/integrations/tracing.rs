//! `tracing`: an observer that logs transitions.

use tracing::{info, warn};

use crate::terms::event::Event;
use crate::terms::observer::Observer;
use crate::terms::state::State;

/// An observer that logs each transition of a breaker as a `tracing` event of the target `microbreaker`. Transitions to
/// open and latched are warnings, all others are information. Calls, reports and rejections are not logged.
///
/// The fields of an event are `name`, `from`, `to`, `reason` (of an open or half-open circuit), `generation`, `attempt`, `total`,
/// `failed` and `slow` (the window's sums on which the transition is based) and `retry_in_ms` (of an open circuit,
/// rounded up). The call that makes the transition logs it, in its own span. A subscriber must not wait for the
/// breaker.
///
/// ```
/// use microbreaker::tracing::TracingLog;
/// use microbreaker::{Breaker, Config, StdClock, Streak};
///
/// static PAYMENTS: Breaker<Streak, StdClock, TracingLog> =
///     Breaker::observed(Config::database(), StdClock::new(), TracingLog::new("payments"));
/// ```
///
/// To log and to count, use a pair whose first member is the [`Meter`](crate::metrics::Meter):
/// `(Meter::new("payments"), TracingLog::new("payments"))`.
#[derive(Clone, Copy, Debug)]
pub struct TracingLog {
    name: &'static str,
}

impl TracingLog {
    /// An observer for a breaker of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }
}

impl Observer for TracingLog {
    fn name(&self) -> &str {
        self.name
    }

    fn on_event(&self, event: &Event) {
        let retry = event.lasts().filter(|_| event.to == State::Open);
        let retry_in_ms = retry.map(|time| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        macro_rules! log {
            ($level:ident) => {
                $level!(
                    target: "microbreaker",
                    name = self.name,
                    from = event.from.name(),
                    to = event.to.name(),
                    reason = event.reason.map(|reason| reason.name()),
                    generation = event.generation,
                    attempt = event.attempt,
                    total = event.tally.total,
                    failed = event.tally.failed,
                    slow = event.tally.slow,
                    retry_in_ms,
                    "circuit breaker {}: {} -> {}",
                    self.name,
                    event.from.name(),
                    event.to.name(),
                )
            };
        }
        match event.to {
            State::Open | State::Latched => log!(warn),
            _ => log!(info),
        }
    }
}
