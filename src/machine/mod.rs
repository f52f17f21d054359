//! The state machine of a breaker: the only place where atomics decide.

pub(crate) mod backoff;
pub(crate) mod cell;
pub(crate) mod counts;
pub(crate) mod judge;
pub(crate) mod mark;
pub(crate) mod scope;
pub(crate) mod share;
pub(crate) mod window;
pub(crate) mod word;
