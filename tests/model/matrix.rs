//! Proves the matrix of `src/machine/control.rs`: how each of the 7 states reacts to each of the 13 things that can
//! happen. Every cell is walked on a real breaker and compared with the table in this file. A cell names the returned
//! value, the state after, whether the generation moved, and the attempt.
//!
//! A state is entered with attempt 1 if that is possible, so that "kept", "grown" and "zeroed" look different. Outcomes
//! are reported on a permit of the present generation. Open, latched and forced open give out none, so in those states
//! the permit is from the closed time before ("stale").

use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use microbreaker::{
    Breaker, Config, CountWindow, Effect, Event, FailureKind, ManualClock, Observer, OpenReason, Outcome, Permit,
    ProbeRule, RejectReason, State, Status, Streak, TimeWindow, Window, count_words,
};

const SECOND: Duration = Duration::from_secs(1);
const OPEN_FOR: Duration = SECOND;
const LEASE: Duration = Duration::from_secs(8);
const RAMP: Duration = Duration::from_secs(16);
/// Longer than any open time here, so a hold or trip of this length always lengthens the open time.
const LONGER: Duration = Duration::from_secs(60);

const COLUMNS: [&str; 13] = [
    "acquire",
    "good",
    "bad",
    "slow",
    "alive",
    "ignore",
    "hold",
    "latch",
    "trip",
    "reset",
    "force",
    "disable",
    "time passed",
];

/// A state, then a cell for each column: the returned value; the state after, the step of the generation, the attempt.
#[rustfmt::skip]
const TABLE: [(State, [&str; 13]); 7] = [
    (State::Closed, [
        // acquire asks twice and keeps the first permit
        "admitted, then admitted; closed, generation +0, attempt 0",
        "Counted; closed, generation +0, attempt 0",
        "Opened(Failures); open (failures), generation +1, attempt 0",
        "Opened(Slow); open (slow), generation +1, attempt 0",
        "Neutral; closed, generation +0, attempt 0",
        "Neutral; closed, generation +0, attempt 0",
        "Opened(Hold); open (hold), generation +1, attempt 0",
        "Latched; latched, generation +1, attempt 0",
        "Opened(Manual); open (manual), generation +1, attempt 0",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "true; disabled, generation +1, attempt 0",
        // time passes, then a caller asks for a permit
        "admitted; closed, generation +0, attempt 0",
    ]),
    (State::Open, [
        "rejected (failures, in 2s), then rejected (failures, in 2s); open (failures), generation +0, attempt 1",
        "Stale; open (failures), generation +0, attempt 1",
        "Stale; open (failures), generation +0, attempt 1",
        "Stale; open (failures), generation +0, attempt 1",
        "Stale; open (failures), generation +0, attempt 1",
        "Stale; open (failures), generation +0, attempt 1",
        "Opened(Hold); open (hold), generation +1, attempt 1",
        "Latched; latched, generation +1, attempt 1",
        "Opened(Manual); open (manual), generation +1, attempt 1",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "true; disabled, generation +1, attempt 0",
        "probe; half_open, generation +1, attempt 1",
    ]),
    (State::Latched, [
        "rejected (latched), then rejected (latched); latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Stale; latched, generation +0, attempt 1",
        "Unchanged; latched, generation +0, attempt 1",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "true; disabled, generation +1, attempt 0",
        "rejected (latched); latched, generation +0, attempt 1",
    ]),
    (State::HalfOpen, [
        "probe, then rejected (half_open, in 8s); half_open, generation +0, attempt 1",
        "Closed; closed, generation +1, attempt 0",
        "Opened(Failures); open (failures), generation +1, attempt 2",
        "Opened(Slow); open (slow), generation +1, attempt 2",
        "Closed; closed, generation +1, attempt 0",
        "Neutral; half_open, generation +0, attempt 1",
        "Opened(Hold); open (hold), generation +1, attempt 1",
        "Latched; latched, generation +1, attempt 1",
        "Opened(Manual); open (manual), generation +1, attempt 1",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "true; disabled, generation +1, attempt 0",
        // the lost probe counts as failed, and the open time doubles once more
        "rejected (failures, in 4s); open (failures), generation +1, attempt 2",
    ]),
    (State::Ramping, [
        // one call in sixteen, for the first sixteenth of the ramp
        "admitted, then rejected (ramping, in 1s); ramping, generation +0, attempt 1",
        "Counted; ramping, generation +0, attempt 1",
        "Opened(Failures); open (failures), generation +1, attempt 1",
        "Opened(Slow); open (slow), generation +1, attempt 1",
        "Neutral; ramping, generation +0, attempt 1",
        "Neutral; ramping, generation +0, attempt 1",
        "Opened(Hold); open (hold), generation +1, attempt 1",
        "Latched; latched, generation +1, attempt 1",
        "Opened(Manual); open (manual), generation +1, attempt 1",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "true; disabled, generation +1, attempt 0",
        "admitted; closed, generation +0, attempt 0",
    ]),
    (State::ForcedOpen, [
        "rejected (forced_open), then rejected (forced_open); forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Stale; forced_open, generation +0, attempt 0",
        "Unchanged; forced_open, generation +0, attempt 0",
        "(); closed, generation +1, attempt 0",
        "false; forced_open, generation +0, attempt 0",
        "true; disabled, generation +1, attempt 0",
        "rejected (forced_open); forced_open, generation +0, attempt 0",
    ]),
    (State::Disabled, [
        "uncounted, then uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Uncounted; disabled, generation +0, attempt 0",
        "Unchanged; disabled, generation +0, attempt 0",
        "(); closed, generation +1, attempt 0",
        "true; forced_open, generation +1, attempt 0",
        "false; disabled, generation +0, attempt 0",
        "uncounted; disabled, generation +0, attempt 0",
    ]),
];

