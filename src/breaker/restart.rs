//! Restarts: taking a snapshot before, and restoring it after.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::deadline::Given;
use crate::breaker::snapshot::{Snapshot, SnapshotError};
use crate::clock::Clock;
use crate::machine::backoff;
use crate::machine::window::Window;
use crate::machine::word::{ATTEMPT_MAX, Word};
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// A snapshot of the state that a restart must not forget, for [`restore`](Self::restore). All of it belongs to one
    /// generation.
    ///
    /// If a thread has opened the circuit for a given time but was interrupted before it published the time, the time left may
    /// be up to twice as long.
    #[must_use = "a snapshot that is not kept outlives nothing"]
    pub fn snapshot(&self) -> Snapshot {
        loop {
            let word = self.cell.load();
            let timed = match word.state() {
                State::Open | State::Ramping => true,
                State::Closed => word.remembers(),
                _ => false,
            };
            let left = if timed { self.left_of_its_own(word) } else { Some(0) };
            // Without it, the generation is over: another caller moved the circuit on.
            let Some(left) = left else { continue };
            return Snapshot {
                state: word.state(),
                reason: match word.state() {
                    State::Open => word.reason(),
                    // It recovers from something that is no doubt: which, is not known.
                    State::Ramping if !word.is_doubted() => OpenReason::Budget,
                    _ => OpenReason::Failures,
                },
                attempt: if word.state() == State::Closed && left == 0 { 0 } else { word.attempt() },
                remaining: if word.is_ramping() { self.ramp_left(word, left) } else { left },
                sequence: 0,
                rate: C::RATE.ratio(),
            };
        }
    }

    /// Continues from a [`snapshot`](Self::snapshot) that was taken `passed` ago. Call it after a restart, before any
    /// caller asks. It works from every state, and permits given earlier become stale.
    ///
    /// Pass `None` if nobody knows for certain how much time has passed; a clock that can be set does not know. `None`
    /// is the safe choice: an open circuit stays open for all the time that was left. If `passed` is not more than the
    /// time that has really passed, the open time never ends before it would have ended without the restart.
    ///
    /// A ramp continues for the time that was left, with the share of calls that it had reached; its window starts empty.
    /// A half-open circuit has lost its probes by the restart, so it is restored as open, as after a failed probe. A
    /// device that its own probe brings down therefore backs off, instead of probing again at once for ever. A closed
    /// circuit goes on to remember its [attempt](crate::Config::stable_after). What continues lasts at least a tick.
    ///
    /// Restore before a task or an interrupt uses the breaker: like a [reset](Self::reset), a restore forgets
    /// everything that was reported before it, holds included. [Seed](Self::seed) before the restore, so that this open
    /// time has the device's jitter. A hold that is reported during the restore counts. A caller that asks while a ramp
    /// is being restored may begin a whole ramp.
    ///
    /// On an error nothing changes.
    pub fn restore(&self, snapshot: &Snapshot, passed: Option<Duration>) -> Result<(), SnapshotError> {
        if !snapshot.is_of(C::RATE) {
            return Err(SnapshotError::Rate);
        }
        // The whole ticks that have certainly passed: one less than the rounded count. A time past the horizon is
        // converted by halves. Jitter may make the time left longer than the horizon, but never twice as long.
        let passed = passed.map_or(0, |time| match (C::RATE.ticks_in(time), C::RATE.ticks_in(time / 2)) {
            (Some(ticks), _) => ticks.saturating_sub(1),
            (None, Some(half)) => 2 * half.saturating_sub(1),
            (None, None) => u32::MAX,
        });
        let (state, reason, attempt, remaining) = match snapshot.state {
            State::HalfOpen => {
                let attempt = (snapshot.attempt + 1).min(ATTEMPT_MAX);
                let now = self.clock.now().count();
                (State::Open, OpenReason::Failures, attempt, backoff::open_time::<_, C>(&self.settings, attempt, now))
            }
            state => (state, snapshot.reason, snapshot.attempt, snapshot.remaining),
        };
        let given = Given::new(remaining.saturating_sub(passed));
        let tally = self.window_tally();
        let with = Word::restoring(attempt, reason);
        let (next, span) = match state {
            State::Open | State::HalfOpen => (with.given(reason, given.bound::<C>()), given.ticks()),
            State::Ramping if Self::RAMPS => {
                let next = with.ramping(reason);
                (next, given.ticks() + self.memory(next))
            }
            State::Closed | State::Ramping => {
                let remember = Self::REMEMBERS && remaining > passed;
                (with.closed(remember), given.ticks())
            }
            State::Latched => (with.latched(), 0),
            State::ForcedOpen => (Word::forced_open(), 0),
            State::Disabled => (Word::disabled(), 0),
        };
        loop {
            if self.enter(self.cell.load(), next, span, tally).is_some() {
                return Ok(());
            }
        }
    }
}
