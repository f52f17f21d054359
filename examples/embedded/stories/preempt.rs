//! Every operation of a breaker with an interrupt at each of its instructions, the interrupt calling the same breaker.
//! Needs `ICOUNT=shift=10`.
//!
//! The interrupt runs whole, within the operation. So what both returned, and all that is left, must be what comes of
//! one of two orders: first the one and then the other. Both are tried on breakers of their own before; `freedom` names
//! what else may be, and why. A breaker of plain loads and stores goes through the same, to see that it is caught.
//!
//! Each operation meets in each state an interrupt whose call fails, and one more, another in each state; built with
//! `PREEMPT=all` in the environment, all thirteen. The table tells of each operation
//! - *offsets*: instructions before which the interrupt was let come, one after the other, to the operation's end,
//! - *waited*: at how many of them it came where the one before had come. In a critical section it waits for its end,
//! - *distinct*: how many different instructions of the program were hit,
//! - *between*: at how many offsets the result was neither of the two orders', but one that `freedom` names,
//! - *wrong*: at how many it was none of these.
#![no_std]
#![no_main]

#[path = "preempt/freedom.rs"]
mod freedom;
#[path = "preempt/guarded.rs"]
mod guarded;
#[path = "preempt/naive.rs"]
mod naive;
#[path = "preempt/sweep.rs"]
mod sweep;

use core::marker::PhantomData;

use guarded::{Both, Encounter, InARow, InTime, Intruder, Kind, OfTheLast, Operation, Prepared};
use naive::Twice;
use sweep::{Count, Sweeper};

board::shot_handler!();

const ALL: bool = option_env!("PREEMPT").is_some();

/// Whether one stands for each compare-exchange and each load.
const CRITICAL_SECTIONS: bool = cfg!(feature = "portable-atomic");

/// Where a window is more than a detail: what happens here is tried with each, all else with the simplest.
const OF_WINDOWS: [Prepared; 3] = [Prepared::Brink, Prepared::HalfBrink, Prepared::Ramping];

/// Who is met in a state: the `turn` tells which of the others.
fn meets(intruder: Intruder, turn: usize) -> bool {
    let other = Intruder::OTHERS[turn % Intruder::OTHERS.len()];
    // Where each load is a critical section all takes longer; there it is the one or the other.
    let (first, second) =
        if CRITICAL_SECTIONS { (turn.is_multiple_of(2), !turn.is_multiple_of(2)) } else { (true, true) };
    ALL || (first && intruder == Intruder::Failure) || (second && intruder == other)
}

fn encounters<K: Kind>(sweeper: &mut Sweeper, operation: Operation, at: usize, states: &[Prepared]) -> Count {
    let mut all = Count::default();
    for (state, &prepared) in states.iter().enumerate() {
        for intruder in Intruder::OTHERS.into_iter().chain([Intruder::Failure]) {
            // Five and twelve have no common divisor: an operation comes to meet all of them.
            if meets(intruder, at + 5 * state) {
                let encounter = Encounter::<K> { prepared, operation, intruder, kind: PhantomData };
                all.add(sweeper.sweep(&encounter));
            }
        }
    }
    all
}

fn line(name: &str, count: Count) {
    let Count { offsets, waited, distinct, permitted, violations } = count;
    board::println!("{name:<16} {offsets:>8} {waited:>8} {distinct:>8} {permitted:>8} {violations:>8}");
}

#[board::entry]
fn main() -> ! {
    let mut sweeper = Sweeper::new();
    board::println!(
        "{:<16} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "operation",
        "offsets",
        "waited",
        "distinct",
        "between",
        "wrong"
    );
    let (mut total, mut operations) = (Count::default(), 0);
    for (at, (name, operation)) in Operation::ALL.into_iter().enumerate() {
        sweeper.forget();
        let mut count = encounters::<InARow>(&mut sweeper, operation, at, &Prepared::ALL);
        if operation.concerns_the_window() {
            count.add(encounters::<OfTheLast>(&mut sweeper, operation, at, &[Prepared::Healthy]));
            count.add(encounters::<OfTheLast>(&mut sweeper, operation, at, &OF_WINDOWS));
            count.add(encounters::<InTime>(&mut sweeper, operation, at, &OF_WINDOWS));
            count.add(encounters::<Both>(&mut sweeper, operation, at, &OF_WINDOWS));
        }
        line(name, count);
        total.add(count);
        operations += 1;
    }
    line("all", total);

    // It is meant to be wrong.
    sweeper.to_print = 0;
    let mut naive = Count::default();
    for twice in Twice::ALL {
        naive.add(sweeper.sweep(&twice));
    }
    line("naive", naive);

    // Without critical sections each offset is another instruction. (Of 400 000 on QEMU's RISC-V some three come an
    // instruction late, so that their neighbour is hit twice.)
    let all_reached = CRITICAL_SECTIONS || total.waited * 10_000 <= total.offsets;
    if !all_reached {
        board::println!("{} interrupts waited, where there is nothing to wait for", total.waited);
    }
    board::println!(
        "{} offsets in {operations} operations, {} violations; the naive breaker fails at {}",
        total.offsets,
        total.violations,
        naive.violations
    );
    board::exit(i32::from(total.violations > 0 || naive.violations == 0 || !all_reached))
}
