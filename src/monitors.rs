//! The breakers that exporters show, and as which metrics (feature `std`).

use core::fmt;
use core::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::vec::Vec;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::meter::{Metered, Reading};
use crate::window::Window;

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
/// | `circuit_breaker_rejected_total` | `name` | calls rejected |
/// | `circuit_breaker_would_reject_total` | `name` | calls admitted in shadow that would have been rejected |
/// | `circuit_breaker_transitions_total` | `name`, `from`, `to` | transitions; the seven that a breaker makes by itself from the start, others from their first |
/// | `circuit_breaker_state` | `name`, `state` | 1 for its state, 0 for the six others |
/// | `circuit_breaker_members` | `name`, `state` | the same of a `Registry`'s breakers: how many of this label are in each state |
/// | `circuit_breaker_open_seconds_total` | `name` | seconds in which all calls were rejected, or would have been but for shadow: open, latched, forced open |
/// | `circuit_breaker_probes_in_flight` | `name` | half-open probes that are out |
/// | `circuit_breaker_call_duration_seconds` | `name` | histogram of what [`Observer::on_elapsed`](crate::Observer::on_elapsed) was told, of [timed](crate::Meter::timed) meters |
///
/// That makes 26 series a breaker, and 21 more where it is timed. `state` is what the breaker is when it is scraped: an open circuit whose time is over shows as open until somebody asks.
/// In Prometheus, the 95th percentile of each breaker over five minutes is
/// `histogram_quantile(0.95, sum by (name, le) (rate(circuit_breaker_call_duration_seconds_bucket[5m])))`.
///
/// ```
/// use std::sync::Arc;
/// use microbreaker::{Breaker, Config, Meter, Monitors, StdClock, Streak};
///
/// static PAYMENTS: Breaker<Streak, StdClock, Meter> =
///     Breaker::observed(Config::database(), StdClock::new(), Meter::new("payments"));
///
/// let monitors = Monitors::new();
/// monitors.add(&PAYMENTS)?;
/// let stock: Breaker<Streak, _, Meter<4>> = Breaker::observed(Config::streak(3), StdClock::new(), Meter::new("stock"));
/// monitors.add(Arc::new(stock))?;
/// assert_eq!(monitors.readings().iter().map(|reading| reading.name).collect::<Vec<_>>(), ["payments", "stock"]);
/// # Ok::<(), microbreaker::DuplicateName>(())
/// ```
#[derive(Clone, Default)]
pub struct Monitors(Arc<RwLock<Vec<Monitor>>>);

#[derive(Clone)]
struct Monitor {
    /// As it was added: it says which series there are.
    first: Reading,
    /// `None`: removed, and not yet [forgotten](Monitors::removed).
    read: Option<Arc<Read>>,
}

type Read = dyn Fn() -> Reading + Send + Sync;

impl Monitors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a breaker, held by `&'static`, `Arc` or any other `Deref`. Its observer has a [`Meter`](crate::Meter). Not the
    /// member of a `Registry`, which it would hold for ever: for those there is `add_members`.
    ///
    /// An error if one of that name is there already: its series would be the same ones, and a scrape of both invalid.
    pub fn add<H, W, C, O>(&self, breaker: H) -> Result<(), DuplicateName>
    where
        H: Deref<Target = Breaker<W, C, O>> + Send + Sync + 'static,
        W: Window,
        C: Clock,
        O: Metered,
    {
        self.add_read(Arc::new(move || breaker.reading()))
    }

    pub(crate) fn add_read(&self, read: Arc<Read>) -> Result<(), DuplicateName> {
        let first = read();
        let mut monitors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if monitors.iter().any(|monitor| monitor.first.name == first.name && monitor.read.is_some()) {
            return Err(DuplicateName(first.name));
        }
        monitors.retain(|monitor| monitor.first.name != first.name);
        monitors.push(Monitor { first, read: Some(read) });
        Ok(())
    }

    /// Forgets the breaker of this name, and lets go of what held it; `false` if there is none.
    pub fn remove(&self, name: &str) -> bool {
        let mut monitors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let found =
            monitors.iter_mut().find(|monitor| monitor.first.name == name).and_then(|monitor| monitor.read.take());
        // What held it may be the last to: it is dropped outside the lock.
        drop(monitors);
        found.is_some()
    }

    /// What was removed since the last call, as it was added: a recorder may still show it.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "who pushes must take back"))]
    pub(crate) fn removed(&self) -> Vec<Reading> {
        let mut monitors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let gone = monitors.iter().filter(|monitor| monitor.read.is_none()).map(|monitor| monitor.first).collect();
        monitors.retain(|monitor| monitor.read.is_some());
        gone
    }

    /// A reading of each, in the order they were added.
    pub fn readings(&self) -> Vec<Reading> {
        // Read outside the lock: an observer or a clock of a breaker may use this set.
        let monitors = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        monitors.iter().filter_map(|monitor| monitor.read.as_ref()).map(|read| read()).collect()
    }
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let monitors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(monitors.iter().filter(|at| at.read.is_some()).map(|at| at.first.name)).finish()
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
