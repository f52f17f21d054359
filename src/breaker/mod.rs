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
pub(crate) mod gate;
pub(crate) mod holder;
mod operate;
mod period;
pub(crate) mod permit;
pub(crate) mod read;
mod report;
mod restart;
pub(crate) mod settle;
pub(crate) mod snapshot;
mod ticket;
pub(crate) mod timed;
mod transition;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::config::live::{ConfigWords, Live, Shape};
use crate::machine::control::{ControlWord, StateCell};
use crate::machine::probes::Probes;
use crate::machine::scope::Scope;
use crate::machine::timer::Timer;
use crate::machine::window::Window;
use crate::platform::atomics::{const_fn, initial};
use crate::terms::observer::Observer;

/// A circuit breaker. A window `W` tells it whether the peer is healthy, a clock `C` tells it the time, and it notifies
/// an observer `O`.
///
/// Share it by reference: every method takes `&self` and may be called from any thread or interrupt. A method takes a
/// bounded number of steps, apart from retries, and it retries only because another caller made progress. The breaker
/// holds no lock and allocates no memory.
#[derive(Debug)]
pub struct Breaker<W, C, O = ()> {
    state: StateCell,
    live: Live,
    timer: Timer,
    probes: Probes,
    shape: Shape,
    window: W,
    clock: C,
    observer: O,
}

impl<W: Window, C: Clock> Breaker<W, C> {
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

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    const_fn! {
        /// A closed breaker with an observer.
        ///
        /// # Panics
        /// If the configuration cannot work. In a `const` or `static` this is an error at compile time.
        /// [`try_observed`](Self::try_observed) returns the error instead.
        pub const fn observed(config: Config, clock: C, observer: O) -> Self {
            match config.words(const { &C::RATE }, W::CAPACITY) {
                Ok(words) => Self::assemble(&words, clock, observer),
                Err(error) => panic!("{}", error.sentence()),
            }
        }
    }

    /// Whether a generation begins cold: whether its successes are judged until the minimum of calls is reached.
    pub(super) const COLD: bool = W::SHARES;

    const_fn! {
        pub(super) const fn assemble(words: &ConfigWords, clock: C, observer: O) -> Self {
            Self {
                state: StateCell::new(Self::COLD),
                live: Live::new(words),
                timer: Timer::new(),
                probes: Probes::new(),
                shape: words.shape,
                window: initial!(take W),
                clock,
                observer,
            }
        }
    }

    /// Like [`observed`](Self::observed), for settings that are only known at run time.
    pub fn try_observed(config: Config, clock: C, observer: O) -> Result<Self, ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        Ok(Self::assemble(&words, clock, observer))
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
    pub(super) fn scope(&self, word: ControlWord) -> Scope<'_, C> {
        Scope {
            state: &self.state,
            generation: word.generation(),
            live: &self.live,
            shape: &self.shape,
            clock: &self.clock,
            level: word.level(),
        }
    }
}
