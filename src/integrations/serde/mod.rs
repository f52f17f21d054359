//! `serde`: settings from files and environment variables, and the health of breakers for a status endpoint.

pub mod health;
pub mod settings;
