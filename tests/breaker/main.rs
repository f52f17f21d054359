//! One breaker: its settings, its permits, its states, what it tells, and what outlives it.

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
