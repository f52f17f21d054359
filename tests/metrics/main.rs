//! What is counted and timed, and what a reading makes of it.

#[path = "../common/mod.rs"]
mod common;

mod meter;
