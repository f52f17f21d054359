//! The part of a meter behind its mutex: what transitions write and readings read.

use crate::clock::Ticks;
use crate::metrics::reading::{BUCKETS, STATES};
use crate::terms::event::Event;
use crate::terms::state::State;

/// What transitions write and readings read, under one mutex.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) transitions: [[u64; STATES]; STATES],
    /// How often the breaker began to reject all calls, minus how often it ceased to. It is 0 or 1. For a moment it may
    /// be −1 or 2, since the threads that made two successive transitions may report them in either order: a benign
    /// race.
    pub(super) rejecting: i32,
    /// The sum of the ticks at which it ceased to reject, minus the sum of those at which it began, modulo 2³². Sums do
    /// not depend on the order.
    pub(super) balance: u32,
    /// The open ticks that the last reading found: modulo 2³², and in full.
    pub(super) open: (u32, u64),
    pub(super) counts: Wide<11>,
    pub(super) buckets: Wide<BUCKETS>,
    pub(super) nanos: u64,
}

impl Ledger {
    pub(super) const NEW: Self = Self {
        transitions: [[0; STATES]; STATES],
        rejecting: 0,
        balance: 0,
        open: (0, 0),
        counts: Wide::NEW,
        buckets: Wide::NEW,
        nanos: 0,
    };

    pub(super) fn moved(&mut self, event: &Event) {
        self.transitions[event.from as usize][event.to as usize] += 1;
        let (from, to) = (rejects_all(event.from), rejects_all(event.to));
        self.rejecting += i32::from(to) - i32::from(from);
        self.balance = match (from, to) {
            (false, true) => self.balance.wrapping_sub(event.at.count()),
            (true, false) => self.balance.wrapping_add(event.at.count()),
            _ => self.balance,
        };
    }

    /// Ticks in which all calls were rejected, until `now`.
    pub(super) fn open_ticks(&mut self, now: Ticks) -> u64 {
        let present = self.balance.wrapping_add(now.count().wrapping_mul(self.rejecting.cast_unsigned()));
        let grown = present.wrapping_sub(self.open.0);
        // Otherwise the sum lies behind the last reading: of two transitions, one thread read the clock late, or the
        // later transition was reported first. A later reading catches up. A benign race.
        if grown < 1 << 31 {
            self.open = (present, self.open.1 + u64::from(grown));
        }
        self.open.1
    }
}

const fn rejects_all(state: State) -> bool {
    matches!(state, State::Open | State::Latched | State::ForcedOpen)
}

/// Widens 32-bit words that wrap to 64-bit numbers that do not.
#[derive(Debug)]
pub(super) struct Wide<const N: usize> {
    last: [u32; N],
    total: [u64; N],
}

impl<const N: usize> Wide<N> {
    pub(super) const NEW: Self = Self { last: [0; N], total: [0; N] };

    pub(super) fn read(&mut self, words: [u32; N]) -> [u64; N] {
        for ((total, last), word) in self.total.iter_mut().zip(&mut self.last).zip(words) {
            *total += u64::from(word.wrapping_sub(*last));
            *last = word;
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock, TickRate};
    use crate::terms::tally::Tally;

    static RATE: TickRate = ManualClock::RATE;

    fn event(from: State, to: State, at: u32) -> Event {
        let (tally, at) = (Tally::default(), Ticks::new(at));
        Event { from, to, reason: None, generation: 0, attempt: 0, tally, lasts_ticks: None, at, rate: &RATE }
    }

    #[test]
    fn words_that_wrap_are_counted_on() {
        let mut wide = Wide::<2>::NEW;
        assert_eq!(wide.read([u32::MAX, 7]), [u64::from(u32::MAX), 7]);
        assert_eq!(wide.read([4, 7]), [(1 << 32) + 4, 7]);
        assert_eq!(wide.read([3, 8]), [(2 << 32) + 3, 8]);
    }

    /// Two transitions, each reported by the thread that made it. They may be reported in either order, and the clock
    /// may be read in either order: nothing is lost and nothing falls.
    #[test]
    fn events_that_come_out_of_order_come_to_the_same() {
        let start = u32::MAX - 10;
        let (opened, probing) =
            (event(State::Closed, State::Open, start), event(State::Open, State::HalfOpen, start.wrapping_add(100)));
        for told in [[opened, probing], [probing, opened]] {
            let mut ledger = Ledger::NEW;
            let mut last = 0;
            for event in told {
                ledger.moved(&event);
                let open = ledger.open_ticks(event.at);
                assert!(open >= last);
                last = open;
            }
            assert_eq!(ledger.open_ticks(Ticks::new(5000)), 100);
            assert_eq!(ledger.transitions.as_flattened().iter().sum::<u64>(), 2);
        }
        // The thread that opens the circuit reads the clock after the thread of the second transition did.
        let mut ledger = Ledger::NEW;
        for (state, to, at) in [(State::Closed, State::Open, 1003), (State::Open, State::HalfOpen, 1000)] {
            ledger.moved(&event(state, to, at));
            assert_eq!(ledger.open_ticks(Ticks::new(1003)), 0);
        }
        ledger.moved(&event(State::HalfOpen, State::Open, 2000));
        assert_eq!([2002, 2003, 2004, 3003].map(|now| ledger.open_ticks(Ticks::new(now))), [0, 0, 1, 1000]);
    }

    /// If a reading comes too late, the open time stands still until a whole wrap of the ticks is missing.
    #[test]
    fn after_too_long_a_gap_a_whole_wrap_is_missing() {
        let mut ledger = Ledger::NEW;
        ledger.moved(&event(State::Closed, State::Open, 0));
        let readings = [1000, (1 << 31) + 999, (1 << 31) + 998, u32::MAX, 999, 1000, 1005];
        let open = readings.map(|now| ledger.open_ticks(Ticks::new(now)));
        let full = (1 << 31) + 999;
        assert_eq!(open, [1000, full, full, (1 << 32) - 1, (1 << 32) + 999, (1 << 32) + 1000, (1 << 32) + 1005]);
        let mut ledger = Ledger::NEW;
        ledger.moved(&event(State::Closed, State::Open, 0));
        let late = [1000, (1 << 31) + 1000, u32::MAX, 999, 1000, 1005].map(|now| ledger.open_ticks(Ticks::new(now)));
        assert_eq!(late, [1000, 1000, 1000, 1000, 1000, 1005]);
    }
}
