//! The values that callers see: states, outcomes, rejections, sums, events, modes, and the observer.

pub(crate) mod event;
pub(crate) mod mode;
pub(crate) mod observer;
pub(crate) mod outcome;
pub(crate) mod rejected;
pub(crate) mod state;
pub(crate) mod tally;
