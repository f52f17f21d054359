//! Whom a window works for, and how an outcome looks to it.

use crate::config::live::{Live, Shape};
use crate::machine::control::{Generation, StateCell};

/// How an outcome looks to a window. Neither bit: good.
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

/// Whom a window works for: the generation, and where to look whether it is still the present one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Scope<'a, C> {
    pub(crate) state: &'a StateCell,
    pub(crate) generation: Generation,
    pub(crate) live: &'a Live,
    /// By reference: read where it is needed, not on every path.
    pub(crate) shape: &'a Shape,
    pub(crate) clock: &'a C,
    /// The degradation level that the outcome met.
    pub(crate) level: u8,
}

// By hand: a derive would ask for `C: Copy`.
impl<C> Clone for Scope<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Scope<'_, C> {}

impl<C> Scope<'_, C> {
    /// A level as judged, where there are levels at all; else 0.
    pub(crate) fn level_by(&self, judge: impl FnOnce() -> u8) -> u8 {
        if self.live.rules().levels() { judge() } else { 0 }
    }

    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.state.is(self.generation)
    }
}