/// Counts transitions.
#[derive(Default)]
struct Events(Cell<u32>);

impl Observer for Events {
    fn on_event(&self, _: &Event) {
        self.0.set(self.0.get() + 1);
    }
}

type Plant<'a> = Breaker<Streak, &'a ManualClock, Events>;
type Held<'a, 'b> = Permit<&'b Plant<'a>>;

/// One failure opens, one successful probe closes. Of two probes, one may be in flight at a time.
fn config(state: State) -> Config {
    let config = Config::streak(1)
        .jitter(false)
        .open_for(OPEN_FOR)
        .open_at_most(LONGER)
        .probes(2)
        .at_once(1)
        .successes(1)
        .lease(LEASE);
    // Only Ramping is entered by way of a ramp. Without a ramp, half-open closes at once.
    if state == State::Ramping { config.ramp(RAMP) } else { config }
}

/// Leads a closed breaker into `state`, by the shortest way that gives attempt 1, or else by the shortest way.
fn enter(breaker: &Plant<'_>, state: State) {
    let to_open_again = || {
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
        breaker.clock().advance(OPEN_FOR);
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    };
    let to_half_open = || {
        to_open_again();
        breaker.clock().advance(2 * OPEN_FOR);
        // An ignored probe makes the circuit half-open and leaves no result.
        assert_eq!(breaker.acquire().unwrap().ignore(), Effect::Neutral);
    };
    match state {
        State::Open => to_open_again(),
        State::Latched => {
            to_open_again();
            assert_eq!(breaker.latch(), Effect::Latched);
        }
        State::HalfOpen => to_half_open(),
        State::Ramping => {
            to_half_open();
            assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
        }
        State::ForcedOpen => assert!(breaker.force_open()),
        State::Disabled => assert!(breaker.disable()),
        _ => {}
    }
    assert_eq!(breaker.state(), state);
}

/// Whether `state` gives out permits of its own generation.
fn admits(state: State) -> bool {
    matches!(state, State::Closed | State::HalfOpen | State::Ramping | State::Disabled)
}

