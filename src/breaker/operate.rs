//! Operations by hand while calls run: resets, trips, switches, new settings.

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
    /// Closes the circuit and empties its window, from any state. Permits given earlier become stale.
    pub fn reset(&self) {
        self.transition(None, const { Step::reset(Self::COLD) }, self.window_tally(), None);
    }

    /// Opens the circuit for `time`, capped by [`Config::hold_at_most`]. Layers above the breaker use it (a budget, a
    /// dependency). A circuit that is already open can only be lengthened. A circuit that is latched, forced open or
    /// disabled does not change.
    pub fn trip(&self, reason: OpenReason, time: Duration) -> Effect {
        self.open_for(None, reason, time)
    }

    /// Opens the circuit because the peer said when to come back. It works like [`Permit::hold`](crate::Permit::hold),
    /// but needs no permit, so it is never stale.
    pub fn hold(&self, time: Duration) -> Effect {
        self.open_for(None, OpenReason::Hold, time)
    }

    /// Opens the circuit until somebody [resets](Self::reset) it. A circuit that is forced open or disabled does not
    /// change.
    pub fn latch(&self) -> Effect {
        self.open_for_good(None)
    }

    /// Rejects all calls and records nothing until [`reset`](Self::reset), for maintenance. Returns `false` if the
    /// circuit was forced open already.
    pub fn force_open(&self) -> bool {
        self.transition(None, Step::FORCE, self.window_tally(), None)
    }

    /// Admits all calls and records nothing until [`reset`](Self::reset). Returns `false` if the circuit was disabled
    /// already.
    pub fn disable(&self) -> bool {
        self.transition(None, Step::DISABLE, self.window_tally(), None)
    }

    /// Seeds the jitter with a number that differs from device to device, so that a fleet does not probe in step. The
    /// seed takes effect with the next opening.
    pub fn seed(&self, seed: u32) {
        self.live.set_seed(seed);
    }

    /// Takes new settings over while calls run. On an error nothing changes.
    ///
    /// A streak's threshold, a window's length and whether it counts slow calls are fixed. The shadow switch stays as
    /// it is. A circuit that is open stays open for the time it was given.
    ///
    /// Each group of settings changes atomically: the thresholds and the minimum are one group, the half-open rules are
    /// another. A call that runs during a reload may see some groups old and some new. Two reloads at once may mix
    /// their groups. Every mix is valid; if you need the settings of one reload as a whole, serialise your reloads.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        if words.shape != self.shape {
            return Err(ConfigError::new(Field::Shape, 0, Bound::Fixed, const { &C::RATE }));
        }
        self.live.replace(&words);
        // The minimum may have grown, so the circuit becomes cold: until a call has been judged at or above the new
        // minimum, successes are judged too. Partner of this exchange: the step to WARM in `recorded`. A thread that
        // judged by the old thresholds and warms after this exchange sees the new thresholds because of it, and cools
        // the circuit again. Without the exchange, the circuit could stay warm by a judgement under the old minimum.
        if Self::COLD {
            // COOL acts in the states that record, TOUCH in all others. So one of the two happens, unless the word
            // moves in between; then both are tried again.
            while self.state.step(None, Step::COOL).won().is_none()
                && self.state.step(None, Step::TOUCH).won().is_none()
            {}
        }
        Ok(())
    }

    /// Switches the breaker to `mode`. If the last switch was to this mode, nothing changes, unless somebody called
    /// [`reset`](Self::reset), [`force_open`](Self::force_open) or [`disable`](Self::disable) since.
    ///
    /// From off or open to on or shadow, the breaker begins anew, closed. Between on and shadow, the state and the
    /// window are kept: from shadow to on, a circuit that is open in shadow begins to reject. Call
    /// [`reset`](Self::reset) first for a fresh start.
    ///
    /// `force_open` and `disable` do not end the shadow. A breaker in shadow that is forced open or disabled admits
    /// every call; a switch to shadow or to on then begins anew, closed.
    ///
    /// A switch is two moves, of the state and of the shadow. Their order is such that no call is rejected between two
    /// modes that would both admit it. Serialise your operators: if two switch at once, the result may have the state
    /// of one and the shadow of the other.
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

    /// The mode that the breaker is in. It is read by two loads: during a switch, either may give the older value.
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

    /// Closes a circuit that is forced open or disabled. Only operators enter and leave these states, so the look and
    /// the reset may be two steps.
    fn begin(&self) {
        if matches!(self.state(), State::ForcedOpen | State::Disabled) {
            self.reset();
        }
    }
}
