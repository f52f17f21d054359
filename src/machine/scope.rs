//! The scope in which a window works, and how an outcome looks to it.

use crate::config::live::{Live, Shape};
use crate::machine::control::{Generation, StateCell};

/// How an outcome looks to a window. If neither bit is set, it is a success that was not slow.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

impl Mark {
    pub(crate) const GOOD: Self = Self { failed: false, slow: false };

    #[inline]
    pub(crate) const fn is_good(self) -> bool {
        !self.failed && !self.slow
    }
}

/// What a window works with: its generation, the control word that says whether this is still the present one, and the
/// settings, clock and level to judge by.
#[doc(hidden)]
#[derive(Debug)]
pub struct Scope<'a, C> {
    pub(crate) state: &'a StateCell,
    pub(crate) generation: Generation,
    pub(crate) live: &'a Live,
    /// A reference, because not every path reads it.
    pub(crate) shape: &'a Shape,
    pub(crate) clock: &'a C,
    /// The degradation level when the outcome was reported.
    pub(crate) level: u8,
}

// Implemented by hand, because a derive would require `C: Copy`.
impl<C> Clone for Scope<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Scope<'_, C> {}

impl<C> Scope<'_, C> {
    /// The level by `judge` if levels are configured, else 0.
    pub(crate) fn level_by(&self, judge: impl FnOnce() -> u8) -> u8 {
        if self.live.rules().levels() { judge() } else { 0 }
    }

    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.state.is(self.generation)
    }
}
