//! A time window in which every call is failed or slow. Elsewhere successes hide a failure that was counted before its
//! call or read after it. Here any such sum shows more failed and slow calls than calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use microbreaker::{Breaker, Config, FailureKind, Outcome, TimeWindow};

use crate::load::{Random, Violations, ticks};
use crate::share_out;
use crate::watch::Common;

/// Runs it, and returns the violations found.
pub(crate) fn run(operations: u64, threads: u64) -> Vec<String> {
    let clock = Common::default();
    // Every second call fails, so the circuit does not open.
    let config = Config::time(2, ticks(64)).failure_permille(1000).minimum(4095);
    let breaker: Breaker<TimeWindow<16>, _> = Breaker::try_new(config, &clock).expect("a valid configuration");
    let violations = Violations::default();
    let over = AtomicBool::new(false);
    let look = || {
        while !over.load(Ordering::Relaxed) {
            let tally = breaker.tally();
            if tally.failed + tally.slow > tally.total {
                violations.add(format!("more in part than in all: {tally:?}"));
            }
        }
    };
    let record = |_: &mut Random, operations| {
        for operation in 0..operations {
            if operation % 64 == 0 {
                clock.pass();
            }
            let outcome = if operation % 2 == 0 { Outcome::Failure(FailureKind::Other) } else { Outcome::Slow };
            match breaker.acquire() {
                Ok(permit) => drop(permit.record(outcome)),
                Err(rejected) => violations.add(format!("it was not to open: {rejected}")),
            }
        }
    };
    thread::scope(|scope| {
        // Half of the threads only read sums, because the moment between two counts, or two loads, is short.
        let half = threads.div_ceil(2);
        for _ in 0..half {
            scope.spawn(look);
        }
        share_out(operations, half, record);
        over.store(true, Ordering::Relaxed);
    });
    violations.into_inner()
}
