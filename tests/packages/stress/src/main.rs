//! `cargo run --profile measure -p stress [operations] [threads]`: hammers a breaker of each window with as many operations in
//! all, and checks afterwards that nothing was lost and nothing was made up:
//!
//! - The observer is told each permit given, each report or drop (but for permits forgotten on purpose) and each
//!   rejection, once.
//! - The events are one legal path through the states, and each goes on by as many generations as its move may.
//! - By the configuration in force, no generation admits more probes than allowed, apart from those given back, and no
//!   more probes are in flight together than allowed, apart from those whose lease is over.
//! - No open time is shorter than configured or than the time given.
//! - No sum has more failed and slow calls than calls, in a run where every call is one or the other.
//! - The breaker still works: after a reset it counts, trips, probes and closes.

mod load;
#[path = "../../../model/reference/moves.rs"]
mod moves;
mod sums;
mod watch;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{env, thread};

use microbreaker::{Breaker, Config, CountWindow, Effect, LiveWindow, Mode, ProbeRule, State, Streak, TimeWindow};

use load::{Counts, Gauge, Ground, Most, Random, Violations, ticks};
use watch::{BEFORE, Common, OPEN_FOR, Watch, enter};

fn main() -> ExitCode {
    let mut numbers = env::args().skip(1).map(|word| word.replace('_', "").parse::<u64>());
    let (operations, threads) = match (numbers.next().unwrap_or(Ok(5_000_000)), numbers.next().unwrap_or(Ok(8))) {
        (Ok(operations), Ok(threads @ 1..=1000)) if operations >= threads => (operations, threads),
        _ => {
            eprintln!(
                "usage: stress [OPERATIONS] [THREADS]   (5000000 8; at least one operation a thread, 1 to 1000 threads)"
            );
            return ExitCode::from(2);
        }
    };
    let begin = Instant::now();
    let each = operations.div_ceil(RUNS);
    let runs = [
        run::<Streak>("streak", Config::streak(5), each, threads, Leases::Long),
        run::<CountWindow<9>>("count", Config::count(60).slow_permille(500), each, threads, Leases::Long),
        run::<TimeWindow<16>>("time", time().slow_permille(500), each, threads, Leases::Long),
        run::<TimeWindow<16, 4>>("time in lanes", time(), each, threads, Leases::Long),
        run::<(Streak, CountWindow<9>)>(
            "streak and count",
            Config::count(60).and_streak(5),
            each,
            threads,
            Leases::Long,
        ),
        run::<(CountWindow<9>, TimeWindow<16>)>("count and time", time().and_count(60), each, threads, Leases::Long),
        run::<Streak>("streak, short leases", Config::streak(5), each, threads, Leases::Short),
        run::<TimeWindow<16>>("time, short leases", time(), each, threads, Leases::Short),
        run_sums(4 * each, threads),
    ];
    let [operations, probes, rejections] =
        [Made::operations, Made::probes, Made::rejections].map(|of| runs.iter().map(of).sum::<u64>());
    let violations: usize = runs.iter().map(|run| run.violations).sum();
    println!(
        "{operations} operations, {probes} probes, {rejections} rejections, {threads} threads, {:.1} s, {violations} \
         violations",
        begin.elapsed().as_secs_f64()
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a run came to.
struct Made {
    operations: u64,
    probes: u64,
    rejections: u64,
    violations: usize,
}

impl Made {
    fn operations(&self) -> u64 {
        self.operations
    }

    fn probes(&self) -> u64 {
        self.probes
    }

    fn rejections(&self) -> u64 {
        self.rejections
    }
}

/// The runs of the sums take four shares of the operations, because the moment that they look for lasts nanoseconds.
const RUNS: u64 = 12;

fn time() -> Config {
    Config::time(10, ticks(64)).minimum(20)
}

/// Whether leases may end while their probes are out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leases {
    Long,
    Short,
}

/// Makes `operations`.
fn run<W: LiveWindow + Sync>(name: &str, config: Config, operations: u64, threads: u64, leases: Leases) -> Made {
    let lease = if leases == Leases::Long { 1 << 30 } else { 2 };
    let [few, many] = [Most { probes: 5, at_once: 2 }, Most { probes: 7, at_once: 3 }];
    let admits = |config: Config, most: Most| config.probes(most.probes).at_once(most.at_once);
    let config = config.open_for(ticks(OPEN_FOR)).hold_at_most(ticks(20)).slow_after(ticks(50)).lease(ticks(lease));
    let config = admits(config, few);
    let other = admits(config, many).successes(4).ramp(ticks(4)).levels(true);
    // A streak has no rates.
    let rates = other.probe_rule(ProbeRule::Rates);
    let other = if Breaker::<W, _>::try_new(rates, &Common::default()).is_ok() { rates } else { other };
    let begin = Instant::now();

    let clock = Common::default();
    let watch = Watch::new(&clock, usize::try_from(threads).expect("at most 1000") + 1);
    let breaker: Breaker<W, _, _> = Breaker::try_observed(config, &clock, &watch).expect("a valid configuration");
    let ground = Ground {
        breaker: &breaker,
        clock: &clock,
        configs: [(config, few), (other, many)],
        in_force: AtomicU64::new(0),
        reloading: Mutex::default(),
        lease,
        forgets: leases == Leases::Short,
        gauge: Gauge::default(),
        counts: Counts::default(),
        violations: Violations::default(),
    };
    share_out(operations, threads, |random, operations| ground.work(random, operations));

    let (counts, sums) = (&ground.counts, watch.sums());
    let [permits, reports, dropped, rejected] = [&counts.permits, &counts.reports, &counts.dropped, &counts.rejected]
        .map(|count| count.load(Ordering::Relaxed));
    // A drop after the slow limit is told as a failure, so only the sum of reports and drops is the same.
    if (sums.permits, sums.reports + sums.cancelled, sums.rejected) != (permits, reports + dropped, rejected) {
        ground.violations.add(format!(
            "{sums:?} told; {permits} permits, {reports} reports, {dropped} dropped, {rejected} rejected"
        ));
    }
    works_as_ever(&breaker, &clock, config, &ground.violations);
    let kinds = watch.follow(&ground.violations);

    let violations = ground.violations.into_inner();
    let probes = counts.probes.load(Ordering::Relaxed);
    println!(
        "{name}: {operations} operations, {permits} permits, {rejected} rejections, {probes} probes, {} panics, {} \
         transitions of {} kinds, {:.1} s, {} violations",
        counts.panics.load(Ordering::Relaxed),
        kinds.values().sum::<u64>(),
        kinds.len(),
        begin.elapsed().as_secs_f64(),
        violations.len()
    );
    print_all(&violations);
    Made { operations, probes, rejections: rejected, violations: violations.len() }
}

/// The same for the sums.
fn run_sums(operations: u64, threads: u64) -> Made {
    let begin = Instant::now();
    let violations = sums::run(operations, threads);
    println!(
        "sums of bad calls: {operations} operations, {:.1} s, {} violations",
        begin.elapsed().as_secs_f64(),
        violations.len()
    );
    print_all(&violations);
    Made { operations, probes: 0, rejections: 0, violations: violations.len() }
}

fn print_all(violations: &[String]) {
    for violation in violations {
        println!("  VIOLATION {violation}");
    }
}

/// Lets `threads` threads do `operations` in all, in portions, so that all end together even if the system favours
/// some.
fn share_out(operations: u64, threads: u64, work: impl Fn(&mut Random, u64) + Sync) {
    let (left, work) = (&AtomicU64::new(operations), &work);
    thread::scope(|scope| {
        for thread in 1..=threads {
            scope.spawn(move || {
                enter(usize::try_from(thread).expect("at most 1000"));
                let mut random = Random::new(thread);
                while let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    (left > 0).then(|| left.saturating_sub(PORTION))
                }) {
                    work(&mut random, before.min(PORTION));
                }
            });
        }
    });
}

