//! How long a call takes, for observers that ask: by `Instant`, since a breaker's clock may be as coarse as it likes.
//! Without `std` there is none, and nothing is timed.

#[cfg(feature = "std")]
use std::time::Instant;

use crate::breaker::gate::Report;

/// A permit whose call is under way, and is timed if the observer wants to know.
#[derive(Debug)]
pub(crate) struct Timed<P> {
    permit: P,
    begun: Option<Instant>,
}

impl<P: Report> Timed<P> {
    /// The call begins.
    #[inline(always)]
    pub(crate) fn start(permit: P) -> Self {
        let begun = if permit.times_calls() { now() } else { None };
        Self { permit, begun }
    }

    /// The call has its result: tells the observer, and gives the permit back to be reported.
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

/// There are none, so that a time takes no room.
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
