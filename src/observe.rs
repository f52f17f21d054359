//! Watching a breaker: events on transitions, hooks per call, and an observer that counts.

use core::time::Duration;

use crate::clock::{TickRate, Ticks};
use crate::error::RejectReason;
use crate::outcome::FailureKind;
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial};
use crate::platform::lanes::{LaneCount, Lanes, Padded, lane};
use crate::state::{OpenReason, State};
use crate::tally::Tally;

/// A transition, told once, by the thread that made it, after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The state before.
    pub from: State,
    /// The state after. Equal to `from` for a hold that prolongs an open circuit and a reset of a closed one.
    pub to: State,
    /// Why it is open now, if it is.
    pub reason: Option<OpenReason>,
    /// The generation that began. `Ramping` → `Closed` goes on with its own.
    pub generation: u32,
    /// How often in a row recovery failed.
    pub attempt: u8,
    /// Of a trip or a verdict, the sums it rests on; of other moves, the window's before the move, which are empty unless
    /// it was closed or ramping.
    pub tally: Tally,
    /// How long the new state lasts in ticks, if it is open for a time or ramping; jitter and the clock's slack included.
    pub lasts_ticks: Option<u32>,
    /// When, by the breaker's clock: read by the winner after the move, so that of two moves that follow each other
    /// closely the later may have the earlier reading, and be told first. The generation has the order.
    pub at: Ticks,
    pub(crate) rate: &'static TickRate,
}

impl Event {
    /// [`lasts_ticks`](Self::lasts_ticks) as a time, rounded up. Of an open circuit: after what time to ask again.
    pub const fn lasts(&self) -> Option<Duration> {
        match self.lasts_ticks {
            Some(ticks) => Some(self.rate.duration_of(ticks)),
            None => None,
        }
    }
}

/// What a report was about, for [`Observer::on_report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// A success, slow or not.
    Success,
    /// A failure.
    Failure(FailureKind),
    /// It answered.
    Alive,
    /// It says nothing.
    Ignored,
    /// The permit was dropped without a report.
    Cancelled,
    /// The peer said when to come back.
    Hold,
    /// Not before somebody looked.
    Latch,
}

/// A report on a permit, and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What was reported.
    pub kind: ReportKind,
    /// Whether the call took longer than the slow limit.
    pub slow: bool,
    /// What it did.
    pub effect: Effect,
    /// When, for a failure.
    pub at: Option<Ticks>,
}

