//! One word of a registry's slot: when the slot was last asked for, and whether it is still in the map.
//!
//! ```text
//!        look: stamp := now
//!        ┌───────────┐
//!        ▼           │            under the lock: idle by the stamp, held by nobody, clean (or idle for very long)
//!      stamp ────────┴──────────────────────────────────────────────────────────────► GONE
//! ```
//!
//! Both moves are compare-exchanges from a stamp that was read before, so only one of them succeeds. Either the lookup
//! is in time and the slot stays, or the lookup finds the slot gone, and its caller makes another slot under the lock.
//! So a key never has two breakers in use at once, except after `Registry::remove`.

use crate::platform::atomics::{AtomicU32, Ordering, fence};

/// Not a stamp, since a stamp has at most 31 bits: the slot has been taken out of the map, or is about to be.
const GONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Used(AtomicU32);

impl Used {
    pub(super) fn new(stamp: u32) -> Self {
        Self(AtomicU32::new(stamp))
    }

    /// Takes a hold on the slot and marks it as used now; `None` if the slot is gone. It writes only if the stamp is
    /// not `fresh`, so lookups of a hot key only read the word.
    pub(super) fn look<H>(
        &self,
        hold: impl FnOnce() -> H,
        clock: impl FnOnce() -> u32,
        fresh: impl Fn(u32, u32) -> bool,
    ) -> Option<H> {
        // The hold comes before the reading of the clock: an eviction that finds the slot idle, by our stamp or by one
        // that we found fresh, runs after we were counted as a holder.
        let held = hold();
        let now = clock();
        // Relaxed: if the stamp is fresh, no eviction takes the slot out before the idle time is over, and by then our
        // count has long been visible. This is the only place that relies on time. If the stamp is not fresh, the
        // exchange orders.
        let mut used = self.0.load(Ordering::Relaxed);
        while used != GONE {
            if fresh(used, now) {
                return Some(held);
            }
            // Release, partner: the load in `spare_since`. An eviction that later finds this stamp idle also sees our
            // count; without this it could take out a breaker that we hold.
            match self.0.compare_exchange_weak(used, now, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Some(held),
                Err(present) => used = present,
            }
        }
        None
    }

    /// The stamp, if the slot is `idle` by it and only the map holds the slot. `holders` counts the map too, as an
    /// `Arc` does: the load is relaxed, and every holder that goes releases.
    pub(super) fn spare_since(&self, idle: impl FnOnce(u32) -> bool, holders: impl FnOnce() -> usize) -> Option<u32> {
        // Acquire, partner: the exchange in `look`, which says what breaks without it.
        let used = self.0.load(Ordering::Acquire);
        if !idle(used) || holders() > 1 {
            return None;
        }
        // Acquire, partner: the release in the drop of the last holder. Without it a failure that this holder reported
        // could be missed, and so forgotten.
        fence(Ordering::Acquire);
        Some(used)
    }

    /// Takes the slot out, if its stamp is still the one that was found idle.
    pub(super) fn take(&self, used: u32) -> bool {
        // Relaxed: only one of this exchange and the one in `look` can replace the stamp. No holder existed when we
        // counted. Taking a hold moves the stamp, so if this exchange succeeds none has been taken since. The stamp
        // does move, because `look` reads the clock after it takes its hold, while we read ours before we counted: by
        // that later reading the stamp is long past and so not fresh.
        self.0.compare_exchange(used, GONE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes the slot out, even if somebody holds it.
    pub(super) fn take_anyway(&self) {
        // Relaxed: nothing is published with it, and only lookups of this slot depend on it.
        self.0.swap(GONE, Ordering::Relaxed);
    }
}
