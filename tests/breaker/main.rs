//! One breaker: its settings, permits and states, what it tells its observer, and what outlives it.

mod cancel;
mod config;
mod faults;
mod ledger;
mod mode;
mod observe;
mod peek;
mod regressions;
mod shutdown;
mod snapshot;
