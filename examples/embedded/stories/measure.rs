//! Counts the executed instructions of each operation, by window. Needs `ICOUNT=shift=10` on Cortex-M, `ICOUNT=shift=0`
//! on RISC-V.
//!
//! An operation is called through a pointer that the compiler cannot see through. The cost of an empty function that is
//! called in the same way is subtracted. So a figure counts the instructions between the call and the return: the
//! breaker's own code, and the saving of registers for it. They are instructions, not cycles.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::time::Duration;

#[cfg(not(any(feature = "portable-atomic", feature = "single-core")))]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(any(feature = "portable-atomic", feature = "single-core"))]
use portable_atomic::{AtomicU32, Ordering};

use board::icount::Counter;
use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Fixed, ManualClock, Observer, Policy, State, Streak, TickRate, Ticks,
    TimeWindow, Window, count_words,
};

/// The limits of the figures. A figure without a limit here is only printed.
const BUDGET: &str = include_str!("../budget/instructions");

static NOW: ManualClock = ManualClock::new();

/// A clock that costs one load, like a clock that an interrupt counts up.
struct Counted;

impl Clock for Counted {
    const RATE: TickRate = ManualClock::RATE;

    #[inline]
    fn now(&self) -> Ticks {
        NOW.now()
    }
}

const BUCKET: Duration = Duration::from_millis(250);

const SLOW: Config = Config::count(100).slow_permille(500).slow_after(Duration::from_secs(2));

struct FixedStreak;

impl Policy for FixedStreak {
    const CONFIG: Config = Config::streak(5);
}

struct Fixed24;

impl Policy for Fixed24 {
    const CONFIG: Config = Config::count(24);
}

static FIXED_STREAK: Breaker<Fixed<Streak, FixedStreak>, Counted> = Breaker::fixed(Counted);
static FIXED_24: Breaker<Fixed<CountWindow<{ count_words(24, false) }>, Fixed24>, Counted> = Breaker::fixed(Counted);
static STREAK: Breaker<Streak, Counted> = Breaker::new(Config::streak(5), Counted);
static OBSERVED: Breaker<Streak, Counted, Counters> =
    Breaker::observed(Config::streak(5), Counted, Counters::new("measured"));
static COUNT_24: Breaker<CountWindow<{ count_words(24, false) }>, Counted> = Breaker::new(Config::count(24), Counted);
static COUNT_100: Breaker<CountWindow<{ count_words(100, false) }>, Counted> =
    Breaker::new(Config::count(100), Counted);
static SLOW_100: Breaker<CountWindow<{ count_words(100, true) }>, Counted> = Breaker::new(SLOW, Counted);
static TIME_10: Breaker<TimeWindow<16>, Counted> = Breaker::new(Config::time(10, BUCKET), Counted);

static WORD: AtomicU32 = AtomicU32::new(0);

// Each operation returns a number that says whether it went as it should: `DONE`, or the ticks of a rejection.

const DONE: u32 = 1;
const REFUSED: u32 = 0;

fn success<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) -> u32 {
    breaker.acquire().map_or(REFUSED, |permit| {
        permit.success();
        DONE
    })
}

fn failure<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) -> u32 {
    breaker.acquire().map_or(REFUSED, |permit| {
        permit.failure();
        DONE
    })
}

fn hold<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) -> u32 {
    breaker.acquire().map_or(REFUSED, |permit| {
        permit.hold(Duration::from_secs(10));
        DONE
    })
}

fn cancel<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) -> u32 {
    breaker.acquire().map_or(REFUSED, |permit| {
        drop(permit);
        DONE
    })
}

fn reject<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) -> u32 {
    breaker.acquire().err().and_then(|rejected| rejected.retry_in_ticks()).unwrap_or(0)
}

