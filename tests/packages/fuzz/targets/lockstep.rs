//! `cargo +nightly fuzz run --fuzz-dir tests/packages/fuzz lockstep`: the fuzzer makes up a sequence of calls,
//! outcomes, cancels, holds, trips and releases of layers, forced states, restarts, reloads and time jumps (over wraps and
//! long idle times), for breakers with live and with constant settings, by clocks that round and by one that does not. After
//! each step the breaker and the model must look the same.
#![no_main]

#[path = "../../../model/reference/lockstep.rs"]
#[allow(dead_code, reason = "the properties draw their steps by it")]
mod lockstep;
#[path = "../../../model/reference/model.rs"]
#[allow(dead_code, reason = "the search through histories uses more of it")]
mod model;
#[path = "../../../model/reference/settings.rs"]
mod settings;
#[path = "../../../model/reference/subject.rs"]
mod subject;

use core::time::Duration;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use microbreaker::{CountWindow, FailureKind, LiveWindow, ManualClock, OpenReason, Outcome, Streak, TimeWindow};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use lockstep::{Advance, Op, run_on};
use settings::{Settings, Shape, bucket, lasting, tuning};
use subject::{
    Buckets, Constant, Known, Last20, Live, LongStreak, OneProbe, OneProbeAndRamp, Rates, Rounding, Subject, ThreeProbes,
};

/// Draws settings as the properties of `tests/model/reference` do, by a seed of two bytes.
fn drawn<T: core::fmt::Debug>(bytes: &mut Unstructured<'_>, strategy: impl Strategy<Value = T>) -> Result<T> {
    let mut seed = [0; 16];
    seed[..2].copy_from_slice(bytes.bytes(2)?);
    seed[15] = 1;
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::XorShift, &seed));
    Ok(strategy.new_tree(&mut runner).expect("no strategy of ours rejects").current())
}

fn duration(bytes: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(match bytes.int_in_range(0..=9)? {
        0..6_u8 => lasting(u64::from(bytes.arbitrary::<u16>()?)),
        6..9 => Duration::from_nanos(bytes.arbitrary::<u32>()?.into()),
        _ => Duration::from_millis(bytes.arbitrary()?),
    })
}

fn outcome(bytes: &mut Unstructured<'_>) -> Result<Outcome> {
    Ok(match bytes.int_in_range(0..=15)? {
        0..5_u8 => Outcome::Success,
        5..9 => Outcome::Failure(*bytes.choose(&FailureKind::ALL)?),
        9..11 => Outcome::Slow,
        11 => Outcome::Alive,
        12 => Outcome::Ignored,
        13 | 14 => Outcome::Hold(duration(bytes)?),
        _ => Outcome::Latch,
    })
}

fn advance(bytes: &mut Unstructured<'_>) -> Result<Advance> {
    Ok(match bytes.int_in_range(0..=15)? {
        0..5_u8 => Advance::Ticks(u64::from(bytes.arbitrary::<u8>()?) + 1),
        5..7 => Advance::Ticks(bytes.arbitrary::<u16>()?.into()),
        7..13 => Advance::Edge { which: bytes.arbitrary()?, beside: bytes.int_in_range(-1..=1)? },
        13 => Advance::Ticks(bytes.arbitrary::<u32>()?.into()),
        // A jump near the middle of the counter's range. The next arm jumps near its first, second or third wrap.
        14 => Advance::Ticks((1 << 31) - (1 << 15) + u64::from(bytes.arbitrary::<u16>()?)),
        _ => Advance::Ticks((bytes.int_in_range(1..=3)? << 32) - (1 << 15) + u64::from(bytes.arbitrary::<u16>()?)),
    })
}

