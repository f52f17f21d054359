//! The memory of a recovery (`Config::stable_after`): a peer that answers one probe and then fails again is asked less and
//! less.

use std::time::Duration;

use microbreaker::{
    Breaker, Config, CountWindow, Effect, FailureKind, ManualClock, OpenReason, Outcome, Snapshot, State, Streak,
    count_words,
};

const SECOND: Duration = Duration::from_secs(1);
const BAD: Outcome = Outcome::Failure(FailureKind::Other);
/// In ticks.
const BASE: u32 = 1024;
const STABLE: u32 = 10 * 1024;

/// Two failures in a row open for a second, doubling up to a minute; one good probe closes.
const FORGETS: Config = Config::streak(2).jitter(false).open_for(SECOND).open_at_most(Duration::from_secs(60));
const REMEMBERS: Config = FORGETS.stable_after(Duration::from_secs(10));

type Plain = Breaker<Streak, ManualClock>;

fn breaker(config: Config) -> Plain {
    Breaker::new(config, ManualClock::new())
}

/// Opens a closed circuit by failures.
fn open(breaker: &Plain) {
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
}

/// Waits until the open time is over, and lets a probe end like this.
fn probe(breaker: &Plain, outcome: Outcome) -> Effect {
    breaker.clock().advance_ticks(breaker.retry_in_ticks().unwrap());
    breaker.acquire().unwrap().record(outcome)
}

/// Closed after an opening and so many failed probes.
fn recovered(config: Config, failed: u8) -> Plain {
    let breaker = breaker(config);
    open(&breaker);
    (0..failed).for_each(|_| _ = probe(&breaker, BAD));
    let closes = probe(&breaker, Outcome::Success);
    assert!(matches!(closes, Effect::Closed | Effect::Ramping));
    breaker
}

#[test]
fn without_it_each_outage_begins_with_the_first_open_time() {
    let breaker = recovered(FORGETS, 3);
    assert_eq!((breaker.status().attempt, breaker.is_clean()), (0, true));
    open(&breaker);
    assert_eq!(breaker.retry_in_ticks(), Some(BASE));
}

#[test]
fn a_peer_that_fails_again_soon_is_asked_less_and_less() {
    let breaker = recovered(REMEMBERS, 1);
    // Each recovery holds for a moment only.
    let waits = [(); 7].map(|()| {
        open(&breaker);
        let wait = breaker.retry_in_ticks().unwrap();
        assert_eq!(probe(&breaker, Outcome::Success), Effect::Closed);
        wait
    });
    assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60].map(|times| times * BASE), "as after failed probes, up to the cap");
}

/// From the first recovery on: otherwise a peer that answers each first probe and fails again would never be asked less.
#[test]
fn a_recovery_by_the_first_probe_is_remembered_too() {
    let breaker = recovered(REMEMBERS, 0);
    assert!(!breaker.is_clean());
    assert_eq!(breaker.status().attempt, 0, "no recovery has failed yet");
    open(&breaker);
    assert_eq!((breaker.status().attempt, breaker.retry_in_ticks()), (1, Some(2 * BASE)));
}

#[test]
fn it_lasts_exactly_as_long_as_it_should() {
    for (passed, times) in [(0, 4), (STABLE - 1, 4), (STABLE, 1), (STABLE + 1, 1), (1 << 20, 1), (1 << 30, 1)] {
        let breaker = recovered(REMEMBERS, 1);
        breaker.clock().advance_ticks(passed);
        assert_eq!(breaker.is_clean(), passed >= STABLE);
        open(&breaker);
        assert_eq!(breaker.retry_in_ticks(), Some(times * BASE), "after {passed}");
        assert_eq!(breaker.status().attempt, if times == 4 { 2 } else { 0 });
    }
}

