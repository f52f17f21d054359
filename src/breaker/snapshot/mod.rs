//! Snapshots, which outlive a restart: a breaker's state as words, as bytes or (feature `std`) in a file.
//!
//! ```text
//! word 0   "MCB" (24) · version (8)
//!      1   attempt (5) · reason (3) · state (3), the rest 0
//!      2   what is left of the open time, the ramp or the memory of the attempt, in ticks
//!      3   0
//!      4   how many snapshots were kept before this one, see `Retained`
//!      5   the clock's rate: ticks …
//!      6   … in as many seconds
//!      7   CRC-32 (IEEE 802.3) of the bytes of words 0 to 6, little endian
//! ```

#[cfg(feature = "std")]
mod file;
pub(crate) mod retained;

use core::fmt;

use crate::clock::{HORIZON, TickRate};
use crate::machine::word::ATTEMPT_MAX;
use crate::platform::bits::layout;
use crate::terms::state::{OpenReason, State};

/// A breaker's state at one moment, to continue from it after a restart. [`Breaker::snapshot`] takes a snapshot and
/// [`Breaker::restore`] restores it.
///
/// It holds the state, the reason if the circuit is open, how often in a row recovery failed, and the time left of the
/// open time, of the ramp, or until a closed circuit forgets how often recovery failed. Times are distances in ticks, never instants, because no clock is certain to outlive a
/// reset. A snapshot holds neither the window's counts nor permits, settings and switches.
///
/// A snapshot travels as [words](Self::words) or little-endian [bytes](Self::bytes). Their number never changes. They
/// contain a checksum, so a snapshot that was cut off while it was written is detected. Keep a snapshot
///
/// - in memory that survives a reset: use [`Retained`](crate::Retained), which keeps the previous snapshot until the
///   new one is whole;
/// - in flash: as bytes, through a library that survives a power cut at any moment, and only on transitions (wear);
/// - in a file: `write_to`, `read_from` (feature `std`).
///
/// Two snapshots are equal if they hold the same state. When they were saved does not matter.
///
/// ```
/// use core::time::Duration;
/// use microbreaker::{Breaker, Config, ManualClock, OpenReason, Snapshot, State, Streak};
///
/// let breaker = || Breaker::<Streak, _>::new(Config::streak(3), ManualClock::new());
/// let before = breaker();
/// before.trip(OpenReason::Manual, Duration::from_secs(60));
/// let bytes = before.snapshot().bytes();
///
/// let after = breaker();
/// match Snapshot::from_bytes(&bytes) {
///     Ok(snapshot) => after.restore(&snapshot, None).unwrap(),
///     Err(_) => {} // a cold start: the new breaker stays closed
/// }
/// assert_eq!(after.state(), State::Open);
/// ```
///
/// # Shutting down
///
/// A healthy breaker does not count the calls in flight. The code that makes the calls knows them, so shut down like
/// this:
///
/// 1. Accept no more work, by the server's own graceful shutdown. Do not use [`force_open`] for this step: it makes all
///    permits in flight stale, so the reports of the last calls are lost, and the snapshot would hold the forced state.
/// 2. Wait for the running calls, and drop them at your deadline. A dropped permit counts as it always does. If the
///    breaker is held by an `Arc`, each permit and each client holds a clone of it: no call is running when
///    [`Arc::strong_count`] has fallen to the number of your own clones. Otherwise, rely on the server to tell you.
/// 3. Take the last snapshot, and keep it. If it is restored with `None`, the restart does not make an open circuit
///    probe sooner.
/// 4. Only then, if something might still try to call (a retry, a timer), use [`force_open`].
///
/// [`force_open`]: crate::Breaker::force_open
/// [`Arc::strong_count`]: https://doc.rust-lang.org/std/sync/struct.Arc.html#method.strong_count
///
/// [`Breaker::snapshot`]: crate::Breaker::snapshot
/// [`Breaker::restore`]: crate::Breaker::restore
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub(crate) state: State,
    /// Why it is open, or what a ramp recovers from.
    pub(crate) reason: OpenReason,
    pub(crate) attempt: u32,
    pub(crate) remaining: u32,
    pub(crate) sequence: u32,
    /// [`TickRate::ratio`]
    pub(crate) rate: (u32, u32),
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Self { sequence: 0, ..*self }.words() == Self { sequence: 0, ..*other }.words()
    }
}

impl Eq for Snapshot {}

/// "MCB"
const MAGIC: u32 = 0x4D43_4200;
const VERSION: u32 = 2;

/// More than any period can have left, which is at most the horizon, a quarter of jitter and the clock's slack.
const LONGEST_REMAINING: u32 = 2 * HORIZON;

// The second word.
layout! {
    STATE: 3,
    REASON: 3,
    ATTEMPT: 26,
}

impl Snapshot {
    /// The size of a snapshot in words of 32 bits.
    pub const WORDS: usize = 8;
    /// The size of a snapshot in bytes. It is a multiple of every write size of flash up to 32 bytes.
    pub const BYTES: usize = 4 * Self::WORDS;

