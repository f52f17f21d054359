//! Histories of four to eight threads under random schedules, each explained by the sequential model: there must be an
//! order of the operations, one that keeps to who was through before whom began, in which the model gives every caller the
//! answer it got.
//!
//! What is compared: admissions (of which kind), rejections with their reason and time, the states seen, and when nobody
//! is at work the window's sums. The search is given these freedoms and no others, each within the one operation:
//!
//! - A report is counted and judged at one moment, and the move that it calls for follows at another: between the two
//!   others may still be admitted.
//! - In a time window (of one lane) it is counted as a call at a moment before that. So a verdict may see calls whose failure is not
//!   yet there, no more of them than reports are under way: a share may look smaller than it is, never larger, and the
//!   last of those reports sees it whole.
//! - A caller who finds the open time over goes half-open at one moment and competes for a probe at another.
//! - Who asks while a hold is under way, whose owner is about to say how long, is told the longest it may be, or what
//!   another hold has said.
//!
//! What a report returns is not compared: of two that call for the same move either may make it.
//!
//! Time stands still while threads run and passes between: an open time is counted from a moment within the operation
//! that opened, which the model would have to guess.

#![cfg(feature = "models")]

#[path = "../../reference/model.rs"]
#[allow(dead_code, reason = "the properties use more of it")]
mod model;
#[path = "../../reference/settings.rs"]
#[allow(dead_code, reason = "the properties use more of it")]
mod settings;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use microbreaker::{
    Breaker, CountWindow, FailureKind, ManualClock, OpenReason, Outcome, Permit, RejectReason, State, Streak, Ticks,
    TimeWindow, Window,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::{Runner, thread};

use model::{Model, SecondStep};
use settings::{Settings, Shape, Tuning, lasting};

type Shared<W> = Arc<Breaker<W, ManualClock>>;

/// What a thread did. Permits are named by the order in which they were given.
#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire,
    Report(u32, Outcome),
    Drop(u32),
    Hold(u64),
    Latch,
    Reset,
    Look,
}

/// What it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Admitted { permit: u32, probe: bool },
    Rejected { reason: RejectReason, ticks: Option<u64> },
    State(State),
    Nothing,
}

/// An operation, and between which moments it was made.
#[derive(Clone, Copy, Debug)]
struct Done {
    op: Op,
    seen: Seen,
    began: u32,
    ended: u32,
    /// Whether another thread's hold was under way.
    beside_hold: bool,
}

impl Done {
    fn holds(&self) -> bool {
        matches!(self.op, Op::Hold(_) | Op::Report(_, Outcome::Hold(_)))
    }
}

/// Notes of each operation whether it was made beside a hold.
fn note_holds(threads: &mut [Vec<Done>]) {
    let holds: Vec<Done> = threads.iter().flatten().filter(|done| done.holds()).copied().collect();
    for done in threads.iter_mut().flatten() {
        done.beside_hold =
            holds.iter().any(|hold| hold.began != done.began && hold.began < done.ended && done.began < hold.ended);
    }
}

/// Counts moments and permits, beside the schedule.
#[derive(Debug, Default)]
struct Book {
    moments: AtomicU32,
    permits: AtomicU32,
}

impl Book {
    fn moment(&self) -> u32 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }
}

struct Held<W: Window + 'static>(u32, Permit<Shared<W>>);