fn op(bytes: &mut Unstructured<'_>) -> Result<Op> {
    Ok(match bytes.int_in_range(0..=79)? {
        0..15_u8 => Op::Acquire,
        15..28 => {
            let elapsed = if bytes.ratio(1, 8)? { Some(duration(bytes)?) } else { None };
            Op::Report { which: bytes.arbitrary()?, outcome: outcome(bytes)?, elapsed }
        }
        28..31 => Op::Drop { which: bytes.arbitrary()? },
        31..37 => Op::Calls { calls: bytes.int_in_range(1..=24)?, outcome: outcome(bytes)? },
        37..50 => Op::Advance(advance(bytes)?),
        50 => Op::Reset,
        51..54 => Op::ResetIfStuck,
        54 => Op::Resets(bytes.int_in_range(1..=600)?),
        55 => Op::ForceOpen,
        56 => Op::Disable,
        57 => Op::Trip(*bytes.choose(&OpenReason::ALL)?, duration(bytes)?),
        58 => Op::Hold(duration(bytes)?),
        59 => Op::Latch,
        60 => Op::Shadow(bytes.arbitrary()?),
        61 | 62 => Op::Reconfigure(drawn(bytes, tuning())?),
        63 => Op::Reshape,
        64..67 => Op::AcquireAnyway,
        67..70 => Op::Trip(*bytes.choose(&OpenReason::ALL)?, duration(bytes)?),
        70..73 => Op::Release { back: bytes.int_in_range(0..=3)? },
        73 | 74 => Op::HalfOpen,
        75 => Op::Snapshot,
        76 => Op::Restore(if bytes.arbitrary()? { Some(duration(bytes)?) } else { None }),
        77 => Op::Seed(bytes.arbitrary()?),
        // Enough to complete a long streak, or to come close.
        _ => Op::Calls { calls: bytes.int_in_range(240..=255)?, outcome: Outcome::Failure(FailureKind::Other) },
    })
}

fn play<W: LiveWindow>(bytes: &mut Unstructured<'_>, shape: Shape) -> Result<()> {
    let settings = Settings::new(shape, drawn(bytes, tuning())?);
    play_by::<Live<W>>(bytes, settings)
}

fn play_known<P: Known>(bytes: &mut Unstructured<'_>) -> Result<()> {
    play_by::<Constant<P>>(bytes, P::SETTINGS)
}

fn play_by<S: Subject>(bytes: &mut Unstructured<'_>, settings: Settings) -> Result<()> {
    let rounds = bytes.arbitrary()?;
    let start = if bytes.arbitrary()? { bytes.arbitrary()? } else { u32::MAX - u32::from(bytes.arbitrary::<u16>()?) };
    let mut ops = Vec::new();
    while !bytes.is_empty() && ops.len() < 400 {
        // The input ends within an operation: the operations before it are played.
        let Ok(op) = op(bytes) else { break };
        ops.push(op);
    }
    let ran = if rounds {
        run_on::<S, Rounding<1>>(settings, start, &ops)
    } else {
        run_on::<S, ManualClock>(settings, start, &ops)
    };
    if let Err(error) = ran {
        panic!("{error}\n{settings:?} from {start}, by a clock that rounds: {rounds}\n{ops:#?}");
    }
    Ok(())
}

fn choose(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (window, slow) = (bytes.int_in_range(0..=16)?, bytes.arbitrary()?);
    let streak = bytes.int_in_range(1..=5)?;
    let calls = bytes.int_in_range(1..=40)?;
    // One word holds 24 outcomes, or 12 where slow calls count.
    let few = 1 + calls % if slow { 12 } else { 24 };
    let buckets = bytes.int_in_range(1..=4)?;
    let bucket = drawn(bytes, bucket())?;
    match window {
        0..1_u8 => play::<Streak>(bytes, Shape::streak(streak)),
        1 => play::<CountWindow<6>>(bytes, Shape::count(calls, slow)),
        2 => play::<TimeWindow<4>>(bytes, Shape::time(buckets, bucket, slow)),
        3 => play::<(Streak, CountWindow<6>)>(bytes, Shape::count(calls, slow).and_streak(streak)),
        4 => play::<(Streak, TimeWindow<4>)>(bytes, Shape::time(buckets, bucket, slow).and_streak(streak)),
        5 => play::<(CountWindow<6>, TimeWindow<8>)>(bytes, Shape::count(calls, slow).and_time(buckets, bucket)),
        13 => play::<CountWindow<1>>(bytes, Shape::count(few, slow)),
        14 => play::<(Streak, CountWindow<1>)>(bytes, Shape::count(few, slow).and_streak(streak)),
        15 => play::<(CountWindow<1>, TimeWindow<8>)>(bytes, Shape::count(few, slow).and_time(buckets, bucket)),
        6 => play::<Streak>(bytes, Shape::streak(253 + streak)),
        7 => play_known::<OneProbe>(bytes),
        8 => play_known::<OneProbeAndRamp>(bytes),
        9 => play_known::<ThreeProbes>(bytes),
        10 => play_known::<Last20>(bytes),
        11 => play_known::<Rates>(bytes),
        12 => play_known::<Buckets>(bytes),
        _ => play_known::<LongStreak>(bytes),
    }
}

fuzz_target!(|data: &[u8]| {
    // An input that is too short is not played.
    let _ = choose(&mut Unstructured::new(data));
});