fn load(word: &'static AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

fn compare_exchange(word: &'static AtomicU32) -> u32 {
    u32::from(word.compare_exchange(1, 1, Ordering::AcqRel, Ordering::Acquire).is_ok())
}

fn empty<T>(_: &'static T) -> u32 {
    DONE
}

struct Bench {
    counter: Counter,
    over: u32,
    /// Which lines of the budget were used: a bit for each.
    used: u128,
}

impl Bench {
    /// Measures `operation`, which must return a number other than 0, and prints its line.
    fn line<T>(&mut self, window: &str, name: &str, operation: fn(&'static T) -> u32, subject: &'static T) {
        let taken = self.count(operation, subject) - self.count(empty, subject);
        match self.limit(window, name) {
            Some(limit) if taken > limit => {
                board::println!("{window:<9} {name:<9} {taken:>5}   OVER ITS LIMIT of {limit}");
                self.over += 1;
            }
            Some(limit) => board::println!("{window:<9} {name:<9} {taken:>5}   of {limit}"),
            None => board::println!("{window:<9} {name:<9} {taken:>5}"),
        }
    }

    fn limit(&mut self, window: &str, operation: &str) -> Option<u32> {
        BUDGET.lines().enumerate().find_map(|(at, line)| {
            let mut words = line.split_whitespace();
            let mut next_is = |wanted: &str| words.next().is_some_and(|word| word == wanted || word == "*");
            let found = next_is(board::TARGET) && next_is(window) && next_is(operation);
            found.then(|| {
                self.used |= 1 << at;
                let limit = words.next().and_then(|limit| limit.parse().ok());
                limit.expect("a line of the budget ends in a number")
            })
        })
    }

    /// Panics if a line of the budget limits nothing, because such a line is a mistake.
    fn expect_all_used(&self) {
        let ours = |line: &str| line.split_whitespace().next() == Some(board::TARGET);
        let mut lines = BUDGET.lines().enumerate().filter(|(_, line)| ours(line)).peekable();
        assert!(lines.peek().is_some(), "no budget for {}", board::TARGET);
        for (at, line) in lines {
            assert!(self.used >> at & 1 != 0, "limits nothing: {line}");
        }
    }

    /// Not inlined, so that all operations are called from the same instruction.
    #[inline(never)]
    fn count<T>(&self, operation: fn(&'static T) -> u32, subject: &'static T) -> u32 {
        let (operation, subject) = (black_box(operation), black_box(subject));
        let mut answer = 0;
        let taken = self.counter.count(|| answer = operation(subject));
        assert_ne!(answer, 0, "not what was to be measured");
        taken
    }

    fn window<W: Window, O: Observer>(&mut self, name: &str, breaker: &'static Breaker<W, Counted, O>) {
        healthy(breaker);
        self.line(name, "healthy", success, breaker);
        self.line(name, "drop", cancel, breaker);
        self.line(name, "failure", failure, breaker);
        self.line(name, "recovery", success, breaker);

        // We count how many failures open the circuit, and then measure the last of them.
        healthy(breaker);
        let mut needed = 0;
        while breaker.state() == State::Closed {
            failure(breaker);
            needed += 1;
        }
        healthy(breaker);
        for _ in 1..needed {
            failure(breaker);
        }
        assert_eq!(breaker.state(), State::Closed);
        self.line(name, "trip", failure, breaker);
        assert_eq!(breaker.state(), State::Open);
        self.line(name, "reject", reject, breaker);
        NOW.advance(Duration::from_secs(60));
        self.line(name, "probe", success, breaker);
        assert_eq!(breaker.state(), State::Closed);

        healthy(breaker);
        self.line(name, "hold", hold, breaker);
        assert_eq!(breaker.state(), State::Open);
    }
}

/// Closes the circuit and fills its window with successes.
fn healthy<W: Window, O: Observer>(breaker: &'static Breaker<W, Counted, O>) {
    breaker.reset();
    for _ in 0..200 {
        assert_eq!(success(breaker), DONE);
    }
    let tally = breaker.tally();
    assert_eq!((breaker.state(), tally.failed, tally.slow), (State::Closed, 0, 0));
}

#[board::entry]
fn main() -> ! {
    let mut bench = Bench { counter: Counter::new(), over: 0, used: 0 };
    WORD.store(1, Ordering::Relaxed);
    bench.line("floor", "load", load, &WORD);
    bench.line("floor", "exchange", compare_exchange, &WORD);
    bench.window("fixed", &FIXED_STREAK);
    bench.window("fixed24", &FIXED_24);
    bench.window("streak", &STREAK);
    bench.window("observed", &OBSERVED);
    bench.window("count24", &COUNT_24);
    bench.window("count100", &COUNT_100);
    bench.window("slow100", &SLOW_100);
    bench.window("time10", &TIME_10);
    bench.expect_all_used();
    if bench.over > 0 {
        board::println!("{}: {} over their limit", board::TARGET, bench.over);
        board::exit(1)
    }
    board::println!("{}: executed instructions, all within their limits", board::TARGET);
    board::exit(0)
}
