//! Opening the circuit for a given time, and ending that early: holds, trips by hand, and the verbs of the layers above the
//! breaker.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::deadline::Given;
use crate::clock::{Clock, HORIZON};
use crate::config::source::Source;
use crate::machine::counts::Verdict;
use crate::machine::window::Window;
use crate::machine::word::Word;
use crate::terms::event::{Effect, Tripped};
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};

/// What came of opening the circuit for a given time.
#[derive(Clone, Copy)]
pub(super) enum Opened {
    /// It is open for that time, in a generation of its own.
    Moved(Word),
    /// It rejects all the same: for so many ticks, or without a time.
    Covered(Option<u32>),
    /// It is disabled.
    Off,
    /// The permit that the time came with is of an older generation.
    Stale,
}

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Opens the circuit for `time` and for this reason, at least for a tick. Who may replace whom:
    ///
    /// | reason | acts on | of an open circuit | longest time |
    /// | --- | --- | --- | --- |
    /// | a [layer's](OpenReason::is_of_a_layer): Budget, Dependency, Outlier, Fleet | closed, ramping, and half-open (but Budget: money never heals a sick circuit) | only lengthens a time of its own reason, and takes the place of one that is over (Budget: only of its own) | the [horizon](HORIZON) |
    /// | Hold, Failures, Slow | closed, ramping, half-open | keeps the longer time of Failures and Slow, lengthens its own reason, replaces a layer's even if it is shorter, leaves Manual until its time is over | [`Config::hold_at_most`](crate::Config::hold_at_most) |
    /// | Manual | closed, ramping, half-open | replaces any | [`Config::hold_at_most`](crate::Config::hold_at_most) |
    ///
    /// A circuit that is latched, forced open or disabled does not change. If the circuit moves, a new generation begins, and
    /// the attempt is kept. After its own move this call stops: it touches no later period.
    ///
    /// ```
    /// use core::time::Duration;
    /// use microbreaker::{Breaker, Config, ManualClock, OpenReason, State, Streak, Tripped};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    /// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    /// let Tripped::Opened(generation) = breaker.trip(OpenReason::Dependency, minute) else { panic!() };
    /// assert_eq!(breaker.trip(OpenReason::Budget, hour), Tripped::Covered(Some(minute)));
    /// assert!(breaker.release(generation), "what it depends on is back early");
    /// assert_eq!(breaker.state(), State::HalfOpen);
    /// ```
    pub fn trip(&self, reason: OpenReason, time: Duration) -> Tripped {
        let ticks = if reason.is_of_a_layer() { C::RATE.ticks_in(time).unwrap_or(HORIZON) } else { self.capped(time) };
        match self.open_for(None, reason, ticks) {
            Opened::Moved(word) => Tripped::Opened(word.generation().number()),
            Opened::Covered(ticks) => Tripped::Covered(ticks.map(|ticks| C::RATE.duration_of(ticks))),
            Opened::Off | Opened::Stale => Tripped::Idle,
        }
    }

    /// Opens the circuit because the peer said when to come back. It works like [`Permit::hold`](crate::Permit::hold),
    /// but needs no permit, so it is never stale.
    pub fn hold(&self, time: Duration) -> Effect {
        match self.open_for(None, OpenReason::Hold, self.capped(time)) {
            Opened::Moved(_) => Effect::Opened(OpenReason::Hold),
            _ => Effect::Unchanged,
        }
    }

    /// Ends early the open time of a [layer](OpenReason::is_of_a_layer), if the circuit is still open in this `generation`:
    /// the circuit becomes half-open, with the attempt kept. After Budget it is ramping, or closed if there is no ramp,
    /// because nothing suggests that the peer is sick. Returns whether this call ended it.
    ///
    /// A time of Failures, Slow, Hold or Manual is never ended, nor is one of another generation. [`trip`](Self::trip) returns
    /// the generation, and [`status`](Self::status) shows it together with the reason.
    pub fn release(&self, generation: u32) -> bool {
        loop {
            let word = self.cell.load();
            if word.generation().number() != generation || !word.is_open() || !word.reason().is_of_a_layer() {
                return false;
            }
            let to = match word.reason() {
                OpenReason::Budget => self.conclude(word, Verdict::CLOSE, self.window_tally()),
                _ => self.enter(word, word.half_opened(), 0, self.window_tally()),
            };
            if to.is_some() {
                return true;
            }
        }
    }

    /// Ends any open time early: the circuit becomes half-open, with reason and attempt kept. Use it if something says that
    /// the peer may be back, for instance a modem that has found its network. Returns whether this call ended an open time; a
    /// circuit that is latched or forced open does not change.
    pub fn half_open(&self) -> bool {
        loop {
            let word = self.cell.load();
            if !word.is_open() {
                return false;
            }
            if self.enter(word, word.half_opened(), 0, self.window_tally()).is_some() {
                return true;
            }
        }
    }

    /// The ticks of a time that the peer or an operator gave.
    #[inline]
    pub(super) fn capped(&self, time: Duration) -> u32 {
        C::RATE.ticks_in(time).unwrap_or(u32::MAX).min(self.settings.hold_at_most::<C>())
    }

    /// Opens the circuit for `ticks`. `own` is of the generation of the permit that the time came with, if there is one: then
    /// it counts in its own generation, and in any while the circuit is open, because it speaks of the peer.
    #[inline(never)]
    pub(super) fn open_for(&self, own: Option<Word>, reason: OpenReason, ticks: u32) -> Opened {
        // Even no time takes the place of one that is over.
        let ticks = ticks.max(1);
        loop {
            let word = self.cell.load();
            // The attempt is kept, so one that is to be forgotten goes first.
            if self.forgets(word) {
                continue;
            }
            let stale = own.is_some_and(|own| !word.is_of(own));
            let given = match word.state() {
                State::Open => {
                    // If nobody has published the time of the open period yet, this caller publishes what the word says: at
                    // least that time. So no longer time is lost to this one.
                    let Some(left) = self.left_of_its_own(word) else { continue };
                    match replacing(reason, ticks, word.reason(), left) {
                        Some(given) => given,
                        None => return Opened::Covered(Some(left)),
                    }
                }
                _ if stale => return Opened::Stale,
                State::HalfOpen if reason == OpenReason::Budget => return Opened::Covered(Some(0)),
                State::Closed | State::HalfOpen | State::Ramping => ticks,
                State::Latched | State::ForcedOpen => return Opened::Covered(None),
                State::Disabled => return Opened::Off,
            };
            let given = Given::new(given);
            let next = word.given(reason, given.bound::<C>());
            if let Some(to) = self.enter(word, next, given.ticks(), self.window_tally()) {
                return Opened::Moved(to);
            }
        }
    }

    /// Latches the circuit by a move of its own. A probe's latch must not be reported as a result of the probe first: a
    /// helper could carry out that result, and the latch would be lost.
    pub(super) fn open_for_good(&self, own: Option<Word>) -> Effect {
        loop {
            let word = self.cell.load();
            // See `open_for`.
            if self.forgets(word) {
                continue;
            }
            // While the circuit is open, a stale latch counts too, because it speaks of the peer.
            if own.is_some_and(|own| !word.is_of(own)) && !word.is_open() {
                return Effect::Stale;
            }
            match word.state() {
                State::Latched | State::ForcedOpen | State::Disabled => return Effect::Unchanged,
                State::Closed | State::Open | State::HalfOpen | State::Ramping => {}
            }
            if self.enter(word, word.latched(), 0, self.window_tally()).is_some() {
                return Effect::Latched;
            }
        }
    }
}

/// For how long to open a circuit, for the reason `new` and `ticks`, that is open for the reason `old` with `left` ticks left;
/// `None` if it stays as it is.
fn replacing(new: OpenReason, ticks: u32, old: OpenReason, left: u32) -> Option<u32> {
    let longer = (ticks > left).then_some(ticks);
    match (new, old) {
        (OpenReason::Manual, _) => Some(ticks),
        _ if new == old => longer,
        // Money never heals a sick circuit: after a budget's time there is no probe.
        (OpenReason::Budget, _) => None,
        _ if left == 0 => Some(ticks),
        _ if new.is_of_a_layer() => None,
        (_, OpenReason::Manual) => None,
        // A time that the peer gave must not vanish in one that a layer can end early.
        _ if old.is_of_a_layer() => Some(ticks),
        (_, OpenReason::Hold) => longer,
        _ => Some(ticks.max(left)),
    }
}
