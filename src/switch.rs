//! A switch per breaker, thrown by hand while calls run.

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;
use crate::terms::state::State;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Throws the switch. To the mode that it is in it does nothing: an open circuit that is switched on stays open, and
    /// its window is kept. From off or open to on or shadow it begins anew, closed.
    ///
    /// It is two moves, the state's and the shadow's, in an order by which no call is rejected on the way between modes
    /// that admit it. Serialise operators: of two at once, each may have one of the two.
    pub fn switch(&self, mode: Mode) {
        match mode {
            Mode::On => {
                self.begin();
                self.enforce();
            }
            Mode::Off => {
                self.disable();
                self.enforce();
            }
            Mode::Open => {
                self.force_open();
                self.enforce();
            }
            Mode::Shadow => {
                self.watch_only();
                self.begin();
            }
        }
    }

    /// The mode it is in. Two loads: while it is being switched, either may be the older.
    pub fn mode(&self) -> Mode {
        match self.state() {
            State::Disabled => Mode::Off,
            _ if self.is_watch_only() => Mode::Shadow,
            State::ForcedOpen => Mode::Open,
            _ => Mode::On,
        }
    }

    /// Ends forced open and disabled. Only a hand begins and ends them, so that the look and the reset may be two steps.
    fn begin(&self) {
        if matches!(self.state(), State::ForcedOpen | State::Disabled) {
            self.reset();
        }
    }
}
