//! The cells that have a condition (a threshold, a minimum, a share of the calls). The table shows them with the condition met
//! or not met; the tests here show the other half.

use std::time::Duration;

use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, LiveWindow, ManualClock, OpenReason, Outcome, ProbeRule,
    RejectReason, State, Streak, TimeWindow, Tripped, Window, count_words,
};

use super::table::{COLUMNS, TABLE};
use super::{
    Fixes, LONGER, OPEN_FOR, Plant, RAMP, Row, SECOND, STABLE_AFTER, Setup, Through, Told, after, by_hand, config,
    outcome_named,
};

#[test]
fn closed_counts_below_the_threshold() {
    let clock = ManualClock::new();
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(2), &clock);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    assert_eq!((breaker.state(), breaker.tally().failed, breaker.status().generation), (State::Closed, 1, 0));
}

#[test]
fn a_success_in_closed_and_ramping_trips_only_until_warm() {
    let clock = ManualClock::new();
    let config = Config::count(8).minimum(2).jitter(false).open_for(OPEN_FOR).ramp(RAMP);
    let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> = Breaker::new(config, &clock);
    let good = || breaker.acquire().unwrap().success();
    let bad = || breaker.acquire().unwrap().failure();
    assert_eq!(bad(), Effect::Counted);
    assert_eq!(good(), Effect::Opened(OpenReason::Failures), "closed: it completes the minimum, at 1 of 2");
    clock.advance(OPEN_FOR);
    assert_eq!(good(), Effect::Ramping);
    // In the last sixteenth of its time the ramp admits every call.
    clock.advance(RAMP * 31 / 32);
    assert_eq!(bad(), Effect::Counted);
    assert_eq!(good(), Effect::Opened(OpenReason::Failures), "ramping: likewise");
    breaker.reset();

    // A verdict makes the breaker warm. Then a reload lowers the threshold to the present share of failures. The reload
    // clears the warm bit, so the next success is judged and opens the circuit.
    assert_eq!([good(), good(), good(), bad()], [Effect::Counted; 4]);
    breaker.reconfigure(&config.failure_permille(200)).unwrap();
    assert_eq!(good(), Effect::Opened(OpenReason::Failures), "1 of 5 is 200 permille");

    // A pair of windows does the same: a success that completes the minimum is judged.
    let pair: Breaker<(Streak, CountWindow<{ count_words(8, false) }>), _> =
        Breaker::new(config.and_streak(5), ManualClock::new());
    assert_eq!(pair.acquire().unwrap().failure(), Effect::Counted);
    assert_eq!(pair.acquire().unwrap().success(), Effect::Opened(OpenReason::Failures));

    // While the breaker is warm, a success is not judged. After a lull the same 1 of 2 therefore stays until the next
    // failure. This holds for a success in the failure's own bucket, and for a success that begins the next bucket.
    for between in [Duration::ZERO, SECOND] {
        let breaker: Breaker<TimeWindow<4>, _> = Breaker::new(Config::time(4, SECOND).minimum(2).jitter(false), &clock);
        let good = || breaker.acquire().unwrap().success();
        let bad = || breaker.acquire().unwrap().failure();
        assert_eq!([good(), good()], [Effect::Counted; 2]);
        clock.advance(4 * SECOND);
        assert_eq!(bad(), Effect::Counted);
        clock.advance(between);
        assert_eq!(good(), Effect::Counted);
        assert_eq!((breaker.state(), breaker.tally().failed, breaker.tally().total), (State::Closed, 1, 2));
        assert_eq!(bad(), Effect::Opened(OpenReason::Failures));
    }
}

/// A lost probe counts as failed, by whichever rule: the circuit opens again, and the probe's own report is stale. A hold or
/// a latch that it reports still takes effect, because it speaks of the peer.
#[test]
fn a_probe_that_was_lost_has_no_result_any_more() {
    for rule in [ProbeRule::FirstFailure, ProbeRule::Rates] {
        for (outcome, effect, state) in [
            (Outcome::Success, Effect::Stale, State::Open),
            (Outcome::Failure(FailureKind::Other), Effect::Stale, State::Open),
            (Outcome::Alive, Effect::Stale, State::Open),
            (Outcome::Ignored, Effect::Stale, State::Open),
            (Outcome::Hold(LONGER), Effect::Opened(OpenReason::Hold), State::Open),
            (Outcome::Latch, Effect::Latched, State::Latched),
        ] {
            let clock = ManualClock::new();
            let config = Config::count(8).minimum(3).failure_permille(600).probe_rule(rule).probes(3).at_once(2);
            let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> =
                Breaker::new(config.jitter(false).open_for(OPEN_FOR).lease(SECOND), &clock);
            assert!(matches!(breaker.trip(OpenReason::Dependency, OPEN_FOR), Tripped::Opened(_)));
            clock.advance(OPEN_FOR);
            assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
            let (lost, other) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
            clock.advance(SECOND);
            let rejected = breaker.acquire().unwrap_err();
            assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Failures));
            assert_eq!((rejected.retry_in(), breaker.status().attempt), (Some(2 * OPEN_FOR), 1));
            assert_eq!(lost.record(outcome), effect);
            assert_eq!(breaker.state(), state);
            assert_eq!(other.success(), Effect::Stale);
        }
    }
}

