//! Retries and a breaker together, with the crate `backon`. Run it with `cargo run --example retry_inside_breaker`.
//!
//! Here the retries stand *inside* the breaker: a call with all its retries is one outcome.
//!
//! - A blip that a retry heals is a success, and does not count against the peer.
//! - A rejected call is not retried: nobody sleeps through a back-off to be rejected again.
//! - An outage is noticed later: by three calls of three attempts each, where the breaker's streak is three. Keep the
//!   attempts few, and count them in when you set `slow_after`, which measures the call with its retries.
//!
//! The other order, a retry *around* the breaker, makes each attempt an outcome. It opens sooner, and it is right where
//! an attempt may go to another peer with a breaker of its own. Then rejections must not be retried like failures:
//! either not at all, by backon's `when(|error| error.rejected().is_none())`, or after the time that
//! `rejected.retry_in()` tells.

use std::cell::Cell;
use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};
use microbreaker::{Breaker, Config, Error, State, StdClock, Streak};

// Three calls in a row that fail in spite of their retries open the circuit.
static PEER: Breaker<Streak, StdClock> =
    Breaker::new(Config::streak(3).open_for(Duration::from_secs(1)), StdClock::new());

/// A peer that fails as often as it is told to.
#[derive(Default)]
struct Peer {
    asked: Cell<u32>,
    failures_to_come: Cell<u32>,
}

impl Peer {
    fn ask(&self) -> Result<&'static str, &'static str> {
        self.asked.set(self.asked.get() + 1);
        match self.failures_to_come.get() {
            0 => Ok("answer"),
            left => {
                self.failures_to_come.set(left - 1);
                Err("connection reset")
            }
        }
    }
}

/// Makes one call of up to three attempts, 10 and 20 ms apart. The breaker sees only how the last one ended. (In async
/// code this is `PEER.call_async(|| (|| peer.ask()).retry(back_off))`, with backon's `Retryable`.)
fn call(peer: &Peer) -> Result<&'static str, Error<&'static str>> {
    let back_off = ExponentialBuilder::default().with_min_delay(Duration::from_millis(10)).with_max_times(2);
    let before = peer.asked.get();
    let result = PEER.call(|| (|| peer.ask()).retry(back_off).call());
    match &result {
        Ok(answer) => println!("attempts: {}, {answer}", peer.asked.get() - before),
        Err(error) => println!("attempts: {}, {error}", peer.asked.get() - before),
    }
    result
}

fn main() {
    let peer = Peer::default();

    println!("a blip: two attempts fail, the third does not");
    peer.failures_to_come.set(2);
    assert_eq!(call(&peer), Ok("answer"));
    assert_eq!(peer.asked.get(), 3);
    assert_eq!(PEER.tally().failed, 0, "nothing is held against the peer");

    println!("an outage");
    peer.failures_to_come.set(u32::MAX);
    for _ in 0..3 {
        assert_eq!(call(&peer), Err(Error::Inner("connection reset")));
    }
    assert_eq!(PEER.state(), State::Open);
    assert_eq!(peer.asked.get(), 3 + 3 * 3, "three calls of three attempts opened the circuit");

    println!("while the circuit is open, nothing is tried and nothing retried");
    assert!(matches!(call(&peer), Err(Error::Rejected(_))));
    assert_eq!(peer.asked.get(), 12);

    println!("the peer is back");
    peer.failures_to_come.set(0);
    std::thread::sleep(PEER.retry_in().expect("an open circuit knows its time"));
    assert_eq!(call(&peer), Ok("answer"));
    assert_eq!(PEER.state(), State::Closed);
}
