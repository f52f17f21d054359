//! A switch per breaker, thrown by hand while calls run.

use core::fmt;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::observe::Observer;
use crate::state::State;
use crate::window::Window;

/// What an operator wants of a breaker; see [`Breaker::switch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// It decides.
    #[default]
    On,
    /// It admits all and records nothing: as if it were not there.
    Off,
    /// It rejects all: maintenance.
    Open,
    /// It decides, and admits all the same; see [`Breaker::watch_only`].
    Shadow,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::On, Self::Off, Self::Open, Self::Shadow];

    /// The name in small letters, as settings have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Open => "open",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

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
