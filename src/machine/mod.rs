//! The only place where atomics decide.

pub(crate) mod control;