#[test]
fn a_pair_counts_each_call_in_both_whichever_comes_first() {
    fn five_of_ten<W: LiveWindow>(config: Config) {
        let breaker: Breaker<W, _> = Breaker::new(config.minimum(1), ManualClock::new());
        for _ in 0..5 {
            breaker.acquire().unwrap().success();
        }
        for _ in 0..4 {
            assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
        }
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    }
    let (time, count) = (Config::time(4, SECOND), Config::count(43));
    five_of_ten::<(TimeWindow<4>, Streak)>(time.and_streak(100));
    five_of_ten::<(Streak, TimeWindow<4>)>(time.and_streak(100));
    five_of_ten::<(TimeWindow<4>, CountWindow<4>)>(time.and_count(43));
    five_of_ten::<(CountWindow<4>, TimeWindow<4>)>(time.and_count(43));
    five_of_ten::<(CountWindow<4>, Streak)>(count.and_streak(100));

    // A pair of a pair: windows that only look must still come before a window that counts, otherwise a call would be
    // counted twice.
    let three: Breaker<((TimeWindow<4>, Streak), CountWindow<4>), _> =
        Breaker::new(time.minimum(1).and_streak(100).and_count(43), ManualClock::new());
    for calls in 1..=5 {
        three.acquire().unwrap().success();
        assert_eq!(three.tally().total, calls);
    }
}

#[test]
fn half_open_counts_until_the_results_are_complete() {
    let clock = ManualClock::new();
    let config = Config::count(8).minimum(2).jitter(false).open_for(OPEN_FOR).probes(3).successes(2);
    for (rule, outcomes) in [
        (ProbeRule::FirstFailure, [Outcome::Success, Outcome::Success]),
        (ProbeRule::FirstFailure, [Outcome::Alive, Outcome::Alive]),
        (ProbeRule::Rates, [Outcome::Slow, Outcome::Success]),
    ] {
        let config = config.probe_rule(rule);
        let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> = Breaker::new(config, &clock);
        assert!(matches!(breaker.trip(OpenReason::Manual, OPEN_FOR), Tripped::Opened(_)));
        clock.advance(OPEN_FOR);
        assert_eq!(breaker.acquire().unwrap().record(outcomes[0]), Effect::Counted, "{rule:?}");
        assert_eq!(breaker.acquire().unwrap().record(outcomes[1]), Effect::Closed, "{rule:?}");
    }
    // By rates, one failure of two reaches 500 permille; one failure of three (the minimum is three) does not.
    for (minimum, last) in [(2, Effect::Opened(OpenReason::Failures)), (3, Effect::Counted)] {
        let config = config.probe_rule(ProbeRule::Rates).minimum(minimum);
        let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> = Breaker::new(config, &clock);
        assert!(matches!(breaker.trip(OpenReason::Manual, OPEN_FOR), Tripped::Opened(_)));
        clock.advance(OPEN_FOR);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        assert_eq!(breaker.acquire().unwrap().failure(), last);
        if last == Effect::Counted {
            assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
        }
    }
}

#[test]
fn half_open_rejects_while_all_slots_are_out_and_takes_an_ignored_one_back() {
    fn check<W: Window>(breaker: &Plant<'_, W>) {
        Row::HalfOpen.enter(breaker);
        let probe = breaker.acquire().unwrap();
        assert_eq!(breaker.status().probes_in_flight, 1);
        assert!(breaker.acquire().is_err());
        assert_eq!(probe.ignore(), Effect::Neutral);
        assert_eq!(breaker.status().probes_in_flight, 0);
        assert!(breaker.acquire().is_ok());
    }
    let clock = &ManualClock::new();
    check(&Plant::<Streak>::observed(config(Config::streak(1), Setup::Plain, true), clock, Told::default()));
    check(&Fixes::<false, 0>::fixed_observed(clock, Told::default()));
    check(&Fixes::<true, 0>::fixed_observed(clock, Told::default()));
}

