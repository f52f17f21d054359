//! What is counted for operators.

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
