//! What is made for foreign crates, each by itself. The real servers and clients are in `tests/packages/server`.

mod classify;
mod embassy;
mod health;
mod settings;
