//! The integrations of a server with the real libraries. All of it is in `tests/` of this package, so that the crate
//! itself keeps few development dependencies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{Breaker, ManualClock, OpenReason, State, Streak};

const SECOND: Duration = Duration::from_secs(1);

/// Makes `call` as the one probe of a half-open circuit and drops it: before its first poll, after that poll, after the
/// next, and so on. Each time the slot must be free for a call that succeeds. Returns the number of polls after which
/// the call ended before it was dropped.
///
/// # Panics
/// If the slot is not free.
pub async fn dropped_after_every_poll<F: Future<Output = bool>>(
    breaker: &Breaker<Streak, ManualClock, Counters>,
    call: impl Fn() -> F,
) -> u32 {
    let mut polls = 0;
    loop {
        breaker.trip(OpenReason::Manual, SECOND);
        breaker.clock().advance(SECOND);
        if AtMost(polls, Box::pin(call())).await.is_some() {
            return polls;
        }
        // If the slot were lost, this call would be rejected.
        assert!(call().await, "after {polls} polls");
        assert_eq!(
            (breaker.state(), breaker.status().probes_in_flight),
            (State::Closed, 0),
            "dropped after {polls} polls"
        );
        polls += 1;
    }
}

/// A future that gives up after so many polls, with `None`.
struct AtMost<F>(u32, F);

impl<F: Future + Unpin> Future for AtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Pin::new(&mut self.1).poll(context).map(Some)
    }
}

/// Compiles and runs the settings of the tuning guide.
#[cfg(doctest)]
#[doc = include_str!("../../../../examples/host/ops/tuning.md")]
struct Tuning;

/// Compiles and runs the recipes.
#[cfg(doctest)]
#[doc = include_str!("../../../../examples/host/recipes.md")]
struct Recipes;
