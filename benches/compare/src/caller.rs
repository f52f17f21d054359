//! A caller makes guarded calls. Every rival is wrapped as a caller, with nothing more added.

use std::hint::{black_box, spin_loop};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::guarded::Padded;

/// A breaker as a caller holds it, mostly by reference.
pub trait Caller: 'static {
    /// A whole guarded call: asks for a permit, runs `work(good)`, looks at the result, reports it.
    fn call(&mut self, good: bool) -> Result<u32, ()>;

    /// A call that the open circuit should reject. Returns whether it did.
    #[inline(always)]
    fn rejected(&mut self) -> bool {
        black_box(self.call(true)).is_err()
    }

    /// Lets the open time pass, if the caller provides the time. Real time passes by itself.
    #[inline(always)]
    fn pass(&mut self) {}

    /// The state, if the breaker shows it.
    fn state(&self) -> Option<State>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
}

/// How long a circuit stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    /// The shortest time that can be configured.
    Shortest,
    /// Longer than any run.
    ADay,
}

/// How many failures open a breaker and how many successful probes close it, if both are configured as few as possible.
#[derive(Clone, Copy, Debug)]
pub struct Cycle {
    pub failures: u32,
    pub probes: u32,
}

/// A breaker as its users make and call it.
pub trait Subject {
    type Breaker: 'static;
    type Caller: Caller;
    const CYCLE: Cycle = Cycle { failures: 1, probes: 1 };

    /// A breaker with a window as close to 100 calls as possible, and a threshold that one failure in ten never
    /// reaches.
    fn healthy() -> Self::Breaker;
    /// A breaker that opens at the first failure and closes after the first successful probe, or as soon as can be
    /// configured.
    fn nervous(open_for: OpenFor) -> Self::Breaker;
    fn hold(breaker: &'static mut Self::Breaker) -> Self::Caller;

    /// Keeps the breaker for the rest of this process, on cache lines of its own. Returns its caller.
    fn settle(breaker: Self::Breaker) -> Self::Caller {
        // The optimiser knows nothing about this reference, as if it came from another module.
        Self::hold(&mut black_box(Box::leak(Box::new(Padded(breaker)))).0)
    }
}

/// Runs a future without a runtime, so that no breaker is charged for one. A future that is pending is polled again at
/// once.
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
