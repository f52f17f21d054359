//! The integrations of a server under the real libraries: all of it is in `tests/`, so that the crate itself keeps few.

/// The settings of the tuning guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../examples/host/ops/tuning.md")]
struct Tuning;

/// The recipes, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../examples/host/recipes.md")]
struct Recipes;
