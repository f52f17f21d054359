//! Cost per call, beside the bare floors, in one run: `cargo bench --bench breaker`.
//!
//! Absolute figures move between machines, and on one machine between minutes: compare within a run, by the ratio to
//! the floor of the same group. `.ci/show/core-6` does that.
//!
//! What is measured is a whole guarded call: ask, make the call ([`work`]), look at its result, report it. Its floor,
//! "the empty call", makes the same call and looks at nothing.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use microbreaker::{
    Breaker, Clock, CoarseClock, Config, CountWindow, Effect, ManualClock, State, StdClock, Streak, TimeWindow, Window,
    count_words,
};

type Count100 = CountWindow<{ count_words(100, false) }>;
type Time10 = TimeWindow<16>;
type Pair = (Streak, Count100);

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// What is guarded: a real call with a real result, and nothing else.
#[inline(never)]
fn work(good: bool) -> Result<u32, ()> {
    // Opaque, so that neither the call nor the look at its result can be folded away.
    black_box(if good { Ok(7) } else { Err(()) })
}

/// A guarded call by permit.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each benchmark stands for a call site, and its floor has no call around it")]
fn by_permit<W: Window, C: Clock>(breaker: &Breaker<W, C>, good: bool) -> Result<u32, ()> {
    let Ok(permit) = breaker.acquire() else { return Err(()) };
    let result = work(good);
    match result {
        Ok(_) => permit.success(),
        Err(()) => permit.failure(),
    };
    result
}

/// A guarded call by closure. A rejection becomes an error as it does by permit, so that both have the result type of
/// their floor.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
fn by_call<W: Window, C: Clock>(breaker: &Breaker<W, C>, good: bool) -> Result<u32, ()> {
    breaker.call(|| work(good)).map_err(|_| ())
}

/// A rejection, and a look at when to ask again.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
fn rejection<W: Window, C: Clock>(breaker: &Breaker<W, C>) -> Option<u32> {
    breaker.acquire().err().and_then(|rejected| rejected.retry_in_ticks())
}

/// The floors that touch a word, and the call.
#[inline]
fn load(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    black_box(word.load(Ordering::Relaxed));
    work(good)
}

#[inline]
fn load_fetch_add(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    black_box(word.load(Ordering::Relaxed));
    let result = work(good);
    word.fetch_add(1, Ordering::AcqRel);
    result
}

/// One try: a floor does not even repeat what another thread foiled.
#[inline]
fn load_compare_exchange(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    let seen = word.load(Ordering::Acquire);
    let result = work(good);
    let _ = black_box(word.compare_exchange(seen, seen.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed));
    result
}

/// Nine good, one bad, and over again.
#[derive(Default)]
struct OneInTen(u32);

impl OneInTen {
    #[inline]
    fn next(&mut self) -> bool {
        self.0 = if self.0 == 9 { 0 } else { self.0 + 1 };
        self.0 != 0
    }
}

/// On cache lines of its own (two: adjacent ones are fetched in pairs).
#[repr(align(128))]
struct Padded<T>(T);

fn streak() -> Config {
    Config::streak(1023)
}

/// 100 % trips, so nothing here does; but every failure is counted and judged.
fn count() -> Config {
    Config::count(100).failure_permille(1000)
}

fn time() -> Config {
    // The shortest buckets there are: see `STRETCH`.
    Config::time(10, Duration::from_micros(62_500)).failure_permille(1000)
}

fn pair() -> Config {
    count().and_streak(1023)
}

/// A breaker that is healthy and has been for a while: its window is full, its minimum met and judged.
fn healthy<W: Window, C: Clock>(config: Config, clock: C) -> Breaker<W, C> {
    let breaker = Breaker::new(config, clock);
    warm_up(&breaker);
    breaker
}

#[inline(never)]
fn warm_up<W: Window, C: Clock>(breaker: &Breaker<W, C>) {
    for _ in 0..1000 {
        assert_eq!(by_permit(breaker, true), Ok(7));
    }
}

