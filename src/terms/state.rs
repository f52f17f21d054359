//! The states of a circuit, and why it opens.

use crate::platform::named::named;

named! {
    #[names = "in small letters with underscores, as metrics want it"]
    /// What a circuit does with a call, as seen by an observer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum State {
        /// Healthy: every call is admitted and its outcome recorded.
        Closed = 0 => "closed",
        /// Calls are rejected until a time; the first one at or after it finds the circuit half-open.
        Open = 1 => "open",
        /// Open without a time: rejects until someone resets it.
        Latched = 2 => "latched",
        /// A limited number of probes find out whether the peer is back.
        HalfOpen = 3 => "half_open",
        /// The peer is back: a growing share of the calls is admitted.
        Ramping = 4 => "ramping",
        /// Switched off for maintenance: rejects everything, records nothing, until reset.
        ForcedOpen = 5 => "forced_open",
        /// Bypassed: admits everything, records nothing, until reset.
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
        /// Too many failures; where both reached their threshold, failures name the reason.
        Failures = 0 => "failures",
        /// Too many slow calls.
        Slow = 1 => "slow",
        /// The peer said when to come back.
        Hold = 2 => "hold",
        /// A budget of calls, money or retries is used up.
        Budget = 3 => "budget",
        /// Something this one depends on is down.
        Dependency = 4 => "dependency",
        /// By hand.
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
            // 0; nothing writes more
            _ => Self::Failures,
        }
    }
}
