//! `switch` leads from every mode to every mode, and changes nothing else.

use core::time::Duration;

use microbreaker::{Breaker, Config, Effect, ManualClock, Mode, OpenReason, RejectReason, State, Streak};

fn breaker() -> Breaker<Streak, ManualClock> {
    Breaker::new(Config::streak(2), ManualClock::new())
}

#[test]
fn every_mode_is_reached_from_every_mode() {
    for from in Mode::ALL {
        for to in Mode::ALL {
            let breaker = breaker();
            breaker.switch(from);
            assert_eq!(breaker.mode(), from);
            breaker.switch(to);
            assert_eq!(breaker.mode(), to, "from {}", from.name());
            assert_eq!(breaker.acquire().is_ok(), to != Mode::Open, "from {} to {}", from.name(), to.name());
            assert_eq!(breaker.status().shadow, to == Mode::Shadow);
        }
    }
}

#[test]
fn switched_to_what_it_is_nothing_changes() {
    for mode in Mode::ALL {
        let breaker = breaker();
        breaker.switch(mode);
        if matches!(mode, Mode::On | Mode::Shadow) {
            assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
        }
        let before = breaker.status();
        breaker.switch(mode);
        assert_eq!(breaker.status(), before, "{}: a count or a generation was lost", mode.name());
    }
}

#[test]
fn on_and_shadow_do_not_touch_an_open_circuit() {
    let breaker = breaker();
    breaker.trip(OpenReason::Manual, Duration::from_secs(9));
    let generation = breaker.status().generation;
    breaker.switch(Mode::Shadow);
    assert!(breaker.acquire().is_ok(), "in shadow it admits");
    breaker.switch(Mode::On);
    assert_eq!((breaker.state(), breaker.status().generation), (State::Open, generation));
    assert!(breaker.acquire().is_err());
}

#[test]
fn off_records_nothing() {
    let breaker = breaker();
    breaker.switch(Mode::Off);
    for _ in 0..9 {
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Uncounted);
    }
    breaker.switch(Mode::On);
    assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 0));
}

#[test]
fn what_is_shown_is_the_name_in_the_width_that_is_asked_for() {
    assert_eq!(State::ALL.map(|state| state.to_string()), State::ALL.map(State::name));
    assert_eq!(OpenReason::ALL.map(|reason| reason.to_string()), OpenReason::ALL.map(OpenReason::name));
    assert_eq!(Mode::ALL.map(|mode| mode.to_string()), Mode::ALL.map(Mode::name));
    assert_eq!(format!("{:<10}|{:>5}|", State::HalfOpen, RejectReason::Open(OpenReason::Hold)), "half_open | hold|");
}
