//! The states of a circuit, and why it opens.

use crate::platform::named::named;

named! {
    #[names = "in small letters with underscores, as metrics want it"]
    /// The state of a circuit: what it does with a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum State {
        /// Healthy: every call is admitted, and its outcome is recorded.
        Closed = 0 => "closed",
        /// All calls are rejected until the open time is over. The first call after that finds the circuit half-open.
        Open = 1 => "open",
        /// Open without a time: all calls are rejected until somebody resets the circuit.
        Latched = 2 => "latched",
        /// A limited number of probes find out whether the peer is back.
        HalfOpen = 3 => "half_open",
        /// The peer is back: a growing share of the calls is admitted.
        Ramping = 4 => "ramping",
        /// Forced open for maintenance: until a reset, all calls are rejected and nothing is recorded.
        ForcedOpen = 5 => "forced_open",
        /// Bypassed: until a reset, all calls are admitted and nothing is recorded.
        Disabled = 6 => "disabled",
    }
}

named! {
    #[names = "in small letters, as metrics want it"]
    /// Why a circuit opened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum OpenReason {
        /// Too many failures. If failures and slow calls both reach their thresholds, this is the reason.
        Failures = 0 => "failures",
        /// Too many slow calls.
        Slow = 1 => "slow",
        /// The peer said when to come back.
        Hold = 2 => "hold",
        /// A budget of calls, money or retries is used up.
        Budget = 3 => "budget",
        /// Something that the calls of this circuit depend on is down.
        Dependency = 4 => "dependency",
        /// Somebody opened the circuit by hand.
        Manual = 5 => "manual",
        /// It was ejected, because it did worse than others of its group.
        Outlier = 6 => "outlier",
        /// Another instance of the program said so.
        Fleet = 7 => "fleet",
    }
}

impl OpenReason {
    /// Whether a layer above the breaker opens circuits for this reason: Budget, Dependency, Outlier, Fleet. Such a layer
    /// can [release](crate::Breaker::release) the circuit early.
    pub const fn is_of_a_layer(self) -> bool {
        matches!(self, Self::Budget | Self::Dependency | Self::Outlier | Self::Fleet)
    }

    /// Whether it is a doubt about the peer's health, and nothing more: Failures, Slow, Outlier, Fleet. Then
    /// [`acquire_anyway`](crate::Breaker::acquire_anyway) admits a call all the same.
    pub const fn is_doubt(self) -> bool {
        matches!(self, Self::Failures | Self::Slow | Self::Outlier | Self::Fleet)
    }

    #[inline(always)]
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Slow,
            2 => Self::Hold,
            3 => Self::Budget,
            4 => Self::Dependency,
            5 => Self::Manual,
            6 => Self::Outlier,
            7 => Self::Fleet,
            // 0. Nothing writes a number above 7.
            _ => Self::Failures,
        }
    }
}
