//! Does the same steps with the breaker and with the model, and compares everything they show after each step.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::HashSet;

use microbreaker::{
    Breaker, CallReport, Event, FailureKind, HORIZON, LiveWindow, ManualClock, Mode, Observer, OpenReason, Outcome,
    Permit, RejectReason, Rejected, Snapshot, State, Tally,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use super::model::{self, GENERATIONS, Kept, Model, Move, Rejection, Sums, Told, View};
use super::settings::{Settings, Shape, Tuning, at_least, lasting, ticks_in, tuning};
use super::subject::{self, Live, Subject};

/// How far to move the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advance {
    Ticks(u64),
    /// To a moment at which something changes, or one tick before or after it.
    Edge {
        which: u8,
        beside: i8,
    },
}

/// One step. `which` chooses a permit among those in flight: it is an index modulo their number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Acquire,
    AcquireAnyway,
    Report {
        which: u8,
        outcome: Outcome,
        elapsed: Option<Duration>,
    },
    Drop {
        which: u8,
    },
    /// This many calls in a row; each is reported before the next begins.
    Calls {
        calls: u8,
        outcome: Outcome,
    },
    Advance(Advance),
    Reset,
    /// A reset, but only if nothing else leads on: latched, forced open or disabled.
    ResetIfStuck,
    /// This many resets in a row, so that tags of all widths wrap.
    Resets(u32),
    ForceOpen,
    Disable,
    Trip(OpenReason, Duration),
    Hold(Duration),
    Latch,
    /// A release of the generation so many before the present one.
    Release {
        back: u8,
    },
    HalfOpen,
    /// A snapshot, which a later restore may use.
    Snapshot,
    /// A restore of the latest snapshot, of whose time so much has passed.
    Restore(Option<Duration>),
    Shadow(bool),
    Seed(u32),
    Reconfigure(Tuning),
    /// A reload that must be refused and must change nothing.
    Reshape,
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        6 => (0..3000_u64).prop_map(lasting),
        3 => (0..3_000_000_000_u64).prop_map(Duration::from_nanos),
        1 => any::<u64>().prop_map(Duration::from_millis),
    ]
}

/// An elapsed time, short enough to be on both sides of a slow limit.
fn measure() -> impl Strategy<Value = Duration> {
    prop_oneof![
        6 => (0..250_u64).prop_map(lasting),
        3 => (0..200_000_000_u64).prop_map(Duration::from_nanos),
        1 => Just(Duration::MAX),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = select(&FailureKind::ALL[..]);
    prop_oneof![
        30 => Just(Outcome::Success),
        30 => kind.prop_map(Outcome::Failure),
        10 => Just(Outcome::Slow),
        6 => Just(Outcome::Alive),
        6 => Just(Outcome::Ignored),
        3 => duration().prop_map(Outcome::Hold),
        1 => Just(Outcome::Latch),
    ]
}

fn advance() -> impl Strategy<Value = Advance> {
    let near = |middle: u64| (0..10_000_u64).prop_map(move |off| Advance::Ticks(middle - 5000 + off));
    prop_oneof![
        8 => (1..40_u64).prop_map(Advance::Ticks),
        4 => (40..5000_u64).prop_map(Advance::Ticks),
        16 => (any::<u8>(), -1..=1_i8).prop_map(|(which, beside)| Advance::Edge { which, beside }),
        1 => (5000..1_u64 << 31).prop_map(Advance::Ticks),
        1 => near(1 << 31),
        1 => near(1 << 32),
        1 => near(3 << 32),
    ]
}

/// Any step.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        60 => Just(Op::Acquire),
        8 => Just(Op::AcquireAnyway),
        60 => (any::<u8>(), outcome(), proptest::option::weighted(0.2, measure()))
            .prop_map(|(which, outcome, elapsed)| Op::Report { which, outcome, elapsed }),
        12 => any::<u8>().prop_map(|which| Op::Drop { which }),
        15 => (1..25_u8, outcome()).prop_map(|(calls, outcome)| Op::Calls { calls, outcome }),
        80 => advance().prop_map(Op::Advance),
        4 => Just(Op::Reset),
        40 => Just(Op::ResetIfStuck),
        1 => (50..600_u32).prop_map(Op::Resets),
        2 => Just(Op::ForceOpen),
        2 => Just(Op::Disable),
        8 => (select(&OpenReason::ALL[..]), duration()).prop_map(|(reason, time)| Op::Trip(reason, time)),
        3 => duration().prop_map(Op::Hold),
        2 => Just(Op::Latch),
        5 => prop_oneof![4 => Just(0), 1 => 1..4_u8].prop_map(|back| Op::Release { back }),
        3 => Just(Op::HalfOpen),
        3 => Just(Op::Snapshot),
        2 => proptest::option::of(duration()).prop_map(Op::Restore),
        1 => any::<u32>().prop_map(Op::Seed),
        2 => prop_oneof![1 => Just(true), 3 => Just(false)].prop_map(Op::Shadow),
        6 => tuning().prop_map(Op::Reconfigure),
        1 => Just(Op::Reshape),
    ]
}

