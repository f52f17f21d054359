//! The states of a circuit, and why it opens.

use core::fmt;

/// What a circuit does with a call, as seen by an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum State {
    /// Healthy: every call is admitted and its outcome recorded.
    Closed = 0,
    /// Calls are rejected until a time; the first one at or after it finds the circuit half-open.
    Open = 1,
    /// Open without a time: rejects until someone resets it.
    Latched = 2,
    /// A limited number of probes find out whether the peer is back.
    HalfOpen = 3,
    /// The peer is back: a growing share of the calls is admitted.
    Ramping = 4,
    /// Switched off for maintenance: rejects everything, records nothing, until reset.
    ForcedOpen = 5,
    /// Bypassed: admits everything, records nothing, until reset.
    Disabled = 6,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 7] =
        [Self::Closed, Self::Open, Self::Latched, Self::HalfOpen, Self::Ramping, Self::ForcedOpen, Self::Disabled];

    /// The name in small letters with underscores, as metrics want it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Latched => "latched",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a circuit opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum OpenReason {
    /// Too many failures; where both reached their threshold, failures name the reason.
    Failures = 0,
    /// Too many slow calls.
    Slow = 1,
    /// The peer said when to come back.
    Hold = 2,
    /// A budget of calls, money or retries is used up.
    Budget = 3,
    /// Something this one depends on is down.
    Dependency = 4,
    /// By hand.
    Manual = 5,
}

impl OpenReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 6] = [Self::Failures, Self::Slow, Self::Hold, Self::Budget, Self::Dependency, Self::Manual];

    /// The name in small letters, as metrics want it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Slow => "slow",
            Self::Hold => "hold",
            Self::Budget => "budget",
            Self::Dependency => "dependency",
            Self::Manual => "manual",
        }
    }

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

impl fmt::Display for OpenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
