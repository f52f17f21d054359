//! The set of breakers that exporters show, and the list of metrics (feature `std`).

use core::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::vec::Vec;

use crate::breaker::holder::Holder;
use crate::metrics::meter::Metered;
use crate::metrics::reading::Reading;

/// The set of breakers that exporters show. It is cheap to clone: all clones are the same set. Breakers may be added
/// while it is exported.
///
/// # Metrics
///
/// All exporters (the features `prometheus`, `metrics` and `opentelemetry`) show the same metrics:
///
/// | metric | labels | what |
/// | --- | --- | --- |
/// | `circuit_breaker_calls_total` | `name`, `outcome` | admitted calls that have ended: `success`, `failure`, `alive`, `ignored`, `cancelled`, `hold`, `latch` |
/// | `circuit_breaker_slow_calls_total` | `name` | successes and failures that were slow |
/// | `circuit_breaker_rejected_total` | `name` | calls rejected. The tower layer also counts here each error of the inner service's readiness, if the circuit admitted no call for it |
/// | `circuit_breaker_would_reject_total` | `name` | calls admitted in shadow that would have been rejected |
/// | `circuit_breaker_anyway_total` | `name` | calls admitted by [`acquire_anyway`](crate::Breaker::acquire_anyway) that would have been rejected |
/// | `circuit_breaker_transitions_total` | `name`, `from`, `to` | transitions; the seven that a breaker makes by itself are shown from the start, each other one from its first |
/// | `circuit_breaker_state` | `name`, `state` | 1 for the present state, 0 for the six others |
/// | `circuit_breaker_members` | `name`, `state` | in place of `circuit_breaker_state` for a `Registry`: how many breakers of this label are in each state |
/// | `circuit_breaker_open_seconds_total` | `name` | seconds in which all calls were rejected (open, latched, forced open), or in shadow would have been |
/// | `circuit_breaker_probes_in_flight` | `name` | half-open probes in flight |
/// | `circuit_breaker_call_duration_seconds` | `name` | histogram of the calls of [timed](crate::metrics::Meter::timed) meters |
///
/// That makes 27 series for each breaker, and 21 more if its calls are timed. `state` is the state when the breaker is
/// scraped: an open circuit whose time is over shows as open until a caller asks.
/// In Prometheus, the 95th percentile of each breaker over five minutes is
/// `histogram_quantile(0.95, sum by (name, le) (rate(circuit_breaker_call_duration_seconds_bucket[5m])))`.
///
/// ```
/// use std::sync::Arc;
/// use microbreaker::metrics::{Meter, Monitors};
/// use microbreaker::{Breaker, Config, StdClock, Streak};
///
/// static PAYMENTS: Breaker<Streak, StdClock, Meter> =
///     Breaker::observed(Config::database(), StdClock::new(), Meter::new("payments"));
///
/// let monitors = Monitors::new();
/// monitors.add(&PAYMENTS)?;
/// let stock: Breaker<Streak, _, Meter<4>> =
///     Breaker::observed(Config::streak(3), StdClock::new(), Meter::new("stock"));
/// monitors.add(Arc::new(stock))?;
/// assert_eq!(monitors.readings().iter().map(|reading| reading.name).collect::<Vec<_>>(), ["payments", "stock"]);
/// # Ok::<(), microbreaker::metrics::DuplicateName>(())
/// ```
#[derive(Clone, Default)]
pub struct Monitors(Arc<RwLock<Set>>);

#[derive(Default)]
struct Set {
    shown: Vec<Monitor>,
    /// The last readings of removed breakers, which a recorder may still show.
    removed: Vec<Reading>,
}

impl Set {
    /// Forgets removed readings that have the same series as this one: the same name, both of a breaker or both of a
    /// registry.
    fn forget_series_of(&mut self, reading: &Reading) {
        let series = |reading: &Reading| (reading.name, reading.states.one().is_some());
        self.removed.retain(|removed| series(removed) != series(reading));
    }
}

#[derive(Clone)]
struct Monitor {
    name: &'static str,
    read: Arc<Read>,
}

type Read = dyn Fn() -> Reading + Send + Sync;

impl Monitors {
    /// A set without breakers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a breaker, held by `&'static`, `Arc` or any other `Deref`. Its observer must have a
    /// [`Meter`](crate::metrics::Meter). Do not add a member of a `Registry`, since the set would hold it for ever: use
    /// `add_members`.
    ///
    /// It is an error if that name is monitored already: both breakers would have the same series, and a scrape would
    /// be invalid.
    pub fn add<H>(&self, breaker: H) -> Result<(), DuplicateName>
    where
        H: Holder<Observer: Metered> + Send + Sync + 'static,
    {
        self.add_read(Arc::new(move || breaker.breaker().reading()))
    }

    pub(crate) fn add_read(&self, read: Arc<Read>) -> Result<(), DuplicateName> {
        let first = read();
        let mut set = self.write();
        if set.shown.iter().any(|monitor| monitor.name == first.name) {
            return Err(DuplicateName(first.name));
        }
        set.forget_series_of(&first);
        set.shown.push(Monitor { name: first.name, read });
        Ok(())
    }

    /// Removes the breaker of this name and drops its holder; `false` if there is none.
    pub fn remove(&self, name: &str) -> bool {
        // The breaker is read and its holder is dropped outside the lock: the holder may be the last one, and then the
        // breaker is dropped too.
        let Some(gone) = self.shown().into_iter().find(|monitor| monitor.name == name) else { return false };
        let last = (gone.read)();
        let mut set = self.write();
        let Some(at) = set.shown.iter().position(|monitor| Arc::ptr_eq(&monitor.read, &gone.read)) else {
            return false;
        };
        set.shown.remove(at);
        set.forget_series_of(&last);
        set.removed.push(last);
        true
    }

    /// The last readings of breakers that were removed since the last call; a recorder may still show them.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "who pushes must take back"))]
    pub(crate) fn removed(&self) -> Vec<Reading> {
        core::mem::take(&mut self.write().removed)
    }

    /// A reading of each breaker, in the order in which they were added.
    pub fn readings(&self) -> Vec<Reading> {
        // The breakers are read outside the lock: an observer or a clock of a breaker may use this set.
        self.shown().iter().map(|monitor| (monitor.read)()).collect()
    }

    fn shown(&self) -> Vec<Monitor> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Set> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown().iter().map(|monitor| monitor.name)).finish()
    }
}

/// A breaker of this name is monitored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateName(pub &'static str);

impl fmt::Display for DuplicateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a breaker of the name {:?} is monitored already", self.0)
    }
}

impl core::error::Error for DuplicateName {}
