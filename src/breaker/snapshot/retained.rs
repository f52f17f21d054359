//! Snapshots in memory that survives a reset.

use crate::breaker::snapshot::{Snapshot, SnapshotError};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial};

/// A place for snapshots in memory that survives a reset: `.uninit` RAM after a watchdog, RTC or backup RAM in deep
/// sleep.
///
/// It holds two snapshots, which are written in turn, so that a reset in the middle of a [`save`](Self::save) leaves
/// the previous snapshot. It takes 64 bytes. Every pattern of bits is a valid `Retained`, so it may lie in memory that
/// nobody initialised:
///
/// ```
/// # use core::mem::MaybeUninit;
/// use microbreaker::Retained;
///
/// # #[cfg(target_os = "none")]
/// #[unsafe(link_section = ".uninit.modem")] // the linker script gives the name of the section
/// static MEMORY: MaybeUninit<Retained> = MaybeUninit::uninit();
/// # static MEMORY: MaybeUninit<Retained> = MaybeUninit::new(Retained::new());
///
/// // The content comes from outside the program. `black_box` makes the compiler assume any content, not none.
/// // SAFETY: the static lives for ever, and a `Retained` consists of words that may have any pattern of bits.
/// let retained: &'static Retained = unsafe { &*core::hint::black_box(MEMORY.as_ptr()) };
/// assert!(retained.load().is_err(), "after power-up there is no snapshot: a cold start");
/// ```
///
/// If the memory is behind a data cache, clean the cache after each `save`, or place the `Retained` in a region that is
/// not cached: a reset discards the cache.
///
/// A `Retained` may be used from every thread and interrupt at any time. If two `save`s overlap (in a thread and in an
/// interrupt), both may be lost: then the snapshot from before them stays until the next `save`.
#[derive(Debug)]
pub struct Retained {
    slots: [[AtomicU32; Snapshot::WORDS]; 2],
}

impl Retained {
    const_fn! {
        /// A `Retained` without a snapshot.
        pub const fn new() -> Self {
            Self { slots: initial!(repeat 2, initial!(repeat Snapshot::WORDS, AtomicU32::new(0))) }
        }
    }

    /// The latest snapshot that was saved as a whole. If there is none, the error tells what is wrong; if a `save` was
    /// begun, what is wrong with its snapshot.
    ///
    /// During a `save`, `load` finds the new snapshot or the previous one. During two `save`s in a row on another core,
    /// it may find neither of them whole and return an error.
    pub fn load(&self) -> Result<Snapshot, SnapshotError> {
        self.latest().0
    }

    /// Saves `snapshot` in place of the older of the two.
    ///
    /// A save takes some 6000 instructions on a Cortex-M, most of them for checksums. So call it in a task rather than
    /// in an interrupt.
    pub fn save(&self, snapshot: &Snapshot) {
        let [first, second] = &self.slots;
        let (latest, in_first) = self.latest();
        let older = if in_first { second } else { first };
        let sequence = latest.map_or(0, |latest| latest.sequence.wrapping_add(1));
        let words = Snapshot { sequence, ..*snapshot }.words();
        // Relaxed throughout: nothing is published through these words, and a reader trusts only the checksum. The
        // stores may reach the memory in any order. A slot that is only partly written fails its checksum, and the
        // other slot still holds the previous snapshot. Two writers in one slot are a benign race: a mixture fails its
        // checksum too.
        for (place, word) in older.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
    }

    /// The latest snapshot, and whether it is in the first slot.
    fn latest(&self) -> (Result<Snapshot, SnapshotError>, bool) {
        let [first, second] = self.slots.each_ref().map(|slot| {
            // Relaxed: see `save`.
            Snapshot::from_words(&slot.each_ref().map(|word| word.load(Ordering::Relaxed)))
        });
        match (first, second) {
            // Sequence numbers wrap, so their difference is compared.
            (Ok(one), Ok(other)) if one.sequence.wrapping_sub(other.sequence) < 1 << 31 => (first, true),
            // Neither slot holds a snapshot. The error of a slot that was begun says more than `Foreign`.
            (Ok(_), Err(_)) | (Err(_), Err(SnapshotError::Foreign)) => (first, true),
            _ => (second, false),
        }
    }
}

impl Default for Retained {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Breaker, Config, ManualClock, OpenReason, Streak};

    #[test]
    fn the_later_of_two_stays_the_later_across_the_wrap() {
        let retained = Retained::new();
        let snapshot = |seconds| {
            let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
            breaker.trip(OpenReason::Manual, Duration::from_secs(seconds));
            breaker.snapshot()
        };
        let nearly = Snapshot { sequence: u32::MAX - 2, ..snapshot(1) };
        for (place, word) in retained.slots[1].iter().zip(nearly.words()) {
            place.store(word, Ordering::Relaxed);
        }
        for seconds in 2..9 {
            retained.save(&snapshot(seconds));
            assert_eq!(retained.load().map(|latest| latest.remaining), Ok(snapshot(seconds).remaining));
        }
    }
}
