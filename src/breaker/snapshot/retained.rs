//! Snapshots in memory that a reset leaves alone.

use crate::breaker::snapshot::{Snapshot, SnapshotError};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial};

/// A place for snapshots in memory that survives a reset: `.uninit` RAM after a watchdog, RTC or backup RAM in deep
/// sleep.
///
/// Two of them in turn, so that a reset in the middle of a [`save`](Self::save) leaves the one before. 64 bytes. Every
/// pattern of bits is a valid one, so it may lie in memory that nobody initialised:
///
/// ```
/// # use core::mem::MaybeUninit;
/// use microbreaker::Retained;
///
/// # #[cfg(target_os = "none")]
/// #[unsafe(link_section = ".uninit.modem")] // the section's name is the linker script's
/// static MEMORY: MaybeUninit<Retained> = MaybeUninit::uninit();
/// # static MEMORY: MaybeUninit<Retained> = MaybeUninit::new(Retained::new());
///
/// // Its content comes from outside the program: by `black_box` the compiler takes it for anything, not for nothing.
/// // SAFETY: the static lives for ever, and a `Retained` is words of which every pattern of bits is valid.
/// let retained: &'static Retained = unsafe { &*core::hint::black_box(MEMORY.as_ptr()) };
/// assert!(retained.load().is_err(), "after power came up there is none: a cold start");
/// ```
///
/// Memory behind a data cache must be cleaned after a `save`, or lie in a region that is not cached: a reset forgets the
/// cache.
///
/// May be used from anywhere at any time. Two `save`s that meet (in a thread and in an interrupt) may leave the one
/// before them both, until the next one.
#[derive(Debug)]
pub struct Retained {
    slots: [[AtomicU32; Snapshot::WORDS]; 2],
}

impl Retained {
    const_fn! {
        /// An empty one.
        pub const fn new() -> Self {
            Self { slots: initial!(repeat 2, initial!(repeat Snapshot::WORDS, AtomicU32::new(0))) }
        }
    }

    /// The latest snapshot that was wholly saved; if there is none, what is wrong with the one that was begun, if any.
    ///
    /// Beside a `save` it finds the one or the one before. Beside two in a row, on another core, it may find neither slot
    /// whole, and say so.
    pub fn load(&self) -> Result<Snapshot, SnapshotError> {
        self.latest().0
    }

    /// Saves `snapshot` in the place of the older one.
    ///
    /// Some 6000 instructions on a Cortex-M, most of them checksums: for a task rather than for an interrupt.
    pub fn save(&self, snapshot: &Snapshot) {
        let [first, second] = &self.slots;
        let (latest, in_first) = self.latest();
        let older = if in_first { second } else { first };
        let sequence = latest.map_or(0, |latest| latest.sequence.wrapping_add(1));
        let words = Snapshot { sequence, ..*snapshot }.words();
        // Relaxed throughout: nothing is published through these words, a reader trusts only the checksum. In whatever
        // order they reach the memory, a slot in between is neither the old nor the new one, and the other one stands.
        // Two writers in one slot are a benign race: a mixture is not valid.
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
            // The difference, for they wrap.
            (Ok(one), Ok(other)) if one.sequence.wrapping_sub(other.sequence) < 1 << 31 => (first, true),
            // Of two that are none, one that was begun says more.
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
