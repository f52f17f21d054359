//! What the library runs on: atomics, fields of packed words, and lanes for many cores.

pub(crate) mod atomics;
pub(crate) mod bits;
pub(crate) mod lanes;
