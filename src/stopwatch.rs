//! How long a call takes, for observers that ask: by `Instant`, since a breaker's clock may be as coarse as it likes.
//! Without `std` there is none, and nothing is timed.

#[cfg(feature = "std")]
use std::time::Instant;

use crate::breaker::{Holder, Permit};

/// Of one call, from its permit to its result. Runs only where the observer wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    begun: Option<Instant>,
}

impl Stopwatch {
    #[inline(always)]
    pub(crate) fn start<H: Holder>(permit: &Permit<H>) -> Self {
        Self { begun: if permit.times_calls() { now() } else { None } }
    }

    /// The call has its result: tells the observer.
    #[inline(always)]
    pub(crate) fn stop<H: Holder>(self, permit: &Permit<H>) {
        if let Some(begun) = self.begun {
            permit.tell_elapsed(begun.elapsed());
        }
    }
}

#[cfg(feature = "std")]
#[expect(clippy::unnecessary_wraps, reason = "as without std")]
fn now() -> Option<Instant> {
    Some(Instant::now())
}

/// There are none, so that a stopwatch takes no room.
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
