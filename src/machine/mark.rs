//! How an outcome looks to what counts it.

use crate::terms::state::OpenReason;

/// How an outcome looks to a window and to the probes, in two bits: whether it failed, and whether it was slow. If neither, it
/// is a success that was not slow.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u32);

impl Mark {
    pub(crate) const GOOD: Self = Self(0);
    /// No outcome: the call says nothing about the peer.
    pub(crate) const NONE: Self = Self(4);

    #[inline(always)]
    pub(crate) const fn new(failed: bool, slow: bool) -> Self {
        Self(failed as u32 | (slow as u32) << 1)
    }

    #[inline(always)]
    pub(crate) const fn failed(self) -> bool {
        self.0 & 1 != 0
    }

    #[inline(always)]
    pub(crate) const fn slow(self) -> bool {
        self.0 & 2 != 0
    }

    #[inline(always)]
    pub(crate) const fn is_good(self) -> bool {
        self.0 == Self::GOOD.0
    }

    #[inline(always)]
    pub(crate) const fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// One bit: failed. If slow calls count, two: failed, slow.
    #[inline(always)]
    pub(crate) const fn bits(self, slow: bool) -> u32 {
        self.0 & if slow { 3 } else { 1 }
    }

    /// Why this outcome opens the circuit, if it is not good.
    #[inline(always)]
    pub(crate) const fn reason(self) -> OpenReason {
        if self.failed() { OpenReason::Failures } else { OpenReason::Slow }
    }
}
