//! The parts of a measurement: guarded calls, breakers in each state, the floors, and the timing. The benches and the
//! package `compare` share this module.
//!
//! A guarded call is whole: it asks for a permit, makes the call ([`work`]), looks at the result and reports it. Its
//! floor, "the empty call", makes the same call and does nothing else.

#![allow(dead_code, reason = "none of those who share this needs all of it")]

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, LiveWindow, ManualClock, State, Streak, TimeWindow, count_words,
};

pub(crate) type Count24 = CountWindow<{ count_words(24, false) }>;
pub(crate) type Count100 = CountWindow<{ count_words(100, false) }>;
pub(crate) type Time10 = TimeWindow<16>;
pub(crate) type Pair = (Streak, Count100);

/// The guarded work: a real call with a real result, and nothing else.
#[inline(never)]
pub(crate) fn work(good: bool) -> Result<u32, ()> {
    // `black_box` keeps the optimiser from folding away the call or the look at its result.
    black_box(if good { Ok(7) } else { Err(()) })
}

/// A guarded call with a permit.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each benchmark stands for a call site, and its floor has no call around it")]
pub(crate) fn by_permit<W: LiveWindow, C: Clock>(breaker: &Breaker<W, C>, good: bool) -> Result<u32, ()> {
    let Ok(permit) = breaker.acquire() else { return Err(()) };
    let result = work(good);
    match result {
        Ok(_) => permit.success(),
        Err(()) => permit.failure(),
    };
    result
}

/// A guarded call with a closure. As with a permit, a rejection becomes an error, so that both have the result type of
/// their floor.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
pub(crate) fn by_call<W: LiveWindow, C: Clock>(breaker: &Breaker<W, C>, good: bool) -> Result<u32, ()> {
    breaker.call(|| work(good)).map_err(|_| ())
}

/// A rejection, and a look at when to ask again.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
pub(crate) fn rejection<W: LiveWindow, C: Clock>(breaker: &Breaker<W, C>) -> Option<u32> {
    breaker.acquire().err().and_then(|rejected| rejected.retry_in_ticks())
}

/// A floor that touches a word and makes the call.
#[inline]
pub(crate) fn load(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    black_box(word.load(Ordering::Relaxed));
    work(good)
}

#[inline]
pub(crate) fn load_fetch_add(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    black_box(word.load(Ordering::Relaxed));
    let result = work(good);
    word.fetch_add(1, Ordering::AcqRel);
    result
}

/// A floor that tries the exchange once: it does not repeat an exchange that another thread foiled.
#[inline]
pub(crate) fn load_compare_exchange(word: &AtomicU32, good: bool) -> Result<u32, ()> {
    let seen = word.load(Ordering::Acquire);
    let result = work(good);
    let _ = black_box(word.compare_exchange(seen, seen.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed));
    result
}

/// Nine successes, one failure, and over again.
#[derive(Default)]
pub(crate) struct OneInTen(u32);

impl OneInTen {
    #[inline]
    pub(crate) fn next(&mut self) -> bool {
        self.0 = if self.0 == 9 { 0 } else { self.0 + 1 };
        self.0 != 0
    }
}

/// Puts a value on cache lines of its own: two lines, because adjacent lines are fetched in pairs.
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// The longest streak that is counted in the word that decides.
pub(crate) fn streak() -> Config {
    Config::streak(255)
}

/// A share of 50 % trips, so one failure in ten does not; but every failure is counted and judged.
pub(crate) fn count() -> Config {
    Config::count(100)
}

pub(crate) fn time() -> Config {
    // The shortest buckets that can be configured: see `STRETCH`.
    Config::time(10, Duration::from_micros(62_500)).failure_permille(1000)
}

pub(crate) fn pair() -> Config {
    count().and_streak(1023)
}

/// A breaker that has been healthy for a while: its window is full, and a verdict was made with the minimum reached.
pub(crate) fn healthy<W: LiveWindow, C: Clock>(config: Config, clock: C) -> Breaker<W, C> {
    let breaker = Breaker::new(config, clock);
    warm_up(&breaker);
    breaker
}

#[inline(never)]
pub(crate) fn warm_up<W: LiveWindow, C: Clock>(breaker: &Breaker<W, C>) {
    for _ in 0..1000 {
        assert_eq!(by_permit(breaker, true), Ok(7));
    }
}

/// How long `calls` calls take on a healthy breaker. It is reset before every [`STRETCH`] of them, which is not
/// measured.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
pub(crate) fn time_healthy<W: LiveWindow, C: Clock, T>(
    breaker: &Breaker<W, C>,
    calls: u64,
    mut call: impl FnMut(&Breaker<W, C>) -> T,
) -> Duration {
    time_in_stretches(calls, STRETCH, || all_good(breaker), || call(breaker))
}

/// Resets the breaker and fills its window with successes.
pub(crate) fn all_good<W: LiveWindow, C: Clock>(breaker: &Breaker<W, C>) {
    breaker.reset();
    warm_up(breaker);
}

/// How long `calls` calls take. `begin` runs before every `stretch` of them and is not measured.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
pub(crate) fn time_in_stretches<T>(
    calls: u64,
    stretch: u64,
    begin: impl Fn(),
    mut call: impl FnMut() -> T,
) -> Duration {
    let mut left = calls;
    let mut time = Duration::ZERO;
    while left > 0 {
        begin();
        let part = left.min(stretch);
        time += timed(part, &mut call);
        left -= part;
    }
    time
}

