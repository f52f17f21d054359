//! Each promise, kept by one record and broken by a change to it.

use microbreaker::FailureKind;

use super::*;
use crate::tuning::Tuning;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn call(at: u64, took: u64, end: End, probe: bool) -> Call {
    Call { asked: ms(at), sent: ms(at), ended: ms(at + took), told: ms(at + took), end, probe }
}

fn failed(at: u64) -> Call {
    call(at, 5, End::Failed(FailureKind::Server), false)
}

fn step(at: u64, from: State, to: State, generation: u32) -> Move {
    let open = to == State::Open;
    Move {
        at: ms(at),
        from,
        to,
        reason: open.then_some(OpenReason::Failures),
        generation,
        tally: if from == State::HalfOpen { (WindowKind::Probes, 1, 1, 0) } else { (WindowKind::Count, 10, 5, 0) },
        lasts: open.then_some(ms(450)),
    }
}

/// Two clients and one outage from 1000 to 2000 ms. The circuit opens at 1055, the probes at 1510 and 1970 are bad, and
/// it closes at 2445.
pub(crate) fn good() -> Record {
    let bad_probe = |at| call(at, 5, End::Failed(FailureKind::Server), true);
    let good_probe = |at| call(at, 5, End::Good, true);
    let with = vec![
        call(900, 4, End::Good, false),
        failed(1000),
        failed(1010),
        failed(1020),
        failed(1030),
        failed(1050),
        bad_probe(1510),
        bad_probe(1970),
        good_probe(2430),
        good_probe(2440),
        call(2460, 4, End::Good, false),
    ];
    Record {
        tuning: Tuning::scripted(2),
        outages: vec![Outage { mood: Mood::Fails, from: ms(999), to: ms(2000) }],
        moves: vec![
            step(1055, State::Closed, State::Open, 1),
            step(1510, State::Open, State::HalfOpen, 2),
            step(1515, State::HalfOpen, State::Open, 3),
            step(1970, State::Open, State::HalfOpen, 4),
            step(1975, State::HalfOpen, State::Open, 5),
            step(2430, State::Open, State::HalfOpen, 6),
            step(2445, State::HalfOpen, State::Closed, 9),
        ],
        with,
        without: Some((100..300).map(|at| failed(at * 10)).collect()),
        rejected: 50,
        most_probes_at_once: Some(1),
        lateness: ms(2),
    }
}

/// The promises that a change to the good record breaks.
fn broken_by(change: impl FnOnce(&mut Record)) -> Vec<String> {
    let mut record = good();
    change(&mut record);
    check(&record).into_iter().filter(|promise| !promise.kept()).map(|promise| promise.text).collect()
}

fn breaks(promise: &str, change: impl FnOnce(&mut Record)) {
    let broken = broken_by(change);
    assert!(broken.iter().any(|text| text.starts_with(promise)), "{promise}: {broken:?}");
}

#[test]
fn a_good_record_keeps_them_all() {
    assert_eq!(broken_by(|_| ()), Vec::<String>::new());
    let met = meet(&good());
    assert_eq!((met[0].wasted, met[0].wasted_without, met[0].periods), (7, Some(100), 3));
    assert_eq!((met[0].opened, met[0].closed), (Some(ms(56)), Some(ms(445))));
}

#[test]
fn an_outage_that_never_opens_is_broken() {
    breaks("opens in every", |record| record.moves.clear());
}

#[test]
fn one_wasted_call_too_many_is_broken() {
    // The bound is nine: a threshold of 5, one call under way, and three open periods.
    assert!(broken_by(|record| record.with.extend([failed(1052), failed(1053)])).is_empty());
    breaks("wastes", |record| record.with.extend([failed(1052), failed(1053), failed(1053)]));
}

#[test]
fn a_bad_call_after_the_recovery_is_not_the_outages() {
    let mut record = good();
    record.with.push(call(2001, 200, End::Slow, false));
    assert_eq!(meet(&record)[0].wasted, 7);
}

#[test]
fn closing_late_or_never_is_broken() {
    // It may close until 2784: 450 ms open, 230 ms of probing and 104 ms of slack after the recovery at 2000.
    assert!(broken_by(|record| record.moves[6].at = ms(2784)).is_empty());
    breaks("closes within", |record| record.moves[6].at = ms(2785));
    breaks("closes within", |record| {
        record.moves.pop();
    });
}

#[test]
fn a_probe_that_ends_badly_after_the_recovery_lengthens_it() {
    let late = |record: &mut Record| {
        record.with[7].told = ms(2100);
        record.moves[6].at = ms(2880);
    };
    assert!(broken_by(late).is_empty());
}

#[test]
fn opening_without_cause_is_broken() {
    breaks("opens only after", |record| record.with.retain(|call| call.sent != ms(1030)));
}

#[test]
fn a_period_too_short_or_too_long_is_broken() {
    breaks("stays open", |record| record.moves[0].lasts = Some(ms(399)));
    breaks("stays open", |record| record.moves[0].lasts = Some(ms(504)));
    breaks("stays open", |record| record.moves[0].lasts = None);
    // The period of 450 ms begins at 1055. With 104 ms of slack it may end at 1401, and no sooner.
    assert!(broken_by(|record| record.moves[1].at = ms(1401)).is_empty());
    breaks("stays open", |record| record.moves[1].at = ms(1400));
    breaks("stays open", |record| record.moves[0].reason = Some(OpenReason::Hold));
}

#[test]
fn a_hold_that_keeps_a_longer_period_is_no_fault() {
    let held = |lasts: u64| {
        move |record: &mut Record| {
            let hold = Move {
                reason: Some(OpenReason::Hold),
                lasts: Some(ms(lasts)),
                ..step(1060, State::Open, State::Open, 2)
            };
            record.moves.insert(1, hold);
            record.moves[2..].iter_mut().for_each(|step| step.generation += 1);
        }
    };
    assert!(broken_by(held(445)).is_empty());
    breaks("stays open", held(2000));
}

#[test]
fn a_call_while_open_is_broken() {
    breaks("lets no call", |record| record.with.push(call(1200, 5, End::Good, false)));
}

#[test]
fn a_call_before_retry_after_is_broken() {
    let held = |at, held| call(at, 5, End::Limited { retry_after: ms(1000), held }, false);
    assert!(broken_by(|record| record.with.extend([held(3000, true), call(4005, 5, End::Good, false)])).is_empty());
    breaks("sends nothing", |record| record.with.extend([held(3000, true), call(4003, 5, End::Good, false)]));
    // This report came too late to hold anything: the circuit was in another period already.
    assert!(broken_by(|record| record.with.extend([held(3000, false), call(3500, 5, End::Good, false)])).is_empty());
}

#[test]
fn a_wave_of_probes_is_broken() {
    breaks("probes one", |record| record.most_probes_at_once = Some(2));
    breaks("probes one", |record| record.with[8].ended = ms(2441));
    breaks("probes one", |record| record.moves[2].tally = (WindowKind::Probes, 3, 1, 0));
    breaks("probes one", |record| {
        record.moves.remove(3);
        record.with.extend([call(2470, 1, End::Good, true), call(2480, 1, End::Good, true)]);
    });
}

#[test]
fn a_transition_told_twice_or_not_at_all_is_broken() {
    breaks("tells every", |record| {
        record.moves.remove(2);
    });
    breaks("tells every", |record| {
        let twice = record.moves[2];
        record.moves.insert(2, twice);
    });
    breaks("tells every", |record| {
        record.moves.remove(0);
    });
}
