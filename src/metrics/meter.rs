//! An observer that counts what exporters show, and its reading (feature `std`).
//!
//! Calls are counted as [`Counters`] do: in 32-bit words of one's own lane. Transitions are counted under a mutex that
//! nobody else ever takes but a reading; a call of a breaker in a steady state never meets it. A reading widens the words to
//! 64 bits by what they grew since the last one.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::breaker::Breaker;
use crate::clock::{Clock, TickRate, Ticks};
use crate::machine::window::Window;
use crate::metrics::counters::{Counters, Counts};
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial, zeroed};
use crate::platform::lanes::{LaneCount, Lanes, Padded, lane};
use crate::terms::event::{Event, Report};
use crate::terms::observer::Observer;
use crate::terms::rejected::RejectReason;
use crate::terms::state::State;

const STATES: usize = State::ALL.len();
const BUCKETS: usize = Latency::BOUNDS.len() + 1;

/// An observer that counts what metrics are made of, for [`Breaker::reading`] and the exporters. `LANES` (1, 2, 4, … 64)
/// shards what is written per call.
///
/// A call writes two words of its lane, a failure one more that all lanes share, and a call that is timed two or three. A
/// transition takes a mutex for some additions, and so does a reading. No call allocates.
///
/// ```
/// use microbreaker::{Breaker, Config, Meter, Observer, StdClock, State, Streak};
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
    /// The sum in nanoseconds: its lower half, and what that carried.
    nanos: [AtomicU32; 2],
    _padding: P,
}

