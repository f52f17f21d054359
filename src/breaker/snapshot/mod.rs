//! What outlives a restart: a breaker's state as words, bytes or (feature `std`) a file.
//!
//! ```text
//! word 0   "MCB" (24) · version (8)
//!      1   attempt (5) · reason (3) · state (3), the rest 0
//!      2   what is left of the open time or ramp, in ticks
//!      3   how long it has lasted, in ticks
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
use crate::machine::control::ATTEMPT_MAX;
use crate::platform::bits::layout;
use crate::terms::state::{OpenReason, State};

/// A breaker's state at a moment, for the time after a restart: from [`Breaker::snapshot`], for [`Breaker::restore`].
///
/// It holds what a restart must not forget: the state, why it is open, how often in a row recovery failed, and what is
/// left of the open time (or of the ramp). Times are distances in ticks, never instants, for no clock outlives a reset
/// with certainty. What the window counted, permits, settings and switches are not in it.
///
/// It travels as [words](Self::words) or little-endian [bytes](Self::bytes), of one size for ever, and with a checksum:
/// what was cut off while it was written is no snapshot. To be kept
///
/// - in memory that survives a reset: [`Retained`](crate::Retained), which is never without the one before;
/// - in flash: as bytes, through a library that survives a power cut at any moment, on transitions only (wear);
/// - in a file: `write_to`, `read_from` (feature `std`).
///
/// Two are equal if they tell the same, whenever they were saved.
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
///     Err(_) => {} // a cold start: the breaker is as it was made, closed
/// }
/// assert_eq!(after.state(), State::Open);
/// ```
///
/// # Shutting down
///
/// A healthy breaker counts nothing that would tell how many calls are out. What does, is where they are made:
///
/// 1. Take no more work: the server's own graceful shutdown. Not by [`force_open`], which makes the permits that are out
///    stale, so that what the last calls tell is lost, and which would be the state that is kept.
/// 2. Wait for the calls that run, and at your deadline drop them: a dropped permit counts as it always does. Where the
///    breaker is held by an `Arc`, each permit and each client holds one: none is out when [`Arc::strong_count`] is that of
///    your own. Everywhere else the server's word counts.
/// 3. Take the last snapshot, and keep it. Restored with `None`, an open circuit is not probed sooner for the restart.
/// 4. Only then, if something might still try (a retry, a timer): [`force_open`].
///
/// [`force_open`]: crate::Breaker::force_open
/// [`Arc::strong_count`]: https://doc.rust-lang.org/std/sync/struct.Arc.html#method.strong_count
///
/// [`Breaker::snapshot`]: crate::Breaker::snapshot
/// [`Breaker::restore`]: crate::Breaker::restore
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub(crate) state: State,
    pub(crate) reason: OpenReason,
    pub(crate) attempt: u32,
    pub(crate) remaining: u32,
    pub(crate) age: u32,
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
const VERSION: u32 = 1;

/// More than any period has left: the horizon, a quarter of jitter, and a clock's slack.
const LONGEST_REMAINING: u32 = 2 * HORIZON;

// The second word.
layout! {
    STATE: 3,
    REASON: 3,
    ATTEMPT: 26,
}

impl Snapshot {
    /// Its size in words of 32 bits.
    pub const WORDS: usize = 8;
    /// Its size in bytes: a multiple of every flash's write size up to 32.
    pub const BYTES: usize = 4 * Self::WORDS;

    /// As words, in the order they have in memory.
    pub const fn words(&self) -> [u32; Self::WORDS] {
        let mut words = [
            MAGIC | VERSION,
            ATTEMPT.of(self.attempt) | REASON.of(self.reason as u32) | STATE.of(self.state as u32),
            self.remaining,
            self.age,
            self.sequence,
            self.rate.0,
            self.rate.1,
            0,
        ];
        words[Self::WORDS - 1] = checksum(&words);
        words
    }

    /// The opposite of [`words`](Self::words).
    pub fn from_words(words: &[u32; Self::WORDS]) -> Result<Self, SnapshotError> {
        let &[head, control, remaining, age, sequence, ticks, seconds, check] = words;
        if head & !0xFF != MAGIC {
            return Err(SnapshotError::Foreign);
        }
        if head != MAGIC | VERSION {
            #[expect(clippy::cast_possible_truncation, reason = "the lowest byte")]
            return Err(SnapshotError::Version(head as u8));
        }
        let attempt = ATTEMPT.get(control);
        // Against chance the checksum alone would do; the rest keeps what is made up from becoming what no breaker is in.
        let state = State::ALL.get(STATE.get(control) as usize);
        let reason = OpenReason::ALL.get(REASON.get(control) as usize);
        let (Some(&state), Some(&reason), true) = (state, reason, check == checksum(words)) else {
            return Err(SnapshotError::Corrupt);
        };
        let most = match state {
            State::Closed | State::ForcedOpen | State::Disabled => 0,
            _ => ATTEMPT_MAX,
        };
        let timed = matches!(state, State::Open | State::Ramping);
        if attempt > most
            || remaining > LONGEST_REMAINING
            || !timed && (remaining, age) != (0, 0)
            || state != State::Open && reason as u32 != 0
        {
            return Err(SnapshotError::Corrupt);
        }
        Ok(Self { state, reason, attempt, remaining, age, sequence, rate: (ticks, seconds) })
    }

    /// As bytes, each word with its lowest first.
    pub fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The opposite of [`bytes`](Self::bytes). Fewer or more bytes than [`BYTES`](Self::BYTES) are
    /// [corrupt](SnapshotError::Corrupt), for instance those of a file that was cut off.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Ok(bytes) = <&[u8; Self::BYTES]>::try_from(bytes) else { return Err(SnapshotError::Corrupt) };
        let mut words = [0; Self::WORDS];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = place.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        Self::from_words(&words)
    }

    /// The state. A half-open one is restored as open, see [`Breaker::restore`](crate::Breaker::restore).
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why it is open, if it is.
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

    /// What is left of the open time or of the ramp, in ticks of the breaker's clock, rounded up; 0 in other states.
    pub const fn remaining_ticks(&self) -> u32 {
        self.remaining
    }

    /// How long the open time or the ramp has lasted, in ticks of the breaker's clock; 0 in other states. For people and
    /// logs: nothing is decided by it.
    pub const fn age_ticks(&self) -> u32 {
        self.age
    }

    pub(crate) fn is_of(&self, rate: TickRate) -> bool {
        self.rate == rate.ratio()
    }
}

/// Why something is no snapshot that this breaker can take: it starts cold, as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is none: erased flash, memory after power came back, something else.
    Foreign,
    /// It is one of another version of the format, which this library cannot read.
    Version(u8),
    /// It was cut off while it was written, or has changed since.
    Corrupt,
    /// It is one of a breaker whose clock ticks at another rate.
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

/// CRC-32 as of IEEE 802.3 over the bytes of all words but the last, little endian.
const fn checksum(words: &[u32; Snapshot::WORDS]) -> u32 {
    let mut crc = u32::MAX;
    let mut at = 0;
    while at < Snapshot::WORDS - 1 {
        // Reflected, it takes a word's lowest bit first, which is the order of its little-endian bytes.
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
