//! Fallback chains: what to do when a call is rejected or fails.
//!
//! A chain has tiers: a first choice, second choices, a cached value, a degraded answer. [`Fallback`] asks them one
//! after the other, each through its own breaker, until one serves the call; [`Served`] says which [`Tier`] that was.

use core::future::Future;

/// Which tier of a chain served a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// The first choice.
    Primary,
    /// A second choice, with the number of its [`or`](Fallback::or) in the chain, from 1.
    Secondary(u8),
    /// A value kept from before.
    Cached,
    /// A substitute that says that there is no real answer.
    Degraded,
}

impl Tier {
    /// The name in small letters, as metrics want it. Every second choice has the same name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary(_) => "secondary",
            Self::Cached => "cached",
            Self::Degraded => "degraded",
        }
    }
}

/// The answer of a chain, the tier that served it, and the error of the tier above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served<T, E> {
    /// The answer.
    pub value: T,
    /// The tier it comes from.
    pub tier: Tier,
    /// The error of the last tier that was asked and failed before this one; `None` if the first choice served.
    pub error: Option<E>,
}

/// A chain of tiers under way: it holds an answer, or the error of the last tier that was asked.
///
/// A tier is asked only if all tiers above it failed. Let each tier make its call through a breaker of its own: a dead
/// primary then costs a rejection and not a timeout, and a dead secondary is not asked either. Each tier gets the error
/// of the tier above it, and [`Served::error`] keeps the last one. So all tiers need errors of one type: use `map_err`
/// where they differ. A chain spawns nothing, allocates nothing and runs no two tiers at once.
///
/// ```
/// use microbreaker::fallback::{Fallback, Tier};
/// use microbreaker::{Breaker, Config, Error, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static PRIMARY: Breaker<Streak, &ManualClock> = Breaker::new(Config::streak(1), &CLOCK);
/// static SECONDARY: Breaker<Streak, &ManualClock> = Breaker::new(Config::streak(1), &CLOCK);
///
/// fn rate(cached: Option<u32>) -> (u32, Tier) {
///     let served = Fallback::first(PRIMARY.call(|| "down".parse::<u32>()))
///         .or(|_| SECONDARY.call(|| "too".parse::<u32>()))
///         .cached(|_| cached)
///         .degraded(|_| 0);
///     (served.value, served.tier)
/// }
/// assert_eq!(rate(Some(7)), (7, Tier::Cached));
/// assert_eq!(rate(None), (0, Tier::Degraded));
/// ```
///
/// Asynchronous calls are awaited where they stand:
///
/// ```
/// # use microbreaker::fallback::{Fallback, Served};
/// # use microbreaker::{Breaker, Config, Error, ManualClock, Streak};
/// # static CLOCK: ManualClock = ManualClock::new();
/// # static PRIMARY: Breaker<Streak, &ManualClock> = Breaker::new(Config::streak(1), &CLOCK);
/// # static SECONDARY: Breaker<Streak, &ManualClock> = Breaker::new(Config::streak(1), &CLOCK);
/// # struct Fault;
/// # async fn ask(_: &str) -> Result<u32, Fault> { Ok(1) }
/// async fn rate() -> Result<Served<u32, Error<Fault>>, Error<Fault>> {
///     Fallback::first(PRIMARY.call_async(|| ask("here")).await)
///         .or_async(|_| SECONDARY.call_async(|| ask("there"))).await
///         .served()
/// }
/// # let _ = rate();
/// ```
///
/// Cancel safety: between two tiers the chain is a plain value. Within a tier, it is as cancel safe as the tier's own
/// call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a chain is asked for its answer: `served` or `degraded`"]
pub struct Fallback<T, E> {
    state: Result<Served<T, E>, E>,
    /// The number of second choices so far.
    seconds: u8,
}

impl<T, E> Fallback<T, E> {
    /// Begins a chain with the result of the first choice.
    pub fn first(result: Result<T, E>) -> Self {
        let state = result.map(|value| Served { value, tier: Tier::Primary, error: None });
        Self { state, seconds: 0 }
    }

    /// Another choice. It is asked if all tiers above it failed.
    pub fn or(self, call: impl FnOnce(&E) -> Result<T, E>) -> Self {
        let seconds = self.seconds.saturating_add(1);
        let state = match self.state {
            Ok(served) => Ok(served),
            Err(above) => {
                call(&above).map(|value| Served { value, tier: Tier::Secondary(seconds), error: Some(above) })
            }
        };
        Self { state, seconds }
    }

    /// [`or`](Self::or) for an asynchronous call. `call` makes its future only if all tiers above it failed.
    pub async fn or_async<F>(self, call: impl FnOnce(&E) -> F) -> Self
    where
        F: Future<Output = Result<T, E>>,
    {
        let result = match &self.state {
            Ok(_) => None,
            Err(above) => Some(call(above).await),
        };
        match result {
            // This choice is not asked, but it is counted, as in `or`.
            None => Self { seconds: self.seconds.saturating_add(1), ..self },
            Some(result) => self.or(|_| result),
        }
    }

    /// A value kept from before. It is looked up if all tiers above it failed, and serves the call if there is one.
    pub fn cached(self, look: impl FnOnce(&E) -> Option<T>) -> Self {
        let state = self.state.or_else(|above| match look(&above) {
            Some(value) => Ok(Served { value, tier: Tier::Cached, error: Some(above) }),
            None => Err(above),
        });
        Self { state, ..self }
    }

    /// [`cached`](Self::cached) for an asynchronous lookup.
    pub async fn cached_async<F>(self, look: impl FnOnce(&E) -> F) -> Self
    where
        F: Future<Output = Option<T>>,
    {
        let found = match &self.state {
            Ok(_) => None,
            Err(above) => look(above).await,
        };
        self.cached(|_| found)
    }

    /// The end of the chain, with a substitute that says that there is no real answer: an empty list, a static page.
    pub fn degraded(self, answer: impl FnOnce(&E) -> T) -> Served<T, E> {
        self.state.unwrap_or_else(|above| Served { value: answer(&above), tier: Tier::Degraded, error: Some(above) })
    }

    /// The end of the chain: the answer, or the error of the last tier that was asked.
    pub fn served(self) -> Result<Served<T, E>, E> {
        self.state
    }
}
