//! What is kept and what is counted.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

use crate::plan;

/// A measurement.
#[derive(Clone, Copy, defmt::Format)]
pub(crate) struct Batch {
    /// Counts up from 1: a loss, a double and a wrong order show.
    pub(crate) number: u32,
    pub(crate) decidegrees: i16,
}

/// The state of affairs.
pub(crate) struct Ledger {
    /// Measured and not yet sent, oldest first.
    pub(crate) kept: Deque<Batch, { plan::KEPT }>,
    pub(crate) measured: u32,
    /// Acknowledged by the modem.
    pub(crate) sent: u32,
    /// Gone for want of room.
    pub(crate) dropped: u32,
    /// Of those, how many the operator was told of.
    pub(crate) told: u32,
    /// To the modem, all in all.
    pub(crate) bytes: u32,
    /// Begun with the modem.
    pub(crate) dialogues: u32,
    /// By the supervisor.
    pub(crate) pings: Pings,
}

/// What became of the supervisor's wish to ask whether the modem is there.
#[derive(Clone, Copy, defmt::Format)]
pub(crate) struct Pings {
    pub(crate) alive: u32,
    pub(crate) failed: u32,
    /// The UART was in use.
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

/// Looks at it, or changes it.
pub(crate) fn update<T>(with: impl FnOnce(&mut Ledger) -> T) -> T {
    critical_section::with(|cs| with(&mut LEDGER.borrow(cs).borrow_mut()))
}

impl Ledger {
    /// Keeps a new batch; the oldest makes room for it.
    pub(crate) fn measure(&mut self, decidegrees: i16) {
        self.measured += 1;
        if self.kept.is_full() {
            self.kept.pop_front();
            self.dropped += 1;
        }
        let _ = self.kept.push_back(Batch { number: self.measured, decidegrees });
    }

    /// Keeps one that could not be sent, as the oldest: if there is no more room for it, it is the one to go.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        if self.kept.push_front(batch).is_err() {
            self.dropped += 1;
        }
    }
}