/// Asks for a permit. Returns the answer in words, and the permit if there is one.
fn ask<'a, 'b>(breaker: &'b Plant<'a>) -> (String, Option<Held<'a, 'b>>) {
    match breaker.acquire() {
        Ok(permit) => {
            let kind = match (permit.is_probe(), permit.is_counted()) {
                (true, _) => "probe",
                (false, true) => "admitted",
                (false, false) => "uncounted",
            };
            (kind.to_owned(), Some(permit))
        }
        Err(rejected) => {
            let named = match rejected.reason() {
                RejectReason::Open(reason) => reason.name(),
                reason => reason.name(),
            };
            let when = rejected.retry_in().map_or_else(String::new, |time| format!(", in {time:?}"));
            (format!("rejected ({named}{when})"), None)
        }
    }
}

fn after(before: &Status, now: &Status) -> String {
    let reason = now.reason.map_or_else(String::new, |reason| format!(" ({})", reason.name()));
    let moved = now.generation - before.generation;
    format!("{}{reason}, generation +{moved}, attempt {}", now.state.name(), now.attempt)
}

/// Walks one cell. Returns its name, and what was seen, in the words of the table.
fn walk(state: State, column: &str) -> (String, String) {
    let clock = ManualClock::new();
    let breaker: Plant<'_> = Breaker::observed(config(state), &clock, Events::default());
    let old = breaker.acquire().unwrap();
    enter(&breaker, state);
    let before = breaker.status();
    breaker.observer().0.set(0);

    let mut name = format!("{} x {column}", state.name());
    let returned = match outcome_named(column) {
        Some(outcome) if admits(state) => format!("{:?}", breaker.acquire().unwrap().record(outcome)),
        Some(outcome) => {
            name.push_str(" (stale permit)");
            format!("{:?}", old.record(outcome))
        }
        None => by_hand(&breaker, state, column),
    };
    let now = breaker.status();
    let moved = (now.state, now.generation) != (before.state, before.generation);
    assert_eq!(breaker.observer().0.get(), u32::from(moved), "an event per transition: {name}");
    (name, format!("{returned}; {}", after(&before, &now)))
}

fn outcome_named(column: &str) -> Option<Outcome> {
    Some(match column {
        "good" => Outcome::Success,
        "bad" => Outcome::Failure(FailureKind::Server),
        "slow" => Outcome::Slow,
        "alive" => Outcome::Alive,
        "ignore" => Outcome::Ignored,
        "hold" => Outcome::Hold(LONGER),
        "latch" => Outcome::Latch,
        _ => return None,
    })
}

fn by_hand(breaker: &Plant<'_>, state: State, column: &str) -> String {
    fn said(returned: impl Debug) -> String {
        format!("{returned:?}")
    }
    match column {
        "acquire" => {
            let (first, held) = ask(breaker);
            let (second, _) = ask(breaker);
            drop(held);
            format!("{first}, then {second}")
        }
        "trip" => said(breaker.trip(OpenReason::Manual, LONGER)),
        "reset" => {
            breaker.reset();
            said(())
        }
        "force" => said(breaker.force_open()),
        "disable" => said(breaker.disable()),
        "time passed" => {
            let before = breaker.status();
            if state == State::HalfOpen {
                // The only slot is taken by a probe that never reports.
                std::mem::forget(breaker.acquire().unwrap());
            }
            breaker.clock().advance(LONGER);
            let unasked = breaker.status();
            assert_eq!(
                (unasked.state, unasked.generation),
                (before.state, before.generation),
                "time alone moves nothing"
            );
            ask(breaker).0
        }
        _ => unreachable!("no such column: {column}"),
    }
}

