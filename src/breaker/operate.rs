//! What is done by hand while calls run: resets, trips, switches, new settings.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::error::{Bound, ConfigError, Field};
use crate::machine::control::Step;
use crate::machine::window::Window;
use crate::terms::event::Effect;
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Closes the circuit and empties its window, whatever the state. Permits that are out become stale.
    pub fn reset(&self) {
        self.transition(None, const { Step::reset(Self::COLD) }, self.window_tally(), None);
    }

    /// Opens the circuit for `time`, capped by [`Config::hold_at_most`]: what layers above use (a budget, a
    /// dependency). While open it only ever lengthens; latched, forced open and disabled it does nothing.
    pub fn trip(&self, reason: OpenReason, time: Duration) -> Effect {
        self.open_for(None, reason, time)
    }

    /// Opens the circuit because the peer said when to come back. Like [`Permit::hold`](crate::Permit::hold), but without a permit: it is
    /// never stale.
    pub fn hold(&self, time: Duration) -> Effect {
        self.open_for(None, OpenReason::Hold, time)
    }

    /// Opens the circuit until somebody [resets](Self::reset) it. Forced open and disabled it does nothing.
    pub fn latch(&self) -> Effect {
        self.open_for_good(None)
    }

    /// Rejects everything and records nothing until [`reset`](Self::reset): maintenance. `false` if it already did.
    pub fn force_open(&self) -> bool {
        self.transition(None, Step::FORCE, self.window_tally(), None)
    }

    /// Admits everything and records nothing until [`reset`](Self::reset). `false` if it already did.
    pub fn disable(&self) -> bool {
        self.transition(None, Step::DISABLE, self.window_tally(), None)
    }

    /// Seeds the jitter with what tells this device from others, so that a fleet does not probe in step. Takes effect
    /// with the next opening.
    pub fn seed(&self, seed: u32) {
        self.live.set_seed(seed);
    }

    /// Takes new settings over while calls run; on an error nothing changes.
    ///
    /// A streak's threshold, a window's length and whether it counts slow calls are fixed. The shadow switch stays as it
    /// is. A circuit that is open stays open for the time it was given. Thresholds and minimum change together, and so do
    /// half-open's rules; a call that runs meanwhile may see some groups old and some new. Two reloads at once may mix
    /// their groups: every mix is valid, but serialise them if it must be one.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        if words.shape != self.shape {
            return Err(ConfigError::new(Field::Shape, 0, Bound::Fixed, const { &C::RATE }));
        }
        self.live.replace(&words);
        // The minimum may have grown: until somebody has judged at or above it again, successes judge too. Whoever
        // judged by the old thresholds and warms after this exchange has by it seen the new ones, and cools again.
        if Self::COLD {
            // One of the two, unless the word moves in between.
            while self.state.step(None, Step::COOL).won().is_none()
                && self.state.step(None, Step::TOUCH).won().is_none()
            {}
        }
        Ok(())
    }

    /// Throws the switch. To the mode that it is in it does nothing: an open circuit that is switched on stays open, and
    /// its window is kept. From off or open to on or shadow it begins anew, closed.
    ///
    /// It is two moves, the state's and the shadow's, in an order by which no call is rejected on the way between modes
    /// that admit it. Serialise operators: of two at once, each may have one of the two.
    pub fn switch(&self, mode: Mode) {
        match mode {
            Mode::On => {
                self.begin();
                self.live.set_shadow(false);
            }
            Mode::Off => {
                self.disable();
                self.live.set_shadow(false);
            }
            Mode::Open => {
                self.force_open();
                self.live.set_shadow(false);
            }
            Mode::Shadow => {
                self.live.set_shadow(true);
                self.begin();
            }
        }
    }

    /// The mode it is in. Two loads: while it is being switched, either may be the older.
    pub fn mode(&self) -> Mode {
        match self.state() {
            State::Disabled => Mode::Off,
            _ if self.is_shadow() => Mode::Shadow,
            State::ForcedOpen => Mode::Open,
            _ => Mode::On,
        }
    }

    /// Whether the breaker is in [shadow](Mode::Shadow), whatever its state.
    pub(crate) fn is_shadow(&self) -> bool {
        self.live.rules().shadow()
    }

    /// Ends forced open and disabled. Only a hand begins and ends them, so that the look and the reset may be two steps.
    fn begin(&self) {
        if matches!(self.state(), State::ForcedOpen | State::Disabled) {
            self.reset();
        }
    }
}
