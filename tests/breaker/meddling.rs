//! An observer that acts on what it is told, so that the call which told it finds another state each time it looks.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use microbreaker::{Breaker, Clock, Config, Event, ManualClock, Observer, OpenReason, State, Streak};

const SECOND: u32 = 1024;
/// An open time may last some ticks more.
const FEW: u32 = 8;

/// So many events of one call are as good as endless: from then on the observer leaves the breaker alone.
const ENDLESS: usize = 100;

type Meddled = Breaker<Streak, ManualClock, Meddler>;

/// Acts on each event of a call, but not on the events of its own acts.
struct Meddler {
    breaker: Weak<Meddled>,
    act: fn(&Meddled),
    is_watching: Cell<bool>,
    told: RefCell<Vec<State>>,
}

impl Observer for Meddler {
    fn on_event(&self, event: &Event) {
        if self.is_watching.get() && self.told.borrow().len() < ENDLESS {
            self.told.borrow_mut().push(event.to);
            self.is_watching.set(false);
            (self.act)(&self.breaker.upgrade().unwrap());
            self.is_watching.set(true);
        }
    }
}

fn ticks(ticks: u32) -> Duration {
    ManualClock::RATE.duration_of(ticks)
}

/// A breaker whose observer acts, once it watches.
fn meddled(config: Config, act: fn(&Meddled)) -> Rc<Meddled> {
    Rc::new_cyclic(|breaker| {
        let breaker = Weak::clone(breaker);
        let observer = Meddler { breaker, act, is_watching: Cell::new(false), told: RefCell::default() };
        Breaker::observed(config, ManualClock::new(), observer)
    })
}

/// Makes the `call` and checks that it told of at least one move and of three at most.
fn assert_that_few_moves_are_made(breaker: &Meddled, call: impl FnOnce(&Meddled)) {
    breaker.observer().is_watching.set(true);
    call(breaker);
    breaker.observer().is_watching.set(false);
    let told = breaker.observer().told.borrow();
    assert!((1..=3).contains(&told.len()), "{} moves: {:?} …", told.len(), &told[..told.len().min(4)]);
}

/// The observer acts when a call finds the open time over.
fn assert_that_one_question_makes_few_moves(act: fn(&Meddled)) {
    let breaker = meddled(Config::streak(1).open_for(ticks(1)).jitter(false), act);
    breaker.hold(ticks(1));
    pass(&breaker);
    assert_that_few_moves_are_made(&breaker, |breaker| drop(breaker.acquire()));
}

/// An open time of a tick passes.
fn pass(breaker: &Meddled) {
    breaker.clock().advance_ticks(2 + FEW);
}

fn trip(breaker: &Meddled) {
    breaker.trip(OpenReason::Dependency, ticks(1));
    pass(breaker);
}

#[test]
fn one_question_ends_though_its_observer_trips_the_circuit() {
    assert_that_one_question_makes_few_moves(trip);
}

#[test]
fn one_question_ends_though_its_observer_holds_the_circuit() {
    assert_that_one_question_makes_few_moves(|breaker| {
        breaker.hold(ticks(1));
        pass(breaker);
    });
}

#[test]
fn one_question_ends_though_its_observer_resets_the_circuit_and_reports_a_failure() {
    assert_that_one_question_makes_few_moves(|breaker| {
        breaker.reset();
        breaker.acquire().unwrap().failure();
        pass(breaker);
    });
}

#[test]
fn one_question_ends_though_its_observer_reports_a_probe_that_failed() {
    assert_that_one_question_makes_few_moves(|breaker| {
        if let Ok(probe) = breaker.acquire() {
            probe.failure();
        }
        breaker.clock().advance_ticks(SECOND);
    });
}

#[test]
fn one_question_after_a_ramp_ends_though_its_observer_trips_the_circuit() {
    let breaker = meddled(Config::streak(1).ramp(ticks(SECOND)), trip);
    breaker.hold(ticks(1));
    pass(&breaker);
    breaker.acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Ramping);
    breaker.clock().advance_ticks(SECOND + FEW);
    assert_that_few_moves_are_made(&breaker, |breaker| drop(breaker.acquire()));
}

/// Instead of the open time that the observer is told of, there is a shorter one.
fn shorten(breaker: &Meddled) {
    breaker.reset();
    breaker.trip(OpenReason::Budget, ticks(1));
}

#[test]
fn one_hold_ends_though_its_observer_puts_a_shorter_trip_in_its_place() {
    let breaker = meddled(Config::streak(1), shorten);
    assert_that_few_moves_are_made(&breaker, |breaker| _ = breaker.hold(ticks(SECOND)));
    let breaker = meddled(Config::streak(1), shorten);
    assert_that_few_moves_are_made(&breaker, |breaker| _ = breaker.acquire().unwrap().hold(ticks(SECOND)));
}

#[test]
fn one_restore_ends_though_its_observer_puts_a_shorter_trip_in_its_place() {
    let before: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    before.hold(ticks(SECOND));
    let breaker = meddled(Config::streak(1), shorten);
    assert_that_few_moves_are_made(&breaker, |breaker| breaker.restore(&before.snapshot(), None).unwrap());
}
