//! The state machine of a breaker: the only place where atomics decide.

pub(crate) mod backoff;
pub(crate) mod control;
pub(crate) mod judge;
pub(crate) mod probes;
pub(crate) mod scope;
pub(crate) mod timer;
pub(crate) mod window;
