//! Watching a breaker: hooks on transitions and per call.

use core::time::Duration;

use crate::terms::event::{CallReport, Event};
use crate::terms::rejected::RejectReason;

/// Watches a breaker. Hooks are called outside any loop, may call the breaker, and cannot change a decision. They
/// should not panic: one that does while a probe is admitted leaves its slot taken until the lease is over.
///
/// Each has an empty default. `()` watches nothing and costs nothing. A pair `(A, B)` watches with both, a reference
/// with what it refers to.
pub trait Observer {
    /// `false` spares the breaker what only an observer needs: sums for events, a clock reading per failure.
    const WATCHES: bool = true;

    /// The breaker's name, for logs and metrics.
    #[expect(clippy::unnecessary_literal_bound, reason = "an implementation may own its name")]
    fn name(&self) -> &str {
        ""
    }

    /// The state changed. Exactly once per transition, by its winner.
    fn on_event(&self, event: &Event) {
        let _ = event;
    }

    /// A call was admitted; `probe` if half-open.
    fn on_permit(&self, probe: bool) {
        let _ = probe;
    }

    /// A call was rejected.
    fn on_reject(&self, reason: RejectReason) {
        let _ = reason;
    }

    /// In shadow, a call was admitted that would have been rejected.
    fn on_would_reject(&self, reason: RejectReason) {
        let _ = reason;
    }

    /// A permit was reported or dropped.
    fn on_report(&self, report: &CallReport) {
        let _ = report;
    }

    /// Whether calls should be timed, for [`on_elapsed`](Self::on_elapsed). Who makes calls (the crate, with `std`) asks
    /// this before each, and where the answer is no reads no clock for it.
    fn times_calls(&self) -> bool {
        false
    }

    /// A call took this long. Not by the breaker's clock, which is too coarse: as who made the call measured it.
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