impl<const LANES: usize> Meter<LANES>
where
    Lanes<LANES>: LaneCount,
{
    const_fn! {
        /// Zero, for a breaker of this name: a configured one that stays the same, never a key out of a request.
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

    /// Has calls timed, and keeps a histogram of it. Without, nothing is timed or exported.
    ///
    /// Calls that the crate makes are timed by `Instant` from their permit to their result: [`call`](Breaker::call),
    /// [`call_async`](Breaker::call_async) and their kin, [`Guard::guarded`](crate::Guard::guarded), `Lazy` and
    /// `BreakerLayer` (so a streamed answer up to its head). Of those reported by hand the time is known if it is given:
    /// [`record_elapsed`](crate::Permit::record_elapsed), or [`on_elapsed`](Observer::on_elapsed) before the report. A call
    /// that is dropped before it has a result is not timed, so a timeout around it cuts the longest times off; one inside
    /// of it, which makes an error of them, does not.
    #[must_use]
    pub const fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// The counters below, in the 32 bits that they have; the last failure is there.
    pub const fn counters(&self) -> &Counters<LANES> {
        &self.counters
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while it is held; if something did, numbers would still be numbers.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The histogram's words: its buckets, and the sum in nanoseconds.
    fn times(&self) -> ([u32; BUCKETS], u64) {
        let (mut buckets, mut nanos) = ([0_u32; BUCKETS], 0_u64);
        // Relaxed: statistics; nothing is decided by them or published with them. But for a sum's upper half, below.
        for lane in &self.times {
            for (sum, bucket) in buckets.iter_mut().zip(&lane.buckets) {
                *sum = sum.wrapping_add(bucket.load(Ordering::Relaxed));
            }
            // Acquire, partner: the Release of what carries. Who sees the carry sees the lower half that wrapped; else, the
            // sum could come out 4.3 s too large, and stay so for as long. Too small it may be: the ledger keeps to the last.
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

    fn on_report(&self, report: &Report) {
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
        // Wraps after 584 years of calls.
        let high = ((nanos >> 32) as u32).wrapping_add(u32::from(carried));
        if high > 0 {
            // Release, partner: the Acquire in `times`.
            lane.nanos[1].fetch_add(high, Ordering::Release);
        }
        lane.buckets[Latency::bucket(elapsed)].fetch_add(1, Ordering::Relaxed);
    }
}

/// What a transition and a reading share.
#[derive(Debug)]
struct Ledger {
    transitions: [[u64; STATES]; STATES],
    /// How often it began to reject all calls, less how often it ceased to: 0 or 1, and for a moment −1 or 2, since two
    /// winners may tell in either order.
    rejecting: i32,
    /// The ticks at which it ceased to, less those at which it began, modulo 2³²: sums, so that no order matters.
    balance: u32,
    /// What the last reading made of it, modulo 2³² and whole.
    open: (u32, u64),
    counts: Wide<10>,
    buckets: Wide<BUCKETS>,
    nanos: u64,
}

impl Ledger {
    const NEW: Self = Self {
        transitions: [[0; STATES]; STATES],
        rejecting: 0,
        balance: 0,
        open: (0, 0),
        counts: Wide::NEW,
        buckets: Wide::NEW,
        nanos: 0,
    };

    fn moved(&mut self, event: &Event) {
        self.transitions[event.from as usize][event.to as usize] += 1;
        let (from, to) = (rejects_all(event.from), rejects_all(event.to));
        self.rejecting += i32::from(to) - i32::from(from);
        self.balance = match (from, to) {
            (false, true) => self.balance.wrapping_sub(event.at.count()),
            (true, false) => self.balance.wrapping_add(event.at.count()),
            _ => self.balance,
        };
    }

    /// Ticks in which all calls were rejected, until `now`.
    fn open_ticks(&mut self, now: Ticks) -> u64 {
        let present = self.balance.wrapping_add(now.count().wrapping_mul(self.rejecting.cast_unsigned()));
        let grown = present.wrapping_sub(self.open.0);
        // Behind the last reading: of two winners one read the clock late, or it told first. It will catch up.
        if grown < 1 << 31 {
            self.open = (present, self.open.1 + u64::from(grown));
        }
        self.open.1
    }
}

const fn rejects_all(state: State) -> bool {
    matches!(state, State::Open | State::Latched | State::ForcedOpen)
}

/// 32-bit words that wrap, as 64-bit ones that do not.
#[derive(Debug)]
struct Wide<const N: usize> {
    last: [u32; N],
    total: [u64; N],
}

impl<const N: usize> Wide<N> {
    const NEW: Self = Self { last: [0; N], total: [0; N] };

    fn read(&mut self, words: [u32; N]) -> [u64; N] {
        for ((total, last), word) in self.total.iter_mut().zip(&mut self.last).zip(words) {
            *total += u64::from(word.wrapping_sub(*last));
            *last = word;
        }
        self.total
    }
}

/// In which state a breaker is, or how many of several are in which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// That of a breaker on its own.
    One(State),
    /// How many breakers of a `Registry` are in each state, by [`State`]'s number.
    Members([u32; STATES]),
}

impl States {
    /// That of a breaker on its own.
    pub const fn one(&self) -> Option<State> {
        match *self {
            Self::One(state) => Some(state),
            Self::Members(_) => None,
        }
    }

    /// How many are in this one.
    pub const fn count(&self, state: State) -> u32 {
        match *self {
            Self::One(one) => (one as u8 == state as u8) as u32,
            Self::Members(counts) => counts[state as usize],
        }
    }
}

/// What a [`Meter`] counted and what its breaker is, at one moment.
///
/// Each number is exact and never falls, provided that readings are taken at least every 2³² calls, and every 2³¹ ticks (24
/// days at 1024 Hz) of an open circuit. Else what is missing in the end is a multiple of 2³² of them, and the open time may
/// stand still until it is one. Together they are read one after the other while calls go on, the state first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The breaker's name, or the label of a registry's breakers.
    pub name: &'static str,
    /// The state, or of how many. An open circuit whose time is over still shows as open: it moves when somebody asks.
    pub states: States,
    /// Half-open probes that are out.
    pub probes_in_flight: u32,
    /// Calls reported as a success, slow ones included.
    pub success: u64,
    /// Calls reported as a failure.
    pub failure: u64,
    /// Calls reported alive.
    pub alive: u64,
    /// Calls reported as ignored.
    pub ignored: u64,
    /// Permits dropped without a report.
    pub cancelled: u64,
    /// Calls that ended in a hold.
    pub hold: u64,
    /// Calls that ended in a latch.
    pub latch: u64,
    /// Calls, successful or failed, that were slow.
    pub slow: u64,
    /// Calls rejected.
    pub rejected: u64,
    /// Calls admitted in shadow that would have been rejected.
    pub would_reject: u64,
    /// Transitions from each state to each, by [`State`]'s number: see [`transitions`](Self::transitions).
    pub transitions: [[u64; STATES]; STATES],
    /// For how long in all it rejected every call: open, latched or forced open. In shadow too, where it would have. A
    /// transition counts from when its winner read the clock: late by as long as that one was stopped just before.
    pub open: Duration,
    /// How long calls took, if they are [timed](Meter::timed).
    pub latency: Option<Latency>,
}

impl Reading {
    /// Transitions from one state to another.
    pub const fn transitions(&self, from: State, to: State) -> u64 {
        self.transitions[from as usize][to as usize]
    }
}

/// How long calls took: a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// Calls by the first of the [`BOUNDS`](Self::BOUNDS) that they did not exceed; at last those that exceeded all.
    pub buckets: [u64; BUCKETS],
    /// The sum of all times. It may be a reading older than the buckets.
    pub sum: Duration,
}

impl Latency {
    /// What bounds the buckets from above, inclusive: 1, 2 and 5 of each decade, from 100 µs to 50 s.
    pub const BOUNDS: [Duration; 18] = {
        let mut bounds = [Duration::ZERO; 18];
        let (mut at, mut micros) = (0, 100);
        while at < bounds.len() {
            bounds[at] = Duration::from_micros(micros);
            bounds[at + 1] = Duration::from_micros(2 * micros);
            bounds[at + 2] = Duration::from_micros(5 * micros);
            (at, micros) = (at + 3, 10 * micros);
        }
        bounds
    };

    fn bucket(elapsed: Duration) -> usize {
        Self::BOUNDS.partition_point(|&bound| bound < elapsed)
    }

    /// Calls timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that `permille` thousandths of the calls did not exceed (500: the median), interpolated within its bucket
    /// as Prometheus does, so by at most the width of it wrong. Above the last bound it is that bound. `None` if no call
    /// was timed, or for more than 1000 ‰.
    pub fn quantile(&self, permille: u16) -> Option<Duration> {
        let count = u128::from(self.count());
        if count == 0 || permille > 1000 {
            return None;
        }
        let rank = count * u128::from(permille);
        let (mut below, mut lower) = (0, 0);
        for (&calls, upper) in self.buckets.iter().zip(Self::BOUNDS) {
            let (calls, upper) = (u128::from(calls) * 1000, upper.as_nanos());
            if calls > 0 && below + calls >= rank {
                lower += (upper - lower) * (rank - below) / calls;
                break;
            }
            (below, lower) = (below + calls, upper);
        }
        u64::try_from(lower).ok().map(Duration::from_nanos)
    }
}

/// An observer with a [`Meter`]: one itself, a reference to one, or a pair whose first has one. Sealed.
pub trait Metered: Observer + sealed::Sealed {}

impl<O: Observer + sealed::Sealed> Metered for O {}

mod sealed {
    use super::{Reading, States, TickRate, Ticks};

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
        // The words are read under the lock, so that each reading is of later ones than the last, whoever takes it.
        let mut ledger = self.ledger();
        let Counts { good, bad, alive, ignored, cancelled, holds, latches, slow, rejected, would_reject, .. } =
            self.counters.counts();
        let [success, failure, alive, ignored, cancelled, hold, latch, slow, rejected, would_reject] =
            ledger.counts.read([good, bad, alive, ignored, cancelled, holds, latches, slow, rejected, would_reject]);
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
            transitions: ledger.transitions,
            open: duration(ledger.open_ticks(now), rate),
            latency,
        }
    }
}

