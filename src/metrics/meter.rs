//! An observer that counts what exporters show, and its reading (feature `std`).
//!
//! Calls are counted as [`Counters`] count them: each thread writes to 32-bit words of its own lane. Transitions are
//! counted under a mutex that only transitions and readings take, so a call of a breaker in a steady state never takes
//! it. A reading widens the words to 64 bits: it adds what they have grown since the reading before.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::breaker::Breaker;
use crate::clock::{Clock, TickRate, Ticks};
use crate::machine::window::Window;
use crate::metrics::counters::{Counters, Counts};
use crate::metrics::ledger::Ledger;
use crate::metrics::reading::{BUCKETS, Latency, Reading, States};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial, zeroed};
use crate::platform::lanes::{LaneCount, Lanes, Padded, lane};
use crate::terms::event::{CallReport, Event};
use crate::terms::observer::Observer;
use crate::terms::rejected::RejectReason;

/// An observer that counts everything that metrics need, for [`Breaker::reading`] and the exporters. `LANES` (1, 2, 4,
/// … 64) shards the words that each call writes; [`Lanes`] says which lane a thread writes to.
///
/// A call writes two words of its lane, and one more for each of these: it is a probe, it is slow, its report is stale.
/// A failure writes one more word, which all lanes share, and a timed call writes two or three more of its lane. A
/// transition takes a mutex for a few additions, and so does a reading. No call allocates (of a thread's first call,
/// [`Lanes`] says more).
///
/// ```
/// use microbreaker::metrics::Meter;
/// use microbreaker::{Breaker, Config, Observer, State, StdClock, Streak};
///
/// static PAYMENTS: Breaker<Streak, StdClock, Meter<8>> =
///     Breaker::observed(Config::database(), StdClock::new(), Meter::new("payments").timed());
///
/// assert_eq!(PAYMENTS.call(|| "7".parse::<u8>()), Ok(7));
///
/// let reading = PAYMENTS.reading();
/// assert_eq!((reading.name, reading.states.one(), reading.success), ("payments", Some(State::Closed), 1));
/// assert_eq!(reading.latency.unwrap().count(), 1);
/// ```
#[derive(Debug)]
pub struct Meter<const LANES: usize = 1>
where
    Lanes<LANES>: LaneCount,
{
    counters: Counters<LANES>,
    timed: bool,
    times: [Times<<Lanes<LANES> as Padded>::Padding>; LANES],
    ledger: Mutex<Ledger>,
}

/// One lane of the histogram.
#[derive(Debug)]
struct Times<P> {
    buckets: [AtomicU32; BUCKETS],
    /// The sum in nanoseconds: its lower half and its upper half.
    nanos: [AtomicU32; 2],
    _padding: P,
}

