//! The modes that an operator switches a breaker to.

use crate::platform::named::named;

named! {
    #[names = "in small letters, as settings have it"]
    /// A mode that an operator switches a breaker to; see [`Breaker::switch`](crate::Breaker::switch).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Mode {
        /// The breaker decides which calls are admitted.
        #[default]
        On => "on",
        /// The breaker admits all calls and records nothing, as if it were not there (state
        /// [`disabled`](crate::State::Disabled)).
        Off => "off",
        /// The breaker rejects all calls, for maintenance (state [`forced_open`](crate::State::ForcedOpen)).
        Open => "open",
        /// The breaker changes its states as in mode on, but it admits the calls that it would reject. The permit of
        /// such a call counts nowhere; the breaker notifies the observer by
        /// [`on_would_reject`](crate::Observer::on_would_reject). So a new breaker can watch production before it is
        /// allowed to act.
        Shadow => "shadow",
    }
}
