//! What an operator wants of a breaker.

use core::fmt;

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