#[test]
fn successes_meanwhile_neither_end_it_nor_lengthen_it() {
    let breaker = recovered(REMEMBERS, 2);
    for _ in 0..10 {
        assert_eq!(breaker.status().attempt, 2);
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        breaker.clock().advance_ticks(STABLE / 10);
    }
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
    assert_eq!((breaker.status().attempt, breaker.is_clean()), (0, true));
}

/// A call that was admitted while it lasted reports after it: what counts is when the circuit opens.
#[test]
fn a_call_that_ends_after_it_opens_the_circuit_for_the_first_time() {
    let breaker = recovered(REMEMBERS, 1);
    let calls = [(); 2].map(|()| breaker.acquire().unwrap());
    breaker.clock().advance_ticks(STABLE);
    assert_eq!(calls.map(microbreaker::Permit::failure), [Effect::Counted, Effect::Opened(OpenReason::Failures)]);
    assert_eq!(breaker.retry_in_ticks(), Some(BASE));
}

#[test]
fn after_a_ramp_it_begins_when_the_circuit_is_closed() {
    let ramp = REMEMBERS.ramp(Duration::from_secs(16));
    let breaker = recovered(ramp, 1);
    assert_eq!((breaker.state(), breaker.status().attempt), (State::Ramping, 1));
    breaker.clock().advance(Duration::from_secs(16));
    drop(breaker.acquire().unwrap());
    assert_eq!((breaker.state(), breaker.status().attempt), (State::Closed, 1));
    breaker.clock().advance_ticks(STABLE - 1);
    open(&breaker);
    assert_eq!(breaker.status().attempt, 2);

    let breaker = recovered(ramp, 1);
    breaker.clock().advance(Duration::from_secs(16 + 10));
    drop(breaker.acquire().unwrap());
    assert!(breaker.state() == State::Closed && breaker.is_clean(), "both are over");
    drop(breaker.acquire().unwrap());
    assert_eq!(breaker.status().attempt, 0, "one call ends the ramp, the next one the memory");

    // While ramping, a trip is no second outage: the attempt is kept, and does not grow.
    let breaker = recovered(ramp, 1);
    breaker.clock().advance(Duration::from_secs(15));
    let mut failures = 0;
    while breaker.state() == State::Ramping {
        if let Ok(permit) = breaker.acquire() {
            permit.failure();
            failures += 1;
        }
    }
    assert_eq!((failures, breaker.status().attempt), (2, 1));
}

#[test]
fn only_failures_and_slow_calls_let_the_attempt_grow() {
    let breaker = recovered(REMEMBERS.slow_after(SECOND), 1);
    for _ in 0..2 {
        breaker.acquire().unwrap().record(Outcome::Slow);
    }
    assert_eq!((breaker.status().reason, breaker.status().attempt), (Some(OpenReason::Slow), 2));

    for reason in OpenReason::ALL {
        let breaker = recovered(REMEMBERS, 1);
        breaker.trip(reason, SECOND);
        assert_eq!(breaker.status().attempt, 1, "{reason:?}");
        let expected = if reason == OpenReason::Budget { Effect::Counted } else { Effect::Closed };
        assert_eq!(probe(&breaker, Outcome::Success), expected);
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Closed, 1), "remembered from now on");
        breaker.clock().advance_ticks(STABLE - 1);
        assert!(!breaker.is_clean());
        breaker.clock().advance_ticks(1);
        assert!(breaker.is_clean());
    }
}

#[test]
fn an_operator_ends_it() {
    let breaker = recovered(REMEMBERS, 3);
    breaker.reset();
    assert_eq!((breaker.status().attempt, breaker.is_clean()), (0, true));
    let breaker = recovered(REMEMBERS, 3);
    breaker.disable();
    breaker.reset();
    assert_eq!(breaker.status().attempt, 0);
}

#[test]
fn the_attempt_grows_no_further_than_it_can() {
    let breaker = recovered(REMEMBERS.open_at_most(SECOND), 40);
    // The word has room for the attempt that the next opening has.
    assert_eq!(breaker.status().attempt, 30);
    open(&breaker);
    assert_eq!((breaker.status().attempt, breaker.retry_in_ticks()), (31, Some(BASE)));
}

