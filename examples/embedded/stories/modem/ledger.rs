//! The batches that are kept, and the counts.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

use crate::plan;

/// A measurement.
#[derive(Clone, Copy, defmt::Format)]
pub(crate) struct Batch {
    /// Counts up from 1, so that losses, doubles and a wrong order can be seen.
    pub(crate) number: u32,
    pub(crate) decidegrees: i16,
}

/// All batches and counts.
pub(crate) struct Ledger {
    /// Measured and not yet sent, oldest first.
    pub(crate) kept: Deque<Batch, { plan::KEPT }>,
    pub(crate) measured: u32,
    /// Acknowledged by the modem.
    pub(crate) sent: u32,
    /// Dropped for lack of room.
    pub(crate) dropped: u32,
    /// How many of the dropped batches the operator was told about.
    pub(crate) told: u32,
    /// Bytes sent to the modem in all.
    pub(crate) bytes: u32,
    /// Dialogues begun with the modem.
    pub(crate) dialogues: u32,
    /// The supervisor's attempts.
    pub(crate) pings: Pings,
}

/// How the supervisor's attempts to ask the modem ended.
#[derive(Clone, Copy, defmt::Format)]
pub(crate) struct Pings {
    pub(crate) alive: u32,
    pub(crate) failed: u32,
    /// The UART was in use, or the permit was a probe.
    pub(crate) cancelled: u32,
    pub(crate) rejected: u32,
}

static LEDGER: Mutex<RefCell<Ledger>> = Mutex::new(RefCell::new(Ledger {
    kept: Deque::new(),
    measured: 0,
    sent: 0,
    dropped: 0,
    told: 0,
    bytes: 0,
    dialogues: 0,
    pings: Pings { alive: 0, failed: 0, cancelled: 0, rejected: 0 },
}));

/// Reads or changes the ledger.
pub(crate) fn update<T>(with: impl FnOnce(&mut Ledger) -> T) -> T {
    critical_section::with(|cs| with(&mut LEDGER.borrow(cs).borrow_mut()))
}

impl Ledger {
    /// Keeps a new batch. If there is no room, the oldest batch is dropped.
    pub(crate) fn measure(&mut self, decidegrees: i16) {
        self.measured += 1;
        if self.kept.is_full() {
            self.kept.pop_front();
            self.dropped += 1;
        }
        let _ = self.kept.push_back(Batch { number: self.measured, decidegrees });
    }

    /// Keeps a batch that could not be sent. It is the oldest, so if there is no room, it is dropped itself.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        if self.kept.push_front(batch).is_err() {
            self.dropped += 1;
        }
    }
}
