//! What an operator wants of a breaker.

use crate::platform::named::named;

named! {
    #[names = "in small letters, as settings have it"]
    /// What an operator wants of a breaker; see [`Breaker::switch`](crate::Breaker::switch).
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
        /// The machine runs exactly as it would, but a call that it would reject is admitted, on a permit that counts
        /// nowhere except in the observer's [`on_would_reject`](crate::Observer::on_would_reject). So a new breaker can
        /// watch production before it is allowed to act.
        Shadow => "shadow",
    }
}
