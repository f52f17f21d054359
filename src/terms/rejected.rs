//! What a caller gets instead of a permit, or of its result.

use core::fmt;
use core::time::Duration;

use crate::clock::TickRate;
use crate::platform::named::display_by_name;
use crate::terms::state::OpenReason;

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The circuit is open, for this reason.
    Open(OpenReason),
    /// It is open without a time: somebody must reset it.
    Latched,
    /// It is half-open and no slot for a probe is free.
    HalfOpen,
    /// It is ramping, and this call is not among the admitted share.
    Ramping,
    /// It is switched off for maintenance.
    ForcedOpen,
    /// Nobody asked first whether the guarded service is ready, so it must not be called: a fault of the caller, not of
    /// the peer. Only a layer says this, a [`Breaker`](crate::Breaker) never does.
    Unready,
}

impl RejectReason {
    /// The name in small letters with underscores, as metrics want it; an open circuit's is its reason's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open(reason) => reason.name(),
            Self::Latched => "latched",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
            Self::ForcedOpen => "forced_open",
            Self::Unready => "unready",
        }
    }
}

display_by_name!(RejectReason);

/// A call that was not admitted: why, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a rejected call must not be made"]
pub struct Rejected {
    reason: RejectReason,
    ticks: Option<u32>,
    rate: &'static TickRate,
}

impl Rejected {
    #[inline]
    pub(crate) const fn new(reason: RejectReason, ticks: Option<u32>, rate: &'static TickRate) -> Self {
        Self { reason, ticks, rate }
    }

    /// Of a caller that did not ask first whether the service is ready.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "only a layer says so"))]
    pub(crate) const UNREADY: Self =
        Self { reason: RejectReason::Unready, ticks: Some(0), rate: &const { TickRate::new(1, 1) } };

    /// Why.
    pub const fn reason(&self) -> RejectReason {
        self.reason
    }

    /// How long to wait before asking again; `None` if time alone will not help.
    ///
    /// Of an open circuit it is the exact rest of the open time. Half-open, it is the longest it can take until a slot
    /// is free or the verdict has fallen: a probe that reports sooner makes it sooner. Ramping, it is the time until
    /// the share grows. Rounded up. While the owner of a hold is still about to say how long, it is the longest a hold
    /// may be. In shadow nothing is rejected, and `Breaker::retry_in` tells what would be.
    pub const fn retry_in(&self) -> Option<Duration> {
        match self.ticks {
            Some(ticks) => Some(self.rate.duration_of(ticks)),
            None => None,
        }
    }

    /// [`retry_in`](Self::retry_in) in ticks of the breaker's clock: the same without any arithmetic.
    pub const fn retry_in_ticks(&self) -> Option<u32> {
        self.ticks
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason == RejectReason::Unready {
            return f.write_str("called without asking first whether the service is ready");
        }
        write!(f, "rejected by an open circuit breaker ({})", self.reason.name())?;
        match self.retry_in() {
            Some(time) => write!(f, ", retry in {time:.1?}"),
            None => f.write_str(", until it is reset"),
        }
    }
}

impl core::error::Error for Rejected {}

/// What a guarded call returns in place of its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The call was not made.
    Rejected(Rejected),
    /// The call was made and failed with this.
    Inner(E),
}

impl<E> Error<E> {
    /// The rejection, if that is what it is.
    pub const fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Inner(_) => None,
        }
    }

    /// The call's own error, if that is what it is.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

#[cfg(feature = "std")]
impl<E: Into<Boxed>> Error<E> {
    /// Boxed, for stacks whose error is `Box<dyn Error + Send + Sync>`: the call's own error as it was, or a [`Rejected`],
    /// to be found by `downcast_ref`. (An `Error` around a boxed error is itself no `std::error::Error`, so `?` cannot.)
    ///
    /// ```
    /// use microbreaker::{Breaker, Config, Error, ManualClock, Rejected, Streak};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    /// breaker.latch();
    /// let error = breaker.call(|| "7".parse::<u8>()).map_err(Error::into_boxed).unwrap_err();
    /// assert!(error.is::<Rejected>());
    /// ```
    pub fn into_boxed(self) -> Boxed {
        match self {
            Self::Rejected(rejected) => rejected.into(),
            Self::Inner(error) => error.into(),
        }
    }
}

#[cfg(feature = "std")]
type Boxed = std::boxed::Box<dyn core::error::Error + Send + Sync>;

impl<E> From<Rejected> for Error<E> {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Rejected(_) => None,
            // Displayed as ourselves, so the chain goes on with what is below it.
            Self::Inner(error) => error.source(),
        }
    }
}