/// Once a circuit has been closed for long enough, its attempt is forgotten by whatever looks next, a trip as well.
#[test]
fn a_closed_circuit_forgets_its_attempt_before_anything_else_keeps_it() {
    for (passed, attempt) in [(STABLE_AFTER * 31 / 32, 1), (STABLE_AFTER, 0)] {
        for column in ["acquire", "hold", "latch", "manual", "budget", "dependency", "outlier", "fleet"] {
            let clock = &ManualClock::new();
            let breaker =
                Plant::<Streak>::observed(config(Config::streak(1), Setup::Memory, true), clock, Told::default());
            Row::ClosedAndRemembers.enter(&breaker);
            clock.advance(passed);
            match column {
                "acquire" => drop(breaker.acquire()),
                "hold" => drop(breaker.hold(SECOND)),
                "latch" => drop(breaker.latch()),
                reason => {
                    by_hand(&breaker, Through::Breaker, Row::ClosedAndRemembers, reason);
                }
            }
            assert_eq!(breaker.status().attempt, attempt, "{column} after {passed:?}");
        }
        // A failure grows an attempt that is remembered.
        let clock = &ManualClock::new();
        let breaker = Plant::<Streak>::observed(config(Config::streak(1), Setup::Memory, true), clock, Told::default());
        Row::ClosedAndRemembers.enter(&breaker);
        let permit = breaker.acquire().unwrap();
        clock.advance(passed);
        permit.failure();
        assert_eq!(breaker.status().attempt, 2 * attempt);
    }
}

#[test]
fn a_ramp_counts_failures_below_the_threshold() {
    let clock = ManualClock::new();
    let config = Config::streak(2).jitter(false).open_for(OPEN_FOR).ramp(RAMP);
    let breaker: Breaker<Streak, _> = Breaker::new(config, &clock);
    assert!(matches!(breaker.trip(OpenReason::Manual, OPEN_FOR), Tripped::Opened(_)));
    clock.advance(OPEN_FOR);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
    let begun = breaker.status().generation;
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    clock.advance(RAMP);
    let last = breaker.acquire().unwrap();
    assert_eq!((breaker.state(), breaker.status().generation, breaker.tally().failed), (State::Closed, begun, 1));
    assert_eq!(last.failure(), Effect::Opened(OpenReason::Failures), "closed goes on with the ramp's window");
}

/// A hold or a latch may also be reported without a permit. It is then never stale.
#[test]
fn a_hold_and_a_latch_by_hand() {
    for (row, line) in TABLE {
        let here = |latch: bool| {
            let clock = &ManualClock::new();
            let breaker =
                Plant::<Streak>::observed(config(Config::streak(1), row.setup(), true), clock, Told::default());
            row.enter(&breaker);
            let before = breaker.status();
            let effect = if latch { breaker.latch() } else { breaker.hold(LONGER) };
            format!("{effect:?}; {}", after(&before, &breaker.status()))
        };
        let cell = |column: &str| line[COLUMNS.iter().position(|name| *name == column).expect("a column")];
        // What a report on a permit of the present generation does.
        let as_reported = |column: &str| match row.state() {
            State::Latched | State::ForcedOpen | State::Disabled => {
                cell(column).replace("Stale", "Unchanged").replace("Uncounted", "Unchanged")
            }
            _ => cell(column).to_owned(),
        };
        assert_eq!(here(false), as_reported("hold"), "{row:?} x hold");
        assert_eq!(here(true), as_reported("latch"), "{row:?} x latch");
    }
}

/// A report on a stale permit changes nothing. Only a hold or a latch takes effect, and only if the circuit is open.
#[test]
fn a_stale_permit_finds_every_other_state() {
    for (row, _) in TABLE {
        for column in ["good", "bad", "slow", "alive", "ignore", "hold", "latch"] {
            let clock = &ManualClock::new();
            let breaker =
                Plant::<Streak>::observed(config(Config::streak(1), row.setup(), true), clock, Told::default());
            let old = breaker.acquire().unwrap();
            row.enter(&breaker);
            if row == Row::Closed {
                breaker.reset();
            }
            let before = breaker.status();
            let effect = old.record(outcome_named(column).unwrap());
            let expected = match (row.state(), column) {
                (State::Open, "hold") if before.reason == Some(OpenReason::Manual) => Effect::Unchanged,
                (State::Open, "hold") => Effect::Opened(OpenReason::Hold),
                (State::Open, "latch") => Effect::Latched,
                _ => Effect::Stale,
            };
            assert_eq!(effect, expected, "{row:?} x {column}");
            let moves = matches!(expected, Effect::Opened(_) | Effect::Latched);
            assert_eq!(!moves, breaker.status() == before, "{row:?} x {column}");
        }
    }
}
