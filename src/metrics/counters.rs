//! An observer that counts in 32-bit words.

use crate::clock::Ticks;
use crate::platform::atomics::{AtomicU32, Ordering, const_fn, initial};
use crate::platform::bits::layout;
use crate::platform::lanes::{LaneCount, Lanes, Padded, lane};
use crate::terms::event::{CallReport, Effect, Event, ReportKind};
use crate::terms::observer::Observer;
use crate::terms::outcome::FailureKind;
use crate::terms::rejected::RejectReason;
use crate::terms::state::State;

/// An observer that counts, in 32-bit words that wrap. `LANES` (1, 2, 4, … 64) shards the counters for servers with many
/// cores; [`Lanes`] says which lane a thread writes to.
///
/// It writes one word per call and one per report, so a breaker with this observer also writes while its peer is
/// healthy.
///
/// ```
/// use microbreaker::metrics::Counters;
/// use microbreaker::{Breaker, Config, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Streak, &ManualClock, Counters> =
///     Breaker::observed(Config::streak(5), &CLOCK, Counters::new("modem"));
/// MODEM.acquire().unwrap().success();
/// assert_eq!(MODEM.observer().counts().success, 1);
/// ```
#[derive(Debug)]
pub struct Counters<const LANES: usize = 1>
where
    Lanes<LANES>: LaneCount,
{
    name: &'static str,
    lanes: [Shard<<Lanes<LANES> as Padded>::Padding>; LANES],
    transitions: [AtomicU32; State::ALL.len()],
    /// The last failure, in one word, so that kind and time belong together.
    last_failure: AtomicU32,
}

// The last failure.
layout! {
    /// Its tick without the lowest bits, for which the kind leaves no room.
    AT: 27,
    /// Its kind + 1; 0: none yet.
    KIND: 5,
}
const _: () = assert!(FailureKind::ALL.len() <= KIND.max() as usize, "a kind + 1 fits in its bits");

#[derive(Debug)]
struct Shard<P> {
    counts: [AtomicU32; KINDS],
    _padding: P,
}

const PERMITTED: usize = 0;
const PROBES: usize = 1;
const SUCCESS: usize = 2;
const FAILURE: usize = 3;
const SLOW: usize = 4;
const ALIVE: usize = 5;
const IGNORED: usize = 6;
const CANCELLED: usize = 7;
const REJECTED: usize = 8;
const WOULD_REJECT: usize = 9;
const ANYWAY: usize = 10;
const STALE: usize = 11;
const HOLDS: usize = 12;
const LATCHES: usize = 13;
const KINDS: usize = 14;

/// What [`Counters`] has counted. Each number is exact. The numbers are read one after the other while calls go on, so
/// together they may be torn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls admitted, including probes and, in shadow or [anyway](crate::Breaker::acquire_anyway), calls that would have been
    /// rejected.
    pub permitted: u32,
    /// Half-open probes admitted.
    pub probes: u32,
    /// Successes reported, slow ones included.
    pub success: u32,
    /// Failures reported.
    pub failure: u32,
    /// Slow calls among successes and failures.
    pub slow: u32,
    /// Calls reported alive.
    pub alive: u32,
    /// Calls reported as ignored.
    pub ignored: u32,
    /// Permits dropped without a report.
    pub cancelled: u32,
    /// Calls rejected.
    pub rejected: u32,
    /// Calls admitted in shadow that would have been rejected.
    pub would_reject: u32,
    /// Calls admitted by [`acquire_anyway`](crate::Breaker::acquire_anyway) that would have been rejected.
    pub anyway: u32,
    /// Reports that were stale and so changed nothing; the other numbers include them too.
    pub stale: u32,
    /// Holds reported.
    pub holds: u32,
    /// Latches reported.
    pub latches: u32,
    /// Transitions into each state, by [`State`]'s number.
    pub transitions: [u32; State::ALL.len()],
    /// The last failure: its kind, and its time to 32 ticks.
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

    /// The name with its whole lifetime, which `Observer::name` cannot give.
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
        let kind = KIND.get(last).checked_sub(1).and_then(|kind| FailureKind::ALL.get(kind as usize));
        Counts {
            permitted: sum(PERMITTED),
            probes: sum(PROBES),
            success: sum(SUCCESS),
            failure: sum(FAILURE),
            slow: sum(SLOW),
            alive: sum(ALIVE),
            ignored: sum(IGNORED),
            cancelled: sum(CANCELLED),
            rejected: sum(REJECTED),
            would_reject: sum(WOULD_REJECT),
            anyway: sum(ANYWAY),
            stale: sum(STALE),
            holds: sum(HOLDS),
            latches: sum(LATCHES),
            transitions: core::array::from_fn(|state| self.transitions[state].load(Ordering::Relaxed)),
            last_failure: kind.map(|&kind| (kind, Ticks::new(last << KIND.width()))),
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

    fn on_anyway(&self, _: RejectReason) {
        self.add(ANYWAY);
    }

    fn on_report(&self, report: &CallReport) {
        self.add(match report.kind {
            ReportKind::Success => SUCCESS,
            ReportKind::Failure(_) => FAILURE,
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
            // Relaxed: see `counts`. Of two failures at one moment the one stored last stays: a benign race.
            let last = KIND.of(u32::from(kind.number()) + 1) | AT.of(at.count() >> KIND.width());
            self.last_failure.store(last, Ordering::Relaxed);
        }
    }
}
