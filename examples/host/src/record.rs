//! What happened, as plain values: everything that the table and the promises are made of.
//!
//! All times are since the program's start.

use std::time::Duration;

use microbreaker::{Clock, Event, FailureKind, OpenReason, State, StdClock, WindowKind};

use crate::tuning::Tuning;
use crate::upstream::Mood;

/// The whole run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) tuning: Tuning,
    /// In order; none if the server is somebody's.
    pub(crate) outages: Vec<Outage>,
    /// The breaker's transitions, in the order of their generation.
    pub(crate) moves: Vec<Move>,
    /// Calls of the guarded fleet.
    pub(crate) with: Vec<Call>,
    /// Calls of the other, if there is one.
    pub(crate) without: Option<Vec<Call>>,
    /// Calls that the breaker rejected.
    pub(crate) rejected: u32,
    /// The most probes that the guarded server worked on at the same time.
    pub(crate) most_probes_at_once: Option<u32>,
    /// The most by which a timer of this machine was late.
    pub(crate) lateness: Duration,
}

/// A time in which the upstream did not serve: from before the first to after the last bad answer began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) mood: Mood,
    pub(crate) from: Duration,
    /// The recovery.
    pub(crate) to: Duration,
}

/// A call that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Before the breaker was asked.
    pub(crate) asked: Duration,
    /// After it admitted the call.
    pub(crate) sent: Duration,
    /// When its result was known, or the client gave up: not after it was reported.
    pub(crate) ended: Duration,
    /// After it was reported.
    pub(crate) told: Duration,
    pub(crate) end: End,
    pub(crate) probe: bool,
}

impl Call {
    /// What the caller waited for it.
    pub(crate) fn took(&self) -> Duration {
        self.told.saturating_sub(self.asked)
    }

    /// Neither failed nor slow nor turned away.
    pub(crate) fn is_bad(&self) -> bool {
        !matches!(self.end, End::Good | End::Alive)
    }

    /// Whether it went, at least in part, to an upstream that did not serve.
    pub(crate) fn touches(&self, outage: &Outage) -> bool {
        self.sent < outage.to && self.ended >= outage.from
    }
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    /// Good, but over the slow limit.
    Slow,
    /// Another 4xx: it answered, and it is our fault.
    Alive,
    Failed(FailureKind),
    /// Turned away with a `Retry-After`. `held`: the breaker was open on its account when the report returned.
    Limited {
        retry_after: Duration,
        held: bool,
    },
}

/// A transition of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// When its observer was told: after it was made.
    pub(crate) at: Duration,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) generation: u32,
    /// Of the sums that caused it: which window, calls, failures, slow ones.
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

    /// It opened for a period of its own, rather than prolonged one.
    pub(crate) fn opens(&self) -> bool {
        self.to == State::Open && self.from != State::Open
    }

    /// Why, with the numbers: "failures, 20 of 40 failed".
    pub(crate) fn why(&self) -> String {
        let (window, total, failed, slow) = self.tally;
        let what = if window == WindowKind::Probes { " probes" } else { "" };
        let counted = match (failed, slow) {
            // A slow probe is a bad one, so it counts as failed too; the reason knows better.
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

/// What the screen is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The upstream changes.
    Scene(Mood),
    /// The breaker moved.
    Moved(Move),
    /// The load is over.
    End,
}
