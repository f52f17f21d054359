//! Compares the breaker with something simpler that shows the right behaviour: a sequential model, a table of states, a
//! list of outcomes, and the vectors of other breakers.

mod conformance;
mod list;
mod matrix;
mod reference;