impl<const LANES: usize> Meter<LANES>
where
    Lanes<LANES>: LaneCount,
{
    const_fn! {
        /// A meter at zero, for a breaker of this name. The name must be fixed by the program or its configuration,
        /// never a key from a request.
        pub const fn new(name: &'static str) -> Self {
            Self {
                counters: Counters::new(name),
                timed: false,
                times: initial!(repeat LANES, Times {
                    buckets: zeroed!(BUCKETS),
                    nanos: zeroed!(2),
                    _padding: <Lanes<LANES> as Padded>::PADDING,
                }),
                ledger: Mutex::new(Ledger::NEW),
            }
        }
    }

    /// Has calls timed and keeps a histogram of their times. Without this, no call is timed and no histogram is
    /// exported.
    ///
    /// Calls that the crate makes are timed by `Instant`, from their permit to their result: those of
    /// [`call`](Breaker::call), [`call_async`](Breaker::call_async) and their variants,
    /// [`GuardExt::guarded`](crate::GuardExt::guarded), `Lazy` and `BreakerLayer` (a streamed response is timed up to
    /// its head). For a call that you report yourself, give the time by
    /// [`record_elapsed`](crate::Permit::record_elapsed), or by [`on_elapsed`](Observer::on_elapsed) before the report.
    /// A call that is dropped before it has a result is not timed. So a timeout around the guarded call hides the
    /// longest times, while a timeout inside the guarded call, which ends it with an error, does not.
    #[must_use]
    pub const fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// The underlying 32-bit counters. They also know the last failure.
    pub const fn counters(&self) -> &Counters<LANES> {
        &self.counters
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while the lock is held. If something did, the numbers would still be usable.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The histogram over all lanes: its buckets, and the sum in nanoseconds.
    fn times(&self) -> ([u32; BUCKETS], u64) {
        let (mut buckets, mut nanos) = ([0_u32; BUCKETS], 0_u64);
        // Relaxed: statistics; nothing is decided by them or published with them. The upper half of a sum is the
        // exception.
        for lane in &self.times {
            for (sum, bucket) in buckets.iter_mut().zip(&lane.buckets) {
                *sum = sum.wrapping_add(bucket.load(Ordering::Relaxed));
            }
            // Acquire, partner: the Release in `on_elapsed` that adds the carry. A reading that sees the carry also
            // sees the lower half that wrapped. Without this the sum could be 4.3 s too large, and would then stand
            // still for 4.3 s of calls. The sum may be too small, which is a benign race: the ledger then keeps the sum
            // of the last reading.
            let high = lane.nanos[1].load(Ordering::Acquire);
            let low = lane.nanos[0].load(Ordering::Relaxed);
            nanos = nanos.wrapping_add(u64::from(high) << 32 | u64::from(low));
        }
        (buckets, nanos)
    }
}

impl<const LANES: usize> Observer for Meter<LANES>
where
    Lanes<LANES>: LaneCount,
{
    fn name(&self) -> &str {
        self.counters.name()
    }

    fn on_event(&self, event: &Event) {
        self.counters.on_event(event);
        self.ledger().moved(event);
    }

    fn on_permit(&self, probe: bool) {
        self.counters.on_permit(probe);
    }

    fn on_reject(&self, reason: RejectReason) {
        self.counters.on_reject(reason);
    }

    fn on_would_reject(&self, reason: RejectReason) {
        self.counters.on_would_reject(reason);
    }

    fn on_anyway(&self, reason: RejectReason) {
        self.counters.on_anyway(reason);
    }

    fn on_report(&self, report: &CallReport) {
        self.counters.on_report(report);
    }

    fn times_calls(&self) -> bool {
        self.timed
    }

    fn on_elapsed(&self, elapsed: Duration) {
        if !self.timed {
            return;
        }
        let lane = &self.times[lane(LANES)];
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: see `times`.
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let low = nanos as u32;
        let carried = lane.nanos[0].fetch_add(low, Ordering::Relaxed).checked_add(low).is_none();
        // The sum wraps after 584 years of calls.
        let high = ((nanos >> 32) as u32).wrapping_add(u32::from(carried));
        if high > 0 {
            // Release, partner: the Acquire in `times`.
            lane.nanos[1].fetch_add(high, Ordering::Release);
        }
        lane.buckets[Latency::bucket(elapsed)].fetch_add(1, Ordering::Relaxed);
    }
}

/// An observer with a [`Meter`]: a meter, a reference to such an observer, or a pair whose first member is one. Sealed.
pub trait Metered: Observer + sealed::Sealed {}

impl<O: Observer + sealed::Sealed> Metered for O {}

mod sealed {
    use super::{TickRate, Ticks};
    use crate::metrics::reading::{Reading, States};

    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no `Meter`",
        note = "of a pair of observers, the first must have it"
    )]
    pub trait Sealed {
        #[doc(hidden)]
        fn read(&self, states: States, probes: u32, now: Ticks, rate: TickRate) -> Reading;
    }
}

