//! Rejections, which a caller gets instead of a permit, and the error of a guarded call.

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
    /// The circuit is open without a time: somebody must reset it.
    Latched,
    /// The circuit is half-open, and no slot for a probe is free.
    HalfOpen,
    /// The circuit is ramping, and this call is not in the admitted share.
    Ramping,
    /// The circuit is forced open for maintenance.
    ForcedOpen,
    /// The caller did not ask first whether the guarded service is ready, so the service must not be called. This is a
    /// fault of the caller, not of the peer. Only a layer rejects for this reason; a [`Breaker`](crate::Breaker) never
    /// does.
    Unready,
}

impl RejectReason {
    /// The name in small letters with underscores, as metrics want it. `Open` has the name of its [`OpenReason`].
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
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "a rejected call must not be made"]
pub struct Rejected {
    rate: &'static TickRate,
    /// 0 if there is no time.
    ticks: u32,
    reason: RejectReason,
    // An `Option` of the ticks would take four bytes more, and the results of most calls would not fit into two registers.
    has_time: bool,
}

impl Rejected {
    /// A rejection by a [`Gate`](crate::Gate) of your own: why, and in how many ticks of a clock at `rate` to ask again
    /// (`None` if time alone will not help). For a limit that is used up the reason is
    /// `Open(OpenReason::Budget)`.
    ///
    /// ```
    /// use microbreaker::{OpenReason, RejectReason, Rejected, TickRate};
    ///
    /// static SECONDS: TickRate = TickRate::new(1, 1);
    /// let used_up = Rejected::new(RejectReason::Open(OpenReason::Budget), Some(60), &SECONDS);
    /// assert_eq!(used_up.retry_in(), Some(std::time::Duration::from_secs(60)));
    /// ```
    #[inline]
    pub const fn new(reason: RejectReason, ticks: Option<u32>, rate: &'static TickRate) -> Self {
        let (has_time, ticks) = match ticks {
            Some(ticks) => (true, ticks),
            None => (false, 0),
        };
        Self { rate, ticks, reason, has_time }
    }

    /// The rejection of a caller that did not ask first whether the service is ready.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "only a layer says so"))]
    pub(crate) const UNREADY: Self = Self::new(RejectReason::Unready, Some(0), &const { TickRate::new(1, 1) });

    /// Why the call was rejected.
    pub const fn reason(&self) -> RejectReason {
        self.reason
    }

    /// How long to wait before asking again, rounded up; `None` if time alone will not help. The time is
    ///
    /// - for an open circuit, exactly the time that remains. If a hold or a trip has opened the circuit but has not yet
    ///   published its time, it is at most twice that time, and never less;
    /// - for a half-open circuit, the longest time until a slot is free or the probes have a verdict. It can be sooner:
    ///   a probe may report;
    /// - for a ramping circuit, the time until the share grows.
    ///
    /// In shadow nothing is rejected; `Breaker::retry_in` tells the time that a rejection would give.
    pub const fn retry_in(&self) -> Option<Duration> {
        match self.retry_in_ticks() {
            Some(ticks) => Some(self.rate.duration_of(ticks)),
            None => None,
        }
    }

    /// [`retry_in`](Self::retry_in) in ticks of the clock of the breaker, or of the gate, that rejected the call. It does
    /// without the conversion.
    pub const fn retry_in_ticks(&self) -> Option<u32> {
        if self.has_time { Some(self.ticks) } else { None }
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "`ticks` shows two fields as the one option that they are")]
impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("reason", &self.reason)
            .field("ticks", &self.retry_in_ticks())
            .field("rate", self.rate)
            .finish()
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

/// The error of a guarded call: a rejection, or the call's own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The call was not made.
    Rejected(Rejected),
    /// The call was made and failed with this error.
    Inner(E),
}

impl<E> Error<E> {
    /// The rejection, if the call was rejected.
    pub const fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Inner(_) => None,
        }
    }

    /// The call's own error, if the call was made.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

#[cfg(feature = "std")]
impl<E: Into<Boxed>> Error<E> {
    /// The error in a box, for stacks whose error is `Box<dyn Error + Send + Sync>`. The box holds the call's own error
    /// as it was, or a [`Rejected`], which `downcast_ref` finds. (The operator `?` cannot convert it: an `Error` around
    /// a boxed error is itself no `std::error::Error`.)
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
            // `Display` already shows `error` as this error's own text, so the chain continues with its source.
            Self::Inner(error) => error.source(),
        }
    }
}
