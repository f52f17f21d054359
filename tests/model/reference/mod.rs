//! Runs the breaker and a sequential model of its design in lock-step: after each step, both must show the same.
//!
//! Each property draws the same 256 sequences every time, so that a failure is always due to a change. If
//! `PROPTEST_CASES` is set, a property draws that many sequences, and new ones every time. Sequences that once failed
//! are in `tests/model/reference/seeds.txt` and are tried first.

mod lockstep;
#[allow(dead_code, reason = "the search through histories uses more of it")]
mod model;
mod moves;
mod settings;

use core::time::Duration;
use std::collections::HashSet;

use microbreaker::{
    Breaker, CountWindow, FailureKind, ManualClock, OpenReason, Outcome, Permit, RejectReason, State, Streak, Ticks,
    TimeWindow,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, RngSeed, TestRunner};

use lockstep::{Advance, Op, op, run};
use moves::MOVES;
use settings::{Settings, Shape, Tuning, bucket, lasting, significant, tuning};

fn config() -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()) {
        Some(cases) => (cases, RngSeed::Random),
        None => (256, RngSeed::Fixed(0)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/model/reference/seeds.txt"))),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..200)
}

/// Any reading of the clock, with a preference for the last ticks before the counter wraps.
fn start() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0..20_000_u32).prop_map(|before| u32::MAX - before), Just(0)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_streak_is_as_designed(failures in 1..=5_u16, tuning in tuning(), start in start(), ops in ops()) {
        run::<Streak>(Settings::new(Shape::streak(failures), tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_is_as_designed(calls in 1..=60_u16, tuning in tuning(), start in start(), ops in ops()) {
        run::<CountWindow<4>>(Settings::new(Shape::count(calls, false), tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_with_slow_calls_is_as_designed(
        calls in 1..=60_u16,
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        run::<CountWindow<7>>(Settings::new(Shape::count(calls, true), tuning), start, &ops)?;
    }

    #[test]
    fn a_time_window_is_as_designed(
        buckets in 1..=16_u8,
        bucket in bucket(),
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        run::<TimeWindow<16>>(Settings::new(Shape::time(buckets, bucket, slow), tuning), start, &ops)?;
    }

    #[test]
    fn a_streak_with_a_count_window_is_as_designed(
        failures in 1..=5_u16,
        calls in 1..=40_u16,
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::count(calls, slow).and_streak(failures);
        run::<(Streak, CountWindow<5>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    #[test]
    fn a_streak_with_a_time_window_is_as_designed(
        failures in 1..=5_u16,
        buckets in 1..=4_u8,
        bucket in bucket(),
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::time(buckets, bucket, slow).and_streak(failures);
        run::<(Streak, TimeWindow<4>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_with_a_time_window_is_as_designed(
        calls in 1..=40_u16,
        buckets in 1..=8_u8,
        bucket in bucket(),
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::count(calls, slow).and_time(buckets, bucket);
        run::<(CountWindow<5>, TimeWindow<8>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    /// The model cannot predict the jitter. Jitter only lengthens an open time, by up to a quarter, and does not change
    /// once the circuit is open.
    #[test]
    fn jitter_lengthens_an_open_time_by_up_to_a_quarter(
        tuning in tuning(),
        seed in any::<u32>(),
        start in start(),
        waits in vec(0..5000_u32, 1..40),
    ) {
        let settings = Settings::new(Shape::streak(1), Tuning { probes: 1, ramp: None, slow_after: None, ..tuning });
        let clock = ManualClock::at(Ticks::new(start));
        let breaker = Breaker::<Streak, _>::new(settings.config().jitter(true), &clock);
        breaker.seed(seed);
        for (attempt, wait) in waits.into_iter().enumerate() {
            breaker.acquire().unwrap().failure();
            let least = settings.open_time(u8::try_from(attempt).unwrap().min(31));
            let rest = || u64::from(breaker.acquire().unwrap_err().retry_in_ticks().unwrap());
            let lasts = rest();
            prop_assert!((least..=significant(least + least / 4, 19)).contains(&lasts), "{} of {}", lasts, least);
            let last = u32::try_from(lasts - 1).unwrap();
            clock.advance_ticks(last.min(wait));
            prop_assert_eq!(rest(), lasts - u64::from(last.min(wait)));
            clock.advance_ticks(last - last.min(wait));
            prop_assert_eq!(rest(), 1);
            clock.advance_ticks(1 + wait);
        }
    }
}

/// If the draws did not reach every move of the matrix, the properties would prove little.
#[test]
fn the_draws_make_every_move_of_the_matrix_and_no_other() {
    let expected: HashSet<_> = MOVES.into_iter().flat_map(|(from, to)| to.iter().map(move |&to| (from, to))).collect();

    let mut runner = TestRunner::deterministic();
    let mut made = HashSet::new();
    let draws = (tuning(), start(), vec(op(), 200));
    for _ in 0..300 {
        let (tuning, start, ops) = draws.new_tree(&mut runner).unwrap().current();
        made.extend(run::<CountWindow<4>>(Settings::new(Shape::count(10, false), tuning), start, &ops).unwrap());
    }
    assert_eq!(made, expected);
}

const FAILURE: Outcome = Outcome::Failure(FailureKind::Other);
const WRAP: u64 = 1 << 32;

fn calls(calls: u8, outcome: Outcome) -> Op {
    Op::Calls { calls, outcome }
}

fn wait(ticks: u64) -> Op {
    Op::Advance(Advance::Ticks(ticks))
}

/// Failures before an idle time do not count after it, if the idle time is within the documented bound: a wrap less two
/// buckets.
#[test]
fn a_time_window_forgets_over_any_idle_time_up_to_a_wrap() {
    for shift in 6..=10 {
        let bucket = 1 << shift;
        let window = 4 * bucket;
        for idle in [
            bucket,
            window - bucket,
            window - 1,
            window,
            1 << 16,
            (1 << 31) - 1,
            1 << 31,
            (1 << 31) + bucket,
            WRAP - 256 * 4 * bucket,
            WRAP - 3 * bucket,
            WRAP - 2 * bucket - 1,
            WRAP - 2 * bucket,
        ] {
            let ops = [calls(9, FAILURE), wait(idle), calls(2, FAILURE), wait(7 * WRAP + 3), calls(19, FAILURE)];
            let settings = Settings::new(Shape::time(4, bucket, false), Tuning::PLAIN);
            for start in [0, u32::MAX - 100, u32::MAX / 2] {
                run::<TimeWindow<4>>(settings, start, &ops).unwrap();
            }
        }
    }
}

/// Tests the bound from both sides in the tightest case: the failures are counted at a bucket's last tick.
#[test]
fn a_time_window_remembers_over_a_wrap_less_two_buckets() {
    let settings = Settings::new(Shape::time(4, 64, false), Tuning::PLAIN);
    for (idle, remembered) in [(WRAP - 129, 0), (WRAP - 128, 0), (WRAP - 127, 19), (WRAP - 126, 19)] {
        let clock = ManualClock::at(Ticks::new(63));
        let breaker = Breaker::<TimeWindow<4>, _>::new(settings.config(), &clock);
        for _ in 0..19 {
            breaker.acquire().unwrap().failure();
        }
        clock.advance_ticks(idle.try_into().unwrap());
        assert_eq!(breaker.tally().failed, remembered, "a wrap less {}", WRAP - idle);
    }
}

/// Beyond the bound: after exactly a wrap the clock reads as if no time had passed. The old failures may then count
/// again, but nothing else does. This costs at most one open time.
#[test]
fn a_time_window_idle_for_a_wrap_counts_no_more_than_it_had() {
    let settings = Settings::new(Shape::time(4, 64, false), Tuning { open_for: 100, ..Tuning::PLAIN });
    for beyond in [0, 1, 64, 4 * 64 - 1, 4 * 64] {
        let clock = ManualClock::new();
        let breaker = Breaker::<TimeWindow<4>, _>::new(settings.config(), &clock);
        for _ in 0..19 {
            breaker.acquire().unwrap().failure();
        }
        clock.advance_ticks(u32::MAX);
        clock.advance_ticks(1 + beyond);
        assert!([0, 19].contains(&breaker.tally().failed));
        breaker.acquire().unwrap().failure();
        if breaker.state() == State::Open {
            assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(100));
            clock.advance_ticks(100);
            breaker.acquire().unwrap().success();
        }
        assert_eq!(breaker.state(), State::Closed, "{beyond} ticks beyond the wrap");
    }
}

/// A call whose outcome says nothing about health still counts as a use: with such a call now and then, a time window
/// is never idle for a wrap.
#[test]
fn a_time_window_forgets_over_a_wrap_in_which_calls_said_nothing() {
    let settings = Settings::new(Shape::time(4, 64, false), Tuning::PLAIN);
    let clock = ManualClock::new();
    let breaker = Breaker::<TimeWindow<4>, _>::new(settings.config(), &clock);
    for _ in 0..19 {
        breaker.acquire().unwrap().failure();
    }
    for _ in 0..4 {
        clock.advance_ticks(1 << 30);
        breaker.acquire().unwrap().alive();
    }
    assert_eq!(breaker.tally().failed, 0);
}

/// For a whole wrap of the ticks, an open circuit knows exactly how long it has been open.
#[test]
fn an_open_time_is_exact_up_to_a_wrap() {
    let settings = Settings::new(Shape::streak(1), Tuning::PLAIN);
    for idle in [99, 100, 101, 1 << 31, WRAP - 101, WRAP - 100, WRAP - 1] {
        for start in [0, u32::MAX - 50, u32::MAX] {
            run::<Streak>(settings, start, &[calls(1, FAILURE), wait(idle), Op::Acquire]).unwrap();
        }
    }
}

/// Beyond the bound: no caller has asked for a wrap or more. The circuit may then seem open once more, for at most one
/// open time.
#[test]
fn an_open_circuit_idle_for_a_wrap_loses_at_most_one_open_time() {
    let settings = Settings::new(Shape::streak(1), Tuning::PLAIN);
    for beyond in [0, 1, 50, 99, 100, 101] {
        for wraps in [1, 2] {
            let clock = ManualClock::at(Ticks::new(u32::MAX - 10));
            let breaker = Breaker::<Streak, _>::new(settings.config(), &clock);
            breaker.acquire().unwrap().failure();
            for _ in 0..wraps {
                clock.advance_ticks(u32::MAX);
                clock.advance_ticks(1);
            }
            clock.advance_ticks(beyond);
            if let Err(rejected) = breaker.acquire().map(Permit::ignore) {
                assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Failures));
                let rest = rejected.retry_in_ticks().unwrap();
                assert!(rest <= 100 - beyond.min(100), "{rest} left, {beyond} beyond the wrap");
                clock.advance_ticks(rest);
            }
            assert!(breaker.acquire().is_ok_and(|probe| probe.is_probe()), "{beyond} ticks beyond {wraps} wraps");
        }
    }
}

/// A call that hung for almost a wrap is slow, whether it is reported or dropped.
#[test]
fn a_call_is_measured_up_to_a_wrap() {
    let settings = Settings::new(Shape::streak(2), Tuning { slow_after: Some(20), ..Tuning::PLAIN });
    let report = Op::Report { which: 0, outcome: Outcome::Success, elapsed: None };
    for took in [19, 20, 21, 1 << 31, WRAP - 1] {
        run::<Streak>(settings, 7, &[Op::Acquire, wait(took), report]).unwrap();
        run::<Streak>(settings, 7, &[Op::Acquire, wait(took), Op::Drop { which: 0 }]).unwrap();
    }
}

/// Every word carries a tag: 6 to 20 bits of its generation. No word may be taken for a word of a later generation.
#[test]
fn no_word_comes_back_when_its_tag_comes_round() {
    fn between(resets: u32) -> Vec<Op> {
        let trip_and_recover =
            [calls(3, Outcome::Slow), calls(9, FAILURE), wait(3), Op::Acquire, wait(97), Op::Acquire, wait(9)];
        let mut ops = vec![calls(2, FAILURE), Op::Acquire];
        ops.extend(trip_and_recover);
        ops.push(Op::Resets(resets));
        ops.extend([Op::Report { which: 0, outcome: FAILURE, elapsed: None }, Op::Drop { which: 0 }]);
        ops.extend(trip_and_recover);
        ops.extend([calls(1, Outcome::Success), calls(1, FAILURE), wait(50), calls(1, FAILURE)]);
        ops
    }
    let tuning = Tuning { minimum: Some(4), probes: 3, ramp: Some(160), ..Tuning::PLAIN };
    let set = |shape| Settings::new(shape, tuning);
    // A tag of n bits wraps after 2^n generations. The trips before the resets use up to six of them.
    for bits in [6, 7, 8, 9, 16] {
        for resets in (1_u32 << bits) - 6..=1 << bits {
            // The widest tag takes long, so only every second number of resets is tried for it.
            if bits == 16 && !resets.is_multiple_of(2) {
                continue;
            }
            let ops = between(resets);
            run::<Streak>(set(Shape::streak(3)), 0, &ops).unwrap();
            if bits < 16 {
                run::<CountWindow<3>>(set(Shape::count(20, false)), 0, &ops).unwrap();
                run::<CountWindow<3>>(set(Shape::count(20, true)), 0, &ops).unwrap();
                run::<TimeWindow<4>>(set(Shape::time(4, 64, true)), 0, &ops).unwrap();
            }
        }
    }
    // Across the wrap of the generation itself. (A permit that is held over exactly 2^20 generations is taken for a
    // present one, as documented.)
    run::<Streak>(set(Shape::streak(3)), 0, &between((1 << 20) - 3)).unwrap();
}

/// A hold lasts for whole ticks, rounded up: at least one, at most the cap.
#[test]
fn a_hold_is_rounded_up_and_capped() {
    let settings = Settings::new(Shape::streak(1), Tuning { hold_at_most: 1000, ..Tuning::PLAIN });
    for time in [Duration::ZERO, Duration::from_nanos(1), lasting(1), lasting(1000), Duration::MAX] {
        let longer = Op::Hold(time + Duration::from_nanos(u64::from(time < Duration::MAX)));
        run::<Streak>(settings, 0, &[Op::Hold(time), Op::Hold(time), longer, wait(1), Op::Acquire]).unwrap();
    }
}

/// Found by `a_count_window_is_as_designed`. A chunk of a count window carries 8 bits of its lap, and each generation
/// begins a chunk. After 256 laps a generation begins on a chunk whose old lap reads as the present one. Three faults
/// followed. The old outcomes in the chunk counted again. A chunk that was never written has no sentinel, so outcomes
/// recorded there were lost. If the chunks behind it were of another lap, summing the window never ended.
#[test]
fn regression_a_count_window_takes_a_chunk_of_256_laps_ago_for_its_own() {
    let settings = |calls| Settings::new(Shape::count(calls, false), Tuning::PLAIN);
    for resets in 508..=514 {
        for ops in [
            [Op::Resets(resets), calls(9, FAILURE), Op::Acquire],
            [calls(9, FAILURE), Op::Resets(resets), calls(9, FAILURE)],
        ] {
            run::<CountWindow<2>>(settings(20), 0, &ops).unwrap_or_else(|error| panic!("{resets} resets: {error}"));
        }
    }
    // This case comes last: if the two above fail, it never ends.
    let (first, rest) = ([calls(25, Outcome::Success), Op::Resets(2)], [Op::Resets(766), calls(60, Outcome::Success)]);
    let ops = [&first[..], &[calls(1, Outcome::Success)], &rest].concat();
    run::<CountWindow<3>>(settings(40), 0, &ops).unwrap();
}
