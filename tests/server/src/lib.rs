//! The integrations of a server under the real libraries: all of it is in `tests/`, so that the crate itself keeps few.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that gives up after so many polls, with `None`: to drop one at every point where it may be dropped.
#[derive(Debug)]
pub struct AtMost<F>(pub u32, pub F);

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
#[doc = include_str!("../../../examples/host/ops/tuning.md")]
struct Tuning;

/// The recipes, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../examples/host/recipes.md")]
struct Recipes;
