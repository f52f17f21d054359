//! How an outcome looks to what counts it.

/// How an outcome looks to a window and to the probes. If neither bit is set, it is a success that was not slow.
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
