//! Restarts: taking a snapshot before, and restoring it after.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::period::Period;
use crate::breaker::snapshot::{Snapshot, SnapshotError};
use crate::clock::Clock;
use crate::machine::backoff;
use crate::machine::control::{ATTEMPT_MAX, Step};
use crate::machine::timer::LONGEST_SPAN;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// A snapshot of the state that a restart must not forget, for [`restore`](Self::restore). All of it belongs to one
    /// generation.
    ///
    /// If a thread has opened the circuit by a hold but was interrupted before it published the length, the time left
    /// is the longest that a hold may be.
    #[must_use = "a snapshot that is not kept outlives nothing"]
    pub fn snapshot(&self) -> Snapshot {
        loop {
            let word = self.state.load();
            let period = match word.state() {
                State::Open | State::Ramping => match self.period(word) {
                    Some(period) => period,
                    // The generation is over: another caller moved the circuit on.
                    None => continue,
                },
                _ => Period { elapsed: 0, span: 0 },
            };
            return Snapshot {
                state: word.state(),
                reason: if word.is_open() { word.reason() } else { OpenReason::Failures },
                attempt: word.attempt(),
                remaining: period.remaining(),
                age: period.elapsed,
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
    /// A ramp continues for the time that was left, but from its first step, because the window starts empty. A
    /// half-open circuit has lost its probes by the restart, so it is restored as open, as after a failed probe. A
    /// device that its own probe brings down therefore backs off, instead of probing again at once for ever.
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
                (State::Open, OpenReason::Failures, attempt, backoff::open_time(&self.live, attempt, self.clock.now()))
            }
            state => (state, snapshot.reason, snapshot.attempt, snapshot.remaining),
        };
        let span = remaining.saturating_sub(passed).saturating_add(C::SLACK).min(LONGEST_SPAN);
        let tally = self.window_tally();
        let restore = Step::restore(state, reason, attempt, Self::COLD);
        let Some((from, to)) = self.state.step(None, restore).won() else { return Ok(()) };
        self.after_transition(from, to, tally, Some(span));
        if state == State::Open && self.timer.span(to.generation()).is_none_or(|decided| decided < span) {
            // A shorter hold published its length before we could, or another caller moved the circuit on. Make sure
            // that the restored time is covered.
            self.open_for_ticks(Some(to.generation()), reason, span);
        }
        Ok(())
    }
}