#[test]
fn every_cell_is_as_the_table_says() {
    let mut cells = 0;
    let mut wrong = Vec::new();
    // Writes to the handle itself: libtest hides the `println!` output of a test that passes, and the cells must be
    // seen.
    let mut out = std::io::stdout().lock();
    for (state, row) in TABLE {
        for (column, expected) in COLUMNS.into_iter().zip(row) {
            let (name, seen) = walk(state, column);
            writeln!(out, "{name}: {seen}").unwrap();
            if seen != expected {
                wrong.push(format!("{name}:\n  expected {expected}\n  saw      {seen}"));
            }
            cells += 1;
        }
    }
    writeln!(out, "{cells} cells walked").unwrap();
    drop(out);
    assert_eq!(cells, 91);
    assert_eq!(TABLE.map(|(state, _)| state), State::ALL);
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

// Some cells of the matrix in `control.rs` have a condition (a threshold, a minimum, a share of the calls). The table
// shows them with the condition met or not met; the tests below show the other half.

#[test]
fn closed_counts_below_the_threshold() {
    let clock = ManualClock::new();
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(2), &clock);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    assert_eq!((breaker.state(), breaker.tally().failed, breaker.status().generation), (State::Closed, 1, 1));
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

/// The result of a written-off probe is already counted, as a failure. A hold or a latch that it reports still takes
/// effect.
#[test]
fn a_probe_that_was_written_off_changes_no_result_while_another_is_out() {
    for (outcome, effect, state) in [
        (Outcome::Success, Effect::Stale, State::HalfOpen),
        (Outcome::Failure(FailureKind::Other), Effect::Stale, State::HalfOpen),
        (Outcome::Alive, Effect::Stale, State::HalfOpen),
        (Outcome::Ignored, Effect::Stale, State::HalfOpen),
        (Outcome::Hold(SECOND), Effect::Opened(OpenReason::Hold), State::Open),
        (Outcome::Latch, Effect::Latched, State::Latched),
    ] {
        let clock = ManualClock::new();
        let config =
            Config::count(8).minimum(3).failure_permille(600).probe_rule(ProbeRule::Rates).probes(3).at_once(1);
        let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> =
            Breaker::new(config.jitter(false).open_for(OPEN_FOR).lease(SECOND), &clock);
        assert_eq!(breaker.trip(OpenReason::Manual, OPEN_FOR), Effect::Opened(OpenReason::Manual));
        clock.advance(OPEN_FOR);
        let lost = breaker.acquire().unwrap();
        clock.advance(SECOND);
        let second = breaker.acquire().unwrap();
        assert_eq!(lost.record(outcome), effect);
        assert_eq!(breaker.state(), state);
        if state == State::HalfOpen {
            assert_eq!(breaker.status().probes_in_flight, 1);
            assert_eq!(second.success(), Effect::Counted);
            assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed, "1 of 3 failed");
        }
    }
}

