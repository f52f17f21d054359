//! Compares the breaker with something simpler that shows the right behaviour: a sequential model, a table of states, a
//! list of outcomes, the vectors of other breakers, and the scenarios of the layers above.

mod conformance;
mod layers;
mod list;
mod matrix;
mod reference;
