//! Tests each integration with another crate by itself. `tests/packages/server` has the real servers and clients.

mod classify;
mod embassy;
mod health;
mod quanta;
mod settings;