/// How long `ticks` last, however many, rounded down.
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
    /// What its [`Meter`] counted and what it is, now. It moves nothing and is no call: the breaker learns nothing from it.
    ///
    /// One meter for several breakers counts for all of them and, if they go by one clock, adds their open times up: three
    /// that are open for a second are three seconds, so that readings are due three times as often. State and probes are
    /// those of the breaker that is asked. Elsewhere than in a `Registry`, give each its own.
    pub fn reading(&self) -> Reading {
        let (state, probes) = self.state_and_probes();
        self.observer().read(States::One(state), probes.into(), self.clock().now(), C::RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::terms::tally::Tally;

    static RATE: TickRate = ManualClock::RATE;

    fn event(from: State, to: State, at: u32) -> Event {
        let (tally, at) = (Tally::default(), Ticks::new(at));
        Event { from, to, reason: None, generation: 0, attempt: 0, tally, lasts_ticks: None, at, rate: &RATE }
    }

    #[test]
    fn words_that_wrap_are_counted_on() {
        let mut wide = Wide::<2>::NEW;
        assert_eq!(wide.read([u32::MAX, 7]), [u64::from(u32::MAX), 7]);
        assert_eq!(wide.read([4, 7]), [(1 << 32) + 4, 7]);
        assert_eq!(wide.read([3, 8]), [(2 << 32) + 3, 8]);
    }

    #[test]
    fn a_meters_words_wrap_unseen() {
        let meter = Meter::<1>::new("wraps").timed();
        // As if so many had been counted.
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

    /// Two moves, each told by its own winner: in either order, and with the clock read in either, nothing is lost and
    /// nothing falls.
    #[test]
    fn events_that_come_out_of_order_come_to_the_same() {
        let start = u32::MAX - 10;
        let (opened, probing) =
            (event(State::Closed, State::Open, start), event(State::Open, State::HalfOpen, start.wrapping_add(100)));
        for told in [[opened, probing], [probing, opened]] {
            let mut ledger = Ledger::NEW;
            let mut last = 0;
            for event in told {
                ledger.moved(&event);
                let open = ledger.open_ticks(event.at);
                assert!(open >= last);
                last = open;
            }
            assert_eq!(ledger.open_ticks(Ticks::new(5000)), 100);
            assert_eq!(ledger.transitions.as_flattened().iter().sum::<u64>(), 2);
        }
        // The opener reads the clock after the other one did.
        let mut ledger = Ledger::NEW;
        for (state, to, at) in [(State::Closed, State::Open, 1003), (State::Open, State::HalfOpen, 1000)] {
            ledger.moved(&event(state, to, at));
            assert_eq!(ledger.open_ticks(Ticks::new(1003)), 0);
        }
        ledger.moved(&event(State::HalfOpen, State::Open, 2000));
        assert_eq!([2002, 2003, 2004, 3003].map(|now| ledger.open_ticks(Ticks::new(now))), [0, 0, 1, 1000]);
    }

    /// Read too late, the open time stands still until as much is missing as the ticks hold.
    #[test]
    fn after_too_long_a_gap_a_whole_wrap_is_missing() {
        let mut ledger = Ledger::NEW;
        ledger.moved(&event(State::Closed, State::Open, 0));
        let readings = [1000, (1 << 31) + 999, (1 << 31) + 998, u32::MAX, 999, 1000, 1005];
        let open = readings.map(|now| ledger.open_ticks(Ticks::new(now)));
        let full = (1 << 31) + 999;
        assert_eq!(open, [1000, full, full, (1 << 32) - 1, (1 << 32) + 999, (1 << 32) + 1000, (1 << 32) + 1005]);
        let mut ledger = Ledger::NEW;
        ledger.moved(&event(State::Closed, State::Open, 0));
        let late = [1000, (1 << 31) + 1000, u32::MAX, 999, 1000, 1005].map(|now| ledger.open_ticks(Ticks::new(now)));
        assert_eq!(late, [1000, 1000, 1000, 1000, 1000, 1005]);
    }

    #[test]
    fn open_times_of_any_length_are_durations() {
        assert_eq!(duration(3, RATE), Duration::from_nanos(2_929_687));
        assert_eq!(duration(1024 << 40, RATE), Duration::from_nanos(u64::MAX), "past what nanoseconds hold");
        assert_eq!(duration(1024 << 20, RATE), Duration::from_secs(1 << 20));
    }
}
