//! What stands on breakers.

pub(crate) mod fallback;
#[cfg(feature = "heapless")]
pub(crate) mod keyed;
#[cfg(feature = "lazy")]
pub(crate) mod lazy;
#[cfg(feature = "registry")]
pub(crate) mod registry;
