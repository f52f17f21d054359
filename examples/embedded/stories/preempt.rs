//! Interrupts every operation of a breaker at each of its instructions. The interrupt uses the same breaker. Needs
//! `ICOUNT=shift=10`.
//!
//! The interrupt runs completely within the operation. So the answers of both, and everything that is left, must be the
//! result of one of two orders: the interrupt before the operation, or after it. Both orders are first tried on
//! breakers of their own. Where one exchange decides, that is all there is. Some operations have two steps, and the
//! interrupt may come between them. `freedom` has a rule for each such place, which says by how much the result may differ
//! from one of the orders. A breaker of plain loads and stores goes through the same sweep, to show that the sweep catches
//! it.
//!
//! # Between an outcome and its trip
//!
//! This is decided. A streak alone is counted in the word that decides: one exchange counts a failure and opens the
//! circuit, and nobody sees a state between. So it is with the only probe. A window with words of its own (count, time, a
//! pair) counts the outcome first, and then the circuit moves. An interrupt between the two sees the circuit still closed
//! with a window that may be over its threshold: its call is admitted, and if that fails, its own report may make the move
//! first. The interrupted report then says `Counted`. The circuit opens once, in either case. Likewise, one of several
//! probes counts its result first: an interrupt may see the probe back and the circuit still half-open, and a call of the
//! interrupt carries the verdict out.
//!
//! # The table
//!
//! In each state, each operation meets two interrupts: one whose call fails, and one other, which changes from state to
//! state. A failure that opens the circuit meets all sixteen. If this is built with `PREEMPT=all` in the environment, each
//! operation does. The table shows for each operation
//! - *offsets*: before how many instructions the interrupt was tried, one after the other, to the operation's end,
//! - *waited*: at how many offsets it came at the same instruction as at the offset before. In a critical section an
//!   interrupt waits for the end,
//! - *distinct*: how many different instructions of the program were hit,
//! - *between*: at how many offsets the result belonged to neither order, but to a rule of `freedom`,
//! - *wrong*: at how many offsets the result was none of these.
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

use guarded::{Both, Constant, Encounter, InARow, InTime, Intruder, Kind, OfTheLast, Operation, Prepared, Report};
use naive::Twice;
use sweep::{Count, Sweeper};

board::shot_handler!();

const ALL: bool = option_env!("PREEMPT").is_some();

/// Whether a critical section replaces each compare-exchange and each load.
const CRITICAL_SECTIONS: bool = cfg!(feature = "portable-atomic");

/// The states in which the kind of window matters. They are tried with each window, all others with the simplest.
const OF_WINDOWS: [Prepared; 3] = [Prepared::Brink, Prepared::HalfBrink, Prepared::Ramping];

/// Whether `operation` meets `intruder` in this state. `turn` selects one of the others.
fn meets(prepared: Prepared, operation: Operation, intruder: Intruder, turn: usize) -> bool {
    // Between an outcome and its trip, all are tried.
    if ALL || prepared == Prepared::Brink && operation == Operation::Report(Report::Failure) {
        return true;
    }
    let other = Intruder::OTHERS[turn % Intruder::OTHERS.len()];
    // If each load is a critical section, everything takes longer. Then only one of the two is met.
    let (first, second) =
        if CRITICAL_SECTIONS { (turn.is_multiple_of(2), !turn.is_multiple_of(2)) } else { (true, true) };
    (first && intruder == Intruder::Failure) || (second && intruder == other)
}

fn encounters<K: Kind>(sweeper: &mut Sweeper, operation: Operation, at: usize, states: &[Prepared]) -> Count {
    let mut all = Count::default();
    for (state, &prepared) in states.iter().enumerate() {
        for intruder in Intruder::OTHERS.into_iter().chain([Intruder::Failure]) {
            // Seven and fifteen have no common divisor, so over all states an operation meets all of the others.
            if meets(prepared, operation, intruder, at + 7 * state) {
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
        count.add(encounters::<Constant>(&mut sweeper, operation, at, &Prepared::ALL));
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

    // The naive breaker is meant to be wrong, so its violations are not printed.
    sweeper.to_print = 0;
    let mut naive = Count::default();
    for twice in Twice::ALL {
        naive.add(sweeper.sweep(&twice));
    }
    line("naive", naive);

    // Without critical sections each offset is another instruction. (On QEMU's RISC-V some three interrupts of 400 000
    // come an instruction late, so that their neighbour is hit twice.)
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
