//! What the library runs on: atomics, and lanes for many cores.

pub(crate) mod atomics;
pub(crate) mod lanes;