/// A few random operations; the permits still held after them.
fn work<W: Window>(breaker: &Shared<W>, book: &Book, mut held: Vec<Held<W>>, ops: usize) -> (Vec<Done>, Vec<Held<W>>) {
    let mut done = Vec::new();
    for _ in 0..ops {
        let roll = thread_rng().gen_range(0..100);
        let began = book.moment();
        let (op, seen) = match roll {
            0..=54 if !held.is_empty() => {
                let Held(number, permit) = held.swap_remove(thread_rng().gen_range(0..held.len()));
                let outcome = match roll {
                    0..=4 => None,
                    5..=25 => Some(Outcome::Failure(FailureKind::Other)),
                    26..=28 => Some(Outcome::Alive),
                    29..=31 => Some(Outcome::Ignored),
                    32 | 33 => Some(Outcome::Hold(lasting(HOLDS[1]))),
                    _ => Some(Outcome::Success),
                };
                if let Some(outcome) = outcome {
                    permit.record(outcome);
                    (Op::Report(number, outcome), Seen::Nothing)
                } else {
                    drop(permit);
                    (Op::Drop(number), Seen::Nothing)
                }
            }
            55 => {
                breaker.hold(lasting(HOLDS[0]));
                (Op::Hold(HOLDS[0]), Seen::Nothing)
            }
            56 => {
                breaker.latch();
                (Op::Latch, Seen::Nothing)
            }
            57 | 58 => {
                breaker.reset();
                (Op::Reset, Seen::Nothing)
            }
            59..=65 => (Op::Look, Seen::State(breaker.state())),
            _ => (
                Op::Acquire,
                match Breaker::acquire_in(Arc::clone(breaker)) {
                    Ok(permit) => {
                        let (number, probe) = (book.permits.fetch_add(1, Ordering::Relaxed), permit.is_probe());
                        held.push(Held(number, permit));
                        Seen::Admitted { permit: number, probe }
                    }
                    Err(rejected) => {
                        Seen::Rejected { reason: rejected.reason(), ticks: rejected.retry_in_ticks().map(u64::from) }
                    }
                },
            ),
        };
        done.push(Done { op, seen, began, ended: book.moment(), beside_hold: false });
    }
    (done, held)
}

/// The model at some point of an order, and what is left to be explained.
#[derive(Clone, Debug)]
struct Point {
    model: Model,
    permits: BTreeMap<u32, model::Permit>,
    /// Of each thread, how many operations are through.
    through: Vec<usize>,
    /// Of each thread, whether the first step of its next operation is made.
    half: Vec<Half>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug)]
enum Half {
    Ahead,
    /// A caller has made a move that was due (the open time is over), and now competes with others. A report to a time
    /// window is counted as a call, and not yet as failed, nor judged.
    Begun,
    /// It took effect; what of it is to follow, if anything.
    Made(Option<SecondStep>),
}

impl Point {
    /// The same point by another way?
    fn name(&self) -> String {
        format!("{:?}", (&self.model, &self.permits, &self.through, &self.half))
    }

    /// What the next operation of `thread` may do some time before it takes effect.
    fn begin(&self, thread: usize, done: &Done) -> Option<Self> {
        let mut next = self.clone();
        let begins = match done.op {
            Op::Acquire => next.model.make_due_move(),
            Op::Report(number, Outcome::Failure(_) | Outcome::Success) => {
                next.model.count_call(next.permits.get(&number)?)
            }
            _ => false,
        };
        next.model.told.clear();
        next.half[thread] = Half::Begun;
        begins.then_some(next)
    }

