//! One who makes guarded calls: what every rival is brought to, and nothing more.

use std::hint::{black_box, spin_loop};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::guarded::Padded;

/// A breaker as one caller holds it: mostly a reference.
pub trait Caller: 'static {
    /// A whole guarded call: ask, `work(good)`, look at the result, report it.
    fn call(&mut self, good: bool) -> Result<u32, ()>;

    /// A call that the open circuit rejects; says whether it did.
    #[inline(always)]
    fn rejected(&mut self) -> bool {
        black_box(self.call(true)).is_err()
    }

    /// Lets the open time pass, where time is the caller's to tell. Real time passes by itself.
    #[inline(always)]
    fn pass(&mut self) {}

    /// Where it says so.
    fn state(&self) -> Option<State>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
}

/// How long an open circuit stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    /// The least that can be configured.
    Shortest,
    /// Longer than any run.
    ADay,
}

/// How many failures open it and how many good probes close it, when both are as few as can be configured.
#[derive(Clone, Copy, Debug)]
pub struct Cycle {
    pub failures: u32,
    pub probes: u32,
}

/// A breaker as its users make and reach it.
pub trait Subject {
    type Breaker: 'static;
    type Caller: Caller;
    const CYCLE: Cycle = Cycle { failures: 1, probes: 1 };

    /// With a window as near to 100 calls as there is, and a threshold that one failure in ten never meets.
    fn healthy() -> Self::Breaker;
    /// Opens at the first failure and closes after the first good probe, or as soon as it can be told to.
    fn nervous(open_for: OpenFor) -> Self::Breaker;
    fn hold(breaker: &'static mut Self::Breaker) -> Self::Caller;

    /// Its caller, and the breaker for the rest of this process, on cache lines of its own.
    fn settle(breaker: Self::Breaker) -> Self::Caller {
        // Reached by a reference the optimiser knows nothing about, as from another module.
        Self::hold(&mut black_box(Box::leak(Box::new(Padded(breaker)))).0)
    }
}

/// Runs what is asynchronous, on no runtime: so that none is blamed on it. What has to wait is asked again at once.
#[inline(always)]
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        spin_loop();
    }
}
