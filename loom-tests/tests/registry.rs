//! The word that says whether a registry's slot is in use. These models have the word alone, with a count of holders
//! that may be stale. The map is papaya's, which does not use loom's atomics, and loom treats `Arc`'s count as exact.
#![cfg(feature = "models")]

mod common;

use common::explore;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use loom::thread;
use used::Used;

/// The platform that `used.rs` imports.
mod platform {
    pub(crate) mod atomics {
        pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};
    }
}

#[allow(dead_code, reason = "not all of it is modelled")]
#[path = "../../src/compose/registry/used.rs"]
mod used;

struct Slot {
    used: Used,
    /// As `Arc` counts them: the map's own is included.
    holders: AtomicUsize,
    /// The failures that its breaker remembers.
    failures: AtomicU32,
}

impl Slot {
    fn held_by(holders: usize) -> Arc<Self> {
        Arc::new(Self { used: Used::new(0), holders: AtomicUsize::new(holders), failures: AtomicU32::new(0) })
    }

    /// A look-up by a caller with this clock. `true` if the caller may use the slot.
    fn look(&self, clock: impl FnOnce() -> u32) -> bool {
        let hold = || self.holders.fetch_add(1, Ordering::Relaxed);
        self.used.look(hold, clock, |stamp, now| stamp == now).is_some()
    }

    fn let_go(&self) {
        self.holders.fetch_sub(1, Ordering::Release);
    }

    /// Evicts the slot if its stamp is `idle`, only the map holds it and it remembers nothing.
    fn make_room(&self, idle: impl FnOnce(u32) -> bool) -> bool {
        let spare = self.used.spare_since(idle, || self.holders.load(Ordering::Relaxed));
        spare.is_some_and(|stamp| self.failures.load(Ordering::Relaxed) == 0 && self.used.take(stamp))
    }
}

/// Whether another thread evicts this slot, so much later that every stamp is idle.
fn is_taken(slot: &Arc<Slot>) -> bool {
    let slot = Arc::clone(slot);
    thread::spawn(move || slot.make_room(|_| true)).join().unwrap()
}

#[test]
fn what_somebody_holds_is_not_taken_out() {
    explore(|| {
        let slot = Slot::held_by(1);
        let looks = [(); 2].map(|()| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.look(|| 1))
        });
        let taken = is_taken(&slot);
        for look in looks {
            assert!(!(look.join().unwrap() && taken), "somebody goes by it, and the map has it no more");
        }
    });
}

/// Real time: a write that precedes a reading is visible after every later reading, on every core.
struct Time(AtomicU32);

impl Time {
    fn now(&self) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

/// The stamp is 0, the slot is idle from time 1 on, and the caller may read either time. If it finds the stamp fresh,
/// it writes nothing.
#[test]
fn who_goes_by_a_fresh_stamp_was_counted_before_it_can_be_idle() {
    explore(|| {
        let (slot, time) = (Slot::held_by(1), Arc::new(Time(AtomicU32::new(0))));
        let (looking, clock) = (Arc::clone(&slot), Arc::clone(&time));
        let look = thread::spawn(move || looking.look(|| clock.now()));
        let (taking, clock) = (Arc::clone(&slot), Arc::clone(&time));
        let taken = thread::spawn(move || {
            let now = clock.now();
            taking.make_room(|stamp| now > stamp)
        });
        assert!(!(look.join().unwrap() && taken.join().unwrap()), "somebody goes by it, and the map has it no more");
    });
}

#[test]
fn what_the_last_holder_reported_is_not_forgotten() {
    explore(|| {
        let slot = Slot::held_by(2);
        let reporting = Arc::clone(&slot);
        let reporter = thread::spawn(move || {
            reporting.failures.store(1, Ordering::Relaxed);
            reporting.let_go();
        });
        assert!(!is_taken(&slot));
        reporter.join().unwrap();
    });
}

#[test]
fn who_comes_and_goes_while_it_is_judged_is_not_forgotten() {
    explore(|| {
        let slot = Slot::held_by(1);
        let calling = Arc::clone(&slot);
        let caller = thread::spawn(move || {
            let found = calling.look(|| 1);
            if found {
                calling.failures.store(1, Ordering::Relaxed);
            }
            calling.let_go();
            found
        });
        let taken = is_taken(&slot);
        assert!(!(caller.join().unwrap() && taken), "a failure was forgotten");
    });
}
