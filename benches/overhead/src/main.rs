//! Measures what the tower layer costs, and what an `Arc` as its holder costs compared with a `&'static`. It measures
//! the layer alone, polled by hand, and around an axum echo under `wrk`. `cargo overhead -- --help`.
//!
//! Everything is measured in interleaved rounds and compared within a round. Speeds are shown but have no limit. The
//! allocations have one: the layer must not allocate.

#[allow(dead_code, unreachable_pub, reason = "shared with the comparison, which needs all of it")]
#[path = "../../compare/src/heap.rs"]
mod heap;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../../compare/src/machine.rs"]
mod machine;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../../compare/src/measure.rs"]
mod measure;

#[path = "../../guarded/mod.rs"]
mod guarded;

mod alone;
mod args;
mod breakers;
mod echo;
mod load;

use std::error::Error;
use std::process::ExitCode;

use args::{Plan, Stop};

fn main() -> ExitCode {
    let plan = match args::parse(std::env::args_os()) {
        Ok(plan) => plan,
        Err(stop) => return stop.show(),
    };
    match run(&plan) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => Stop::Wrong(format!("error: {error}")).show(),
    }
}

/// Measures everything in turn. Returns how many allocations the layer added in all.
fn run(plan: &Plan) -> Result<u64, Box<dyn Error>> {
    if let Some(holder) = plan.only_calls {
        alone::make_calls(holder, 1000);
        return Ok(0);
    }
    println!("{}, {}", machine::machine(), machine::compiler());
    println!("load average at the beginning {}\n", machine::load());

    // This comes first, while there is only one thread, because the count is that of the whole process.
    assert_eq!(heap::count(|| drop(std::hint::black_box(Box::new(7)))).1.allocations, 1, "the allocator counts");
    let alone = alone::allocations();
    let variants = echo::variants();
    let echoed = echo::allocations(&variants);
    println!("{}\n{}", alone.table, echoed.table);

    let speed = alone::one_thread(plan.alone);
    println!("{}", speed.table);
    println!("{}", alone::two_threads(plan.alone));
    println!("{}", load::run(plan, variants)?);

    let added = alone.added + echoed.added;
    println!("load average at the end {}", machine::load());
    println!(
        "nanoseconds that the layer adds to a call alone, held by a `&'static`: {:.1}\n\
         (asked for: at most {:.1}, half of the {ADDED_BEFORE} at 31c1b01 on the first machine)",
        speed.added,
        ADDED_BEFORE / 2.0
    );
    println!("allocations that the layer added to {} calls: {added}", alone.calls + echoed.calls);
    Ok(added)
}

/// The nanoseconds that the layer added at 31c1b01, when half of it was asked for: 17.9 less the 1.6 of the bare service.
const ADDED_BEFORE: f64 = 16.3;

/// The allocations, and how many of them the layer added.
struct Allocations {
    table: String,
    /// Calls that went through a layer.
    calls: u64,
    added: u64,
}
