//! An observer that notes which states the circuit has been in.

use core::cell::Cell;

use critical_section::Mutex;
use microbreaker::{Event, Observer, OpenReason, State};

/// A bit for each state, and for each reason to be open.
#[derive(Debug)]
pub(crate) struct Seen(Mutex<Cell<u32>>);

const REASONS: u32 = 8;

impl Seen {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Cell::new(0)))
    }

    pub(crate) fn state(&self, state: State) -> bool {
        self.bits() & 1 << state as u32 != 0
    }

    pub(crate) fn open(&self, reason: OpenReason) -> bool {
        self.bits() & 1 << (REASONS + reason as u32) != 0
    }

    fn bits(&self) -> u32 {
        critical_section::with(|cs| self.0.borrow(cs).get())
    }
}

impl Observer for Seen {
    fn on_event(&self, event: &Event) {
        let reason = event.reason.map_or(0, |reason| 1 << (REASONS + reason as u32));
        critical_section::with(|cs| {
            let seen = self.0.borrow(cs);
            seen.set(seen.get() | 1 << event.to as u32 | reason);
        });
    }
}
