//! Building blocks made of breakers: fallback chains, breakers by key, lazily created clients.

pub mod fallback;
#[cfg(feature = "heapless")]
pub mod keyed;
#[cfg(feature = "lazy")]
pub mod lazy;
#[cfg(feature = "registry")]
pub mod registry;