/// Measures calls on a healthy breaker, which is begun anew, outside the measurement, at every [`STRETCH`].
fn on_healthy<W: Window, C: Clock, T>(
    group: &mut Group,
    name: &str,
    breaker: &Breaker<W, C>,
    mut call: impl FnMut(&Breaker<W, C>) -> T,
) {
    group.bench_function(name, |b| {
        b.iter_custom(|calls| {
            let mut left = calls;
            let mut time = Duration::ZERO;
            while left > 0 {
                breaker.reset();
                warm_up(breaker);
                let stretch = left.min(STRETCH);
                let start = Instant::now();
                for _ in 0..stretch {
                    black_box(call(breaker));
                }
                time += start.elapsed();
                left -= stretch;
            }
            time
        });
    });
    assert_eq!(breaker.state(), State::Closed);
}

/// A bucket of a time window counts some eight million calls and then stands still: more than any bucket sees in
/// earnest, less than these loops make in a bucket. Nobody wants to know what a full bucket costs.
const STRETCH: u64 = 4_000_000;

/// A breaker that is open and stays so for longer than any run.
fn open<W: Window, C: Clock>(config: Config, clock: C) -> Breaker<W, C> {
    let breaker = Breaker::new(config.open_for(Duration::from_secs(86_400)).minimum(1), clock);
    while breaker.state() == State::Closed {
        let _ = by_permit(&breaker, false);
    }
    assert!(rejection(&breaker).is_some_and(|ticks| ticks > 0));
    breaker
}

/// A breaker that trips at its first failure, opens for one tick and closes after one good probe.
fn nervous<W: Window>(config: Config, clock: &ManualClock) -> Breaker<W, &ManualClock> {
    // Shorter than a tick, and rounded up to one. Constant: neither jitter nor backoff.
    let tick = Duration::from_micros(900);
    let breaker = Breaker::new(config.minimum(1).open_for(tick).jitter(false).backoff_1024ths(1024), clock);
    for _ in 0..3 {
        assert_eq!(cycle(&breaker), (Some(true), Some(Effect::Closed)));
    }
    breaker
}

