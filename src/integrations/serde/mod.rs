//! Settings from outside the program, and the health of breakers for outside it.

pub(crate) mod health;
pub(crate) mod settings;
