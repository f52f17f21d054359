//! Watching a breaker: hooks on transitions and per call.

use core::time::Duration;

use crate::terms::event::{CallReport, Event};
use crate::terms::rejected::RejectReason;

/// Watches a breaker. The breaker calls the hooks outside any loop. A hook may call the breaker, but it cannot change a
/// decision. Hooks should not panic: if a hook panics while a probe is admitted, the probe's slot stays taken until the
/// lease is over.
///
/// Each hook has an empty default. `()` watches nothing and costs nothing. A pair `(A, B)` notifies both observers, and
/// a reference notifies the observer that it refers to.
pub trait Observer {
    /// Whether the breaker prepares the data that only an observer needs: sums for events, a clock reading per failure.
    /// With `false`, [`on_event`](Self::on_event) and [`on_report`](Self::on_report) are never called.
    const WATCHES: bool = true;

    /// The breaker's name, for logs and metrics.
    #[expect(clippy::unnecessary_literal_bound, reason = "an implementation may own its name")]
    fn name(&self) -> &str {
        ""
    }

    /// The state changed. The thread that made the transition calls this exactly once.
    fn on_event(&self, event: &Event) {
        let _ = event;
    }

    /// A call was admitted; `probe` tells whether it is a half-open probe.
    fn on_permit(&self, probe: bool) {
        let _ = probe;
    }

    /// A call was rejected.
    fn on_reject(&self, reason: RejectReason) {
        let _ = reason;
    }

    /// In shadow, a call that would have been rejected was admitted.
    fn on_would_reject(&self, reason: RejectReason) {
        let _ = reason;
    }

    /// A call that would have been rejected for this reason was admitted by
    /// [`acquire_anyway`](crate::Breaker::acquire_anyway). [`on_permit`](Self::on_permit) follows.
    fn on_anyway(&self, reason: RejectReason) {
        let _ = reason;
    }

    /// A permit was reported or dropped.
    fn on_report(&self, report: &CallReport) {
        let _ = report;
    }

    /// Whether calls should be timed for [`on_elapsed`](Self::on_elapsed). With `std`, the crate asks this before each
    /// call that it makes. If the answer is `false`, it reads no clock for this purpose.
    fn times_calls(&self) -> bool {
        false
    }

    /// A call took this long. The code that made the call measured the time, because the breaker's clock is too coarse.
    fn on_elapsed(&self, elapsed: Duration) {
        let _ = elapsed;
    }
}

impl Observer for () {
    const WATCHES: bool = false;
}

impl<O: Observer + ?Sized> Observer for &O {
    const WATCHES: bool = O::WATCHES;

    fn name(&self) -> &str {
        (**self).name()
    }

    fn on_event(&self, event: &Event) {
        (**self).on_event(event);
    }

    fn on_permit(&self, probe: bool) {
        (**self).on_permit(probe);
    }

    fn on_reject(&self, reason: RejectReason) {
        (**self).on_reject(reason);
    }

    fn on_would_reject(&self, reason: RejectReason) {
        (**self).on_would_reject(reason);
    }

    fn on_anyway(&self, reason: RejectReason) {
        (**self).on_anyway(reason);
    }

    fn on_report(&self, report: &CallReport) {
        (**self).on_report(report);
    }

    fn times_calls(&self) -> bool {
        (**self).times_calls()
    }

    fn on_elapsed(&self, elapsed: Duration) {
        (**self).on_elapsed(elapsed);
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    const WATCHES: bool = A::WATCHES || B::WATCHES;

    fn name(&self) -> &str {
        let first = self.0.name();
        if first.is_empty() { self.1.name() } else { first }
    }

    fn on_event(&self, event: &Event) {
        self.0.on_event(event);
        self.1.on_event(event);
    }

    fn on_permit(&self, probe: bool) {
        self.0.on_permit(probe);
        self.1.on_permit(probe);
    }

    fn on_reject(&self, reason: RejectReason) {
        self.0.on_reject(reason);
        self.1.on_reject(reason);
    }

    fn on_would_reject(&self, reason: RejectReason) {
        self.0.on_would_reject(reason);
        self.1.on_would_reject(reason);
    }

    fn on_anyway(&self, reason: RejectReason) {
        self.0.on_anyway(reason);
        self.1.on_anyway(reason);
    }

    fn on_report(&self, report: &CallReport) {
        self.0.on_report(report);
        self.1.on_report(report);
    }

    fn times_calls(&self) -> bool {
        self.0.times_calls() || self.1.times_calls()
    }

    fn on_elapsed(&self, elapsed: Duration) {
        self.0.on_elapsed(elapsed);
        self.1.on_elapsed(elapsed);
    }
}
