//! Code that joins a breaker to another crate: one file or folder for each crate, behind the feature of its name.

#[cfg(feature = "defmt")]
pub mod defmt;
#[cfg(feature = "embassy-time")]
pub mod embassy_time;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "std")]
pub mod io;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "quanta")]
pub mod quanta;
#[cfg(feature = "serde")]
pub(crate) mod serde;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