#[test]
fn every_preset_has_it() {
    fn attempts<W: microbreaker::LiveWindow>(config: Config, stable: Duration, failures: u32) {
        let second_outage = |passed: Duration| {
            let breaker: Breaker<W, ManualClock> = Breaker::new(config.jitter(false).no_ramp(), ManualClock::new());
            let open = || (0..failures).for_each(|_| _ = breaker.acquire().map(microbreaker::Permit::failure));
            let wait = || breaker.clock().advance_ticks(breaker.retry_in_ticks().unwrap());
            open();
            wait();
            breaker.acquire().unwrap().failure();
            wait();
            while breaker.state() != State::Closed {
                breaker.acquire().unwrap().success();
            }
            breaker.clock().advance(passed);
            open();
            assert_eq!(breaker.state(), State::Open);
            breaker.status().attempt
        };
        assert_eq!(second_outage(stable.saturating_sub(SECOND)), 2);
        assert_eq!(second_outage(stable), 0);
    }
    attempts::<Streak>(Config::database(), Duration::from_secs(60), 5);
    attempts::<Streak>(Config::modem(), Duration::from_secs(600), 3);
    attempts::<CountWindow<{ count_words(100, false) }>>(Config::upstream(), Duration::from_secs(30), 100);
}

#[test]
fn a_reload_turns_it_on_and_off() {
    let breaker = recovered(REMEMBERS, 1);
    breaker.reconfigure(&FORGETS).unwrap();
    open(&breaker);
    assert_eq!(probe(&breaker, Outcome::Success), Effect::Closed);
    assert_eq!((breaker.status().attempt, breaker.is_clean()), (0, true), "forgotten at once");
    breaker.reconfigure(&REMEMBERS.stable_after(SECOND)).unwrap();
    open(&breaker);
    probe(&breaker, BAD);
    probe(&breaker, Outcome::Success);
    assert_eq!(breaker.status().attempt, 1);
    breaker.clock().advance(SECOND);
    assert!(breaker.is_clean());
}

#[test]
fn it_goes_on_after_a_restart_for_what_was_left() {
    let ticks = |ticks| <ManualClock as microbreaker::Clock>::RATE.duration_of(ticks);
    for (passed, left) in [(None, STABLE - 1000), (Some(0), STABLE - 1000), (Some(500), STABLE - 1499)] {
        let old = recovered(REMEMBERS, 2);
        old.clock().advance_ticks(1000);
        let snapshot = old.snapshot();
        assert_eq!(
            (snapshot.state(), snapshot.attempt(), snapshot.remaining_ticks()),
            (State::Closed, 2, STABLE - 1000)
        );
        assert_eq!(Snapshot::from_bytes(&snapshot.bytes()), Ok(snapshot));
        for (later, attempt) in [(left - 1, 3), (left, 0)] {
            let new = breaker(REMEMBERS);
            new.clock().advance_ticks(77);
            new.restore(&snapshot, passed.map(ticks)).unwrap();
            assert_eq!((new.state(), new.status().attempt, new.is_clean()), (State::Closed, 2, false));
            new.clock().advance_ticks(later);
            open(&new);
            assert_eq!(new.status().attempt, attempt, "{passed:?}, {later} later");
        }
    }
    // If all of it has passed, nothing is remembered.
    let new = breaker(REMEMBERS);
    new.restore(&recovered(REMEMBERS, 2).snapshot(), Some(ticks(STABLE + 1))).unwrap();
    assert_eq!((new.status().attempt, new.is_clean()), (0, true));
    // What is over is not in the snapshot, though nobody has asked since.
    let old = recovered(REMEMBERS, 2);
    old.clock().advance_ticks(STABLE);
    assert_eq!((old.snapshot().attempt(), old.snapshot().remaining_ticks()), (0, 0));
    assert_eq!(old.snapshot(), breaker(REMEMBERS).snapshot());
}
