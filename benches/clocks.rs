//! What a reading of each clock costs, beside `Instant::now` in the same run: `.ci/check/quanta`.
//!
//! The cases take turns, so that a slow minute of the machine slows them all, and the best of many short rounds counts.

mod guarded;

use std::time::{Duration, Instant};

use guarded::timed;
use microbreaker::quanta::QuantaClock;
use microbreaker::{Clock, CoarseClock, StdClock};

const ROUNDS: u32 = 40;
/// Readings in a round: about a millisecond.
const READINGS: u32 = 50_000;

/// A case: its name, and a function that takes so many readings.
type Case = (&'static str, fn(u64) -> Duration);

const CASES: [Case; 4] = [
    ("Instant::now", |readings| timed(readings, Instant::now)),
    ("StdClock", |readings| timed(readings, || StdClock.now())),
    ("QuantaClock", |readings| timed(readings, || QuantaClock.now())),
    ("CoarseClock", |readings| timed(readings, || CoarseClock.now())),
];

fn main() {
    QuantaClock::start();
    assert!(CoarseClock::start(), "the coarse clock's thread could not start");
    let mut best = [f64::INFINITY; CASES.len()];
    for _ in 0..ROUNDS {
        for ((_, reading), best) in CASES.iter().zip(&mut best) {
            *best = best.min(reading(READINGS.into()).as_secs_f64() * 1e9 / f64::from(READINGS));
        }
    }
    let [instant, standard, quanta, _] = best;
    println!("{:<14}{:>8}{:>16}{:>12}", "a reading", "ns", "x Instant::now", "x StdClock");
    for ((name, _), nanos) in CASES.iter().zip(best) {
        println!("{name:<14}{nanos:>8.2}{:>16.2}{:>12.2}", nanos / instant, nanos / standard);
    }
    let [of_instant, of_standard] = [instant, standard].map(|other| quanta / other);
    println!("QuantaClock: {of_instant:.2} of Instant::now, {of_standard:.2} of StdClock, best of {ROUNDS} rounds");
}
