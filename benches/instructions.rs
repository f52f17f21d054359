//! Instructions per call. `.ci/check/instructions` runs this under callgrind, one case at a time, and compares the
//! counts with `instructions.txt`. `cargo bench --bench instructions` only runs each case.
//!
//! callgrind counts the instructions that [`measured`] executes, on its own thread.

mod guarded;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use guarded::{
    Count24, Count100, OneInTen, Pair, Time10, by_call, by_permit, count, cycle, first_failure, healthy, nervous, open,
    pair, rejection, streak, work,
};
use microbreaker::quanta::QuantaClock;
use microbreaker::{
    Breaker, Clock, CoarseClock, Config, CountWindow, LiveWindow, ManualClock, StdClock, Streak, Ticks, TimeWindow,
    count_words,
};

type Count1000 = CountWindow<{ count_words(1000, false) }>;

/// callgrind finds this function by its name.
#[inline(never)]
fn measured<T>(calls: u32, mut call: impl FnMut() -> T) {
    for _ in 0..calls {
        black_box(call());
    }
}

/// A case: its name, and a function that makes as many calls as it is told.
type Case = (&'static str, fn(u32));

/// Makes guarded calls on a healthy breaker that the optimiser knows nothing about.
fn on<W: LiveWindow>(calls: u32, config: Config, mut call: impl FnMut(&Breaker<W, CoarseClock>) -> Result<u32, ()>) {
    let breaker = healthy::<W, _>(config, CoarseClock);
    let breaker = black_box(&breaker);
    measured(calls, || call(breaker));
}

fn rejects<W: LiveWindow, C: Clock>(calls: u32, config: Config, clock: C) {
    let breaker = open::<W, _>(config, clock);
    let breaker = black_box(&breaker);
    measured(calls, || rejection(breaker));
}

fn cycles<W: LiveWindow>(calls: u32, config: Config) {
    let clock = ManualClock::new();
    let breaker = nervous::<W>(config, &clock);
    let breaker = black_box(&breaker);
    measured(calls, || cycle(breaker));
}

/// A time window with buckets so long that none ends during a run.
fn time() -> Config {
    Config::time(10, Duration::from_secs(1024)).failure_permille(1000)
}

/// A configuration that counts slow calls; no call here is slow.
fn slow(config: Config) -> Config {
    config.slow_after(Duration::from_secs(60))
}

const CASES: &[Case] = &[
    ("nothing", |calls| measured(calls, || 0)),
    ("coarse-reading", |calls| measured(calls, || CoarseClock.now())),
    ("empty-call", |calls| measured(calls, || work(true))),
    ("empty-call-failing", |calls| measured(calls, || work(false))),
    ("empty-call-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        measured(calls, || work(outcomes.next()));
    }),
    ("streak-ok", |calls| on::<Streak>(calls, streak(), |breaker| by_permit(breaker, true))),
    ("streak-ok-by-call", |calls| on::<Streak>(calls, streak(), |breaker| by_call(breaker, true))),
    ("streak-slow-limit-ok", |calls| on::<Streak>(calls, slow(streak()), |breaker| by_permit(breaker, true))),
    ("count-ok", |calls| on::<Count100>(calls, count(), |breaker| by_permit(breaker, true))),
    ("count-ok-by-call", |calls| on::<Count100>(calls, count(), |breaker| by_call(breaker, true))),
    ("count-24-ok", |calls| on::<Count24>(calls, Config::count(24), |breaker| by_permit(breaker, true))),
    ("count-1000-ok", |calls| {
        on::<Count1000>(calls, Config::count(1000), |breaker| by_permit(breaker, true));
    }),
    ("time-ok", |calls| on::<Time10>(calls, time(), |breaker| by_permit(breaker, true))),
    ("time-ok-by-call", |calls| on::<Time10>(calls, time(), |breaker| by_call(breaker, true))),
    ("time-8-lanes-ok", |calls| on::<TimeWindow<16, 8>>(calls, time(), |breaker| by_permit(breaker, true))),
    ("pair-ok", |calls| on::<Pair>(calls, pair(), |breaker| by_permit(breaker, true))),
    // All but one in two hundred, lest the circuit open.
    ("streak-failing", |calls| {
        let mut failures = 0;
        on::<Streak>(calls, streak(), |breaker| {
            failures = if failures == 199 { 0 } else { failures + 1 };
            by_permit(breaker, failures == 0)
        });
    }),
    ("streak-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        on::<Streak>(calls, streak(), |breaker| by_permit(breaker, outcomes.next()));
    }),
    ("count-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        on::<Count100>(calls, count(), |breaker| by_permit(breaker, outcomes.next()));
    }),
    ("count-24-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        on::<Count24>(calls, Config::count(24), |breaker| by_permit(breaker, outcomes.next()));
    }),
    ("count-1000-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        on::<Count1000>(calls, Config::count(1000), |breaker| by_permit(breaker, outcomes.next()));
    }),
    ("time-one-in-ten", |calls| {
        let mut outcomes = OneInTen::default();
        on::<Time10>(calls, time(), |breaker| by_permit(breaker, outcomes.next()));
    }),
    ("streak-dropped", |calls| {
        on::<Streak>(calls, streak(), |breaker| breaker.acquire().map(|_| 0).map_err(|_| ()));
    }),
    ("streak-reject", |calls| rejects::<Streak, _>(calls, streak(), CoarseClock)),
    ("count-reject", |calls| rejects::<Count100, _>(calls, count(), CoarseClock)),
    ("streak-reject-std-clock", |calls| rejects::<Streak, _>(calls, streak(), StdClock)),
    ("streak-reject-quanta-clock", |calls| {
        QuantaClock::start();
        rejects::<Streak, _>(calls, streak(), QuantaClock);
    }),
    ("streak-half-open-cycle", |calls| cycles::<Streak>(calls, first_failure()[0])),
    ("count-half-open-cycle", |calls| cycles::<Count100>(calls, first_failure()[1])),
];

fn main() -> ExitCode {
    assert!(CoarseClock::start(), "the coarse clock's thread could not start");
    // Before its first tick, a reading asks the system's clock.
    while CoarseClock.now() == Ticks::new(0) {
        thread::yield_now();
    }
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next().and_then(|calls| calls.parse().ok())) {
        (Some("--list"), _) => CASES.iter().for_each(|(name, _)| println!("{name}")),
        (Some(wanted), Some(calls)) => match CASES.iter().find(|(name, _)| *name == wanted) {
            Some((_, run)) => run(calls),
            None => return ExitCode::from(2),
        },
        // `cargo bench` only checks that each case runs.
        _ => CASES.iter().for_each(|(_, run)| run(1)),
    }
    ExitCode::SUCCESS
}
