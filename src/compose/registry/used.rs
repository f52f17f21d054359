//! When a registry's slot was last asked for, and whether it is still in the map: one word.
//!
//! One word of a slot, `Used`, says whether it is in the map:
//!
//! ```text
//!     whoever looks it up: stamp := now
//!        ┌───────────┐
//!        ▼           │            under the lock: idle by the stamp, held by nobody, clean (or idle for very long)
//!      stamp ────────┴──────────────────────────────────────────────────────────────► GONE
//! ```
//!
//! Both moves are compare-exchanges from a stamp that was looked at, so only one is made: either whoever looks the slot up
//! is in time and it stays, or finds it gone and makes another under the lock. So a key never has two breakers in use at
//! once, save after `Registry::remove`.

use crate::platform::atomics::{AtomicU32, Ordering, fence};

/// No stamp, for those have 31 bits at most: on its way out of the map, or out.
const GONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Used(AtomicU32);

impl Used {
    pub(super) fn new(stamp: u32) -> Self {
        Self(AtomicU32::new(stamp))
    }

    /// Holds the slot and says that it is in use; `None` if it is gone. Writes only if the stamp is not `fresh` now, so a hot
    /// key's word stays where it is.
    pub(super) fn look<H>(
        &self,
        hold: impl FnOnce() -> H,
        clock: impl FnOnce() -> u32,
        fresh: impl Fn(u32, u32) -> bool,
    ) -> Option<H> {
        // In this order: who judges the slot idle by a stamp, ours or one that we found fresh, does so when we are counted.
        let held = hold();
        let now = clock();
        // Relaxed: if the stamp is fresh, nobody takes the slot out before the idle time is over, and by then our count is
        // long seen: the one place that goes by time. If it is not, the exchange orders.
        let mut used = self.0.load(Ordering::Relaxed);
        while used != GONE {
            if fresh(used, now) {
                return Some(held);
            }
            // Release, partner: the load in `spare_since`. Who finds this stamp idle one day sees our count; without it a
            // breaker could go that we hold.
            match self.0.compare_exchange_weak(used, now, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Some(held),
                Err(present) => used = present,
            }
        }
        None
    }

    /// The stamp, if by that the slot is `idle` and nobody holds it but the map: if there is one of `holders`, counted as an
    /// `Arc` counts them (relaxed, but released as they go).
    pub(super) fn spare_since(&self, idle: impl FnOnce(u32) -> bool, holders: impl FnOnce() -> usize) -> Option<u32> {
        // Acquire, partner: the exchange in `look`, see there.
        let used = self.0.load(Ordering::Acquire);
        if !idle(used) || holders() > 1 {
            return None;
        }
        // Acquire, partner: the release in the drop of the last holder. Without it a failure reported through that could be
        // missed, and forgotten.
        fence(Ordering::Acquire);
        Some(used)
    }

    /// Takes the slot out, if its stamp is still the one that was judged.
    pub(super) fn take(&self, used: u32) -> bool {
        // Relaxed: of this and the exchange in `look` only one can follow the stamp. As it was counted, nobody had it; if this
        // succeeds, nobody got it since: that would have moved the stamp, for the clock is read after the count there, and was
        // read before it here, when the stamp was long past.
        self.0.compare_exchange(used, GONE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes it out, whoever holds it.
    pub(super) fn take_anyway(&self) {
        // Relaxed: nobody goes by it but who looks for this very word.
        self.0.swap(GONE, Ordering::Relaxed);
    }
}
