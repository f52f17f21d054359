//! The cases: the same loops around the calls of every breaker.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::caller::{Caller, Cycle, OpenFor, State, Subject};
use crate::guarded::{OneInTen, Padded, time_together};
use crate::measure::Case;
use crate::private_work::PrivateWork;

pub fn warm_up(caller: &mut impl Caller) {
    for _ in 0..1000 {
        assert_eq!(caller.call(true), Ok(7));
    }
}

pub fn closed_ok(mut caller: impl Caller) -> Case<'static> {
    warm_up(&mut caller);
    on_one_thread(caller, good_calls, is_closed)
}

pub fn ten_percent(mut caller: impl Caller) -> Case<'static> {
    warm_up(&mut caller);
    on_one_thread(caller, mixed_calls, is_closed)
}

/// A breaker that is open and stays open.
pub fn open<S: Subject>() -> S::Caller {
    let mut caller = S::settle(S::nervous(OpenFor::ADay));
    for _ in 0..S::CYCLE.failures {
        let _ = caller.call(false);
    }
    is_open(&mut caller);
    caller
}

pub fn open_reject(caller: impl Caller) -> Case<'static> {
    // The circuit is open when the case is made, and checked after each run.
    on_one_thread(caller, rejections, is_open)
}

pub fn churn(caller: impl Caller, once_round: Cycle) -> Case<'static> {
    on_one_thread(caller, move |caller, calls| cycles(caller, calls, once_round), is_closed)
}

pub fn shared<C: Caller + Clone + Send + Sync>(caller: C) -> Case<'static> {
    on_two_threads(caller, good_calls)
}

pub fn shared_with_work<C: Caller + Clone + Send + Sync>(caller: C, private: PrivateWork) -> Case<'static> {
    on_two_threads(caller, move |caller, calls| calls_between_work(caller, calls, private))
}

/// Each thread has a caller of its own. Not every caller can be cloned or called through a shared reference, so each is
/// behind a lock that only its thread takes.
pub fn own<C: Caller + Send>(mut callers: [C; 2]) -> Case<'static> {
    let part = part(&mut callers[0]);
    let callers = callers.map(|mut caller| {
        warm_up(&mut caller);
        Padded(Mutex::new(Some(caller)))
    });
    Case::new("", move |calls| {
        two_together(calls, part, |thread, calls| {
            let mut held = callers[thread].0.lock().expect("no thread panicked");
            *held = held.take().map(|caller| good_calls(caller, calls));
        })
    })
}

fn on_one_thread<C: Caller>(
    caller: C,
    run: impl Fn(C, u64) -> C + 'static,
    check: impl Fn(&mut C) + 'static,
) -> Case<'static> {
    let mut held = Some(caller);
    Case::new("", move |calls| {
        let caller = held.take().expect("given back by the run before");
        let start = Instant::now();
        let mut caller = run(caller, calls);
        let time = start.elapsed();
        check(&mut caller);
        held = Some(caller);
        time
    })
}

fn on_two_threads<C: Caller + Clone + Send + Sync>(
    mut caller: C,
    run: impl Fn(C, u64) -> C + Sync + 'static,
) -> Case<'static> {
    let part = part(&mut caller);
    Case::new("", move |calls| {
        let time = two_together(calls, part, |_, calls| drop(run(caller.clone(), calls)));
        is_closed(&mut caller);
        time
    })
}

/// Makes only every `part`th of the calls, a few sprints at a time. If other programs want the cores too, two threads
/// that were put on one core take turns there until they end, so they must end soon.
fn two_together(calls: u64, part: u32, body: impl Fn(usize, u64) + Sync) -> Duration {
    const FEW: u64 = 160_000;
    let times = calls.div_ceil(FEW).max(1);
    let one = |_| time_together(2, calls / times, |thread, calls| body(thread, (calls / u64::from(part)).max(1)));
    (0..times).map(one).sum::<Duration>() * part
}

/// The part of the calls that takes about as long as all calls of the fastest callers. A sprint of ten thousand slow
/// calls outlasts a time slice; if other programs want the cores too, no such sprint would ever count.
fn part(caller: &mut impl Caller) -> u32 {
    const FAST: u128 = 20;
    warm_up(caller);
    let start = Instant::now();
    warm_up(caller);
    u32::try_from(start.elapsed().as_nanos() / 1000 / FAST).map_or(100, |part| part.clamp(1, 100))
}

// Each loop is a function of its own, so that it is the same code on one thread and on two. The caller is a local
// variable of the loop: a caller behind a pointer would be loaded again for each call, as no user's caller is.

#[inline(never)]
fn good_calls<C: Caller>(mut caller: C, calls: u64) -> C {
    for _ in 0..calls {
        let _ = black_box(caller.call(true));
    }
    caller
}

#[inline(never)]
fn mixed_calls<C: Caller>(mut caller: C, calls: u64) -> C {
    let mut outcomes = OneInTen::default();
    for _ in 0..calls {
        let _ = black_box(caller.call(outcomes.next()));
    }
    caller
}

#[inline(never)]
fn rejections<C: Caller>(mut caller: C, calls: u64) -> C {
    for _ in 0..calls {
        caller.rejected();
    }
    caller
}

#[inline(never)]
fn cycles<C: Caller>(mut caller: C, calls: u64, once_round: Cycle) -> C {
    let mut all = true;
    for _ in 0..calls {
        all &= cycle(&mut caller, once_round);
    }
    assert!(all, "a probe was not let in");
    caller
}

#[inline(never)]
fn calls_between_work<C: Caller>(mut caller: C, calls: u64, private: PrivateWork) -> C {
    let mut seed = black_box(calls);
    for _ in 0..calls {
        let _ = black_box(caller.call(true));
        seed = private.from(seed);
    }
    black_box(seed);
    caller
}

/// One cycle: failures open the circuit, the open time passes, successful probes close it. Returns whether every probe
/// was admitted.
#[inline(always)]
pub fn cycle(caller: &mut impl Caller, Cycle { failures, probes }: Cycle) -> bool {
    for _ in 0..failures {
        let _ = black_box(caller.call(false));
    }
    caller.pass();
    let mut all = true;
    for _ in 0..probes {
        all &= black_box(caller.call(true)).is_ok();
    }
    all
}

/// Asserts that the circuit is closed: a call that would succeed does so exactly if it is admitted.
fn is_closed(caller: &mut impl Caller) {
    assert_eq!(caller.call(true), Ok(7), "it did not stay closed");
    assert!(matches!(caller.state(), None | Some(State::Closed)), "it is {:?}", caller.state());
}

fn is_open(caller: &mut impl Caller) {
    assert!(caller.rejected() && caller.call(true).is_err(), "it did not stay open");
    assert!(matches!(caller.state(), None | Some(State::Open)), "it is {:?}", caller.state());
}
