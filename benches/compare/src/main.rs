//! Ours, the rivals and the floors in one run: `cargo compare`.

#[path = "../../guarded/mod.rs"]
mod guarded;
mod measure;

use guarded::{Padded, by_permit, healthy, streak, time_healthy, work};
use measure::{Case, Plan, median, ratio, rounds};
use microbreaker::{CoarseClock, Streak};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    assert!(CoarseClock::start(), "the coarse clock's thread could not start");
    let breaker = Padded(healthy::<Streak, _>(streak(), CoarseClock));
    let breaker = &black_box(&breaker).0;
    let mut cases = [
        Case::new("empty call", |calls| {
            let start = Instant::now();
            for _ in 0..calls {
                let _ = black_box(work(true));
            }
            start.elapsed()
        }),
        Case::new("streak", |calls| time_healthy(breaker, calls, |breaker| by_permit(breaker, true))),
    ];
    let times = rounds(Plan::FULL, &mut cases);
    println!("{} {:.2} {:.2}", cases[1].name, median(&times[1]), ratio(&times[1], &times[0]));
}
