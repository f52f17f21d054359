//! `dyn Circuit`: breakers of any window, clock, observer and settings in one list.

use std::sync::Arc;
use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Circuit, CoarseClock, Config, CountWindow, Effect, FailureKind, Fixed, ManualClock, Mode, OpenReason,
    Outcome, Policy, RejectReason, State, StdClock, Streak, TimeWindow, Tripped, count_words,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(8);

/// One failure opens for a second; one good probe closes.
const QUICK: Config = Config::streak(1).jitter(false).open_for(SECOND).lease(LEASE);

struct Constant;

impl Policy for Constant {
    const CONFIG: Config = QUICK;
}

fn quick() -> Breaker<Streak, ManualClock> {
    Breaker::new(QUICK, ManualClock::new())
}

/// A breaker of each kind. All have the same behaviour on the calls that the tests below make.
fn all() -> Vec<Box<dyn Circuit + Send + Sync>> {
    let count = Config::count(10).minimum(1).jitter(false);
    vec![
        Box::new(quick()),
        Box::new(Breaker::<Streak, _, _>::observed(QUICK, StdClock::new(), Counters::<4>::new("watched"))),
        Box::new(Breaker::<Fixed<Streak, Constant>, _>::fixed(CoarseClock::new())),
        Box::new(Breaker::<CountWindow<{ count_words(10, false) }>, _>::new(count, StdClock::new())),
        Box::new(Breaker::<TimeWindow<16>, _>::new(Config::time(10, SECOND).minimum(1), ManualClock::new())),
        Box::new(Breaker::<(Streak, TimeWindow<16>), _>::new(
            Config::time(10, SECOND).and_streak(1),
            ManualClock::new(),
        )),
    ]
}

#[test]
fn every_kind_of_breaker_is_operated_alike() {
    for circuit in all() {
        assert_eq!((circuit.state(), circuit.retry_in()), (State::Closed, Some(Duration::ZERO)));
        assert!(circuit.peek().is_ok());

        let Tripped::Opened(generation) = circuit.trip(OpenReason::Dependency, HOUR) else { panic!("it was closed") };
        assert_eq!((circuit.status().generation, circuit.status().reason), (generation, Some(OpenReason::Dependency)));
        assert_eq!(circuit.peek().unwrap_err().reason(), RejectReason::Open(OpenReason::Dependency));
        assert!(circuit.retry_in() > Some(HOUR / 2));
        assert!(circuit.admit().is_err() && circuit.admit_anyway().is_err());
        assert!(!circuit.release(generation + 1) && circuit.release(generation) && !circuit.release(generation));
        assert_eq!(circuit.state(), State::HalfOpen);

        assert_eq!(circuit.hold(HOUR), Effect::Opened(OpenReason::Hold));
        assert!(circuit.half_open() && !circuit.half_open());
        assert_eq!(circuit.latch(), Effect::Latched);
        assert_eq!((circuit.state(), circuit.retry_in()), (State::Latched, None));
        circuit.reset();
        assert!(circuit.switch(Mode::Open));
        assert_eq!(circuit.admit().unwrap_err().reason(), RejectReason::ForcedOpen);
        assert!(circuit.switch(Mode::On));

        let failure = Outcome::Failure(FailureKind::Other);
        assert_eq!(circuit.report(circuit.admit().unwrap(), failure), Effect::Opened(OpenReason::Failures));
        let anyway = circuit.admit_anyway().unwrap();
        assert!(!anyway.is_counted());
        assert_eq!(circuit.report(anyway, Outcome::Success), Effect::Uncounted);
        assert_eq!(circuit.state(), State::Open);
    }
}

#[test]
fn a_circuit_has_the_name_that_its_observer_gives_it() {
    let names: Vec<String> = all().iter().map(|circuit| circuit.name().to_owned()).collect();
    assert_eq!(names, ["", "watched", "", "", "", ""]);
}

#[test]
fn a_circuit_is_shared_and_sent_by_its_holder() {
    let shared: Arc<dyn Circuit + Send + Sync> = Arc::new(quick());
    let other = Arc::clone(&shared);
    let ticket = shared.admit().unwrap();
    // A ticket is a plain value: it may go to another thread, where another holder reports it.
    std::thread::spawn(move || other.report(ticket, Outcome::Failure(FailureKind::Other))).join().unwrap();
    assert_eq!(shared.state(), State::Open);
}

