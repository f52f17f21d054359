//! What happened, as plain values. The table and the promises are made of nothing else.
//!
//! All times are counted from the start of the program.

use std::time::Duration;

use microbreaker::{Clock, Event, FailureKind, OpenReason, State, StdClock, WindowKind};

use crate::tuning::Tuning;
use crate::upstream::Mood;

/// The whole run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) tuning: Tuning,
    /// In order. There are none if the server is the user's.
    pub(crate) outages: Vec<Outage>,
    /// The breaker's transitions, in the order of their generation.
    pub(crate) moves: Vec<Move>,
    /// The calls of the fleet with a breaker.
    pub(crate) with: Vec<Call>,
    /// The calls of the fleet without one, if there is such a fleet.
    pub(crate) without: Option<Vec<Call>>,
    /// Calls that the breaker rejected.
    pub(crate) rejected: u32,
    /// The most probes that the guarded server worked on at the same time.
    pub(crate) most_probes_at_once: Option<u32>,
    /// How late a timer of this machine was at worst.
    pub(crate) lateness: Duration,
}

/// A time in which the upstream did not serve. It begins before the first bad answer, and ends after the last one
/// began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) mood: Mood,
    pub(crate) from: Duration,
    /// The recovery.
    pub(crate) to: Duration,
}

/// A call that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Before the breaker was asked.
    pub(crate) asked: Duration,
    /// After it admitted the call.
    pub(crate) sent: Duration,
    /// When its result was known or the client gave up: never later than the report.
    pub(crate) ended: Duration,
    /// After its outcome was reported.
    pub(crate) told: Duration,
    pub(crate) end: End,
    pub(crate) probe: bool,
}

impl Call {
    /// How long the caller waited for it.
    pub(crate) fn took(&self) -> Duration {
        self.told.saturating_sub(self.asked)
    }

    /// It failed, or took longer than the slow limit, or was turned away.
    pub(crate) fn is_wasted(&self) -> bool {
        !matches!(self.end, End::Good | End::Alive)
    }

    /// Whether some of it was in the time of the outage.
    pub(crate) fn touches(&self, outage: &Outage) -> bool {
        self.sent < outage.to && self.ended >= outage.from
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    /// A good answer, but later than the slow limit.
    Slow,
    /// Another 4xx: the server works, and the mistake is ours.
    Alive,
    Failed(FailureKind),
    /// Turned away with a `Retry-After`. `held`: when the report returned, the circuit was open because of it.
    Limited {
        retry_after: Duration,
        held: bool,
    },
}

/// A transition of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// When the observer heard of it: after it was made.
    pub(crate) at: Duration,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) generation: u32,
    /// The sums that caused it: which window, calls, failures, slow calls.
    pub(crate) tally: (WindowKind, u32, u32, u32),
    /// How long the new state lasts.
    pub(crate) lasts: Option<Duration>,
}

impl Move {
    pub(crate) fn new(at: Duration, event: &Event) -> Self {
        let tally = event.tally;
        Self {
            at,
            from: event.from,
            to: event.to,
            reason: event.reason,
            generation: event.generation,
            tally: (tally.window, tally.total, tally.failed, tally.slow),
            lasts: event.lasts_ticks.map(|ticks| StdClock::RATE.duration_of(ticks)),
        }
    }

    /// The circuit opened. (A transition from open to open prolongs a period.)
    pub(crate) fn opens(&self) -> bool {
        self.to == State::Open && self.from != State::Open
    }

    /// The cause with its numbers, as "failures, 20 of 40 failed".
    pub(crate) fn why(&self) -> String {
        let (window, total, failed, slow) = self.tally;
        let what = if window == WindowKind::Probes { " probes" } else { "" };
        let counted = match (failed, slow) {
            // A slow probe counts as failed too. The reason tells them apart.
            (_, slow) if self.reason == Some(OpenReason::Slow) => format!("{slow} of {total}{what} slow"),
            (0, 0) => format!("{total} of {total}{what} good"),
            (failed, 0) => format!("{failed} of {total}{what} failed"),
            (failed, slow) => format!("{failed} of {total}{what} failed, {slow} slow"),
        };
        match (self.to, self.reason) {
            (State::HalfOpen, _) => "open time over, probing".to_owned(),
            (_, Some(OpenReason::Hold)) => "hold, as the server asked".to_owned(),
            (_, Some(reason)) => format!("{}, {counted}", reason.name()),
            _ => counted,
        }
    }
}

/// What the screen hears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The upstream changes.
    Scene(Mood),
    /// The breaker made a transition.
    Moved(Move),
    /// The load is over.
    End,
}
