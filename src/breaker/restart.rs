//! Over a restart: what must not be forgotten, and going on from it.

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
    /// What must not be forgotten over a restart, for [`restore`](Self::restore). All of it is of one generation.
    ///
    /// While the owner of a hold is still about to say how long (it was interrupted in the middle), the time left is the
    /// longest a hold may be.
    #[must_use = "a snapshot that is not kept outlives nothing"]
    pub fn snapshot(&self) -> Snapshot {
        loop {
            let word = self.state.load();
            let period = match word.state() {
                State::Open | State::Ramping => match self.period(word) {
                    Some(period) => period,
                    // Over meanwhile: another caller moved on.
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

    /// Goes on where a [`snapshot`](Self::snapshot) was taken, `passed` ago: after a restart, before anybody asks. By
    /// hand, from any state; permits that are out become stale.
    ///
    /// `None` is for a time that nobody knows for certain (a clock that can be set does not), and the safe choice: an
    /// open circuit stays open for all that was left. If no more is given than has passed, the open time is never over
    /// before it would have been. A ramp goes on for what was left of it, from its first step: the window starts empty. A
    /// half-open circuit is restored as one whose probes were lost with the restart, open for another open time: a device
    /// that is brought down by its own probe backs off instead of probing again at once, for ever.
    ///
    /// Restore first, before a task or an interrupt uses the breaker: what was reported to it till then, a hold among it,
    /// is forgotten, as by a [reset](Self::reset). [Seed](Self::seed) before that, for the jitter of that other open time.
    /// A hold that comes meanwhile counts. A caller that comes meanwhile to a restored ramp may begin a whole one.
    ///
    /// On an error nothing changes.
    pub fn restore(&self, snapshot: &Snapshot, passed: Option<Duration>) -> Result<(), SnapshotError> {
        if !snapshot.is_of(C::RATE) {
            return Err(SnapshotError::Rate);
        }
        // Whole ticks that have passed for certain. What is left may be more than the horizon, by jitter, but not twice it.
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
            // A shorter hold, reported meanwhile, said how long before we could, or somebody moved on: see that ours is
            // covered.
            self.open_for_ticks(Some(to.generation()), reason, span);
        }
        Ok(())
    }
}
