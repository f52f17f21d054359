//! Transitions and reports, as observers are notified of them, and what a report did.

use core::time::Duration;

use crate::clock::{TickRate, Ticks};
use crate::terms::outcome::FailureKind;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::Tally;

/// A transition. The thread that made it notifies the observer once, after the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The state before.
    pub from: State,
    /// The state after. It equals `from` if a hold or a trip prolongs an open circuit, or a closed circuit is reset.
    pub to: State,
    /// Why the circuit is open or half-open now, if it is: a half-open circuit keeps the reason for which it was open.
    pub reason: Option<OpenReason>,
    /// The generation that began, in 16 bits that wrap. A move adds one or two to it. The move from `Ramping` to
    /// `Closed` keeps it.
    pub generation: u32,
    /// How often in a row recovery failed.
    pub attempt: u8,
    /// The sums that led to the move, if the window tripped or the probes gave a verdict. For all other moves, the sums
    /// of the window before the move; they are empty unless the circuit was closed or ramping.
    pub tally: Tally,
    /// How long the new state lasts, in ticks, if the circuit is open for a time or ramping: from a moment after the move.
    /// Jitter and the clock's slack are included.
    pub lasts_ticks: Option<u32>,
    /// When the move was made, by the breaker's clock. The thread that made the move reads the clock after it. If two
    /// moves follow each other closely, the later move may have the earlier reading and reach the observer first. The
    /// generation gives their order.
    pub at: Ticks,
    pub(crate) rate: &'static TickRate,
}

impl Event {
    /// [`lasts_ticks`](Self::lasts_ticks) as a time, rounded up. For an open circuit, this is the time after which to
    /// ask again.
    pub const fn lasts(&self) -> Option<Duration> {
        match self.lasts_ticks {
            Some(ticks) => Some(self.rate.duration_of(ticks)),
            None => None,
        }
    }
}

/// The kind of a report, for [`Observer::on_report`](crate::Observer::on_report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// A success, slow or not.
    Success,
    /// A failure.
    Failure(FailureKind),
    /// The peer answered, but the answer says nothing about its health.
    Alive,
    /// The call says nothing about the peer.
    Ignored,
    /// The permit was dropped without a report.
    Cancelled,
    /// The peer said when to come back.
    Hold,
    /// Nobody should ask again until somebody has looked.
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
    /// What the report did.
    pub effect: Effect,
    /// When a failure was reported, by the breaker's clock; `None` for other reports.
    pub at: Option<Ticks>,
}

/// What a [`trip`](crate::Breaker::trip) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tripped {
    /// It opened the circuit, or lengthened or replaced its open time. This is the generation that began, by which a layer
    /// can [release](crate::Breaker::release) it.
    Opened(u32),
    /// Nothing moved: the circuit rejects for this time all the same, rounded up, or without a time (latched, forced open).
    /// The time is zero if a budget found the circuit half-open or its time over: then the next call is a probe.
    Covered(Option<Duration>),
    /// Nothing moved: the breaker is disabled.
    Idle,
}

/// What a report did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// The report was counted, and the state did not change.
    Counted,
    /// The report says nothing about health (alive, ignored, cancelled). Nothing was counted, and a probe's slot was
    /// given back.
    Neutral,
    /// The report opened the circuit for this reason, or prolonged an open circuit.
    Opened(OpenReason),
    /// The report closed the circuit.
    Closed,
    /// The report ended the half-open state, and the ramp began.
    Ramping,
    /// The report latched the circuit.
    Latched,
    /// The report changed nothing, because the circuit already rejects for as long or longer (a shorter hold while
    /// open, a hold while latched), or because the circuit is disabled.
    Unchanged,
    /// The report was dropped, because the permit is of an older generation, or because its probe came after the verdict.
    /// While the circuit is open, a hold or a latch of such a permit counts all the same: both speak of the peer.
    Stale,
    /// The permit counts nowhere: it was given while the breaker was disabled, only because of shadow, or
    /// [anyway](crate::Breaker::acquire_anyway).
    Uncounted,
}