    /// The next operation of `thread` takes effect now: `None` if the model would have answered otherwise.
    fn first_step(&self, thread: usize, done: &Done) -> Option<Self> {
        let mut next = self.clone();
        let model = &mut next.model;
        // Named as it was in fact, so that the order of two admissions alone makes no two points.
        model.permits = if let Seen::Admitted { permit, .. } = done.seen { permit.into() } else { 0 };
        let matches = match (done.op, done.seen) {
            (Op::Acquire, seen) => match (model.acquire(), seen) {
                (Ok(permit), Seen::Admitted { permit: number, probe }) => {
                    let same = permit.is_probe() == probe && permit.is_counted();
                    next.permits.insert(number, permit);
                    same
                }
                (Err(rejection), Seen::Rejected { reason, ticks }) => {
                    let said = ticks.is_some_and(|ticks| ticks == HOLD_AT_MOST || HOLDS.contains(&ticks));
                    let of_a_hold = done.beside_hold && reason == RejectReason::Open(OpenReason::Hold) && said;
                    rejection.reason == reason && (rejection.retry_in == ticks || of_a_hold)
                }
                _ => false,
            },
            (Op::Report(number, outcome), _) => {
                let permit = next.permits.remove(&number)?;
                if matches!(self.half[thread], Half::Begun) {
                    model.uncount_call(&permit);
                }
                model.record(permit, outcome, None);
                true
            }
            (Op::Drop(number), _) => {
                let permit = next.permits.remove(&number)?;
                model.cancel(permit);
                true
            }
            (Op::Hold(ticks), _) => {
                model.trip(OpenReason::Hold, lasting(ticks));
                true
            }
            (Op::Latch, _) => {
                model.latch();
                true
            }
            (Op::Reset, _) => {
                model.reset();
                true
            }
            (Op::Look, seen) => Seen::State(model.view().state) == seen,
        };
        next.model.told.clear();
        next.model.permits = 0;
        next.half[thread] = Half::Made(next.model.second_step.take());
        matches.then_some(next)
    }

    fn second_step(&self, thread: usize, step: Option<SecondStep>) -> Self {
        let mut next = self.clone();
        if let Some(step) = step {
            next.model.follow(step);
            next.model.told.clear();
        }
        next.half[thread] = Half::Ahead;
        next.through[thread] += 1;
        next
    }
}

/// All models that explain what the threads did, from any of `models` on; `None` if there are too many orders to try.
fn explain(from: Vec<Explanation>, threads: &[Vec<Done>]) -> Option<Vec<Explanation>> {
    let mut known = HashSet::new();
    let mut ends = BTreeMap::new();
    let mut open: Vec<Point> = from
        .into_iter()
        .map(|(model, permits)| Point {
            model,
            permits,
            through: vec![0; threads.len()],
            half: vec![Half::Ahead; threads.len()],
        })
        .collect();
    while let Some(point) = open.pop() {
        if !known.insert(point.name()) {
            continue;
        }
        if known.len() > MOST_POINTS {
            return None;
        }
        let next: Vec<Option<&Done>> =
            threads.iter().zip(&point.through).map(|(done, &through)| done.get(through)).collect();
        if next.iter().all(Option::is_none) {
            ends.insert(format!("{:?}", (&point.model, &point.permits)), (point.model, point.permits));
            continue;
        }
        // Nothing may begin before an operation takes effect that had ended by then.
        let bound = next.iter().flatten().map(|done| done.ended).min().unwrap_or(u32::MAX);
        for (thread, done) in next.iter().enumerate() {
            match (done, point.half[thread]) {
                (Some(_), Half::Made(step)) => open.push(point.second_step(thread, step)),
                (Some(done), Half::Begun) => open.extend(point.first_step(thread, done)),
                (Some(done), Half::Ahead) if done.began < bound => {
                    open.extend(point.begin(thread, done));
                    open.extend(point.first_step(thread, done));
                }
                _ => {}
            }
        }
    }
    Some(ends.into_values().collect())
}

