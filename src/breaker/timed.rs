//! Timing of calls, for observers that ask for it. Calls are timed by `Instant`, because a breaker's clock may be
//! coarse. Without `std` there is no `Instant`, and no call is timed.

#[cfg(feature = "std")]
use std::time::Instant;

use crate::breaker::gate::Report;

/// A permit whose call is under way. The call is timed if the observer asks for it.
#[derive(Debug)]
pub(crate) struct Timed<P> {
    permit: P,
    begun: Option<Instant>,
}

impl<P: Report> Timed<P> {
    /// Begins the call.
    #[inline(always)]
    pub(crate) fn start(permit: P) -> Self {
        let begun = if permit.times_calls() { now() } else { None };
        Self { permit, begun }
    }

    /// Ends the call once it has a result: notifies the observer of its time, and returns the permit for the report.
    #[inline(always)]
    pub(crate) fn stop(self) -> P {
        if let Some(begun) = self.begun {
            self.permit.notify_elapsed(begun.elapsed());
        }
        self.permit
    }
}

#[cfg(feature = "std")]
#[expect(clippy::unnecessary_wraps, reason = "as without std")]
fn now() -> Option<Instant> {
    Some(Instant::now())
}

/// A type without values, so that an `Option` of it takes no room.
#[cfg(not(feature = "std"))]
#[derive(Clone, Copy, Debug)]
enum Instant {}

#[cfg(not(feature = "std"))]
impl Instant {
    const fn elapsed(self) -> core::time::Duration {
        match self {}
    }
}

#[cfg(not(feature = "std"))]
const fn now() -> Option<Instant> {
    None
}