#[test]
fn a_ticket_tells_what_a_permit_tells() {
    let breaker: Breaker<Streak, _> = Breaker::new(QUICK.and_streak(2).levels(true), ManualClock::new());
    let circuit: &dyn Circuit = &breaker;
    let permit = breaker.acquire().unwrap();
    let ticket = circuit.admit().unwrap();
    assert_eq!(
        (ticket.is_probe(), ticket.is_counted(), ticket.level(), ticket.generation()),
        (permit.is_probe(), permit.is_counted(), permit.level(), permit.generation())
    );
    permit.failure();
    let later = circuit.admit().unwrap();
    assert_eq!((ticket.level(), later.level()), (0, 2), "half way to the trip point");
    assert_eq!(circuit.report(later, Outcome::Failure(FailureKind::Other)), Effect::Opened(OpenReason::Failures));
    assert_eq!(circuit.report(ticket, Outcome::Success), Effect::Stale);
    breaker.clock().advance(SECOND);
    let probe = circuit.admit().unwrap();
    assert_eq!((probe.is_probe(), probe.generation()), (true, circuit.status().generation));
    circuit.switch(Mode::Off);
    assert!(!circuit.admit().unwrap().is_counted());
}

/// A breaker that waits for its probes, live and fixed.
fn half_open(then: impl Fn(&dyn Circuit, &ManualClock)) {
    let clock = ManualClock::new();
    let live: Breaker<Streak, _> = Breaker::new(QUICK, &clock);
    let fixed: Breaker<Fixed<Streak, Constant>, _> = Breaker::fixed(&clock);
    for circuit in [&live as &dyn Circuit, &fixed] {
        circuit.trip(OpenReason::Outlier, SECOND);
        clock.advance(SECOND);
        then(circuit, &clock);
    }
}

#[test]
fn a_ticket_that_is_reported_is_a_result() {
    half_open(|circuit, _| {
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.report(probe, Outcome::Success), Effect::Closed);
    });
    half_open(|circuit, _| {
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.report(probe, Outcome::Failure(FailureKind::Timeout)), Effect::Opened(OpenReason::Failures));
        assert_eq!(circuit.status().attempt, 1);
    });
}

#[test]
fn a_ticket_that_is_cancelled_gives_its_slot_back() {
    half_open(|circuit, clock| {
        for _ in 0..40 {
            let probe = circuit.admit().unwrap();
            assert_eq!(circuit.admit().unwrap_err().reason(), RejectReason::HalfOpen);
            clock.advance(7 * SECOND);
            circuit.cancel(probe);
            assert_eq!((circuit.state(), circuit.status().probes_in_flight), (State::HalfOpen, 0));
        }
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.report(probe, Outcome::Ignored), Effect::Neutral);
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.report(probe, Outcome::Success), Effect::Closed);
    });
}

#[test]
fn a_ticket_that_is_dropped_keeps_its_slot_until_the_lease_is_over() {
    half_open(|circuit, clock| {
        drop(circuit.admit().unwrap());
        clock.advance(LEASE);
        clock.advance(Duration::ZERO);
        assert_eq!(circuit.status().probes_in_flight, 1);
        let lost = circuit.admit().unwrap_err();
        assert_eq!((lost.reason(), lost.retry_in()), (RejectReason::Open(OpenReason::Failures), Some(2 * SECOND)));
        assert_eq!((circuit.state(), circuit.status().attempt), (State::Open, 1), "an ordinary verdict");
        clock.advance(2 * SECOND);
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.report(probe, Outcome::Success), Effect::Closed);
    });
    half_open(|circuit, clock| {
        drop(circuit.admit().unwrap());
        clock.advance_ticks(8 * 1024 - 1);
        let rejected = circuit.admit().unwrap_err();
        assert_eq!((rejected.reason(), rejected.retry_in_ticks()), (RejectReason::HalfOpen, Some(1)), "to the tick");
    });
}

#[test]
fn a_ticket_that_is_cancelled_after_the_slow_limit_is_a_failure_as_a_permit_is() {
    let breaker: Breaker<Streak, _> = Breaker::new(QUICK.slow_after(SECOND), ManualClock::new());
    let circuit: &dyn Circuit = &breaker;
    let [young, old] = [(); 2].map(|()| circuit.admit().unwrap());
    circuit.cancel(young);
    assert_eq!(circuit.state(), State::Closed);
    breaker.clock().advance(2 * SECOND);
    circuit.cancel(old);
    assert_eq!((circuit.state(), circuit.status().reason), (State::Open, Some(OpenReason::Failures)));
}

#[test]
fn every_outcome_of_a_ticket_is_that_of_a_permit() {
    let outcomes = [
        Outcome::Success,
        Outcome::Failure(FailureKind::Dns),
        Outcome::Slow,
        Outcome::Alive,
        Outcome::Ignored,
        Outcome::Hold(3 * SECOND),
        Outcome::Latch,
    ];
    for outcome in outcomes {
        let (by_ticket, by_permit) = (quick(), quick());
        let circuit: &dyn Circuit = &by_ticket;
        let ticket = circuit.admit().unwrap();
        assert_eq!(circuit.report(ticket, outcome), by_permit.acquire().unwrap().record(outcome), "{outcome:?}");
        assert_eq!(by_ticket.status(), by_permit.status(), "{outcome:?}");
    }
}
