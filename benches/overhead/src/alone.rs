//! The layer without a network, around a service that answers at once, polled by hand.

use std::fmt::{Debug, Write as _};
use std::future::ready;
use std::hint::{black_box, spin_loop};
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use microbreaker::Observer;
use microbreaker::tower::BreakerLayer;
use tower::{Layer, Service, service_fn};

use crate::breakers::{Hold, in_arc, in_static, metered};
use crate::guarded::{Padded, timed, work};
use crate::measure::{Case, Plan, median, ratio, rounds};
use crate::{Allocations, heap};

const BARE: &str = "bare";
const STATIC: &str = "`&'static`";
const ARC: &str = "`Arc`";
const METERED: &str = "`&'static`, timed `Meter`";

/// The guarded service: a real call with a real result, ready at once.
fn inner() -> impl Service<bool, Response = u32, Error = (), Future: Send> + Clone + Send + Sync + 'static {
    service_fn(|good| ready(work(good)))
}

fn behind<H: Hold<O>, O: Observer + 'static>(
    holder: H,
) -> impl Service<bool, Response = u32, Error: Debug> + Clone + Send + Sync + 'static {
    BreakerLayer::new(holder).layer(inner())
}

/// A whole call as tower makes it: the service is asked whether it is ready, called, and its future polled.
#[inline(always)]
fn call<S: Service<bool>>(service: &mut S) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(ready) = service.poll_ready(&mut context) else { unreachable!("{NEVER_WAITS}") };
    ready?;
    let Poll::Ready(result) = pin!(service.call(true)).poll(&mut context) else { unreachable!("{NEVER_WAITS}") };
    result
}

const NEVER_WAITS: &str = "the inner service is ready, and its answer too";

/// Counts the allocations of admitted calls and of rejections, on a kept service and on a clone for each call.
pub(crate) fn allocations() -> Allocations {
    const CALLS: u64 = 1000;
    fn count<S: Service<bool> + Clone>(mut service: S, admitted: bool) -> u64 {
        let (answered, heap) = heap::count(|| {
            let kept = (0..CALLS).filter(|_| call(&mut service).is_ok()).count();
            let cloned = (0..CALLS).filter(|_| call(&mut service.clone()).is_ok()).count();
            kept + cloned
        });
        assert_eq!(answered as u64, if admitted { 2 * CALLS } else { 0 }, "as the breaker says");
        heap.allocations
    }
    fn both<H: Hold<O>, O: Observer + 'static>(holder: &H) -> [u64; 2] {
        let service = behind(holder.clone());
        let admitted = count(service.clone(), true);
        holder.latch();
        let rejected = count(service, false);
        holder.reset();
        [admitted, rejected]
    }
    let bare = count(inner(), true);
    let guarded = [(STATIC, both(&in_static())), (ARC, both(&in_arc())), (METERED, both(&metered()))];
    let mut table = format!(
        "Allocations of {} calls of a service that is ready:\n\n| | admitted | rejected |\n| --- | --: | --: |\n\
         | {BARE} | {bare} | |\n",
        2 * CALLS
    );
    for (name, [admitted, rejected]) in guarded {
        let _ = writeln!(table, "| {name} | {admitted} | {rejected} |");
    }
    let counts = guarded.iter().flat_map(|(_, counts)| counts);
    let calls = 2 * CALLS * counts.clone().count() as u64;
    Allocations { table, calls, added: counts.map(|count| count.saturating_sub(bare)).sum() }
}

/// The speed on one thread.
pub(crate) struct Speed {
    pub(crate) table: String,
    /// The nanoseconds that the layer adds to a call if its holder is a `&'static`: the median over the rounds.
    pub(crate) added: f64,
}

