//! The breaker and its permit.
//!
//! # Example
//!
//! ```
//! use microbreaker::{Breaker, Config, ManualClock, State, Streak};
//!
//! let clock = ManualClock::new();
//! let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(2), &clock);
//! breaker.acquire().unwrap().failure();
//! breaker.acquire().unwrap().failure();
//! assert_eq!(breaker.state(), State::Open);
//! assert!(breaker.acquire().is_err());
//! ```

mod admit;
pub(crate) mod call;
pub(crate) mod circuit;
mod deadline;
pub(crate) mod gate;
pub(crate) mod holder;
pub(crate) mod layer;
mod operate;
pub(crate) mod permit;
pub(crate) mod read;
mod report;
mod restart;
pub(crate) mod settle;
pub(crate) mod snapshot;
mod ticket;
pub(crate) mod timed;
mod transition;

use crate::clock::{Clock, SLACK_MAX};
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::config::live::Live;
use crate::config::policy::Policy;
use crate::config::source::{ConfigWords, Source};
use crate::machine::cell::Cell;
use crate::machine::scope::Scope;
use crate::machine::window::fixed::{Fixed, Folded};
use crate::machine::window::sealed::Sealed;
use crate::machine::window::{LiveWindow, Window};
use crate::machine::word::{Fresh, RUN_MAX, Word};
use crate::platform::atomics::{const_fn, initial};
use crate::terms::observer::Observer;

/// A circuit breaker. A window `W` tells it whether the peer is healthy, a clock `C` tells it the time, and it notifies
/// an observer `O`.
///
/// Share it by reference: every method takes `&self` and may be called from any thread or interrupt. A method takes a
/// bounded number of steps, apart from retries, and it retries only because another caller made progress. The breaker
/// holds no lock and allocates no memory.
#[derive(Debug)]
pub struct Breaker<W: Window, C, O = ()> {
    cell: Cell,
    settings: W::Settings,
    window: W,
    clock: C,
    observer: O,
}

impl<W: LiveWindow, C: Clock> Breaker<W, C> {
    const_fn! {
        /// A closed breaker without an observer.
        ///
        /// # Panics
        /// If the configuration cannot work. In a `const` or `static` this is an error at compile time.
        /// [`try_new`](Self::try_new) returns the error instead.
        pub const fn new(config: Config, clock: C) -> Self {
            Self::observed(config, clock, ())
        }
    }

    /// Like [`new`](Self::new), for settings that are only known at run time.
    pub fn try_new(config: Config, clock: C) -> Result<Self, ConfigError> {
        Self::try_observed(config, clock, ())
    }
}

impl<W: LiveWindow, C: Clock, O: Observer> Breaker<W, C, O> {
    const_fn! {
        /// A closed breaker with an observer.
        ///
        /// # Panics
        /// If the configuration cannot work. In a `const` or `static` this is an error at compile time.
        /// [`try_observed`](Self::try_observed) returns the error instead.
        pub const fn observed(config: Config, clock: C, observer: O) -> Self {
            match config.words(const { &C::RATE }, W::CAPACITY) {
                Ok(words) => Self::live(&words, clock, observer),
                Err(error) => panic!("{}", error.sentence()),
            }
        }
    }

    /// Like [`observed`](Self::observed), for settings that are only known at run time.
    pub fn try_observed(config: Config, clock: C, observer: O) -> Result<Self, ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        Ok(Self::live(&words, clock, observer))
    }

    const_fn! {
        const fn live(words: &ConfigWords, clock: C, observer: O) -> Self {
            const { assert!(C::SLACK <= SLACK_MAX, "a clock's SLACK may be at most 1023") };
            Self {
                cell: Cell::new(Word::INITIAL.counting(Self::fresh(words.shape().streak()))),
                settings: Live::new(words),
                window: initial!(take W),
                clock,
                observer,
            }
        }
    }
}

impl<W: LiveWindow, P: Policy, C: Clock> Breaker<Fixed<W, P>, C> {
    const_fn! {
        /// A closed breaker with the settings of the [`Policy`] `P`, without an observer. Settings that cannot work do not
        /// compile.
        pub const fn fixed(clock: C) -> Self {
            Self::fixed_observed(clock, ())
        }
    }
}

impl<W: LiveWindow, P: Policy, C: Clock, O: Observer> Breaker<Fixed<W, P>, C, O> {
    const_fn! {
        /// A closed breaker with the settings of the [`Policy`] `P`, and with an observer. Settings that cannot work do not
        /// compile.
        pub const fn fixed_observed(clock: C, observer: O) -> Self {
            const { assert!(C::SLACK <= SLACK_MAX, "a clock's SLACK may be at most 1023") };
            let fresh = Self::fresh(const { Folded::<W, P>::words::<C>().shape().streak() });
            Self {
                cell: Cell::new(Word::INITIAL.counting(fresh)),
                settings: Folded::NEW,
                window: initial!(take Fixed<W, P>),
                clock,
                observer,
            }
        }
    }
}

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Whether the window judges by shares, above a minimum of calls.
    pub(super) const SHARES: bool = W::SHARES;
    /// Whether there may be more than one probe.
    pub(super) const MANY: bool = <W::Settings as Source>::MANY;
    /// Whether there may be a ramp.
    pub(super) const RAMPS: bool = <W::Settings as Source>::RAMPS;
    /// Whether a closed circuit may remember its attempt.
    pub(super) const REMEMBERS: bool = <W::Settings as Source>::REMEMBERS;

    /// How a generation begins in which outcomes are counted, if a streak trips at `streak`.
    pub(super) const fn fresh(streak: u32) -> Fresh {
        if W::SHARES {
            Fresh::COLD
        } else if W::IN_WORD && streak > RUN_MAX {
            Fresh::ELSEWHERE
        } else {
            Fresh::EMPTY
        }
    }

    /// [`fresh`](Self::fresh), for the streak that is configured.
    #[inline(always)]
    pub(super) fn anew(&self) -> Fresh {
        Self::fresh(if W::IN_WORD { self.settings.shape::<C>().streak() } else { 0 })
    }

    /// Whether a streak is counted in the word.
    #[inline(always)]
    pub(super) fn counts_in_word(&self) -> bool {
        W::IN_WORD && self.settings.shape::<C>().streak() <= RUN_MAX
    }

    /// Whether something stands in the counts: results of probes, calls of a ramp, a run.
    #[inline(always)]
    pub(super) fn uses_counts(&self) -> bool {
        Self::MANY || Self::RAMPS || W::RUN_IN_COUNTS || W::IN_WORD && !self.counts_in_word()
    }

    /// The observer.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The clock.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    #[inline]
    pub(super) fn scope(&self, word: Word) -> Scope<'_, W::Settings, C> {
        Scope {
            cell: &self.cell,
            generation: word.generation(),
            settings: &self.settings,
            clock: &self.clock,
            level: if W::IN_WORD { 0 } else { word.level() },
        }
    }
}
