//! The layer without a network: around a service that answers at once, polled by hand.

use std::fmt::{Debug, Write as _};
use std::future::ready;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use microbreaker::{BreakerLayer, Observer};
use tower::{Layer, Service, service_fn};

use crate::breakers::{Hold, in_arc, in_static, metered};
use crate::guarded::{time_together, timed, work};
use crate::measure::{Case, Plan, median, ratio, rounds};
use crate::{Allocations, heap};

const BARE: &str = "bare";
const STATIC: &str = "`&'static`";
const ARC: &str = "`Arc`";
const METERED: &str = "`&'static`, timed `Meter`";

const COLUMNS: [&str; 4] = ["one thread", "…, a clone per call", "two threads, each", "…, a clone per call"];

/// What is guarded: a real call with a real result, which is there at once.
fn inner() -> impl Service<bool, Response = u32, Error = (), Future: Send> + Clone + Send + Sync + 'static {
    service_fn(|good| ready(work(good)))
}

fn behind<H: Hold<O>, O: Observer + 'static>(
    holder: H,
) -> impl Service<bool, Response = u32, Error: Debug> + Clone + Send + Sync + 'static {
    BreakerLayer::new(holder).layer(inner())
}

/// A whole call, as tower makes them: asked whether it is ready, called, and polled.
#[inline(always)]
fn call<S: Service<bool>>(service: &mut S) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(ready) = service.poll_ready(&mut context) else { unreachable!("{NEVER_WAITS}") };
    ready?;
    let Poll::Ready(result) = pin!(service.call(true)).poll(&mut context) else { unreachable!("{NEVER_WAITS}") };
    result
}

const NEVER_WAITS: &str = "the inner service is ready, and its answer too";

/// Of admitted calls and of rejections, on a service that is kept and on a clone for each call.
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

/// Nanoseconds per call, as a table.
pub(crate) fn speed(plan: Plan) -> String {
    let names = [BARE, STATIC, ARC, METERED];
    let mut cases: Vec<Case> =
        [cases(&inner()), cases(&behind(in_static())), cases(&behind(in_arc())), cases(&behind(metered()))]
            .into_iter()
            .flatten()
            .collect();
    let times = rounds(plan, &mut cases);
    let of = |row: usize, column: usize| &times[row * COLUMNS.len() + column];

    let mut table = format!(
        "Nanoseconds per call of a service that is ready (ready, call, answer); medians of {} interleaved rounds, and in\n\
         brackets of the ratios to the bare service in the same round:\n\n| | {} |\n| --- {}|\n",
        plan.rounds,
        COLUMNS.join(" | "),
        "| --: ".repeat(COLUMNS.len()),
    );
    let mut line = |name: &str, cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..COLUMNS.len()).map(cell).collect();
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    };
    for (row, name) in names.into_iter().enumerate() {
        line(name, &|column| {
            let (ours, bare) = (of(row, column), of(0, column));
            format!("{:.1} ({:.2}×)", median(ours), ratio(ours, bare))
        });
    }
    line("`Arc` to `&'static`", &|column| format!("{:.2}×", ratio(of(2, column), of(1, column))));
    table
}

/// One of each column.
fn cases<S: Service<bool, Response = u32, Error: Debug> + Clone + Send + Sync + 'static>(
    service: &S,
) -> [Case<'static>; 4] {
    // By way of services that the optimiser knows nothing about: it must look up which breaker they hold.
    let [mut kept, cloned, shared, shared_cloned] = [(); 4].map(|()| black_box(service.clone()));
    assert!(matches!(call(&mut kept), Ok(7)), "it admits");
    [
        Case::new("", move |calls| timed(calls, || call(&mut kept))),
        Case::new("", move |calls| timed(calls, || call(&mut cloned.clone()))),
        Case::new("", move |calls| {
            two_together(calls, |calls| {
                let mut own = black_box(shared.clone());
                timed(calls, || call(&mut own));
            })
        }),
        Case::new("", move |calls| {
            two_together(calls, |calls| {
                timed(calls, || call(&mut shared_cloned.clone()));
            })
        }),
    ]
}

/// Two threads, each with so many calls. Never few: they would be over before both cores have woken up, and a pair that did
/// not run side by side is not counted.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn two_together(calls: u64, body: impl Fn(u64) + Sync) -> Duration {
    let made = calls.max(400_000);
    time_together(2, made, |_, calls| body(calls)).mul_f64(calls as f64 / made as f64)
}
