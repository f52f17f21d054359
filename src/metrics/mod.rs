//! Counters and metrics for operators.
//!
//! - [`Counters`] is an observer that counts in a few 32-bit words, for firmware too.
//! - `Meter` (feature `std`) is an observer that counts everything that the exporters show. It can also time calls.
//! - `Monitors` (feature `std`) is the set of breakers that exporters show. Its page lists the metrics. The exporters
//!   are the features `prometheus`, `metrics` and `opentelemetry`.

pub(crate) mod counters;
#[cfg(any(feature = "metrics", feature = "opentelemetry", feature = "prometheus"))]
pub(crate) mod families;
#[cfg(feature = "std")]
mod ledger;
#[cfg(feature = "std")]
pub(crate) mod meter;
#[cfg(feature = "std")]
pub(crate) mod monitors;
#[cfg(feature = "std")]
pub(crate) mod reading;

pub use self::counters::{Counters, Counts};
#[cfg(feature = "std")]
pub use self::meter::{Meter, Metered};
#[cfg(feature = "std")]
pub use self::monitors::{DuplicateName, Monitors};
#[cfg(feature = "std")]
pub use self::reading::{Latency, Reading, States};
