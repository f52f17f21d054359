//! The breaker beside something simpler that says what is right: a sequential model, a table of states, a list of
//! outcomes, and the vectors of other breakers.

mod conformance;
mod list;
mod matrix;
mod reference;
