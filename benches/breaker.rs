//! Measures the cost per call and the bare floors in one run: `cargo bench --bench breaker`.
//!
//! Absolute figures differ between machines, and on one machine from minute to minute. Compare within a run, by the
//! ratio to the floor of the same group; `.ci/check/bench-ratios` does that. The measured calls are in `guarded`; the
//! package `compare` measures the rivals.

mod guarded;

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use microbreaker::quanta::QuantaClock;
use microbreaker::{Breaker, Clock, CoarseClock, Config, Effect, LiveWindow, ManualClock, State, StdClock, Streak};

use guarded::{
    Count100, OneInTen, Padded, Pair, Time10, by_call, by_permit, count, cycle, first_failure, healthy, load,
    load_compare_exchange, load_fetch_add, nervous, open, pair, rejection, streak, time, time_healthy, time_together,
    work,
};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Measures calls on a healthy breaker.
fn on_healthy<W: LiveWindow, C: Clock, T>(
    group: &mut Group,
    name: &str,
    breaker: &Breaker<W, C>,
    mut call: impl FnMut(&Breaker<W, C>) -> T,
) {
    group.bench_function(name, |b| b.iter_custom(|calls| time_healthy(breaker, calls, &mut call)));
    assert_eq!(breaker.state(), State::Closed);
}

fn floors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floors");
    let word = Padded(AtomicU32::new(0));
    let word = &black_box(&word).0;
    group.bench_function("empty-call", |b| b.iter(|| work(true)));
    group.bench_function("load", |b| b.iter(|| load(word, true)));
    group.bench_function("load-fetch-add", |b| b.iter(|| load_fetch_add(word, true)));
    group.bench_function("load-compare-exchange", |b| b.iter(|| load_compare_exchange(word, true)));
    group.bench_function("instant-now", |b| b.iter(Instant::now));
}

fn closed_ok(criterion: &mut Criterion) {
    fn window<W: LiveWindow, C: Clock + Copy>(group: &mut Group, name: &str, config: Config, clock: C) {
        let breaker = Padded(healthy::<W, C>(config, clock));
        // The optimiser knows nothing about this reference, as if it came from another module.
        let breaker = &black_box(&breaker).0;
        on_healthy(group, &format!("{name}-permit"), breaker, |breaker| by_permit(breaker, true));
        on_healthy(group, &format!("{name}-call"), breaker, |breaker| by_call(breaker, true));
    }
    let mut group = criterion.benchmark_group("closed-ok");
    window::<Streak, _>(&mut group, "streak", streak(), CoarseClock);
    window::<Count100, _>(&mut group, "count", count(), CoarseClock);
    window::<Time10, _>(&mut group, "time", time(), CoarseClock);
    window::<Pair, _>(&mut group, "pair", pair(), CoarseClock);
    window::<Time10, _>(&mut group, "time-std-clock", time(), StdClock);
}

fn ten_percent_failures(criterion: &mut Criterion) {
    fn window<W: LiveWindow>(group: &mut Group, name: &str, config: Config) {
        let breaker = Padded(healthy::<W, _>(config, CoarseClock));
        let breaker = &black_box(&breaker).0;
        let mut outcomes = OneInTen::default();
        on_healthy(group, name, breaker, |breaker| by_permit(breaker, outcomes.next()));
    }
    let mut group = criterion.benchmark_group("ten-percent-failures");
    let word = Padded(AtomicU32::new(0));
    let word = &black_box(&word).0;
    let mut outcomes = OneInTen::default();
    group.bench_function("floor-empty-call", |b| b.iter(|| work(outcomes.next())));
    group.bench_function("floor-load-compare-exchange", |b| b.iter(|| load_compare_exchange(word, outcomes.next())));
    window::<Streak>(&mut group, "streak", streak());
    window::<Count100>(&mut group, "count", count());
    window::<Time10>(&mut group, "time", time());
    window::<Pair>(&mut group, "pair", pair());
}

fn open_reject(criterion: &mut Criterion) {
    fn window<W: LiveWindow, C: Clock + Copy>(group: &mut Group, name: &str, config: Config, clock: C) {
        let breaker = Padded(open::<W, C>(config, clock));
        let breaker = &black_box(&breaker).0;
        group.bench_function(name, |b| b.iter(|| rejection(breaker)));
        assert_eq!(breaker.state(), State::Open);
    }
    let mut group = criterion.benchmark_group("open-reject");
    window::<Streak, _>(&mut group, "streak-coarse-clock", streak(), CoarseClock);
    window::<Count100, _>(&mut group, "count-coarse-clock", count(), CoarseClock);
    window::<Time10, _>(&mut group, "time-coarse-clock", time(), CoarseClock);
    window::<Pair, _>(&mut group, "pair-coarse-clock", pair(), CoarseClock);
    window::<Streak, _>(&mut group, "streak-quanta-clock", streak(), QuantaClock);
    window::<Streak, _>(&mut group, "streak-std-clock", streak(), StdClock);
    window::<Count100, _>(&mut group, "count-std-clock", count(), StdClock);
    window::<Time10, _>(&mut group, "time-std-clock", time(), StdClock);
    window::<Pair, _>(&mut group, "pair-std-clock", pair(), StdClock);
}

