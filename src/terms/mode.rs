//! What an operator wants of a breaker.

use crate::platform::named::named;

named! {
    #[names = "in small letters, as settings have it"]
    /// What an operator wants of a breaker; see [`Breaker::switch`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Mode {
        /// It decides.
        #[default]
        On => "on",
        /// It admits all and records nothing: as if it were not there.
        Off => "off",
        /// It rejects all: maintenance.
        Open => "open",
        /// It decides, and admits all the same; see [`Breaker::watch_only`].
        Shadow => "shadow",
    }
}