/// Everything that the breaker told its observer, in the model's types.
#[derive(Debug, Default)]
struct Log(RefCell<Vec<Told>>);

impl Log {
    fn push(&self, told: Told) {
        self.0.borrow_mut().push(told);
    }
}

impl Observer for Log {
    fn on_event(&self, event: &Event) {
        self.push(Told::Moved(Move {
            from: event.from,
            to: event.to,
            reason: event.reason,
            generation: event.generation.into(),
            attempt: event.attempt,
            lasts: event.lasts_ticks.map(u64::from),
            cause: sums(event.tally),
        }));
    }

    fn on_permit(&self, probe: bool) {
        self.push(Told::Permit { probe });
    }

    fn on_reject(&self, reason: RejectReason) {
        self.push(Told::Rejected(reason));
    }

    fn on_would_reject(&self, reason: RejectReason) {
        self.push(Told::WouldReject(reason));
    }

    fn on_anyway(&self, reason: RejectReason) {
        self.push(Told::Anyway(reason));
    }

    fn on_report(&self, report: &CallReport) {
        self.push(Told::Report {
            kind: report.kind,
            slow: report.slow,
            effect: report.effect,
            failed_at: report.at.map(|at| at.count().into()),
        });
    }
}

fn sums(tally: Tally) -> Sums {
    Sums { window: tally.window, total: tally.total, failed: tally.failed, slow: tally.slow }
}

/// What the model told, cut to the narrower words of the crate.
fn narrowed(told: Told) -> Told {
    match told {
        Told::Report { kind, slow, effect, failed_at } => {
            Told::Report { kind, slow, effect, failed_at: failed_at.map(|at| at & u64::from(u32::MAX)) }
        }
        told => told,
    }
}

/// An observer that tells what it heard.
pub(crate) trait Hears: Observer + Default {
    /// What it heard since the last time; `None` if it does not listen.
    fn take(&self) -> Option<Vec<Told>>;
}

impl Hears for Log {
    fn take(&self) -> Option<Vec<Told>> {
        Some(self.0.take())
    }
}

impl Hears for () {
    fn take(&self) -> Option<Vec<Told>> {
        None
    }
}

type Observed<'a, S, C, O> = Breaker<<S as Subject>::Window, &'a C, O>;

/// A permit of the breaker, and that of the model.
type InFlight<'a, S, C, O> = (Permit<&'a Observed<'a, S, C, O>>, model::Permit);

/// The breaker, the model, and the permits in flight of both.
struct Lockstep<'a, S: Subject, C: subject::Told, O: Hears> {
    clock: &'a C,
    breaker: &'a Observed<'a, S, C, O>,
    model: Model,
    out: Vec<InFlight<'a, S, C, O>>,
    /// The latest snapshot.
    kept: Option<(Snapshot, Kept)>,
    moves: HashSet<(State, State)>,
}

/// The most permits that are in flight together.
const MOST_OUT: usize = 24;

/// Runs `ops` on a new breaker with live settings, by an exact clock that reads `start`. Returns the moves that the breaker
/// made.
pub(crate) fn run<W: LiveWindow>(
    settings: Settings,
    start: u32,
    ops: &[Op],
) -> Result<HashSet<(State, State)>, TestCaseError> {
    run_on::<Live<W>, ManualClock>(settings, start, ops)
}

/// [`run`], on any kind of breaker, by any clock.
pub(crate) fn run_on<S: Subject, C: subject::Told>(
    settings: Settings,
    start: u32,
    ops: &[Op],
) -> Result<HashSet<(State, State)>, TestCaseError> {
    run_with::<S, C, Log>(settings, start, ops)
}

