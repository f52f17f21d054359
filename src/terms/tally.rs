//! What can be read off a breaker: a window's sums, and its status as a whole.

use core::time::Duration;

use crate::terms::state::{OpenReason, State};

/// Which window a [`Tally`] is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowKind {
    /// No window: nothing was counted.
    #[default]
    None,
    /// Consecutive failures.
    Streak,
    /// The last so many outcomes.
    Count,
    /// The last so many buckets of time.
    Time,
    /// The results of half-open probes.
    Probes,
}

/// The sums of a window, or of the probes that led to a verdict.
///
/// Of a streak, `total` and `failed` are both the run of bad outcomes. `failed` and `slow` are independent (a slow
/// failure counts in both) and neither ever exceeds `total`. A count window's sums are exact at one instant; a time
/// window's are read word by word while others write: each outcome is wholly in or, if it came during the reading,
/// possibly only in `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Which window.
    pub window: WindowKind,
    /// Outcomes counted.
    pub total: u32,
    /// Failures among them.
    pub failed: u32,
    /// Slow ones among them; 0 where slow calls are not counted.
    pub slow: u32,
}

impl Tally {
    pub(crate) const fn empty(window: WindowKind) -> Self {
        Self { window, total: 0, failed: 0, slow: 0 }
    }
}

/// A breaker in one look. State, reason, level, attempt and generation come from one load; the rest is read after it
/// and may be a moment younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it does with a call. An open circuit whose time is over still shows as open, with `retry_in` zero: it
    /// moves when somebody asks.
    pub state: State,
    /// Why it is open, if it is.
    pub reason: Option<OpenReason>,
    /// The degradation level, 0 to 3.
    pub level: u8,
    /// How often in a row recovery failed.
    pub attempt: u8,
    /// Grows with every transition that ends the meaning of older permits; wraps after 2²⁰.
    pub generation: u32,
    /// When to ask again: zero for now, `None` for "not before somebody resets it".
    pub retry_in: Option<Duration>,
    /// Half-open probes that are out.
    pub probes_in_flight: u8,
    /// Whether the breaker only watches (see [`Config::shadow`](crate::Config::shadow)).
    pub shadow: bool,
    /// The window's sums; of a pair, those of the first.
    pub tally: Tally,
}
