//! What is counted for operators.

pub(crate) mod counters;
