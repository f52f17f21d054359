//! Settings from outside the program, and the health of breakers for outside it.

pub mod health;
pub mod settings;