/// Once round: a failure opens the circuit, a tick passes, the next caller makes it half-open and becomes its probe,
/// whose success closes it. Two permits, three transitions. Says whether the failure opened it, and what the probe did.
#[inline]
fn cycle<W: Window>(breaker: &Breaker<W, &ManualClock>) -> (Option<bool>, Option<Effect>) {
    let opened = breaker.acquire().ok().map(|permit| matches!(permit.failure(), Effect::Opened(_)));
    breaker.clock().advance_ticks(1);
    (opened, breaker.acquire().ok().map(microbreaker::Permit::success))
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
    fn window<W: Window, C: Clock + Copy>(group: &mut Group, name: &str, config: Config, clock: C) {
        let breaker = Padded(healthy::<W, C>(config, clock));
        // Reached by a reference the optimiser knows nothing about, as from another module.
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
    fn window<W: Window>(group: &mut Group, name: &str, config: Config) {
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
    fn window<W: Window, C: Clock + Copy>(group: &mut Group, name: &str, config: Config, clock: C) {
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
    window::<Streak, _>(&mut group, "streak-std-clock", streak(), StdClock);
    window::<Count100, _>(&mut group, "count-std-clock", count(), StdClock);
    window::<Time10, _>(&mut group, "time-std-clock", time(), StdClock);
    window::<Pair, _>(&mut group, "pair-std-clock", pair(), StdClock);
}

/// Trips at the first failure.
fn first_failure() -> [Config; 4] {
    let second = Duration::from_secs(1);
    [
        Config::streak(1),
        Config::count(100).failure_permille(1),
        Config::time(10, second).failure_permille(1),
        Config::count(100).failure_permille(1).and_streak(1),
    ]
}

fn half_open(criterion: &mut Criterion) {
    fn window<W: Window>(group: &mut Group, name: &str, config: Config) {
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

/// Runs `body(thread, calls)` on two threads at once. The figure is the time until both are through, by the number of
/// calls each made: equal to one thread's where neither disturbs the other.
///
/// Both threads live as long as the benchmark. A sample is a number of [`SPRINT`]s, before each of which they wait
/// for each other. Only sprints in which they really ran side by side count, and of those the median: while the system
/// runs something else on a core, the two take turns on the other and never meet, which looks like perfect scaling.
fn together(group: &mut Group, name: &str, body: impl Fn(usize, u64) + Sync) {
    let arrived = AtomicU64::new(0);
    let sprint = |thread: usize, round: u64, calls: u64| {
        arrived.fetch_add(1, Ordering::AcqRel);
        // No yielding: it would hand this core to the other thread, and the two would take turns for good.
        while arrived.load(Ordering::Acquire) < 2 * round {
            spin_loop();
        }
        let start = Instant::now();
        body(thread, calls);
        (start, Instant::now())
    };
    let sprint = &sprint;
    thread::scope(|scope| {
        let runner = |thread: usize| {
            let (order, orders) = mpsc::channel::<(u64, u64)>();
            let (report, reports) = mpsc::channel::<Vec<(Instant, Instant)>>();
            scope.spawn(move || {
                let mut round = 0;
                for (sprints, calls) in orders {
                    let times = (0..sprints).map(|_| {
                        round += 1;
                        sprint(thread, round, calls)
                    });
                    if report.send(times.collect()).is_err() {
                        return;
                    }
                }
            });
            (order, reports)
        };
        let ((order, reports), (other_order, other_reports)) = (runner(0), runner(1));
        let race = |sprints: u64, calls: u64| {
            order.send((sprints, calls)).expect("a thread panicked");
            other_order.send((sprints, calls)).expect("a thread panicked");
            let times = reports.recv().expect("a thread panicked");
            times.into_iter().zip(other_reports.recv().expect("a thread panicked"))
        };
        group.bench_function(name, |b| {
            b.iter_custom(|calls| {
                // One call is criterion trying whether it works at all: no need to wait for the other core.
                let each = if calls == 1 { 1 } else { SPRINT };
                // A part is enough for a median. It must grow with the calls: criterion goes on doubling them until they
                // take long enough.
                let wanted = calls.div_ceil(4 * SPRINT);
                let begin = Instant::now();
                let mut times = Vec::new();
                while (times.len() as u64) < wanted {
                    assert!(begin.elapsed() < PATIENCE, "the threads never ran side by side: is there a second core?");
                    times.extend(race(wanted, each).filter_map(|(a, b)| {
                        let all = a.1.max(b.1) - a.0.min(b.0);
                        let both = a.1.min(b.1).saturating_duration_since(a.0.max(b.0));
                        (calls == 1 || both * 10 > all * 9).then_some(all)
                    }));
                }
                times.sort_unstable();
                let median = times[times.len() / 2].as_nanos();
                let nanos = median * u128::from(calls) / u128::from(each);
                Duration::from_nanos(u64::try_from(nanos).expect("584 years"))
            });
        });
    });
}

/// Long beside a start (a cache line or two passed to and fro), short beside a time slice.
const SPRINT: u64 = 10_000;

/// How long to wait for a sample in which the threads ran side by side.
const PATIENCE: Duration = Duration::from_secs(20);

fn two_threads(criterion: &mut Criterion) {
    /// `shared`: both use the first; `own`: each its own.
    fn each_and_shared<T: Sync>(group: &mut Group, name: &str, make: impl Fn() -> T, body: impl Fn(&T, u64) + Sync) {
        let targets = [Padded(make()), Padded(make())];
        let targets = black_box(&targets);
        together(group, &format!("{name}-own"), |thread, calls| body(&targets[thread].0, calls));
        together(group, &format!("{name}-shared"), |_, calls| body(&targets[0].0, calls));
    }

    fn window<W: Window + Sync>(group: &mut Group, name: &str, config: Config, nervously: Config) {
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
        // On one breaker the threads meet each other's transitions: a round is then no whole cycle, but as many calls.
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
    // Before anything is measured: from here on a coarse reading is one load.
    assert!(CoarseClock::start(), "the coarse clock's thread could not start");
    // Many short benchmarks rather than few long ones: what disturbs a shared machine lasts longer than a benchmark,
    // and ratios are taken between neighbours. The median needs no more samples than this.
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