impl<const LANES: usize> sealed::Sealed for Meter<LANES>
where
    Lanes<LANES>: LaneCount,
{
    fn read(&self, states: States, probes: u32, now: Ticks, rate: TickRate) -> Reading {
        // The words are read under the lock, so that each reading is of later words than the reading before, even if
        // another thread took that.
        let mut ledger = self.ledger();
        let Counts {
            success,
            failure,
            alive,
            ignored,
            cancelled,
            holds,
            latches,
            slow,
            rejected,
            would_reject,
            anyway,
            ..
        } = self.counters.counts();
        let [success, failure, alive, ignored, cancelled, hold, latch, slow, rejected, would_reject, anyway] = ledger
            .counts
            .read([success, failure, alive, ignored, cancelled, holds, latches, slow, rejected, would_reject, anyway]);
        let latency = self.timed.then(|| {
            let (buckets, nanos) = self.times();
            ledger.nanos = ledger.nanos.max(nanos);
            Latency { buckets: ledger.buckets.read(buckets), sum: Duration::from_nanos(ledger.nanos) }
        });
        Reading {
            name: self.counters.label(),
            states,
            probes_in_flight: probes,
            success,
            failure,
            alive,
            ignored,
            cancelled,
            hold,
            latch,
            slow,
            rejected,
            would_reject,
            anyway,
            transitions: ledger.transitions,
            open: duration(ledger.open_ticks(now), rate),
            latency,
        }
    }
}

/// The duration of any number of ticks, rounded down.
fn duration(ticks: u64, rate: TickRate) -> Duration {
    let (by, seconds) = rate.ratio();
    let nanos = u128::from(ticks) * u128::from(seconds) * 1_000_000_000 / u128::from(by);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl<M: sealed::Sealed> sealed::Sealed for &M {
    fn read(&self, states: States, probes: u32, now: Ticks, rate: TickRate) -> Reading {
        (**self).read(states, probes, now, rate)
    }
}

impl<M: sealed::Sealed, B> sealed::Sealed for (M, B) {
    fn read(&self, states: States, probes: u32, now: Ticks, rate: TickRate) -> Reading {
        self.0.read(states, probes, now, rate)
    }
}

impl<W: Window, C: Clock, O: Metered> Breaker<W, C, O> {
    /// Reads what the breaker's [`Meter`] has counted, and the present state. A reading is not a call, and changes no
    /// state.
    ///
    /// A meter that several breakers share counts for all of them. If these breakers use one clock, their open times
    /// are added up: three breakers that are open for a second make three seconds, so readings are due three times as
    /// often. The state and the probes are those of the breaker that is asked. Outside a `Registry`, give each breaker
    /// its own meter.
    pub fn reading(&self) -> Reading {
        let (state, probes) = self.state_and_probes();
        self.observer().read(States::One(state), probes.into(), self.clock().now(), C::RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    static RATE: TickRate = ManualClock::RATE;

    #[test]
    fn a_meters_words_wrap_unseen() {
        let meter = Meter::<1>::new("wraps").timed();
        // As if this many calls had been counted.
        let nearly = u32::MAX - 2;
        meter.times[0].buckets[0].fetch_add(nearly, Ordering::Relaxed);
        meter.ledger().buckets.read(meter.times().0);
        for _ in 0..5 {
            meter.on_elapsed(Duration::ZERO);
        }
        let (words, _) = meter.times();
        assert_eq!((words[0], meter.ledger().buckets.read(words)[0]), (2, u64::from(nearly) + 5));
    }

    #[test]
    fn a_meter_that_is_not_timed_writes_no_times() {
        let meter = Meter::<2>::new("not");
        meter.on_elapsed(Duration::from_secs(7));
        assert_eq!(meter.times(), ([0; BUCKETS], 0));
    }

    #[test]
    fn open_times_of_any_length_are_durations() {
        assert_eq!(duration(3, RATE), Duration::from_nanos(2_929_687));
        assert_eq!(duration(1024 << 40, RATE), Duration::from_nanos(u64::MAX), "past what nanoseconds hold");
        assert_eq!(duration(1024 << 20, RATE), Duration::from_secs(1 << 20));
    }
}