/// How long `calls` calls take.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as above")]
pub(crate) fn timed<T>(calls: u64, mut call: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed()
}

/// The calls between two resets. A bucket of a time window counts some eight million calls and then stands still. That
/// is more than any real bucket sees, but these loops make more in a bucket, and the cost of a full bucket is of no
/// interest. A stretch is shorter than that, and long enough that the two clock readings around it vanish.
pub(crate) const STRETCH: u64 = 4_000_000;

/// A breaker that is open, and stays open for longer than any run.
pub(crate) fn open<W: LiveWindow, C: Clock>(config: Config, clock: C) -> Breaker<W, C> {
    let breaker = Breaker::new(config.open_for(Duration::from_secs(86_400)).minimum(1), clock);
    while breaker.state() == State::Closed {
        let _ = by_permit(&breaker, false);
    }
    assert!(rejection(&breaker).is_some_and(|ticks| ticks > 0));
    breaker
}

/// A breaker that trips at its first failure, opens for one tick and closes after one successful probe.
pub(crate) fn nervous<W: LiveWindow>(config: Config, clock: &ManualClock) -> Breaker<W, &ManualClock> {
    // The time is shorter than a tick and rounded up to one. Without jitter and backoff it stays the same.
    let tick = Duration::from_micros(900);
    let breaker = Breaker::new(config.minimum(1).open_for(tick).jitter(false).backoff_1024ths(1024), clock);
    for _ in 0..3 {
        assert_eq!(cycle(&breaker), (Some(true), Some(Effect::Closed)));
    }
    breaker
}

/// One cycle: a failure opens the circuit, a tick passes, the next caller makes the circuit half-open and becomes its
/// probe, and the probe's success closes it. That takes two permits and three transitions. Returns whether the failure
/// opened the circuit, and the effect of the probe.
#[inline]
pub(crate) fn cycle<W: LiveWindow>(breaker: &Breaker<W, &ManualClock>) -> (Option<bool>, Option<Effect>) {
    let opened = breaker.acquire().ok().map(|permit| matches!(permit.failure(), Effect::Opened(_)));
    breaker.clock().advance_ticks(1);
    (opened, breaker.acquire().ok().map(microbreaker::Permit::success))
}

/// Configurations that trip at the first failure.
pub(crate) fn first_failure() -> [Config; 4] {
    let second = Duration::from_secs(1);
    [
        Config::streak(1),
        Config::count(100).failure_permille(1),
        Config::time(10, second).failure_permille(1),
        Config::count(100).failure_permille(1).and_streak(1),
    ]
}

/// Runs `body(thread, calls)` on `threads` threads at once. Returns how long it takes until all have made `calls` calls
/// each. If no thread disturbs another, that is the time of a single thread.
///
/// The calls are made in [`SPRINT`]s; before each, the threads wait for each other. Only sprints in which the threads
/// really ran side by side count, and of those the median. If the system runs something else on a core, the threads
/// take turns on another core and never meet, which would look like perfect scaling.
pub(crate) fn time_together(threads: usize, calls: u64, body: impl Fn(usize, u64) + Sync) -> Duration {
    // A caller that asks for less than a sprint only tries whether the body works, or how many calls to make. On a busy
    // machine the threads might never meet, and here they need not.
    let (each, tries) = (calls.min(SPRINT), calls < SPRINT);
    // A part of the sprints is enough for a median. The part must grow with the calls, because criterion doubles the
    // calls until they take long enough.
    let wanted = calls.div_ceil(4 * SPRINT);
    let begin = Instant::now();
    let mut times = Vec::new();
    while (times.len() as u64) < wanted {
        assert!(begin.elapsed() < PATIENCE, "the threads never ran side by side: are there as many cores?");
        let arrived = AtomicU64::new(0);
        let sprint = |thread: usize, round: u64| {
            arrived.fetch_add(1, Ordering::AcqRel);
            // The loop does not yield: that would hand this core to another thread, and the two would take turns for
            // good.
            while arrived.load(Ordering::Acquire) < threads as u64 * round {
                spin_loop();
            }
            let start = Instant::now();
            body(thread, each);
            (start, Instant::now())
        };
        let sprint = &sprint;
        let sprints: Vec<Vec<(Instant, Instant)>> = thread::scope(|scope| {
            let runners: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || (1..=wanted).map(|round| sprint(thread, round)).collect()))
                .collect();
            runners.into_iter().map(|runner| runner.join().expect("a thread panicked")).collect()
        });
        for round in 0..sprints[0].len() {
            let of_all = || sprints.iter().map(|thread| thread[round]);
            let (Some(first), Some(last)) =
                (of_all().map(|(start, _)| start).min(), of_all().map(|(_, end)| end).max())
            else {
                continue;
            };
            let all_began = of_all().map(|(start, _)| start).max().unwrap_or(first);
            let none_was_through = of_all().map(|(_, end)| end).min().unwrap_or(last);
            let side_by_side = none_was_through.saturating_duration_since(all_began);
            if tries || side_by_side * 10 > (last - first) * 9 {
                times.push(last - first);
            }
        }
    }
    times.sort_unstable();
    let nanos = times[times.len() / 2].as_nanos() * u128::from(calls) / u128::from(each);
    Duration::from_nanos(u64::try_from(nanos).expect("584 years"))
}

/// Calls in a sprint: long compared with its start (a cache line or two passed to and fro), short compared with a time
/// slice.
const SPRINT: u64 = 10_000;

/// How long to wait for a sample in which the threads ran side by side.
const PATIENCE: Duration = Duration::from_secs(20);
