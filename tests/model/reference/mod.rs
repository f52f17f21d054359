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
mod subject;

use core::time::Duration;
use std::collections::HashSet;

use microbreaker::{
    Breaker, CountWindow, FailureKind, HORIZON, ManualClock, OpenReason, Outcome, Permit, RejectReason, State, Streak,
    Ticks, TimeWindow,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, RngSeed, TestCaseError, TestRunner};

use lockstep::{Advance, Op, op, run, run_on, run_with};
use moves::MOVES;
use settings::{Settings, Shape, Tuning, bucket, lasting, tuning};
use subject::{
    Buckets, Constant, Known, Last20, Live, LongStreak, OneProbe, OneProbeAndRamp, Rates, Rounding, ThreeProbes, Told,
};

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
        run::<CountWindow<5>>(Settings::new(Shape::count(calls, false), tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_with_slow_calls_is_as_designed(
        calls in 1..=60_u16,
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        run::<CountWindow<8>>(Settings::new(Shape::count(calls, true), tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_of_one_word_is_as_designed(
        calls in 1..=24_u16,
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        run::<CountWindow<1>>(Settings::new(Shape::count(calls, false), tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_of_one_word_with_slow_calls_is_as_designed(
        calls in 1..=12_u16,
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        run::<CountWindow<1>>(Settings::new(Shape::count(calls, true), tuning), start, &ops)?;
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
        run::<(Streak, CountWindow<6>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    #[test]
    fn a_streak_with_a_count_window_of_one_word_is_as_designed(
        failures in 1..=5_u16,
        calls in 1..=12_u16,
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::count(calls, slow).and_streak(failures);
        run::<(Streak, CountWindow<1>)>(Settings::new(shape, tuning), start, &ops)?;
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
        run::<(CountWindow<6>, TimeWindow<8>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    #[test]
    fn a_count_window_of_one_word_with_a_time_window_is_as_designed(
        calls in 1..=12_u16,
        buckets in 1..=8_u8,
        bucket in bucket(),
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::count(calls, slow).and_time(buckets, bucket);
        run::<(CountWindow<1>, TimeWindow<8>)>(Settings::new(shape, tuning), start, &ops)?;
    }

    /// A streak of more than 255 failures is counted beside the word that decides.
    #[test]
    fn a_long_streak_is_as_designed(
        failures in 253..=258_u16,
        tuning in tuning(),
        start in start(),
        ops in vec(prop_oneof![8 => op(), 1 => many_failures()], 1..40),
    ) {
        run::<Streak>(Settings::new(Shape::streak(failures), tuning), start, &ops)?;
    }

    #[test]
    fn a_streak_by_a_clock_that_rounds_is_as_designed(
        failures in 1..=5_u16,
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let settings = Settings::new(Shape::streak(failures), tuning);
        run_on::<Live<Streak>, Rounding<1>>(settings, start, &ops)?;
    }

    #[test]
    fn two_windows_by_a_clock_that_lags_are_as_designed(
        calls in 1..=40_u16,
        buckets in 1..=8_u8,
        bucket in bucket(),
        slow in any::<bool>(),
        tuning in tuning(),
        start in start(),
        ops in ops(),
    ) {
        let shape = Shape::count(calls, slow).and_time(buckets, bucket);
        run_on::<Live<(CountWindow<6>, TimeWindow<8>)>, Rounding<4>>(Settings::new(shape, tuning), start, &ops)?;
    }

    #[test]
    fn constant_settings_with_one_probe_are_as_designed(start in start(), ops in ops()) {
        run_fixed::<OneProbe>(start, &ops)?;
        run_fixed::<OneProbeAndRamp>(start, &ops)?;
        run_fixed::<Last20>(start, &ops)?;
    }

    #[test]
    fn constant_settings_with_many_probes_are_as_designed(start in start(), ops in ops()) {
        run_fixed::<ThreeProbes>(start, &ops)?;
        run_fixed::<Rates>(start, &ops)?;
        run_fixed::<Buckets>(start, &ops)?;
    }

    #[test]
    fn constant_settings_by_a_clock_that_rounds_are_as_designed(start in start(), ops in ops()) {
        run_on::<Constant<OneProbeAndRamp>, Rounding<1>>(OneProbeAndRamp::SETTINGS, start, &ops)?;
        run_on::<Constant<ThreeProbes>, Rounding<1>>(ThreeProbes::SETTINGS, start, &ops)?;
    }

    #[test]
    fn a_long_streak_with_constant_settings_is_as_designed(
        start in start(),
        ops in vec(prop_oneof![8 => op(), 1 => many_failures()], 1..40),
    ) {
        run_fixed::<LongStreak>(start, &ops)?;
    }

    #[test]
    fn a_breaker_that_nobody_watches_is_as_designed(tuning in tuning(), start in start(), ops in ops()) {
        let settings = |shape| Settings::new(shape, tuning);
        run_with::<Live<Streak>, ManualClock, ()>(settings(Shape::streak(3)), start, &ops)?;
        run_with::<Live<CountWindow<5>>, ManualClock, ()>(settings(Shape::count(20, true)), start, &ops)?;
        run_with::<Constant<OneProbe>, ManualClock, ()>(OneProbe::SETTINGS, start, &ops)?;
        run_with::<Constant<OneProbeAndRamp>, Rounding<1>, ()>(OneProbeAndRamp::SETTINGS, start, &ops)?;
        run_with::<Constant<ThreeProbes>, ManualClock, ()>(ThreeProbes::SETTINGS, start, &ops)?;
    }

    /// Jitter only lengthens an open time, by up to a quarter, and does not change once the circuit is open.
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
            prop_assert!((least..=least + least / 4).contains(&lasts), "{} of {}", lasts, least);
            let last = u32::try_from(lasts - 1).unwrap();
            clock.advance_ticks(last.min(wait));
            prop_assert_eq!(rest(), lasts - u64::from(last.min(wait)));
            clock.advance_ticks(last - last.min(wait));
            prop_assert_eq!(rest(), 1);
            clock.advance_ticks(1 + wait);
        }
    }
}

fn run_fixed<P: Known>(start: u32, ops: &[Op]) -> Result<HashSet<(State, State)>, TestCaseError> {
    run_on::<Constant<P>, ManualClock>(P::SETTINGS, start, ops)
}

/// Enough failures in a row to complete a long streak, or to come close.
fn many_failures() -> impl Strategy<Value = Op> {
    (240..=255_u8).prop_map(|calls| Op::Calls { calls, outcome: FAILURE })
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
        made.extend(run::<CountWindow<5>>(Settings::new(Shape::count(10, false), tuning), start, &ops).unwrap());
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

/// Asserts that an open time is exact, and over for as long as the crate documents: until the clock has come round, less the
/// longest that anything lasts (and a little).
fn open_time_is_exact<C: Told>(wrap: u64) {
    let settings = Settings::new(Shape::streak(1), Tuning::PLAIN);
    for idle in [99, 100, 101, 102, 103, wrap / 2, wrap - 4096] {
        for start in [0, u32::MAX - 50, u32::MAX] {
            let ops = [calls(1, FAILURE), wait(idle), Op::Acquire];
            run_on::<Live<Streak>, C>(settings, start, &ops).unwrap();
            let ops = [Op::Trip(OpenReason::Outlier, lasting(100)), wait(idle), Op::Acquire];
            run_on::<Live<Streak>, C>(settings, start, &ops).unwrap();
        }
    }
}

/// A deadline has 31 bits where time moves in whole ticks, and 32 bits by any other clock.
#[test]
fn an_open_time_is_exact_up_to_a_wrap() {
    open_time_is_exact::<ManualClock>(WRAP / 2);
    open_time_is_exact::<Rounding<1>>(WRAP);
    open_time_is_exact::<Rounding<9>>(WRAP);
}

/// Asserts that an open circuit which nobody asked for about a wrap seems open once more, for at most the longest that
/// anything lasts.
fn at_most_one_time_is_lost<C: Told>(wrap: u64) {
    let settings = Settings::new(Shape::streak(1), Tuning::PLAIN);
    for idle in [wrap - 3000, wrap - 900, wrap - 1, wrap, wrap + 50, wrap + 99, wrap + 100, wrap + 101, 2 * wrap] {
        let clock = C::at(u32::MAX - 10);
        let breaker = Breaker::<Streak, _>::new(settings.config(), &clock);
        breaker.acquire().unwrap().failure();
        for part in [idle / 4, idle / 4, idle / 4, idle - idle / 4 * 3] {
            clock.advance(part.try_into().unwrap());
        }
        if let Err(rejected) = breaker.acquire().map(Permit::ignore) {
            assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Failures));
            let rest = rejected.retry_in_ticks().unwrap();
            assert!(u64::from(rest) <= 2 * settings.longest().next_power_of_two(), "{rest} left after {idle}");
            clock.advance(rest);
        }
        assert!(breaker.acquire().is_ok_and(|probe| probe.is_probe()), "after {idle}");
    }
}

#[test]
fn an_open_circuit_idle_for_a_wrap_loses_at_most_one_open_time() {
    at_most_one_time_is_lost::<ManualClock>(WRAP / 2);
    at_most_one_time_is_lost::<Rounding<1>>(WRAP);
}

/// The longest times that there are: a deadline past half of the clock's range, or past all of it, would be taken for one that
/// is over or for one that is not.
#[test]
fn the_longest_times_end_when_they_are_over() {
    let horizon = u64::from(HORIZON);
    let longest = Tuning {
        open_for: horizon,
        hold_at_most: horizon,
        lease: horizon,
        ramp: Some(horizon),
        stable_after: Some(horizon / 4),
        jitter: true,
        ..Tuning::PLAIN
    };
    let settings = Settings::new(Shape::streak(1), longest);
    let past = |ticks: u64| [wait(ticks - 1), wait(1), wait(1), wait(1), wait(1 << 20), Op::Acquire];
    for begin in [Op::Trip(OpenReason::Outlier, Duration::MAX), Op::Hold(Duration::MAX), calls(1, FAILURE)] {
        // By jitter, an open time is a quarter longer at most. A layer's time and a hold have none.
        for lasts in [horizon, horizon + horizon / 4] {
            let mut ops = vec![begin];
            ops.extend(past(lasts));
            // A lost probe, then a probe, a ramp, and the memory of the attempt.
            ops.extend(past(horizon));
            ops.extend(past(horizon + horizon / 4));
            ops.push(Op::Report { which: 0, outcome: Outcome::Success, elapsed: None });
            ops.extend(past(horizon));
            ops.extend(past(horizon / 4));
            for start in [0, 12_345, u32::MAX - 7] {
                run::<Streak>(settings, start, &ops).unwrap();
                run_on::<Live<Streak>, Rounding<1>>(settings, start, &ops).unwrap();
            }
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

/// Every word carries a tag: 6 to 16 bits of its generation. No word may be taken for a word of a later generation.
#[test]
fn no_word_comes_back_when_its_tag_comes_round() {
    fn between(generations: u32) -> Vec<Op> {
        let trip_and_recover =
            [calls(3, Outcome::Slow), calls(9, FAILURE), wait(3), Op::Acquire, wait(97), Op::Acquire, wait(9)];
        let mut ops = vec![calls(2, FAILURE), Op::Acquire];
        ops.extend(trip_and_recover);
        // A reset takes two generations, a trip one.
        if !generations.is_multiple_of(2) {
            ops.push(Op::Trip(OpenReason::Manual, lasting(1)));
        }
        ops.push(Op::Resets(generations / 2));
        ops.extend([Op::Report { which: 0, outcome: FAILURE, elapsed: None }, Op::Drop { which: 0 }]);
        ops.extend(trip_and_recover);
        ops.extend([calls(1, Outcome::Success), calls(1, FAILURE), wait(50), calls(1, FAILURE)]);
        ops
    }
    let tuning = Tuning { minimum: Some(4), probes: 3, ramp: Some(160), ..Tuning::PLAIN };
    let set = |shape| Settings::new(shape, tuning);
    // A tag of n bits wraps after 2^n generations. The trips before the resets use up to ten of them.
    for bits in [6, 7, 8, 9, 16] {
        for generations in (1_u32 << bits) - 12..=1 << bits {
            let ops = between(generations);
            run::<Streak>(set(Shape::streak(3)), 0, &ops).unwrap();
            run_fixed::<OneProbe>(0, &ops).unwrap();
            if bits < 16 {
                run_fixed::<ThreeProbes>(0, &ops).unwrap();
                run::<CountWindow<3>>(set(Shape::count(20, false)), 0, &ops).unwrap();
                run::<CountWindow<4>>(set(Shape::count(20, true)), 0, &ops).unwrap();
                run::<CountWindow<4>>(set(Shape::count(20, false)), 0, &ops).unwrap();
                run::<CountWindow<5>>(set(Shape::count(20, true)), 0, &ops).unwrap();
                run::<CountWindow<1>>(set(Shape::count(20, false)), 0, &ops).unwrap();
                run::<CountWindow<1>>(set(Shape::count(12, true)), 0, &ops).unwrap();
                run::<TimeWindow<4>>(set(Shape::time(4, 64, true)), 0, &ops).unwrap();
                run::<(Streak, TimeWindow<4>)>(set(Shape::time(4, 64, true).and_streak(3)), 0, &ops).unwrap();
            }
        }
    }
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
            run::<CountWindow<3>>(settings(20), 0, &ops).unwrap_or_else(|error| panic!("{resets} resets: {error}"));
        }
    }
    // This case comes last: if the two above fail, it never ends.
    let (first, rest) = ([calls(25, Outcome::Success), Op::Resets(2)], [Op::Resets(766), calls(60, Outcome::Success)]);
    let ops = [&first[..], &[calls(1, Outcome::Success)], &rest].concat();
    run::<CountWindow<4>>(settings(40), 0, &ops).unwrap();
}

/// Found by properties, which then drew their steps in another way.
#[test]
fn regressions_of_former_draws() {
    let least = Tuning {
        failure_permille: None,
        slow_permille: 1,
        open_for: 1,
        factor_1024ths: 1024,
        hold_at_most: 1,
        lease: 1,
        ..Tuning::PLAIN
    };
    let trip = Op::Trip(OpenReason::Failures, Duration::ZERO);
    let good = calls(1, Outcome::Success);
    let mut ops = vec![Op::Resets(439)];
    ops.extend([Op::Acquire; 6]);
    ops.extend([Op::Resets(572), trip, wait(1), good, calls(2, FAILURE), wait(1), good, trip, wait(1)]);
    ops.extend([Op::Reconfigure(Tuning { rates: true, ..least }), calls(2, Outcome::Slow)]);
    run::<CountWindow<4>>(Settings::new(Shape::count(2, false), least), 0, &ops).unwrap();

    let two_probes = Tuning { probes: 2, ..least };
    let ops = [trip, wait(1), calls(1, Outcome::Slow)];
    run::<CountWindow<4>>(Settings::new(Shape::count(1, false), two_probes), 0, &ops).unwrap();

    let shape = Shape::count(1, false).and_streak(1);
    let ops = [Op::Shadow(true), calls(1, FAILURE), wait(1), calls(1, Outcome::Slow)];
    run::<(Streak, CountWindow<5>)>(Settings::new(shape, least), 0, &ops).unwrap();

    let time = Shape::time(1, 64, false);
    let ops = [Op::Shadow(true), calls(1, Outcome::Hold(Duration::ZERO)), wait(1), calls(1, Outcome::Slow)];
    run::<TimeWindow<16>>(Settings::new(time, least), 0, &ops).unwrap();

    let mut ops = vec![Op::Shadow(true)];
    ops.extend([Op::Acquire; 6]);
    ops.extend([trip, wait(1), calls(1, FAILURE), wait(1), calls(3, Outcome::Success)]);
    run::<TimeWindow<16>>(Settings::new(time, Tuning { ramp: Some(1), ..least }), 0, &ops).unwrap();
}

/// An attempt that is to be forgotten must not be kept by a trip, which keeps the attempt.
#[test]
fn regression_a_trip_kept_an_attempt_that_was_to_be_forgotten() {
    let settings = Settings::new(Shape::streak(1), Tuning { stable_after: Some(50), ..Tuning::PLAIN });
    let recovered = [calls(1, FAILURE), wait(100), calls(1, FAILURE), wait(200), calls(1, Outcome::Success)];
    for idle in [49, 50, 51] {
        for next in [Op::Trip(OpenReason::Budget, lasting(9)), Op::Hold(lasting(9)), Op::Latch, calls(1, FAILURE)] {
            let ops = [&recovered[..], &[wait(idle), next, wait(9), calls(1, FAILURE)]].concat();
            run::<Streak>(settings, 0, &ops).unwrap();
        }
    }
}

/// A trip for no time at all lasts a tick, over a time of its own reason that is over as well.
#[test]
fn regression_a_trip_for_no_time_did_nothing_over_a_time_that_was_over() {
    let settings = Settings::new(Shape::streak(1), Tuning::PLAIN);
    for reason in OpenReason::ALL {
        let trip = Op::Trip(reason, Duration::ZERO);
        run::<Streak>(settings, 0, &[trip, wait(1), trip, Op::Acquire, wait(1), Op::Acquire]).unwrap();
    }
}

/// In a new breaker, a reading of less than a bucket before the clock's wrap looked like one of a clock that is slightly
/// behind: the first outcomes were counted in the bucket after the wrap.
#[test]
fn regression_a_new_time_window_counted_in_the_bucket_after_the_wrap() {
    let settings = Settings::new(Shape::time(4, 64, false), Tuning::PLAIN);
    for before in [63, 1, 0] {
        let ops = [calls(9, FAILURE), wait(before + 1), wait(191), wait(1), wait(63), wait(1)];
        run::<TimeWindow<4>>(settings, u32::MAX - u32::try_from(before).unwrap(), &ops).unwrap();
    }
}

/// The word that has the run of a streak in a pair has the probes while the circuit is half-open. They showed as a run.
#[test]
fn regression_the_probes_of_a_pair_with_a_streak_showed_as_a_run() {
    let settings = Settings::new(Shape::count(9, false).and_streak(9), Tuning { probes: 3, ..Tuning::PLAIN });
    let opened = [Op::Trip(OpenReason::Outlier, lasting(9)), wait(9), Op::Acquire, Op::Acquire];
    let ops = [&opened[..], &[calls(1, Outcome::Success), Op::Hold(lasting(9)), Op::HalfOpen, Op::Acquire]].concat();
    run::<(Streak, CountWindow<5>)>(settings, 0, &ops).unwrap();
}

/// A reload may complete a verdict while probes are in flight. The next caller carried it out, and told of those probes as
/// if they were lost.
#[test]
fn regression_a_verdict_by_a_reload_counted_the_probes_in_flight_as_failed() {
    let three = Tuning { probes: 3, lease: 1000, ..Tuning::PLAIN };
    let one = Tuning { probes: 1, ..three };
    let ops = [
        Op::Trip(OpenReason::Outlier, lasting(9)),
        wait(9),
        Op::Acquire,
        calls(1, Outcome::Success),
        Op::Reconfigure(one),
        Op::Acquire,
    ];
    run::<Streak>(Settings::new(Shape::streak(3), three), 0, &ops).unwrap();
}

/// Whether a ramp recovers from a doubt about the peer's health was drawn, after a restore, from unrelated bits.
#[test]
fn regression_a_restored_ramp_forgot_what_it_recovers_from() {
    let tuning = Tuning { ramp: Some(160), minimum: Some(5), ..Tuning::PLAIN };
    for reason in OpenReason::ALL {
        let ramping = [Op::Trip(reason, lasting(9)), wait(9), calls(1, Outcome::Success), Op::Snapshot];
        for between in [&[][..], &[calls(1, FAILURE)], &[calls(4, FAILURE)], &[Op::Reset, calls(1, FAILURE)]] {
            let ops = [&ramping[..], between, &[Op::Restore(None)], &[Op::AcquireAnyway; 4]].concat();
            run::<Streak>(Settings::new(Shape::streak(9), tuning), 0, &ops).unwrap();
            run::<CountWindow<4>>(Settings::new(Shape::count(9, false), tuning), 0, &ops).unwrap();
        }
    }
}

/// A snapshot forgot the attempt that its breaker still remembered, if a reload had meanwhile let new ones be forgotten at
/// once.
#[test]
fn regression_a_snapshot_forgot_an_attempt_after_a_reload() {
    let settings = Settings::new(Shape::streak(1), Tuning { stable_after: Some(50), ..Tuning::PLAIN });
    let recovered = [calls(1, FAILURE), wait(100), calls(1, FAILURE), wait(200), calls(1, Outcome::Success)];
    let ops = [&recovered[..], &[Op::Reconfigure(Tuning::PLAIN), wait(20), Op::Snapshot, Op::Restore(None)]].concat();
    run::<Streak>(settings, 0, &ops).unwrap();
}
