//! Readings of a breaker: the sums of its window, and its whole status.

use core::time::Duration;

use crate::terms::state::{OpenReason, State};

/// The kind of window that a [`Tally`] sums up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowKind {
    /// No window: nothing was counted.
    #[default]
    None,
    /// Consecutive failures.
    Streak,
    /// A fixed number of the latest outcomes.
    Count,
    /// A fixed number of the latest buckets of time.
    Time,
    /// The results of half-open probes.
    Probes,
}

/// The sums of a window, or of the probes that led to a verdict.
///
/// For a streak, `total` and `failed` are both the length of the run of failures and slow calls. `failed` and `slow`
/// are independent (a slow failure counts in both), and neither ever exceeds `total`. The sums of a count window are
/// exact at one instant. The sums of a time window are read word by word while other threads write: of the outcomes that
/// are reported during the reading, some may be counted and others not, and a slow one may be counted as not slow. Every
/// other outcome is counted wholly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// The kind of the window.
    pub window: WindowKind,
    /// The number of outcomes counted.
    pub total: u32,
    /// The number of failures.
    pub failed: u32,
    /// The number of slow calls; 0 if slow calls are not counted.
    pub slow: u32,
}

impl Tally {
    pub(crate) const fn empty(window: WindowKind) -> Self {
        Self { window, total: 0, failed: 0, slow: 0 }
    }
}

/// The status of a breaker. State, reason, level, attempt and generation come from one load. All other fields are read
/// after it and may be a moment younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The state. An open circuit whose time is over still shows as open, with `retry_in` zero: it moves when the next
    /// caller asks.
    pub state: State,
    /// Why the circuit is open or half-open, if it is: a half-open circuit keeps the reason for which it was open.
    pub reason: Option<OpenReason>,
    /// The degradation level, 0 to 3.
    pub level: u8,
    /// How often in a row recovery failed.
    pub attempt: u8,
    /// The generation. It grows with every transition that makes older permits stale, by one or two, and wraps at 2¹⁶.
    pub generation: u32,
    /// How long to wait before asking again: zero for now, `None` if only a reset helps.
    pub retry_in: Option<Duration>,
    /// The number of half-open probes in flight.
    pub probes_in_flight: u8,
    /// Whether the breaker is in [shadow](crate::Mode::Shadow): it rejects no calls.
    pub shadow: bool,
    /// The window's sums; for a pair of windows, the sums of the first.
    pub tally: Tally,
}
