//! Reports to a time window that overlap: which trips may be missed, and which never are. One report is stopped before
//! each of its accesses in turn. Meanwhile others report, or a bucket ends.

use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{Breaker, Clock, Config, FailureKind, LiveWindow, ManualClock, Outcome, State, TimeWindow};

const BUCKET: u32 = 64;
const GOOD: Outcome = Outcome::Success;
const BAD: Outcome = Outcome::Failure(FailureKind::Other);
const SLOW: Outcome = Outcome::Slow;

type Shared<W> = Rc<Breaker<W, ManualClock>>;

fn time() -> Config {
    Config::time(2, ManualClock::RATE.duration_of(BUCKET))
}

fn report<W: LiveWindow>(breaker: &Shared<W>, outcomes: &[Outcome]) {
    for &outcome in outcomes {
        if let Ok(permit) = breaker.acquire() {
            permit.record(outcome);
        }
    }
}

/// Whether the circuit stays closed if `meanwhile` happens before an access of a report, and `later` at the end: for each
/// access.
fn stays_closed<W: LiveWindow + 'static>(
    config: Config,
    before: impl Fn(&Shared<W>),
    outcome: Outcome,
    meanwhile: impl Fn(&Shared<W>) + Copy + 'static,
    later: impl Fn(&Shared<W>),
) -> Vec<bool> {
    let is_closed = |access| {
        let breaker: Shared<W> = Rc::new(Breaker::new(config, ManualClock::new()));
        before(&breaker);
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        interrupted(access, move || meanwhile(&other), || permit.record(outcome))?;
        later(&breaker);
        Some(breaker.state() == State::Closed)
    };
    let closed: Vec<bool> = (0..).map_while(is_closed).collect();
    assert!(closed.len() > 10, "the report is stopped everywhere");
    closed
}

/// The accesses at which a trip is missing.
fn lost(closed: Vec<bool>) -> Vec<u32> {
    (0..).zip(closed).filter_map(|(access, closed)| closed.then_some(access)).collect()
}

/// Before the report, two of four calls are bad. One more is enough, and in every order a bad one comes first.
fn lost_by_a_third<W: LiveWindow + 'static>(bad: Outcome, config: Config, meanwhile: &'static [Outcome]) -> Vec<u32> {
    let before = |breaker: &_| report(breaker, &[GOOD, GOOD, bad, bad]);
    lost(stays_closed::<W>(config.minimum(4), before, bad, |breaker| report(breaker, meanwhile), |_| {}))
}

#[test]
fn a_success_during_a_failure_loses_no_trip() {
    let config = time().failure_permille(600);
    for meanwhile in [&[BAD] as &[_], &[BAD, GOOD], &[BAD, GOOD, GOOD, GOOD]] {
        assert_eq!(lost_by_a_third::<TimeWindow<2>>(BAD, config, meanwhile), []);
        assert_eq!(lost_by_a_third::<TimeWindow<2, 4>>(BAD, config, meanwhile), []);
    }
}

#[test]
fn a_share_of_exactly_the_threshold_trips() {
    for permille in [500, 501] {
        let breaker: Shared<TimeWindow<2>> =
            Rc::new(Breaker::new(time().minimum(4).failure_permille(permille), ManualClock::new()));
        report(&breaker, &[GOOD, GOOD, GOOD, BAD, BAD]);
        assert_eq!(breaker.state(), State::Closed);
        report(&breaker, &[BAD]);
        assert_eq!(breaker.state() == State::Open, permille == 500, "three of six");
    }
}

/// The slow call of the stopped report is counted as a call, but not yet as slow.
#[test]
fn a_success_during_a_slow_call_may_lose_a_trip_and_a_slow_call_does_not() {
    let config = time().failure_permille(1000).slow_permille(600).slow_after(ManualClock::RATE.duration_of(1));
    assert_eq!(lost_by_a_third::<TimeWindow<2>>(SLOW, config, &[SLOW]), [], "the last report sees the whole share");
    assert_ne!(lost_by_a_third::<TimeWindow<2>>(SLOW, config, &[SLOW, GOOD]), []);
}

/// One of two calls has failed, and the minimum is three. The next success makes it one of three.
#[test]
fn a_success_that_completes_the_minimum_is_judged_with_those_that_overlap_it() {
    let lost = |permille| {
        let config = time().minimum(3).failure_permille(permille);
        let before = |breaker: &_| report(breaker, &[BAD, GOOD]);
        lost(stays_closed::<TimeWindow<2>>(config, before, GOOD, |breaker| report(breaker, &[GOOD]), |_| {}))
    };
    assert_eq!(lost(250), [], "one of four is enough too");
    assert_ne!(lost(251), []);
}

/// The accesses before which `passed` buckets may end without a trip that every order of the reports gives.
///
/// There is a failure in the bucket before the last, and a second one is reported at the last tick of the last bucket.
/// If that one counts then, the circuit opens by two failures of two. If it counts later, beside a success or not, the
/// circuit opens by the third failure, in the bucket after: two failures of three.
fn lost_as_buckets_end<W: LiveWindow + 'static>(passed: u32, meanwhile: &'static [Outcome]) -> Vec<u32> {
    let closed = stays_closed::<W>(
        time().minimum(2).failure_permille(600),
        |breaker| {
            report(breaker, &[BAD]);
            breaker.clock().advance_ticks(2 * BUCKET - 1);
        },
        BAD,
        move |breaker| {
            breaker.clock().advance_ticks((passed - 1) * BUCKET + 1);
            report(breaker, meanwhile);
        },
        |breaker| {
            breaker.clock().advance_ticks(BUCKET);
            report(breaker, &[BAD]);
        },
    );
    lost(closed)
}

#[test]
fn a_bucket_that_ends_during_a_report_loses_no_trip() {
    for passed in [1, 2, 3, 100] {
        assert_eq!(lost_as_buckets_end::<TimeWindow<2>>(passed, &[]), [], "{passed}");
        assert_eq!(lost_as_buckets_end::<TimeWindow<4>>(passed, &[]), [], "{passed}");
    }
}

/// A ring of four slots keeps a window of two buckets until the third bucket after it begins.
#[test]
fn a_report_is_judged_by_its_own_bucket_until_the_ring_has_come_round() {
    for passed in [1, 2] {
        assert_eq!(lost_as_buckets_end::<TimeWindow<4>>(passed, &[GOOD]), [], "{passed}");
    }
    assert_ne!(lost_as_buckets_end::<TimeWindow<4>>(3, &[GOOD]), []);
    // Here no slot is to spare.
    assert_ne!(lost_as_buckets_end::<TimeWindow<2>>(1, &[GOOD]), []);
}

/// A new bucket begins in the slot of the oldest one. Without the successes there, two of two calls would have failed.
/// In every order it is two of five, or one of two.
#[test]
fn a_bucket_that_is_recycled_during_a_sum_makes_no_trip() {
    let closed = stays_closed::<TimeWindow<2>>(
        time().minimum(2).failure_permille(600),
        |breaker| {
            report(breaker, &[GOOD, GOOD, GOOD, BAD]);
            breaker.clock().advance_ticks(BUCKET);
        },
        BAD,
        |breaker| {
            breaker.clock().advance_ticks(BUCKET);
            report(breaker, &[GOOD]);
        },
        |_| {},
    );
    assert!(closed.iter().all(|&closed| closed), "{closed:?}");
}
