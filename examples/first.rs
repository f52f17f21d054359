//! A first breaker: no features, no async runtime, and a clock of ten lines. Run it with `cargo run --example first`.
//!
//! A peer works, goes down, and comes back. While it is down, callers are told so at once, and the peer is left alone.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Instant;

use microbreaker::{Breaker, Clock, Config, Error, State, Streak, TickRate, Ticks};

/// A clock of milliseconds. With the feature `std`, the crate's own `StdClock` is there in its place.
struct Millis;

impl Clock for Millis {
    const RATE: TickRate = TickRate::new(1000, 1);

    #[expect(clippy::cast_possible_truncation, reason = "a clock may wrap")]
    fn now(&self) -> Ticks {
        static START: OnceLock<Instant> = OnceLock::new();
        Ticks::new(START.get_or_init(Instant::now).elapsed().as_millis() as u32)
    }
}

// Three failures in a row open the circuit for a second. Then one call is let through, and its success closes the
// circuit.
static PEER: Breaker<Streak, Millis> = Breaker::new(Config::streak(3).open_for(Duration::from_secs(1)), Millis);

/// How often the peer was really asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// The peer: it fails from its third call to its fifth.
fn ask() -> Result<&'static str, &'static str> {
    match ASKED.fetch_add(1, Ordering::Relaxed) + 1 {
        3..=5 => Err("connection refused"),
        _ => Ok("answer"),
    }
}

fn main() {
    for call in 1..=10 {
        match PEER.call(ask) {
            Ok(answer) => println!("call {call}: {answer}"),
            Err(Error::Inner(error)) => println!("call {call}: failed ({error})"),
            Err(Error::Rejected(rejected)) => println!("call {call}: {rejected}"),
        }
    }
    assert_eq!(PEER.state(), State::Open);
    assert_eq!(ASKED.load(Ordering::Relaxed), 5, "the last five calls did not reach the peer");

    // A caller without other work sleeps until it makes sense to ask again. That is 1.001 s or a little more: a breaker
    // adds a tick of the clock, which may have rounded, and jitter may add up to a quarter.
    while let Err(rejected) = PEER.peek() {
        let time = rejected.retry_in().expect("an open circuit knows its time; a latched one would not");
        println!("the peer is left alone for {time:?}");
        sleep(time);
    }

    assert_eq!(PEER.call(ask), Ok("answer"), "the call let through reached a peer that is back");
    assert_eq!(PEER.state(), State::Closed);
    assert_eq!(ASKED.load(Ordering::Relaxed), 6);
    println!("the peer is back and the circuit is closed: 11 calls, 6 of them reached the peer");
}
