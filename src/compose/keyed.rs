//! Breakers by key without a heap: one for each sensor, bus address or peer of a firmware.
//!
//! A [`Keyed`] is filled at the start and shared from then on. On a server, where keys come and go, use `registry`
//! (feature `registry`).

use core::borrow::Borrow;
use core::fmt;

use heapless::LinearMap;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::tally::Status;

/// Up to `N` breakers `B`, each with its key: one for each sensor, bus address or peer.
///
/// It is filled through `&mut` at the start. From then on it is shared, and any thread or interrupt reads it without a
/// lock, since only the breakers' own words change any more. A lookup compares one key after the other, so it is meant
/// for tens of keys.
///
/// ```
/// use microbreaker::keyed::Keyed;
/// use microbreaker::{Breaker, Config, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
///
/// let mut sensors: Keyed<u8, Breaker<Streak, _>, 4> = Keyed::new();
/// for address in [0x48, 0x49, 0x4A] {
///     sensors.insert(address, Breaker::new(Config::streak(3), &CLOCK)).expect("four fit");
/// }
/// let sensors = &sensors; // to a `StaticCell`, in firmware
/// sensors.get(&0x49).unwrap().acquire().unwrap().failure();
/// let failed = |(address, status): (&u8, microbreaker::Status)| (status.tally.failed > 0).then_some(*address);
/// assert_eq!(sensors.statuses().find_map(failed), Some(0x49));
/// ```
pub struct Keyed<K, B, const N: usize> {
    map: LinearMap<K, B, N>,
}

impl<K, B, const N: usize> Keyed<K, B, N> {
    /// A map without breakers.
    pub const fn new() -> Self {
        Self { map: LinearMap::new() }
    }
}

impl<K, B, const N: usize> Default for Keyed<K, B, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq, W: Window, C: Clock, O: Observer, const N: usize> Keyed<K, Breaker<W, C, O>, N> {
    /// Adds a breaker. If it cannot be added, the error gives the key and the breaker back. A present breaker is never
    /// replaced, since its state would be lost.
    pub fn insert(&mut self, key: K, breaker: Breaker<W, C, O>) -> Result<(), InsertError<K, Breaker<W, C, O>>> {
        if self.map.contains_key(&key) {
            return Err(InsertError::Duplicate(key, breaker));
        }
        match self.map.insert(key, breaker) {
            Ok(_) => Ok(()),
            Err((key, breaker)) => Err(InsertError::Full(key, breaker)),
        }
    }

    /// The breaker of `key`, if it has one.
    pub fn get<Q>(&self, key: &Q) -> Option<&Breaker<W, C, O>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.map.get(key)
    }

    /// Every key and its breaker, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Breaker<W, C, O>)> {
        self.map.iter()
    }

    /// Every key and its breaker's status, each read as the iterator comes to it.
    pub fn statuses(&self) -> impl Iterator<Item = (&K, Status)> {
        self.iter().map(|(key, breaker)| (key, breaker.status()))
    }

    /// How many breakers there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no breaker.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<K: fmt::Debug + Eq, B: fmt::Debug, const N: usize> fmt::Debug for Keyed<K, B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

/// Why a breaker was not added to a [`Keyed`], with the key and the breaker.
#[derive(Debug)]
#[non_exhaustive]
pub enum InsertError<K, B> {
    /// All places are taken.
    Full(K, B),
    /// The key has a breaker already.
    Duplicate(K, B),
}

impl<K, B> fmt::Display for InsertError<K, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(..) => "all places for breakers are taken",
            Self::Duplicate(..) => "the key has a breaker already",
        })
    }
}

impl<K: fmt::Debug, B: fmt::Debug> core::error::Error for InsertError<K, B> {}