/// Measures nanoseconds per call on one thread.
pub(crate) fn one_thread(plan: Plan) -> Speed {
    let columns = ["one thread", "…, a clone per call"];
    let rows = [
        on_one_thread(&inner()),
        on_one_thread(&behind(in_static())),
        on_one_thread(&behind(in_arc())),
        on_one_thread(&behind(metered())),
    ];
    let (table, times) = speed(plan, columns, rows);
    let (bare, ours) = (&times[0], &times[columns.len()]);
    let added: Vec<f64> = ours.iter().zip(bare).map(|(ours, bare)| ours - bare).collect();
    Speed { table, added: median(&added) }
}

/// Measures nanoseconds per call on two threads. Returns a table.
pub(crate) fn two_threads(plan: Plan) -> String {
    let rows = [
        on_two_threads(&inner()),
        on_two_threads(&behind(in_static())),
        on_two_threads(&behind(in_arc())),
        on_two_threads(&behind(metered())),
    ];
    speed(plan, ["two threads, each", "…, a clone per call"], rows).0
}

/// Measures a row of cases for each holder. Returns a table, and the times of each case.
fn speed<const COLUMNS: usize>(
    plan: Plan,
    columns: [&str; COLUMNS],
    rows: [[Case<'static>; COLUMNS]; 4],
) -> (String, Vec<Vec<f64>>) {
    let mut cases: Vec<Case> = rows.into_iter().flatten().collect();
    let times = rounds(plan, &mut cases);
    let of = |row: usize, column: usize| &times[row * COLUMNS + column];

    let mut table = format!(
        "Nanoseconds per call of a service that is ready (ready, call, answer); medians of {} interleaved rounds, and\n\
         in brackets of the ratios to the bare service in the same round:\n\n| | {} |\n| --- {}|\n",
        plan.rounds,
        columns.join(" | "),
        "| --: ".repeat(COLUMNS),
    );
    let mut line = |name: &str, cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..COLUMNS).map(cell).collect();
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    };
    for (row, name) in [BARE, STATIC, ARC, METERED].into_iter().enumerate() {
        line(name, &|column| {
            let (ours, bare) = (of(row, column), of(0, column));
            format!("{:.1} ({:.2}×)", median(ours), ratio(ours, bare))
        });
    }
    line("`Arc` to `&'static`", &|column| format!("{:.2}×", ratio(of(2, column), of(1, column))));
    (table, times)
}

/// Two clones of a service that admits calls. The optimiser knows nothing about them, so the code must look up which
/// breaker they hold.
fn clones<S: Service<bool, Response = u32, Error: Debug> + Clone>(service: &S) -> [S; 2] {
    let [mut kept, cloned] = [(); 2].map(|()| black_box(service.clone()));
    assert!(matches!(call(&mut kept), Ok(7)), "it admits");
    [kept, cloned]
}

