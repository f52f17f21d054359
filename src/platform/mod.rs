//! What the library runs on: atomics, lanes for many cores, and names for enums.

pub(crate) mod atomics;
pub(crate) mod lanes;
pub(crate) mod named;
