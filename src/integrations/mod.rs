//! What joins a breaker to another crate: one file or folder for each, behind the feature of its name.

#[cfg(feature = "defmt")]
pub(crate) mod defmt;
#[cfg(feature = "embassy-time")]
pub(crate) mod embassy_time;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "std")]
pub(crate) mod io;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "serde")]
pub(crate) mod serde;
#[cfg(feature = "tower")]
pub(crate) mod tower;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