fn on_one_thread<S>(service: &S) -> [Case<'static>; 2]
where
    S: Service<bool, Response = u32, Error: Debug> + Clone + 'static,
{
    let [mut kept, cloned] = clones(service);
    [
        Case::new("", move |calls| timed(calls, || call(&mut kept))),
        Case::new("", move |calls| timed(calls, || call(&mut cloned.clone()))),
    ]
}

fn on_two_threads<S>(service: &S) -> [Case<'static>; 2]
where
    S: Service<bool, Response = u32, Error: Debug> + Clone + Send + Sync + 'static,
{
    let [shared, shared_cloned] = clones(service);
    [
        Case::new("", move |calls| {
            two_together(calls, || {
                let mut own = black_box(shared.clone());
                move || call(&mut own)
            })
        }),
        Case::new("", move |calls| two_together(calls, || || call(&mut shared_cloned.clone()))),
    ]
}

/// How a layer holds its breaker, if there is a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    None,
    Static,
    Arc,
}

/// Makes `calls` calls of a healthy service, for callgrind to count.
pub(crate) fn make_calls(holder: Holder, calls: u64) {
    fn make<S: Service<bool, Response = u32, Error: Debug> + Clone>(service: &S, calls: u64) {
        let [mut kept, _] = clones(service);
        // The breaker has its minimum of calls.
        assert_eq!((0..1000).filter(|_| call(&mut kept).is_ok()).count(), 1000, "it admits");
        measured(&mut kept, calls);
    }
    match holder {
        Holder::None => make(&inner(), calls),
        Holder::Static => make(&behind(in_static()), calls),
        Holder::Arc => make(&behind(in_arc()), calls),
    }
}

/// callgrind finds this function by its name.
#[inline(never)]
fn measured<S: Service<bool>>(service: &mut S, calls: u64) {
    for _ in 0..calls {
        let _ = black_box(call(service));
    }
}

/// How long one of two threads takes for `calls` calls while both make calls; `caller` gives each thread its own.
///
/// The calls are made in sprints; before each, the threads wait for each other. A sprint is over as soon as one thread
/// is through. Of two threads that share a word, one may get it less often: if it made its remaining calls alone, they
/// would measure something else. Only sprints in which both really ran side by side count, and of those the median.
fn two_together<T, F: FnMut() -> T>(calls: u64, caller: impl Fn() -> F + Sync) -> Duration {
    let (arrived, over) = (Padded(AtomicU64::new(0)), Padded(AtomicU64::new(0)));
    let sprint = |number: u64, call: &mut F| {
        // Relaxed, here and below: only the times depend on these counters, no data.
        arrived.0.fetch_add(1, Ordering::Relaxed);
        // The loop does not yield: that would hand this core to the other thread, and the two would take turns for
        // good.
        while arrived.0.load(Ordering::Relaxed) < 2 * number {
            spin_loop();
        }
        let (begin, mut made) = (Instant::now(), 0);
        while made < SPRINT && over.0.load(Ordering::Relaxed) < number {
            timed(BATCH, &mut *call);
            made += BATCH;
        }
        over.0.fetch_max(number, Ordering::Relaxed);
        Sprint { begin, end: Instant::now(), made }
    };
    let run = |numbers: Range<u64>| {
        let mut call = caller();
        numbers.map(|number| sprint(number, &mut call)).collect::<Vec<_>>()
    };
    // A part of the sprints is enough for a median.
    let wanted = calls.div_ceil(4 * SPRINT).max(10);
    let (begun, mut next, mut nanos) = (Instant::now(), 1, Vec::new());
    while (nanos.len() as u64) < wanted {
        assert!(begun.elapsed() < PATIENCE, "two threads never ran side by side: repeat it where two cores are free");
        let numbers = next..next + wanted;
        next = numbers.end;
        let [ours, theirs] = thread::scope(|scope| {
            let other = scope.spawn(|| run(numbers.clone()));
            [run(numbers.clone()), other.join().expect("a thread panicked")]
        });
        nanos.extend(ours.iter().zip(&theirs).filter_map(|(ours, theirs)| ours.nanos_beside(theirs)));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Duration::from_secs_f64(median(&nanos) * calls as f64 / 1e9)
}

/// What one thread did in a sprint.
struct Sprint {
    begin: Instant,
    end: Instant,
    made: u64,
}

impl Sprint {
    /// The mean time of a call of both threads, in nanoseconds, if they ran side by side for nine tenths of the time.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn nanos_beside(&self, other: &Self) -> Option<f64> {
        let span = self.end.max(other.end) - self.begin.min(other.begin);
        let both = self.end.min(other.end).saturating_duration_since(self.begin.max(other.begin));
        let spent = (self.end - self.begin) + (other.end - other.begin);
        (both * 10 > span * 9).then(|| spent.as_nanos() as f64 / (self.made + other.made) as f64)
    }
}

/// Calls in a sprint: long compared with its start (a cache line or two passed to and fro), short compared with a time
/// slice.
const SPRINT: u64 = 10_000;

/// Calls between two looks at the other thread. The cost of a look vanishes in a batch, and a part of a batch in a
/// sprint.
const BATCH: u64 = 100;

/// How long to wait for sprints in which both ran side by side.
const PATIENCE: Duration = Duration::from_secs(60);