/// [`run_on`], on a breaker that nobody may watch: then it takes shorter ways.
pub(crate) fn run_with<S: Subject, C: subject::Told, O: Hears>(
    settings: Settings,
    start: u32,
    ops: &[Op],
) -> Result<HashSet<(State, State)>, TestCaseError> {
    let clock = C::at(start);
    let breaker = S::make(&settings, &clock, O::default())
        .map_err(|error| TestCaseError::fail(format!("{settings:?}: {error}")))?;
    let mut model = Model::new(settings, start.into()).with_slack(C::SLACK);
    if let Some(seed) = S::FIXED {
        model = model.with_fixed_settings(seed);
    }
    let (out, moves) = (Vec::new(), HashSet::new());
    let mut lockstep = Lockstep::<S, C, O> { clock: &clock, breaker: &breaker, model, out, kept: None, moves };
    lockstep.compare()?;
    for (index, op) in ops.iter().enumerate() {
        lockstep
            .apply(*op)
            .and_then(|()| lockstep.compare())
            .map_err(|error| TestCaseError::fail(format!("step {index}, {op:?}: {error}")))?;
    }
    Ok(lockstep.moves)
}

impl<'a, S: Subject, C: subject::Told, O: Hears> Lockstep<'a, S, C, O> {
    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Acquire => {
                self.acquire()?;
            }
            Op::AcquireAnyway => {
                self.make_room();
                let (real, expected) = (self.breaker.acquire_anyway(), self.model.acquire_anyway());
                self.admitted(real, expected)?;
            }
            Op::Report { which, outcome, elapsed } => {
                if let Some(index) = self.chosen(which) {
                    self.report(index, outcome, elapsed)?;
                }
            }
            Op::Drop { which } => {
                if let Some(index) = self.chosen(which) {
                    self.cancel(index);
                }
            }
            Op::Calls { calls, outcome } => {
                for _ in 0..calls {
                    self.call(outcome)?;
                    self.compare()?;
                }
            }
            Op::Advance(Advance::Ticks(ticks)) => self.advance(ticks)?,
            Op::Advance(Advance::Edge { which, beside }) => {
                let edges = self.edges();
                if !edges.is_empty() {
                    let edge = edges[usize::from(which) % edges.len()];
                    self.advance(edge.saturating_add_signed(beside.into()))?;
                }
            }
            Op::Reset => self.reset(),
            Op::ResetIfStuck => {
                if matches!(self.breaker.state(), State::Latched | State::ForcedOpen | State::Disabled) {
                    self.reset();
                }
            }
            Op::Resets(times) => {
                for _ in 0..times {
                    self.reset();
                    self.compare_told()?;
                    self.drop_the_old();
                }
            }
            Op::ForceOpen => prop_assert_eq!(self.breaker.force_open(), self.model.force_open()),
            Op::Disable => prop_assert_eq!(self.breaker.disable(), self.model.disable()),
            Op::Trip(reason, time) => {
                prop_assert_eq!(self.breaker.trip(reason, time), self.model.trip(reason, time));
            }
            Op::Hold(time) => prop_assert_eq!(self.breaker.hold(time), self.model.hold(time)),
            Op::Latch => prop_assert_eq!(self.breaker.latch(), self.model.latch()),
            Op::Release { back } => {
                let generation = (self.model.generation() + GENERATIONS - u64::from(back)) % GENERATIONS;
                let released = self.breaker.release(generation.try_into().unwrap());
                prop_assert_eq!(released, self.model.release(generation));
            }
            Op::HalfOpen => prop_assert_eq!(self.breaker.half_open(), self.model.half_open()),
            Op::Snapshot => {
                let snapshot = self.breaker.snapshot();
                prop_assert_eq!(Snapshot::from_bytes(&snapshot.bytes()), Ok(snapshot));
                self.kept = Some((snapshot, self.model.snapshot()));
            }
            Op::Restore(passed) => self.restore(passed)?,
            Op::Shadow(on) => {
                let switched = self.breaker.switch(if on { Mode::Shadow } else { Mode::On });
                // No constant settings here have the shadow on.
                prop_assert_eq!(switched, !on || S::FIXED.is_none());
                if switched {
                    self.model.switch_shadow(on);
                }
            }
            Op::Seed(seed) => {
                if let Some(breaker) = S::live(self.breaker) {
                    breaker.reseed(seed);
                    self.model.set_seed(seed);
                }
            }
            Op::Reconfigure(tuning) => self.reconfigure(tuning)?,
            Op::Reshape => self.reshape()?,
        }
        self.drop_the_old();
        Ok(())
    }

    /// The crate documents that a permit must not be held over a wrap of the generation.
    fn drop_the_old(&mut self) {
        let generation = self.model.generation();
        while let Some(index) =
            self.out.iter().position(|(_, permit)| generation - permit.generation >= GENERATIONS / 2)
        {
            self.cancel(index);
        }
    }

    fn reconfigure(&mut self, tuning: Tuning) -> Result<(), TestCaseError> {
        let Some(breaker) = S::live(self.breaker) else { return Ok(()) };
        let settings = Settings::new(self.model.settings().shape, tuning);
        // If longer times than ever are configured, a deadline that passed long ago may look like one of them.
        let mut after = self.model.clone();
        after.reconfigure(settings);
        if after.headroom().is_some() {
            prop_assert_eq!(breaker.reload(&settings.config()), Ok(()));
            self.model = after;
        }
        Ok(())
    }

    fn restore(&mut self, passed: Option<Duration>) -> Result<(), TestCaseError> {
        let Some((snapshot, kept)) = self.kept else { return Ok(()) };
        self.compare_told()?;
        prop_assert_eq!(self.breaker.restore(&snapshot, passed), Ok(()));
        // The whole ticks that have certainly passed.
        let certain = passed.map_or(0, |time| {
            if ticks_in(time) <= HORIZON.into() {
                ticks_in(time).saturating_sub(1)
            } else {
                2_u64.saturating_mul(ticks_in(time / 2) - 1)
            }
        });
        self.model.restore(kept, certain);
        // A restore leads from any state to any other, so its move is none of the matrix.
        let moves = self.moves.clone();
        self.compare_told()?;
        self.moves = moves;
        Ok(())
    }

    fn chosen(&self, which: u8) -> Option<usize> {
        (!self.out.is_empty()).then(|| usize::from(which) % self.out.len())
    }

    fn edges(&self) -> Vec<u64> {
        let mut edges = self.model.edges();
        if let Some(limit) = self.model.settings().slow_after() {
            let started = self.out.iter().filter_map(|(_, permit)| permit.started());
            edges.extend(started.filter_map(|started| (started + limit).checked_sub(self.model.now())));
        }
        edges
    }

    fn make_room(&mut self) {
        if self.out.len() == MOST_OUT {
            self.cancel(0);
        }
    }

    /// Asks for a permit. `true` if it was given; it is then the last of those in flight.
    fn acquire(&mut self) -> Result<bool, TestCaseError> {
        self.make_room();
        let (real, expected) = (self.breaker.acquire(), self.model.acquire());
        self.admitted(real, expected)
    }

    fn admitted(
        &mut self,
        real: Result<Permit<&'a Observed<'a, S, C, O>>, Rejected>,
        expected: Result<model::Permit, Rejection>,
    ) -> Result<bool, TestCaseError> {
        match (real, expected) {
            (Ok(real), Ok(permit)) => {
                prop_assert_eq!(u64::from(real.generation()), permit.generation % GENERATIONS);
                prop_assert_eq!(real.level(), permit.level());
                prop_assert_eq!(real.is_probe(), permit.is_probe());
                prop_assert_eq!(real.is_counted(), permit.is_counted());
                self.out.push((real, permit));
                Ok(true)
            }
            (Err(real), Err(rejection)) => {
                compare_rejections(real, rejection)?;
                Ok(false)
            }
            (real, permit) => Err(TestCaseError::fail(format!("{real:?}, expected {permit:?}"))),
        }
    }

    fn report(&mut self, index: usize, outcome: Outcome, elapsed: Option<Duration>) -> Result<(), TestCaseError> {
        let (real, permit) = self.out.swap_remove(index);
        let effect = match elapsed {
            Some(elapsed) => real.record_elapsed(outcome, elapsed),
            None => real.record(outcome),
        };
        prop_assert_eq!(effect, self.model.record(permit, outcome, elapsed));
        Ok(())
    }

    fn cancel(&mut self, index: usize) {
        let (real, permit) = self.out.swap_remove(index);
        drop(real);
        self.model.cancel(permit);
    }

    /// Makes a call. If it is admitted, it is reported before anything else happens.
    fn call(&mut self, outcome: Outcome) -> Result<(), TestCaseError> {
        if self.acquire()? {
            self.report(self.out.len() - 1, outcome, None)?;
        }
        Ok(())
    }

    /// Moves the clock. The crate documents a bound: less than a whole wrap of the ticks may pass between two uses. If
    /// the clock would pass that bound, it stops just before, and [`touch`](Self::touch) uses what is due.
    fn advance(&mut self, mut ticks: u64) -> Result<(), TestCaseError> {
        loop {
            let step = ticks.min(self.headroom());
            for part in [step / 2, step - step / 2] {
                // In two parts: to a 32-bit counter, a step of 2^32 - 1 ticks or more is no step forward.
                self.clock.advance(u32::try_from(part).unwrap());
            }
            self.model.pass(step);
            ticks -= step;
            if ticks == 0 {
                return Ok(());
            }
            self.compare()?;
            self.touch()?;
        }
    }

    fn headroom(&self) -> u64 {
        let oldest = self.out.iter().filter_map(|(_, permit)| permit.started()).min();
        let measure = oldest.map_or(u64::MAX, |started| started + u64::from(u32::MAX) - self.model.now());
        self.model.headroom().expect("it moves no further").min(measure).min(u64::from(u32::MAX))
    }

    /// Ends whatever may not last a whole wrap: a call in flight, a period, the idle time of a time window.
    fn touch(&mut self) -> Result<(), TestCaseError> {
        while let Some(index) = self.out.iter().position(|(_, permit)| {
            permit.started().is_some_and(|started| self.model.now() - started == u64::from(u32::MAX))
        }) {
            self.cancel(index);
            self.compare()?;
        }
        if self.headroom() == 0 {
            self.call(Outcome::Success)?;
            self.compare()?;
        }
        if self.headroom() == 0 {
            self.reset();
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.breaker.reset();
        self.model.reset();
    }

    fn reshape(&mut self) -> Result<(), TestCaseError> {
        let Some(breaker) = S::live(self.breaker) else { return Ok(()) };
        let Shape { mut streak, mut count, mut time, slow } = self.model.settings().shape;
        let longer = |length: u16| if length > 1 { length - 1 } else { 2 };
        streak = streak.map(longer);
        if streak.is_none() {
            count = count.map(longer);
        }
        if streak.is_none() && count.is_none() {
            time = time.map(|(buckets, bucket)| (buckets, bucket * 2));
        }
        let other = Settings::new(Shape { streak, count, time, slow }, Tuning::PLAIN);
        prop_assert!(breaker.reload(&other.config()).is_err());
        Ok(())
    }

    /// Compares all that can be read without changing anything.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.compare_told()?;
        let status = self.breaker.status();
        let expected = self.model.view();
        let seen = View {
            state: status.state,
            reason: status.reason,
            level: status.level,
            attempt: status.attempt,
            generation: status.generation.into(),
            // Compared below, as a duration.
            retry_in: expected.retry_in,
            probes_in_flight: status.probes_in_flight.into(),
            shadow: status.shadow,
            sums: sums(status.tally),
        };
        prop_assert_eq!(seen, expected);
        let retry_in = expected.retry_in.map(at_least);
        prop_assert_eq!(status.retry_in, retry_in);
        prop_assert_eq!(self.breaker.retry_in(), retry_in);
        prop_assert_eq!(self.breaker.state(), expected.state);
        prop_assert_eq!(sums(self.breaker.tally()), expected.sums);
        prop_assert_eq!(self.breaker.is_clean(), self.model.is_clean());
        match (self.breaker.peek(), self.model.peek()) {
            (Ok(()), None) => {}
            (Err(real), Some(rejection)) => compare_rejections(real, rejection)?,
            (real, rejection) => return Err(TestCaseError::fail(format!("peek: {real:?}, expected {rejection:?}"))),
        }
        let (snapshot, kept) = (self.breaker.snapshot(), self.model.snapshot());
        prop_assert_eq!((snapshot.state(), snapshot.reason()), (kept.state, kept.reason));
        prop_assert_eq!((snapshot.attempt(), u64::from(snapshot.remaining_ticks())), (kept.attempt, kept.remaining));
        Ok(())
    }

    /// Compares the events and hooks since the last comparison: both must have the same, in the same order.
    fn compare_told(&mut self) -> Result<(), TestCaseError> {
        let expected = core::mem::take(&mut self.model.told);
        let Some(real) = self.breaker.observer().take() else { return Ok(()) };
        for told in &real {
            if let Told::Moved(moved) = told {
                self.moves.insert((moved.from, moved.to));
            }
        }
        let expected: Vec<Told> = expected.into_iter().map(narrowed).collect();
        prop_assert_eq!(real, expected);
        Ok(())
    }
}

fn compare_rejections(real: Rejected, expected: Rejection) -> Result<(), TestCaseError> {
    let ticks = real.retry_in_ticks().map(u64::from);
    prop_assert_eq!(Rejection { reason: real.reason(), retry_in: ticks }, expected);
    prop_assert_eq!(real.retry_in(), ticks.map(at_least));
    Ok(())
}
