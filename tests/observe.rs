//! What an observer is told.

use core::time::Duration;
use std::cell::RefCell;

use microbreaker::{
    Breaker, Config, CountWindow, Event, ManualClock, Observer, OpenReason, State, Tally, WindowKind, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Log(RefCell<Vec<Event>>);

impl Observer for Log {
    fn on_event(&self, event: &Event) {
        self.0.borrow_mut().push(*event);
    }
}

type Watched = Breaker<CountWindow<{ count_words(10, false) }>, ManualClock, Log>;

fn watched() -> Watched {
    Breaker::observed(Config::count(10).open_for(SECOND).ramp(SECOND), ManualClock::new(), Log::default())
}

fn three_calls(breaker: &Watched) {
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().failure();
    breaker.acquire().unwrap().success();
}

fn last_event(breaker: &Watched) -> Event {
    breaker.observer().0.borrow().last().copied().unwrap()
}

fn sums(tally: Tally) -> (WindowKind, u32, u32) {
    (tally.window, tally.total, tally.failed)
}

#[test]
fn an_event_of_a_move_by_hand_shows_the_window_before_it() {
    let moves: [(State, &dyn Fn(&Watched)); 6] = [
        (State::Closed, &|breaker| breaker.reset()),
        (State::ForcedOpen, &|breaker| assert!(breaker.force_open())),
        (State::Disabled, &|breaker| assert!(breaker.disable())),
        (State::Open, &|breaker| drop(breaker.trip(OpenReason::Manual, SECOND))),
        (State::Open, &|breaker| drop(breaker.hold(SECOND))),
        (State::Latched, &|breaker| drop(breaker.latch())),
    ];
    for (to, make) in moves {
        let breaker = watched();
        three_calls(&breaker);
        make(&breaker);
        let event = last_event(&breaker);
        assert_eq!((event.from, event.to), (State::Closed, to));
        assert_eq!(sums(event.tally), (WindowKind::Count, 3, 1), "{to:?}");
    }
}

#[test]
fn events_of_an_outage_show_what_each_move_rests_on() {
    let breaker = watched();
    for _ in 0..10 {
        breaker.acquire().unwrap().failure();
    }
    let opened = last_event(&breaker);
    assert_eq!((opened.to, sums(opened.tally)), (State::Open, (WindowKind::Count, 10, 10)));
    breaker.clock().advance(2 * SECOND);
    breaker.acquire().unwrap().success();
    let verdict = last_event(&breaker);
    assert_eq!((verdict.to, sums(verdict.tally)), (State::Ramping, (WindowKind::Probes, 1, 0)));
    breaker.acquire().unwrap().failure();
    breaker.clock().advance(2 * SECOND);
    breaker.acquire().unwrap().success();
    let closed = last_event(&breaker);
    assert_eq!((closed.to, sums(closed.tally)), (State::Closed, (WindowKind::Count, 1, 1)));
}

#[test]
fn a_permit_tells_the_generation_that_an_event_began() {
    let breaker = watched();
    for _ in 0..3 {
        breaker.reset();
        let permit = breaker.acquire().unwrap();
        assert_eq!(permit.generation(), last_event(&breaker).generation);
        assert_eq!(permit.generation(), breaker.status().generation);
        assert_eq!(
            format!("{permit:?}"),
            format!(
                "Permit {{ generation: {}, level: 0, is_probe: false, is_counted: true, .. }}",
                permit.generation()
            )
        );
        permit.ignore();
    }
}
