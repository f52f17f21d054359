//! One breaker: its settings, permits and states, what it tells its observer, and what outlives it.

mod cancel;
mod circuit;
mod config;
mod faults;
mod fixed;
mod layers;
mod ledger;
mod meddling;
mod memory;
mod mode;
mod observe;
mod peek;
mod readings;
mod regressions;
mod shutdown;
mod snapshot;
