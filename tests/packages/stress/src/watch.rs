//! The view of the breaker from outside: the observer's side of the sums, and the path of the events.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::load::Violations;
use crate::moves::MOVES;
use crossbeam_utils::CachePadded;
use microbreaker::{
    CallReport, Clock, Event, ManualClock, Observer, OpenReason, RejectReason, ReportKind, State, TickRate, Ticks,
};

/// A clock that the threads themselves move on. It is one word, so no reading is less than an earlier one.
#[derive(Debug, Default)]
pub(crate) struct Common(CachePadded<AtomicU32>);

impl Common {
    pub(crate) fn pass(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for &Common {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        Ticks::new(self.0.load(Ordering::Relaxed))
    }
}

thread_local! {
    /// The clock's reading before the present operation of this thread.
    pub(crate) static BEFORE: Cell<u32> = const { Cell::new(0) };
    static ME: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn enter(thread: usize) {
    ME.set(thread);
}

/// The calls of one thread's hooks.
#[derive(Debug, Default)]
struct Told {
    permits: AtomicU64,
    reports: AtomicU64,
    cancelled: AtomicU64,
    rejected: AtomicU64,
    moves: Mutex<Vec<Seen>>,
}

/// A transition: its place in the order of telling, and the readings between which it was made and told.
#[derive(Clone, Copy, Debug)]
struct Seen {
    place: u64,
    event: Event,
    before: u32,
    after: u32,
}

#[derive(Debug)]
pub(crate) struct Watch<'a> {
    clock: &'a Common,
    threads: Vec<CachePadded<Told>>,
    place: CachePadded<AtomicU64>,
}

/// The sums over all threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) permits: u64,
    pub(crate) reports: u64,
    pub(crate) cancelled: u64,
    pub(crate) rejected: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(clock: &'a Common, threads: usize) -> Self {
        let threads = (0..threads).map(|_| CachePadded::default()).collect();
        Self { clock, threads, place: CachePadded::default() }
    }

    fn told(&self) -> &Told {
        &self.threads[ME.get()]
    }

    pub(crate) fn sums(&self) -> Sums {
        self.threads.iter().fold(Sums::default(), |sums, told| Sums {
            permits: sums.permits + told.permits.load(Ordering::Relaxed),
            reports: sums.reports + told.reports.load(Ordering::Relaxed),
            cancelled: sums.cancelled + told.cancelled.load(Ordering::Relaxed),
            rejected: sums.rejected + told.rejected.load(Ordering::Relaxed),
        })
    }

    /// Follows the path of the events, and reports every step that is not legal. Returns the number of events of each
    /// kind.
    pub(crate) fn follow(&self, violations: &Violations) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut moves: Vec<Seen> =
            self.threads.iter().flat_map(|told| told.moves.lock().expect("nobody panics in it").clone()).collect();
        moves.sort_unstable_by_key(|seen| seen.place);
        // Events are told a little out of order, and generations wrap. So each generation is taken to be the one
        // nearest to that of the event told before.
        let mut last = 0_i64;
        let mut path: Vec<(i64, bool, Seen)> = Vec::with_capacity(moves.len());
        for seen in moves {
            let near = i64::from(seen.event.generation) - last.rem_euclid(GENERATIONS);
            let distance = (near + GENERATIONS / 2).rem_euclid(GENERATIONS) - GENERATIONS / 2;
            // The end of a ramp keeps the generation, so it is sorted behind the ramp's beginning.
            let finish = (seen.event.from, seen.event.to) == (State::Ramping, State::Closed);
            path.push((last + distance, finish, seen));
            last += distance;
        }
        path.sort_by_key(|&(generation, finish, _)| (generation, finish));

        let mut kinds = BTreeMap::new();
        let (mut generation, mut state) = (0_i64, State::Closed);
        let mut open: Option<Seen> = None;
        for (number, _, seen) in path {
            let Event { from, to, reason, attempt, lasts_ticks, .. } = seen.event;
            *kinds.entry((from.name(), to.name())).or_insert(0) += 1;
            if !steps(from, to).contains(&(number - generation)) {
                violations.add(format!("generation {number} after {generation}: {:?}", seen.event));
            }
            if from != state || !is_legal(from, to) {
                violations.add(format!("from {state:?}: {:?}", seen.event));
            }
            // An event tells what is left of the time when it is told.
            let judged = matches!(reason, Some(OpenReason::Failures | OpenReason::Slow));
            let passed = seen.after.wrapping_sub(seen.before);
            if judged && lasts_ticks.is_some_and(|left| left.saturating_add(passed) < OPEN_FOR << attempt.min(3)) {
                violations.add(format!("to be open for less than configured: {:?}", seen.event));
            }
            // The opening was made no earlier than its `before`, and the end was told no later than its `after`. Their
            // difference is the longest that the open time can have been. A step of two is one by hand, or a release.
            if let (Some(begin), State::HalfOpen, 1) = (open, to, number - generation)
                && let Some(span) = begin.event.lasts_ticks
                && seen.after.wrapping_sub(begin.before) < span
            {
                violations.add(format!("open for less than {span} ticks: {begin:?}, {seen:?}"));
            }
            open = (to == State::Open && lasts_ticks.is_some()).then_some(seen);
            (generation, state) = (number, to);
        }
        kinds
    }
}

/// The first open time of every configuration, in ticks. It doubles with each attempt, up to eight times as long. It is
/// even, because half a nanosecond more would be rounded up to a whole tick.
pub(crate) const OPEN_FOR: u32 = 4;

const GENERATIONS: i64 = 1 << 16;

/// By how many generations the move may go on: by one or two, whichever gives the parity. Closed without an attempt keeps that of
/// the state before, all others flip it; an even number of admissions has flipped that of a half-open state. The end of a ramp
/// stays in its generation.
fn steps(from: State, to: State) -> RangeInclusive<i64> {
    let least = match to {
        State::Closed if from == State::Ramping => 0,
        // A closed circuit may remember its attempt for a time.
        State::Closed if matches!(from, State::HalfOpen | State::Open) => 1,
        State::Closed => 2,
        _ => 1,
    };
    let most = match to {
        State::Closed | State::HalfOpen => 2,
        _ if from == State::HalfOpen => 2,
        _ => 1,
    };
    least..=most
}

fn is_legal(from: State, to: State) -> bool {
    MOVES.iter().any(|(state, leads_to)| *state == from && leads_to.contains(&to))
}

impl Observer for &Watch<'_> {
    fn on_event(&self, event: &Event) {
        let (place, after) = (self.place.fetch_add(1, Ordering::Relaxed), self.clock.now().count());
        let seen = Seen { place, event: *event, before: BEFORE.get(), after };
        self.told().moves.lock().expect("nobody panics in it").push(seen);
    }

    fn on_permit(&self, _: bool) {
        self.told().permits.fetch_add(1, Ordering::Relaxed);
    }

    fn on_reject(&self, _: RejectReason) {
        self.told().rejected.fetch_add(1, Ordering::Relaxed);
    }

    fn on_report(&self, report: &CallReport) {
        let told = self.told();
        let count = if report.kind == ReportKind::Cancelled { &told.cancelled } else { &told.reports };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
