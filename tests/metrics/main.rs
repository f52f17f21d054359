//! What a meter counts and times, and what a reading of it shows.

#[path = "../common/mod.rs"]
mod common;

mod meter;
