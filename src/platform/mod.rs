//! What the library runs on: atomics, fields of packed words, lanes for many cores, and names for enums.

pub(crate) mod atomics;
pub(crate) mod bits;
pub(crate) mod lanes;
pub(crate) mod named;