    /// The snapshot as words, in their order in memory.
    pub const fn words(&self) -> [u32; Self::WORDS] {
        let mut words = [
            MAGIC | VERSION,
            ATTEMPT.of(self.attempt) | REASON.of(self.reason as u32) | STATE.of(self.state as u32),
            self.remaining,
            0,
            self.sequence,
            self.rate.0,
            self.rate.1,
            0,
        ];
        words[Self::WORDS - 1] = checksum(&words);
        words
    }

    /// Reads a snapshot from its [words](Self::words).
    pub fn from_words(words: &[u32; Self::WORDS]) -> Result<Self, SnapshotError> {
        let &[head, control, remaining, unused, sequence, ticks, seconds, check] = words;
        if head & !0xFF != MAGIC {
            return Err(SnapshotError::Foreign);
        }
        if head != MAGIC | VERSION {
            #[expect(clippy::cast_possible_truncation, reason = "the lowest byte")]
            return Err(SnapshotError::Version(head as u8));
        }
        let attempt = ATTEMPT.get(control);
        // The checksum alone catches damage by chance. The other checks refuse made-up words: they would put a breaker
        // into a state that no breaker can reach.
        let state = State::ALL.get(STATE.get(control) as usize);
        let reason = OpenReason::ALL.get(REASON.get(control) as usize);
        let (Some(&state), Some(&reason), true) = (state, reason, check == checksum(words)) else {
            return Err(SnapshotError::Corrupt);
        };
        let most = match state {
            State::ForcedOpen | State::Disabled => 0,
            _ => ATTEMPT_MAX,
        };
        let timed = matches!(state, State::Open | State::Ramping | State::Closed);
        if attempt > most
            || remaining > LONGEST_REMAINING
            || unused != 0
            || !timed && remaining != 0
            // A closed circuit remembers its attempt for a time.
            || state == State::Closed && attempt > 0 && remaining == 0
            || !matches!(state, State::Open | State::Ramping) && reason as u32 != 0
        {
            return Err(SnapshotError::Corrupt);
        }
        Ok(Self { state, reason, attempt, remaining, sequence, rate: (ticks, seconds) })
    }

    /// The snapshot as bytes, each word with its lowest byte first.
    pub fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a snapshot from its [bytes](Self::bytes). Fewer or more bytes than [`BYTES`](Self::BYTES) (a file that was
    /// cut off) are [corrupt](SnapshotError::Corrupt).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Ok(bytes) = <&[u8; Self::BYTES]>::try_from(bytes) else { return Err(SnapshotError::Corrupt) };
        let mut words = [0; Self::WORDS];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = place.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        Self::from_words(&words)
    }

    /// The state of the circuit. [`Breaker::restore`](crate::Breaker::restore) restores a half-open circuit as open.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why the circuit is open, if it is.
    pub const fn reason(&self) -> Option<OpenReason> {
        match self.state {
            State::Open => Some(self.reason),
            _ => None,
        }
    }

    /// How often in a row recovery failed.
    #[expect(clippy::cast_possible_truncation, reason = "five bits")]
    pub const fn attempt(&self) -> u8 {
        self.attempt as u8
    }

    /// What is left of the open time or of the ramp, in ticks of the breaker's clock, rounded up. For a closed circuit, for how
    /// long it still remembers its attempt; 0 in other states.
    pub const fn remaining_ticks(&self) -> u32 {
        self.remaining
    }

    pub(crate) fn is_of(&self, rate: TickRate) -> bool {
        self.rate == rate.ratio()
    }
}

/// Why data is no snapshot, or a breaker cannot restore it. A new breaker then starts cold, as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The data is no snapshot: erased flash, memory after power-up, or something else.
    Foreign,
    /// The snapshot has this version of the format, which this library cannot read.
    Version(u8),
    /// The snapshot was cut off while it was written, or it has changed since.
    Corrupt,
    /// The snapshot is of a breaker whose clock ticks at another rate.
    Rate,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not a snapshot of a circuit breaker"),
            Self::Version(version) => write!(f, "a snapshot of version {version}, this is {VERSION}"),
            Self::Corrupt => f.write_str("a snapshot that was cut off or changed"),
            Self::Rate => f.write_str("a snapshot by a clock of another rate"),
        }
    }
}

impl core::error::Error for SnapshotError {}

/// The CRC-32 of IEEE 802.3 over the little-endian bytes of all words but the last.
const fn checksum(words: &[u32; Snapshot::WORDS]) -> u32 {
    let mut crc = u32::MAX;
    let mut at = 0;
    while at < Snapshot::WORDS - 1 {
        // The reflected CRC takes the lowest bit of a word first, which is the order of its little-endian bytes.
        crc ^= words[at];
        let mut bit = 0;
        while bit < u32::BITS {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        at += 1;
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_ieee_802_3() {
        // By Python's `zlib.crc32(struct.pack("<7I", ...))`.
        let words = [0x4D43_4201, 0x51, 61_440, 1024, 7, 15_625, 16, 0];
        assert_eq!(checksum(&words), 0x43A8_D200);
        assert_eq!(checksum(&[0; 8]), 0x8070_77E9);
    }
}
