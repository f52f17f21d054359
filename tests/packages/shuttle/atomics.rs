//! The sync facade's atomics on shuttle. At each access the scheduler may switch to another thread. A weak exchange
//! fails spuriously now and then, as it may on a core with load-linked and store-conditional.
//!
//! Shuttle treats every ordering as sequentially consistent; loom checks the orderings.

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic;

pub(crate) use shuttle::sync::atomic::{Ordering, fence};

/// An `AtomicU32` whose weak exchanges fail spuriously one time in eight.
#[derive(Debug)]
pub(crate) struct AtomicU32(atomic::AtomicU32);

#[allow(missing_docs, clippy::missing_errors_doc)]
impl AtomicU32 {
    pub(crate) const fn new(value: u32) -> Self {
        Self(atomic::AtomicU32::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }

    pub(crate) fn compare_exchange(&self, old: u32, new: u32, won: Ordering, lost: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(old, new, won, lost)
    }

    pub(crate) fn compare_exchange_weak(&self, old: u32, new: u32, won: Ordering, lost: Ordering) -> Result<u32, u32> {
        if thread_rng().gen_ratio(1, 8) {
            return Err(self.0.load(lost));
        }
        self.0.compare_exchange(old, new, won, lost)
    }
}
