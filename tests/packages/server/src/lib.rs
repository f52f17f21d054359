//! The integrations of a server under the real libraries: all of it is in `tests/`, so that the crate itself keeps few.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{Breaker, ManualClock, OpenReason, State, Streak};

const SECOND: Duration = Duration::from_secs(1);

/// Makes `call` as the one probe of a half-open circuit and drops it before its first poll, after that, after the next: each
/// time the place is free for a call that succeeds. How many polls it took until it came to its end first.
///
/// # Panics
/// If the place is not free.
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
        // Were the place lost, it would be rejected.
        assert!(call().await, "after {polls} polls");
        assert_eq!(
            (breaker.state(), breaker.status().probes_in_flight),
            (State::Closed, 0),
            "dropped after {polls} polls"
        );
        polls += 1;
    }
}

/// Gives up after so many polls, with `None`.
struct AtMost<F>(u32, F);

impl<F: Future + Unpin> Future for AtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Pin::new(&mut self.1).poll(context).map(Some)
    }
}

/// The settings of the tuning guide, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../../examples/host/ops/tuning.md")]
struct Tuning;

/// The recipes, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../../examples/host/recipes.md")]
struct Recipes;