#[test]
fn a_pair_counts_each_call_in_both_whichever_comes_first() {
    fn five_of_ten<W: Window>(config: Config) {
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
    five_of_ten::<(TimeWindow<4>, CountWindow<3>)>(time.and_count(43));
    five_of_ten::<(CountWindow<3>, TimeWindow<4>)>(time.and_count(43));
    five_of_ten::<(CountWindow<3>, Streak)>(count.and_streak(100));

    // A pair of a pair: windows that only look must still come before a window that counts, otherwise a call would be
    // counted twice.
    let three: Breaker<((TimeWindow<4>, Streak), CountWindow<3>), _> =
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
        assert_eq!(breaker.trip(OpenReason::Manual, OPEN_FOR), Effect::Opened(OpenReason::Manual));
        clock.advance(OPEN_FOR);
        assert_eq!(breaker.acquire().unwrap().record(outcomes[0]), Effect::Counted, "{rule:?}");
        assert_eq!(breaker.acquire().unwrap().record(outcomes[1]), Effect::Closed, "{rule:?}");
    }
    // By rates, one failure of two reaches 500 permille; one failure of three (the minimum is three) does not.
    for (minimum, last) in [(2, Effect::Opened(OpenReason::Failures)), (3, Effect::Counted)] {
        let config = config.probe_rule(ProbeRule::Rates).minimum(minimum);
        let breaker: Breaker<CountWindow<{ count_words(8, false) }>, _> = Breaker::new(config, &clock);
        assert_eq!(breaker.trip(OpenReason::Manual, OPEN_FOR), Effect::Opened(OpenReason::Manual));
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
    let clock = ManualClock::new();
    let breaker: Plant<'_> = Breaker::observed(config(State::HalfOpen), &clock, Events::default());
    enter(&breaker, State::HalfOpen);
    let probe = breaker.acquire().unwrap();
    assert_eq!(breaker.status().probes_in_flight, 1);
    assert!(breaker.acquire().is_err());
    assert_eq!(probe.ignore(), Effect::Neutral);
    assert_eq!(breaker.status().probes_in_flight, 0);
    assert!(breaker.acquire().is_ok());
}

#[test]
fn an_open_circuit_is_only_ever_lengthened() {
    for shorter in [Duration::ZERO, OPEN_FOR, 2 * OPEN_FOR] {
        let clock = ManualClock::new();
        let breaker: Plant<'_> = Breaker::observed(config(State::Open), &clock, Events::default());
        let old = breaker.acquire().unwrap();
        enter(&breaker, State::Open);
        let before = breaker.status();
        assert_eq!(old.hold(shorter), Effect::Unchanged);
        assert_eq!(breaker.hold(shorter), Effect::Unchanged);
        assert_eq!(breaker.trip(OpenReason::Budget, shorter), Effect::Unchanged);
        assert_eq!(breaker.status(), before);
    }
}

#[test]
fn a_ramp_counts_failures_below_the_threshold() {
    let clock = ManualClock::new();
    let config = Config::streak(2).jitter(false).open_for(OPEN_FOR).ramp(RAMP);
    let breaker: Breaker<Streak, _> = Breaker::new(config, &clock);
    assert_eq!(breaker.trip(OpenReason::Manual, OPEN_FOR), Effect::Opened(OpenReason::Manual));
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
    for state in State::ALL {
        let here = |latch: bool| {
            let clock = ManualClock::new();
            let breaker: Plant<'_> = Breaker::observed(config(state), &clock, Events::default());
            enter(&breaker, state);
            let effect = if latch { breaker.latch() } else { breaker.hold(LONGER) };
            (effect, breaker.state())
        };
        let (hold, latch) = match state {
            State::Latched | State::ForcedOpen | State::Disabled => {
                ((Effect::Unchanged, state), (Effect::Unchanged, state))
            }
            _ => ((Effect::Opened(OpenReason::Hold), State::Open), (Effect::Latched, State::Latched)),
        };
        assert_eq!(here(false), hold, "{state:?} x hold");
        assert_eq!(here(true), latch, "{state:?} x latch");
    }
}

/// A report on a stale permit changes nothing. Only a hold or a latch takes effect, and only if the circuit is open.
#[test]
fn a_stale_permit_finds_every_other_state() {
    for state in State::ALL {
        for column in ["good", "bad", "slow", "alive", "ignore", "hold", "latch"] {
            let clock = ManualClock::new();
            let breaker: Plant<'_> = Breaker::observed(config(state), &clock, Events::default());
            let old = breaker.acquire().unwrap();
            enter(&breaker, state);
            if state == State::Closed {
                breaker.reset();
            }
            let before = breaker.status();
            let effect = old.record(outcome_named(column).unwrap());
            let expected = match (state, column) {
                (State::Open, "hold") => Effect::Opened(OpenReason::Hold),
                (State::Open, "latch") => Effect::Latched,
                _ => Effect::Stale,
            };
            assert_eq!(effect, expected, "{state:?} x {column}");
            assert_eq!(expected == Effect::Stale, breaker.status() == before, "{state:?} x {column}");
        }
    }
}
