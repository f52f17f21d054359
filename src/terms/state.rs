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
    }
}

impl OpenReason {
    #[inline]
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Slow,
            2 => Self::Hold,
            3 => Self::Budget,
            4 => Self::Dependency,
            5 => Self::Manual,
            // 0. Nothing writes a number above 5.
            _ => Self::Failures,
        }
    }
}