/// What a report did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// It was counted, and the state is as before.
    Counted,
    /// It says nothing about health (alive, ignored, cancelled): nothing was counted; a probe's slot is back.
    Neutral,
    /// It opened the circuit, for this reason (or prolonged it by a hold).
    Opened(OpenReason),
    /// It closed the circuit.
    Closed,
    /// It ended the half-open state; the ramp begins.
    Ramping,
    /// It latched the circuit.
    Latched,
    /// It changed nothing, because the circuit is already there or further (a shorter hold while open).
    Unchanged,
    /// The permit is of an older generation, or of a probe that was written off: dropped. (Not so a hold or a latch of
    /// a probe that was written off: both speak of the peer.)
    Stale,
    /// The permit counts nowhere: the breaker is, or was, disabled, or only watches.
    Uncounted,
}

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
    fn on_report(&self, report: &Report) {
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

    fn on_report(&self, report: &Report) {
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

    fn on_report(&self, report: &Report) {
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

/// An observer that counts, in 32-bit words that wrap. `LANES` (1, 2, 4, … 64) shards the counters per core.
///
/// It writes a word per call and per report: a breaker observed by it is no longer write-free while healthy.
///
/// ```
/// use microbreaker::{Breaker, Config, Counters, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Streak, &ManualClock, Counters> =
///     Breaker::observed(Config::streak(5), &CLOCK, Counters::new("modem"));
/// MODEM.acquire().unwrap().success();
/// assert_eq!(MODEM.observer().counts().good, 1);
/// ```
#[derive(Debug)]
pub struct Counters<const LANES: usize = 1>
where
    Lanes<LANES>: LaneCount,
{
    name: &'static str,
    lanes: [Shard<<Lanes<LANES> as Padded>::Padding>; LANES],
    transitions: [AtomicU32; State::ALL.len()],
    /// Kind + 1 in 5 bits (0: none yet) and the tick in units of 32: one word, so the two belong together.
    last_failure: AtomicU32,
}

const _: () = assert!(FailureKind::ALL.len() < 1 << 5, "a kind + 1 fits in five bits");

#[derive(Debug)]
struct Shard<P> {
    counts: [AtomicU32; KINDS],
    _padding: P,
}

const PERMITTED: usize = 0;
const PROBES: usize = 1;
const GOOD: usize = 2;
const BAD: usize = 3;
const SLOW: usize = 4;
const ALIVE: usize = 5;
const IGNORED: usize = 6;
const CANCELLED: usize = 7;
const REJECTED: usize = 8;
const WOULD_REJECT: usize = 9;
const STALE: usize = 10;
const HOLDS: usize = 11;
const LATCHES: usize = 12;
const KINDS: usize = 13;

/// What [`Counters`] has counted. Each number is exact; together they are read one after the other while calls go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls admitted, probes and (in shadow) would-be rejections included.
    pub permitted: u32,
    /// Half-open probes admitted.
    pub probes: u32,
    /// Successes reported, slow ones included.
    pub good: u32,
    /// Failures reported.
    pub bad: u32,
    /// Slow calls among good and bad.
    pub slow: u32,
    /// Reported alive.
    pub alive: u32,
    /// Reported as ignored.
    pub ignored: u32,
    /// Permits dropped without a report.
    pub cancelled: u32,
    /// Calls rejected.
    pub rejected: u32,
    /// Calls admitted in shadow that would have been rejected.
    pub would_reject: u32,
    /// Reports that were dropped as stale; they are in the other numbers too.
    pub stale: u32,
    /// Holds reported.
    pub holds: u32,
    /// Latches reported.
    pub latches: u32,
    /// Transitions into each state, by [`State`]'s number.
    pub transitions: [u32; State::ALL.len()],
    /// The last failure: its kind, and when, to 32 ticks.
    pub last_failure: Option<(FailureKind, Ticks)>,
}

impl Counts {
    /// Transitions into `state`.
    pub const fn transitions_to(&self, state: State) -> u32 {
        self.transitions[state as usize]
    }
}

impl<const LANES: usize> Counters<LANES>
where
    Lanes<LANES>: LaneCount,
{
    const_fn! {
        /// Zeroed counters for a breaker of this name.
        pub const fn new(name: &'static str) -> Self {
            Self {
                name,
                lanes: initial!(repeat LANES, Shard {
                    counts: initial!(repeat KINDS, AtomicU32::new(0)),
                    _padding: <Lanes<LANES> as Padded>::PADDING,
                }),
                transitions: initial!(repeat 7, AtomicU32::new(0)),
                last_failure: AtomicU32::new(0),
            }
        }
    }

    /// The name, for as long as it lives.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "for readings"))]
    pub(crate) const fn label(&self) -> &'static str {
        self.name
    }

    /// The counts so far, over all lanes.
    pub fn counts(&self) -> Counts {
        // Relaxed throughout: statistics; nothing is decided by them or published with them.
        let sum = |kind: usize| {
            self.lanes.iter().fold(0_u32, |sum, lane| sum.wrapping_add(lane.counts[kind].load(Ordering::Relaxed)))
        };
        let last = self.last_failure.load(Ordering::Relaxed);
        let kind = (last >> 27).checked_sub(1).and_then(|kind| FailureKind::ALL.get(kind as usize));
        Counts {
            permitted: sum(PERMITTED),
            probes: sum(PROBES),
            good: sum(GOOD),
            bad: sum(BAD),
            slow: sum(SLOW),
            alive: sum(ALIVE),
            ignored: sum(IGNORED),
            cancelled: sum(CANCELLED),
            rejected: sum(REJECTED),
            would_reject: sum(WOULD_REJECT),
            stale: sum(STALE),
            holds: sum(HOLDS),
            latches: sum(LATCHES),
            transitions: core::array::from_fn(|state| self.transitions[state].load(Ordering::Relaxed)),
            last_failure: kind.map(|&kind| (kind, Ticks::new(last << 5))),
        }
    }

    #[inline]
    fn add(&self, kind: usize) {
        // Relaxed: see `counts`.
        self.lanes[lane(LANES)].counts[kind].fetch_add(1, Ordering::Relaxed);
    }
}

impl<const LANES: usize> Observer for Counters<LANES>
where
    Lanes<LANES>: LaneCount,
{
    fn name(&self) -> &str {
        self.name
    }

    fn on_event(&self, event: &Event) {
        // Relaxed: see `counts`.
        self.transitions[event.to as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn on_permit(&self, probe: bool) {
        self.add(PERMITTED);
        if probe {
            self.add(PROBES);
        }
    }

    fn on_reject(&self, _: RejectReason) {
        self.add(REJECTED);
    }

    fn on_would_reject(&self, _: RejectReason) {
        self.add(WOULD_REJECT);
    }

    fn on_report(&self, report: &Report) {
        self.add(match report.kind {
            ReportKind::Success => GOOD,
            ReportKind::Failure(_) => BAD,
            ReportKind::Alive => ALIVE,
            ReportKind::Ignored => IGNORED,
            ReportKind::Cancelled => CANCELLED,
            ReportKind::Hold => HOLDS,
            ReportKind::Latch => LATCHES,
        });
        if report.slow {
            self.add(SLOW);
        }
        if report.effect == Effect::Stale {
            self.add(STALE);
        }
        if let (ReportKind::Failure(kind), Some(at)) = (report.kind, report.at) {
            // Relaxed: see `counts`. Of two failures of one moment the last to arrive stays: a benign race.
            self.last_failure.store((u32::from(kind.number()) + 1) << 27 | at.count() >> 5, Ordering::Relaxed);
        }
    }
}
