//! Operations by hand while calls run: resets, switches, new settings.

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::error::{Bound, ConfigError, Field};
use crate::config::source::Source;
use crate::machine::window::{LiveWindow, Window};
use crate::machine::word::Word;
use crate::terms::event::Effect;
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;
use crate::terms::state::State;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Closes the circuit and empties its window, from any state. Permits given earlier become stale.
    pub fn reset(&self) {
        self.switch_to(|word| Some(word.closed(false)));
    }

    /// Opens the circuit until somebody [resets](Self::reset) it. A circuit that is forced open or disabled does not
    /// change.
    pub fn latch(&self) -> Effect {
        self.open_for_good(None)
    }

    /// Rejects all calls and records nothing until [`reset`](Self::reset), for maintenance. Returns `false` if the
    /// circuit was forced open already.
    pub fn force_open(&self) -> bool {
        self.switch_to(|word| (word.state() != State::ForcedOpen).then(Word::forced_open))
    }

    /// Admits all calls and records nothing until [`reset`](Self::reset). Returns `false` if the circuit was disabled
    /// already.
    pub fn disable(&self) -> bool {
        self.switch_to(|word| (word.state() != State::Disabled).then(Word::disabled))
    }

    /// Moves the circuit from any state to which `to` leads; `false` if that is none.
    #[inline]
    fn switch_to(&self, to: impl Fn(Word) -> Option<Word>) -> bool {
        loop {
            let word = self.cell.load();
            let Some(next) = to(word) else { return false };
            if self.enter(word, next, 0, self.window_tally()).is_some() {
                return true;
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
        self.settings.rules::<C>().shadow()
    }

    /// Closes a circuit that is forced open or disabled. Only operators enter and leave these states, so the look and
    /// the reset may be two steps.
    fn begin(&self) {
        if matches!(self.state(), State::ForcedOpen | State::Disabled) {
            self.reset();
        }
    }

    /// Switches the breaker to `mode`. If the last switch was to this mode, nothing changes, unless somebody called
    /// [`reset`](Self::reset), [`force_open`](Self::force_open) or [`disable`](Self::disable) since. Returns whether the
    /// breaker can be in this mode: whether a breaker with [`Fixed`](crate::Fixed) settings is in shadow is one of these
    /// settings, so a switch into or out of shadow changes nothing there.
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
    pub fn switch(&self, mode: Mode) -> bool {
        let shadow = mode == Mode::Shadow;
        if !self.settings.can_shadow::<C>(shadow) {
            return false;
        }
        match mode {
            Mode::On => {
                self.begin();
            }
            Mode::Off => {
                self.disable();
            }
            Mode::Open => {
                self.force_open();
            }
            Mode::Shadow => {
                self.settings.set_shadow(true);
                self.begin();
            }
        }
        if !shadow {
            self.settings.set_shadow(false);
        }
        true
    }
}

impl<W: LiveWindow, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Seeds the jitter with a number that differs from device to device, so that a fleet does not probe in step. The
    /// seed takes effect with the next opening.
    pub fn seed(&self, seed: u32) {
        self.settings.set_seed(seed);
    }

    /// Takes new settings over while calls run. On an error nothing changes.
    ///
    /// A streak's threshold, a window's length and whether it counts slow calls are fixed. The shadow switch stays as
    /// it is. A circuit that is open stays open for the time it was given.
    ///
    /// Each group of settings changes atomically: the thresholds and the minimum are one group, all that a verdict on probes
    /// depends on is another. A call that runs during a reload may see some groups old and some new. Two reloads at once may
    /// mix their groups. Every mix is valid; if you need the settings of one reload as a whole, serialise your reloads.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        if words.shape() != self.settings.shape::<C>() {
            return Err(ConfigError::new(Field::Shape, 0, Bound::Fixed, const { &C::RATE }));
        }
        self.settings.replace(&words);
        // The minimum may have grown, so the circuit becomes cold: until a call has been judged at or above the new
        // minimum, successes are judged too. Partner of this exchange: the one in `change` that warms the circuit. A
        // thread that judged by the old thresholds and warms after this exchange sees the new thresholds because of it, and
        // cools the circuit again. Without the exchange, the circuit could stay warm by a judgement under the old minimum.
        // In a state that records nothing, the word is exchanged for itself: a thread that closes the circuit after this
        // exchange sees the new settings by it.
        if Self::SHARES {
            self.cool();
        }
        Ok(())
    }
}