const PORTION: u64 = 10_000;

/// Checks that the breaker does after a reset what a new breaker does.
fn works_as_ever<W: LiveWindow>(
    breaker: &load::Stressed<'_, W>,
    clock: &Common,
    config: Config,
    violations: &Violations,
) {
    let expect = |what: &str, holds: bool| {
        if !holds {
            violations.add(format!("after all: {what}: {:?}", breaker.status()));
        }
    };
    BEFORE.set(microbreaker::Clock::now(&clock).count());
    breaker.switch(Mode::On);
    expect("the first settings are taken", breaker.reconfigure(&config).is_ok());
    breaker.reset();
    expect("a reset closes", breaker.state() == State::Closed && breaker.tally().total == 0);
    for calls in 1..=3 {
        let effect = breaker.acquire().map(microbreaker::Permit::failure);
        expect("a failure is counted", effect == Ok(Effect::Counted));
        expect("all are in the sum", breaker.tally().total == calls && breaker.tally().failed == calls);
    }
    let mut failures = 0;
    while breaker.state() == State::Closed && failures < 1000 {
        let _ = breaker.acquire().map(microbreaker::Permit::failure);
        failures += 1;
    }
    expect("failures open", breaker.state() == State::Open);
    expect("open rejects", breaker.acquire().is_err());
    for _ in 0..10 {
        clock.pass();
    }
    for _ in 0..3 {
        let dropped = breaker.acquire().map(drop);
        expect("a dropped probe gives its slot back", dropped.is_ok());
    }
    for _ in 0..5 {
        let probe = breaker.acquire();
        expect("it probes", probe.as_ref().is_ok_and(microbreaker::Permit::is_probe));
        let _ = probe.map(microbreaker::Permit::success);
    }
    expect("good probes close", breaker.state() == State::Closed);
}