fn half_open(criterion: &mut Criterion) {
    fn window<W: LiveWindow>(group: &mut Group, name: &str, config: Config) {
        let clock = ManualClock::new();
        let breaker = Padded(nervous::<W>(config, &clock));
        let breaker = &black_box(&breaker).0;
        group.bench_function(name, |b| b.iter(|| cycle(breaker)));
        assert_eq!(cycle(breaker), (Some(true), Some(Effect::Closed)));
    }
    let mut group = criterion.benchmark_group("half-open");
    let [streak, count, time, pair] = first_failure();
    window::<Streak>(&mut group, "streak-cycle", streak);
    window::<Count100>(&mut group, "count-cycle", count);
    window::<Time10>(&mut group, "time-cycle", time);
    window::<Pair>(&mut group, "pair-cycle", pair);
}

/// Measures two threads at once: see [`time_together`].
fn together(group: &mut Group, name: &str, body: impl Fn(usize, u64) + Sync) {
    group.bench_function(name, |b| b.iter_custom(|calls| time_together(2, calls, &body)));
}

fn two_threads(criterion: &mut Criterion) {
    /// Measures `own`, where each thread uses its own target, and `shared`, where both use the first.
    fn each_and_shared<T: Sync>(group: &mut Group, name: &str, make: impl Fn() -> T, body: impl Fn(&T, u64) + Sync) {
        let targets = [Padded(make()), Padded(make())];
        let targets = black_box(&targets);
        together(group, &format!("{name}-own"), |thread, calls| body(&targets[thread].0, calls));
        together(group, &format!("{name}-shared"), |_, calls| body(&targets[0].0, calls));
    }

    fn window<W: LiveWindow + Sync>(group: &mut Group, name: &str, config: Config, nervously: Config) {
        let make = || healthy::<W, _>(config, CoarseClock);
        each_and_shared(group, &format!("closed-ok-{name}"), make, |breaker, calls| {
            for _ in 0..calls {
                black_box(by_permit(breaker, true)).expect("it stays closed");
            }
        });
        each_and_shared(group, &format!("ten-percent-failures-{name}"), make, |breaker, calls| {
            let mut outcomes = OneInTen::default();
            for _ in 0..calls {
                let _ = black_box(by_permit(breaker, outcomes.next()));
            }
        });
        let make = || open::<W, _>(config, CoarseClock);
        each_and_shared(group, &format!("open-reject-{name}"), make, |breaker, calls| {
            for _ in 0..calls {
                black_box(rejection(breaker)).expect("it stays open");
            }
        });
        // On one breaker the threads meet each other's transitions. A round is then no whole cycle, but makes as many
        // calls.
        let clocks = [Padded(ManualClock::new()), Padded(ManualClock::new())];
        let next = AtomicUsize::new(0);
        let make = || nervous::<W>(nervously, &clocks[next.fetch_add(1, Ordering::Relaxed)].0);
        each_and_shared(group, &format!("half-open-{name}"), make, |breaker, calls| {
            for _ in 0..calls {
                black_box(cycle(breaker));
            }
        });
    }

    let mut group = criterion.benchmark_group("two-threads");
    let word = || AtomicU32::new(0);
    each_and_shared(&mut group, "floor-load", word, |word, calls| {
        for _ in 0..calls {
            let _ = black_box(load(word, true));
        }
    });
    each_and_shared(&mut group, "floor-load-fetch-add", word, |word, calls| {
        for _ in 0..calls {
            let _ = black_box(load_fetch_add(word, true));
        }
    });
    each_and_shared(&mut group, "floor-load-compare-exchange", word, |word, calls| {
        for _ in 0..calls {
            let _ = black_box(load_compare_exchange(word, true));
        }
    });
    let [nervous_streak, nervous_count, nervous_time, nervous_pair] = first_failure();
    window::<Streak>(&mut group, "streak", streak(), nervous_streak);
    window::<Count100>(&mut group, "count", count(), nervous_count);
    window::<Time10>(&mut group, "time", time(), nervous_time);
    window::<Pair>(&mut group, "pair", pair(), nervous_pair);
}

fn short_runs() -> Criterion {
    // The clock starts before anything is measured; from then on a coarse reading is one load.
    assert!(CoarseClock::start(), "the coarse clock's thread could not start");
    // Many short benchmarks are better than a few long ones: a disturbance of a shared machine lasts longer than a
    // benchmark, and ratios are taken between neighbours. The median needs no more samples than this.
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(2000)
        .without_plots()
}

criterion_group! {
    name = benches;
    config = short_runs();
    targets = floors, closed_ok, ten_percent_failures, open_reject, half_open, two_threads
}
criterion_main!(benches);
