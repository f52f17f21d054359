//! What stands on breakers.

pub mod fallback;
#[cfg(feature = "heapless")]
pub mod keyed;
#[cfg(feature = "lazy")]
pub mod lazy;
#[cfg(feature = "registry")]
pub mod registry;
