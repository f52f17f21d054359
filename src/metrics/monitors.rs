//! The breakers that exporters show, and as which metrics (feature `std`).

use core::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::vec::Vec;

use crate::breaker::holder::Holder;
use crate::metrics::meter::Metered;
use crate::metrics::reading::Reading;

/// The breakers that exporters show. Cheap to clone: all clones are the same set, to which breakers may be added while it is
/// exported.
///
/// # Metrics
///
/// The same in all exporters, which are the features `prometheus`, `metrics` and `opentelemetry`:
///
/// | metric | labels | what |
/// | --- | --- | --- |
/// | `circuit_breaker_calls_total` | `name`, `outcome` | admitted calls that have ended: `success`, `failure`, `alive`, `ignored`, `cancelled`, `hold`, `latch` |
/// | `circuit_breaker_slow_calls_total` | `name` | successes and failures that were slow |
/// | `circuit_breaker_rejected_total` | `name` | calls rejected; by the tower layer also a readiness that failed and found no probe to count as |
/// | `circuit_breaker_would_reject_total` | `name` | calls admitted in shadow that would have been rejected |
/// | `circuit_breaker_transitions_total` | `name`, `from`, `to` | transitions; the seven that a breaker makes by itself from the start, others from their first |
/// | `circuit_breaker_state` | `name`, `state` | 1 for its state, 0 for the six others |
/// | `circuit_breaker_members` | `name`, `state` | the same of a `Registry`'s breakers: how many of this label are in each state |
/// | `circuit_breaker_open_seconds_total` | `name` | seconds in which all calls were rejected, or would have been but for shadow: open, latched, forced open |
/// | `circuit_breaker_probes_in_flight` | `name` | half-open probes that are out |
/// | `circuit_breaker_call_duration_seconds` | `name` | histogram of the calls of [timed](crate::metrics::Meter::timed) meters |
///
/// That makes 26 series a breaker, and 21 more where it is timed. `state` is what the breaker is when it is scraped: an open circuit whose time is over shows as open until somebody asks.
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
/// let stock: Breaker<Streak, _, Meter<4>> = Breaker::observed(Config::streak(3), StdClock::new(), Meter::new("stock"));
/// monitors.add(Arc::new(stock))?;
/// assert_eq!(monitors.readings().iter().map(|reading| reading.name).collect::<Vec<_>>(), ["payments", "stock"]);
/// # Ok::<(), microbreaker::metrics::DuplicateName>(())
/// ```
#[derive(Clone, Default)]
pub struct Monitors(Arc<RwLock<Set>>);

#[derive(Default)]
struct Set {
    shown: Vec<Monitor>,
    /// What a recorder may still show: the last reading of each.
    removed: Vec<Reading>,
}

impl Set {
    /// Forgets what was removed and had the series that this one has: those of its name, as a breaker or as a registry.
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
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a breaker, held by `&'static`, `Arc` or any other `Deref`. Its observer has a [`Meter`](crate::metrics::Meter). Not the
    /// member of a `Registry`, which it would hold for ever: for those there is `add_members`.
    ///
    /// An error if one of that name is there already: its series would be the same ones, and a scrape of both invalid.
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

    /// Forgets the breaker of this name, and lets go of what held it; `false` if there is none.
    pub fn remove(&self, name: &str) -> bool {
        // Read outside the lock, and dropped there, for it may be the last that held the breaker.
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

    /// The last readings of those that were removed since the last call: a recorder may still show them.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "who pushes must take back"))]
    pub(crate) fn removed(&self) -> Vec<Reading> {
        core::mem::take(&mut self.write().removed)
    }

    /// A reading of each, in the order they were added.
    pub fn readings(&self) -> Vec<Reading> {
        // Read outside the lock: an observer or a clock of a breaker may use this set.
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