/// A history, for reading.
fn told(threads: &[Vec<Done>]) -> String {
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (thread, done) in threads.iter().enumerate() {
        for Done { op, seen, began, ended, .. } in done {
            lines.push((*began, format!("{began:4}-{ended:<4} thread {thread}: {op:?} -> {seen:?}")));
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// A model and the permits that are out.
type Explanation = (Model, BTreeMap<u32, model::Permit>);

/// Beyond so many points an execution is given up.
const MOST_POINTS: usize = 100_000;

/// How long the holds are.
const HOLDS: [u64; 2] = [30, 50];
const HOLD_AT_MOST: u64 = 200;

/// One execution: five times some threads work at once, and time passes in between. `false` if it is given up.
fn history<W: Window + Send + Sync + 'static>(shape: Shape, ops: usize) -> bool {
    let tuning = Tuning {
        open_for: 100,
        factor_1024ths: 1024,
        hold_at_most: HOLD_AT_MOST,
        probes: 3,
        at_once: Some(2),
        successes: Some(2),
        lease: 1000,
        minimum: Some(2),
        ..Tuning::PLAIN
    };
    let settings = Settings::new(shape, tuning);
    let clock = ManualClock::at(Ticks::new(u32::MAX - 150));
    let breaker: Shared<W> = Arc::new(Breaker::try_new(settings.config(), clock).unwrap());
    let mut model = Model::new(settings, u64::from(u32::MAX) - 150);
    model.in_two_steps = true;
    let mut models = vec![(model, BTreeMap::new())];
    let book = Arc::new(Book::default());
    let mut held: Vec<Held<W>> = Vec::new();
    let threads = thread_rng().gen_range(4..=8_usize);
    let mut story = String::new();
    for pass in [0, 60, 120, 40, 100] {
        breaker.clock().advance_ticks(pass);
        for (model, _) in &mut models {
            model.pass(pass.into());
        }
        let mut kept: Vec<Vec<Held<W>>> = (0..threads).map(|_| Vec::new()).collect();
        for (index, permit) in held.drain(..).enumerate() {
            kept[index % threads].push(permit);
        }
        let running: Vec<_> = kept
            .into_iter()
            .map(|held| {
                let (breaker, book) = (Arc::clone(&breaker), Arc::clone(&book));
                thread::spawn(move || work(&breaker, &book, held, (ops / threads).max(1)))
            })
            .collect();
        let mut done = Vec::new();
        for thread in running {
            let (ops, permits) = thread.join().unwrap();
            done.push(ops);
            held.extend(permits);
        }
        note_holds(&mut done);
        let Some(explanations) = explain(models, &done) else { return false };
        models = explanations;
        let _ = write!(story, "{pass} ticks later\n{}\n", told(&done));
        assert!(!models.is_empty(), "no order explains\n{story}");
        // Now that nobody is at work, the sums are those of one of the orders.
        let state = breaker.state();
        assert!(models.iter().any(|(model, _)| model.view().state == state), "{state:?}");
        let sums = breaker.tally();
        let same = |model: &Model| {
            let view = model.view();
            view.state == state && (view.sums.total, view.sums.failed) == (sums.total, sums.failed)
        };
        assert!(models.iter().any(|(model, _)| same(model)), "{sums:?}\n{story}");
        models.retain(|(model, _)| same(model));
    }
    true
}

/// `SHUTTLE_ITERATIONS` sets how many schedules of each kind (default 100).
/// `ops` is how many operations all threads make together between two of those moments at which nobody is at work.
fn explore<W: Window + Send + Sync + 'static>(shape: Shape, ops: usize) {
    let iterations = std::env::var("SHUTTLE_ITERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let config = || {
        let mut config = shuttle::Config::default();
        config.silence_warnings = true;
        config
    };
    let counts = std::sync::Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let each = || {
        let counts = std::sync::Arc::clone(&counts);
        move || {
            let explained = history::<W>(shape, ops);
            counts[usize::from(explained)].fetch_add(1, Ordering::Relaxed);
        }
    };
    Runner::new(RandomScheduler::new_from_seed(1, iterations), config()).run(each());
    Runner::new(PctScheduler::new_from_seed(2, 3, iterations), config()).run(each());
    let [given_up, explained] = [0, 1].map(|index| counts[index].load(Ordering::Relaxed));
    println!("{explained} histories explained, {given_up} given up for too many orders");
    assert!(given_up * 10 <= explained);
}

#[test]
fn a_streak_is_explained_by_the_model() {
    explore::<Streak>(Shape::streak(2), 12);
}

#[test]
fn a_count_window_is_explained_by_the_model() {
    explore::<CountWindow<2>>(Shape::count(5, false), 12);
}

#[test]
fn a_time_window_is_explained_by_the_model() {
    explore::<TimeWindow<4>>(Shape::time(4, 64, false), 8);
}
