//! The types that are built on breakers: fallbacks, lazy clients, and breakers by key.

#[path = "../common/mod.rs"]
mod common;

mod fallback;
mod keyed;
mod lazy;
mod registry;
