//! The tick that a clock by a counter shows until it is over. These models have the words alone. Clock and counter are
//! outside the memory model: a thread's counter shows what the model says.
#![cfg(feature = "models")]

mod common;

use common::explore;
use loom::sync::Arc;
use loom::thread;
use tick::{CachedTick, Moment};

/// The platform that `tick.rs` imports.
mod platform {
    pub(crate) mod atomics {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    }
}

#[path = "../../src/integrations/quanta/tick.rs"]
mod tick;

/// Counts in a tick.
const COUNTS: u32 = 10;

/// The clock at the beginning of a tick.
fn at(tick: u64) -> Moment {
    Moment { tick, over: 0 }
}

/// Tick 1 begins at 10.
fn first() -> Arc<CachedTick> {
    Arc::new(CachedTick::new(COUNTS, 10, at(1)))
}

#[test]
fn a_tick_that_is_over_is_not_shown_in_the_next_one() {
    explore(|| {
        let cached = first();
        let looks = Arc::clone(&cached);
        let look = thread::spawn(move || looks.look(|| 20, || at(2)));
        let shows = Arc::clone(&cached);
        let shown = thread::spawn(move || shows.try_fast(|| 25)).join().unwrap();
        assert_ne!(shown, Some(1), "at 25, tick 2 has begun");
        assert_eq!(look.join().unwrap(), 2);
    });
}

#[test]
fn what_was_shown_is_never_taken_back() {
    explore(|| {
        let cached = first();
        // Both look late in tick 1, and the clock moves on between them.
        let looks = [(18, 1), (19, 2)].map(|(count, tick)| {
            let cached = Arc::clone(&cached);
            thread::spawn(move || cached.look(|| count, || at(tick)))
        });
        let shows = Arc::clone(&cached);
        let [earlier, later] = thread::spawn(move || [19, 19].map(|count| shows.try_fast(|| count))).join().unwrap();
        if let [Some(earlier), Some(later)] = [earlier, later] {
            assert!(later >= earlier, "{later} after {earlier}");
        }
        for look in looks {
            look.join().unwrap();
        }
    });
}
