//! The states that the matrix leads to from each state. There are no others.

use microbreaker::State::{self, Closed, Disabled, ForcedOpen, HalfOpen, Latched, Open, Ramping};

pub(crate) const MOVES: [(State, &[State]); 7] = [
    (Closed, &[Closed, Open, Latched, ForcedOpen, Disabled]),
    (Open, &[Closed, Open, Latched, HalfOpen, Ramping, ForcedOpen, Disabled]),
    (Latched, &[Closed, ForcedOpen, Disabled]),
    (HalfOpen, &[Closed, Open, Latched, Ramping, ForcedOpen, Disabled]),
    (Ramping, &[Closed, Open, Latched, ForcedOpen, Disabled]),
    (ForcedOpen, &[Closed, Disabled]),
    (Disabled, &[Closed, ForcedOpen]),
];
