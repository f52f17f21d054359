//! The scope in which a window works.

use crate::clock::Clock;
use crate::config::source::{Limits, Rules, Shape, Source};
use crate::machine::cell::Cell;
use crate::machine::word::{Generation, Word};

/// What a window works with: its generation, the words that say whether this is still the present one, and the settings,
/// clock and level to judge by.
#[doc(hidden)]
#[derive(Debug)]
pub struct Scope<'a, S, C> {
    pub(crate) cell: &'a Cell,
    pub(crate) generation: Generation,
    pub(crate) settings: &'a S,
    /// A reference, because not every path reads it.
    pub(crate) clock: &'a C,
    /// The degradation level when the outcome was reported.
    pub(crate) level: u8,
}

// Implemented by hand, because a derive would require `C: Copy`.
impl<S, C> Clone for Scope<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for Scope<'_, S, C> {}

impl<S: Source, C: Clock> Scope<'_, S, C> {
    #[inline(always)]
    pub(crate) fn limits(&self) -> Limits {
        self.settings.limits::<C>()
    }

    #[inline(always)]
    pub(crate) fn rules(&self) -> Rules {
        self.settings.rules::<C>()
    }

    #[inline(always)]
    pub(crate) fn shape(&self) -> Shape {
        self.settings.shape::<C>()
    }

    /// The level by `judge` if levels are configured, else 0.
    pub(crate) fn level_by(&self, judge: impl FnOnce() -> u8) -> u8 {
        if self.rules().levels() { judge() } else { 0 }
    }

    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.cell.is(self.generation)
    }

    /// The word at this moment; see [`Cell::peek`].
    #[inline]
    pub(crate) fn peek(&self) -> Word {
        self.cell.peek()
    }
}
