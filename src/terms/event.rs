//! What observers are told: transitions, reports, and what a report did.

use core::time::Duration;

use crate::clock::{TickRate, Ticks};
use crate::terms::outcome::FailureKind;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::Tally;

/// A transition, told once, by the thread that made it, after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The state before.
    pub from: State,
    /// The state after. Equal to `from` for a hold that prolongs an open circuit and a reset of a closed one.
    pub to: State,
    /// Why it is open now, if it is.
    pub reason: Option<OpenReason>,
    /// The generation that began. `Ramping` → `Closed` goes on with its own.
    pub generation: u32,
    /// How often in a row recovery failed.
    pub attempt: u8,
    /// Of a trip or a verdict, the sums it rests on; of other moves, the window's before the move, which are empty unless
    /// it was closed or ramping.
    pub tally: Tally,
    /// How long the new state lasts in ticks, if it is open for a time or ramping; jitter and the clock's slack included.
    pub lasts_ticks: Option<u32>,
    /// When, by the breaker's clock: read by the winner after the move, so that of two moves that follow each other
    /// closely the later may have the earlier reading, and be told first. The generation has the order.
    pub at: Ticks,
    pub(crate) rate: &'static TickRate,
}

impl Event {
    /// [`lasts_ticks`](Self::lasts_ticks) as a time, rounded up. Of an open circuit: after what time to ask again.
    pub const fn lasts(&self) -> Option<Duration> {
        match self.lasts_ticks {
            Some(ticks) => Some(self.rate.duration_of(ticks)),
            None => None,
        }
    }
}

/// What a report was about, for [`Observer::on_report`](crate::Observer::on_report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// A success, slow or not.
    Success,
    /// A failure.
    Failure(FailureKind),
    /// It answered.
    Alive,
    /// It says nothing.
    Ignored,
    /// The permit was dropped without a report.
    Cancelled,
    /// The peer said when to come back.
    Hold,
    /// Not before somebody looked.
    Latch,
}

/// A report on a permit, and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallReport {
    /// What was reported.
    pub kind: ReportKind,
    /// Whether the call took longer than the slow limit.
    pub slow: bool,
    /// What it did.
    pub effect: Effect,
    /// When, for a failure.
    pub at: Option<Ticks>,
}

/// What a report did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// It was counted, and the state is as before.
    Counted,
    /// It says nothing about health (alive, ignored, cancelled): nothing was counted; a probe's slot is back.
    Neutral,
    /// It opened the circuit, for this reason (or prolonged it by a hold).
    Opened(OpenReason),
    /// It closed the circuit.
    Closed,
    /// It ended the half-open state; the ramp begins.
    Ramping,
    /// It latched the circuit.
    Latched,
    /// It changed nothing, because the circuit is already there or further (a shorter hold while open).
    Unchanged,
    /// The permit is of an older generation, or of a probe that was written off: dropped. (Not so a hold or a latch of
    /// a probe that was written off: both speak of the peer.)
    Stale,
    /// The permit counts nowhere: the breaker is, or was, disabled, or only watches.
    Uncounted,
}
