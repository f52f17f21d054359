//! What joins a breaker to another crate: one file or folder for each, behind the feature of its name.

#[cfg(feature = "embassy-time")]
pub(crate) mod embassy_time;
