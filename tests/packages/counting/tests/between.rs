//! What a caller finds if it runs between two accesses of another caller.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, ManualClock, OpenReason, State, Streak, TickRate, Ticks, count_words,
};

/// A clock that stands still. Its readings may show up to three ticks more than have passed.
struct Lagging;

impl Clock for Lagging {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 3;

    fn now(&self) -> Ticks {
        Ticks::new(7)
    }
}

fn ticks(ticks: u32) -> Duration {
    ManualClock::RATE.duration_of(ticks)
}

#[test]
fn a_hold_of_unknown_length_is_as_long_as_any_and_its_clocks_lag() {
    let told = Rc::new(RefCell::new(BTreeSet::new()));
    let hold = |access| {
        let config = Config::streak(1).hold_at_most(ticks(1000));
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, Lagging));
        // An older length, which could be mistaken for this hold's.
        breaker.hold(ticks(500));
        breaker.reset();
        let (other, told) = (Rc::clone(&breaker), Rc::clone(&told));
        let meanwhile = move || {
            // The first `acquire` decides the beginning, and the second finds it decided.
            for _ in 0..2 {
                if let Err(rejected) = other.acquire() {
                    told.borrow_mut().insert(rejected.retry_in_ticks());
                }
            }
        };
        interrupted(access, meanwhile, || breaker.hold(ticks(10)))
    };
    assert!((0..).map_while(hold).count() > 5);
    assert_eq!(told.take(), BTreeSet::from([Some(13), Some(1003)]));
}

#[test]
fn a_hold_keeps_its_reason_wherever_it_meets_a_trip() {
    let trip = |access| {
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(Config::streak(1), ManualClock::new()));
        let other = Rc::clone(&breaker);
        let meanwhile = move || assert_eq!(other.hold(ticks(2000)), Effect::Opened(OpenReason::Hold));
        interrupted(access, meanwhile, || breaker.trip(OpenReason::Budget, ticks(1000)))?;
        Some((breaker.status().reason, breaker.retry_in_ticks()))
    };
    for (access, found) in (0..).map_while(trip).enumerate() {
        assert_eq!(found, (Some(OpenReason::Hold), Some(2000)), "before access {access}");
    }
}

#[test]
fn nobody_is_told_to_ask_at_once_while_a_hold_follows_another() {
    let look = |access| {
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(Config::streak(1), ManualClock::new()));
        breaker.hold(ticks(1000));
        let other = Rc::clone(&breaker);
        let meanwhile = move || assert_eq!(other.hold(ticks(2000)), Effect::Opened(OpenReason::Hold));
        interrupted(access, meanwhile, || breaker.retry_in_ticks())
    };
    let told: Vec<_> = (0..).map_while(look).collect();
    assert!(told.len() > 3 && told.iter().all(|&ticks| ticks == Some(2000)), "{told:?}");
}

/// All words hold the older period at first, and then the new period replaces them one by one.
#[test]
fn a_caller_between_an_opening_and_its_period_is_told_the_whole_of_it() {
    for by_hold in [false, true] {
        let told = Rc::new(RefCell::new(BTreeSet::new()));
        let open = |access| {
            let config = Config::streak(1).open_for(ticks(100_000)).jitter(false).hold_at_most(ticks(500_000));
            let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
            breaker.hold(ticks(300_000));
            breaker.reset();
            breaker.clock().advance_ticks((1 << 16) + 500);
            let (permit, other, told) = (breaker.acquire().unwrap(), Rc::clone(&breaker), Rc::clone(&told));
            let meanwhile = move || {
                // Twice: the first `acquire` takes the long path, and the second reads its decisions on the fast path.
                for _ in 0..2 {
                    if let Err(rejected) = other.acquire() {
                        told.borrow_mut().insert(rejected.retry_in_ticks());
                    }
                }
            };
            interrupted(access, meanwhile, || if by_hold { breaker.hold(ticks(100_000)) } else { permit.failure() })?;
            assert_eq!(breaker.retry_in(), Some(ticks(100_000)));
            Some(())
        };
        assert!((0..).map_while(open).count() > 5);
        let undecided = if by_hold { vec![Some(500_000)] } else { Vec::new() };
        assert_eq!(told.take(), undecided.into_iter().chain([Some(100_000)]).collect());
    }
}

/// A caller asks a circuit that has just opened, and is stopped before it reads the length. A reset then ends the
/// state, and retags a length word that was not needed for 127 transitions. The caller must not read the retagged word
/// as a length.
#[test]
fn a_length_that_is_retagged_is_none_for_the_generation_before() {
    const SECOND: u32 = 1024;
    for resets in [127 * 10 - 2, 127 * 127 - 2] {
        let told = Rc::new(RefCell::new(BTreeSet::new()));
        for of_the_trip in 0.. {
            let mut ended = false;
            for of_the_asker in 0..40 {
                let config = Config::streak(1).open_for(ticks(SECOND)).jitter(false);
                let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
                (0..resets).for_each(|_| breaker.reset());
                let (asker, told) = (Rc::clone(&breaker), Rc::clone(&told));
                let meanwhile = move || {
                    let (first, second) = (Rc::clone(&asker), Rc::clone(&asker));
                    let ask = move || first.acquire().err().map(|rejected| rejected.retry_in_ticks());
                    if let Some(answer) = interrupted(of_the_asker, move || second.reset(), ask) {
                        told.borrow_mut().insert(answer);
                    }
                };
                let permit = breaker.acquire().unwrap();
                ended |= interrupted(of_the_trip, meanwhile, || permit.failure()).is_none();
            }
            if ended {
                break;
            }
        }
        let told = told.take();
        assert!(told.contains(&Some(Some(SECOND))), "{told:?}");
        assert!(told.iter().flatten().flatten().all(|&ticks| ticks <= SECOND), "{told:?}");
    }
}

/// This holds even if the reset comes when a chunk is full and the head has not moved on.
#[test]
fn what_was_good_before_a_reset_is_no_sign_of_health_after_it() {
    type Last43 = Breaker<CountWindow<{ count_words(43, false) }>, ManualClock>;
    fn succeed(breaker: &Last43, times: u32) {
        for _ in 0..times {
            breaker.acquire().unwrap().success();
        }
    }
    let found = |access| {
        let config = Config::count(43).minimum(1).failure_permille(900);
        let breaker = Rc::new(Last43::new(config, ManualClock::new()));
        // Two chunks of 21, less the last outcome.
        succeed(&breaker, 41);
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            other.reset();
            succeed(&other, 1);
        };
        interrupted(access, meanwhile, || permit.success())?;
        let failures = (1..50).find(|_| {
            breaker.acquire().unwrap().failure();
            breaker.state() == State::Open
        });
        Some((breaker.tally(), failures))
    };
    for (access, (tally, failures)) in (0..).map_while(found).enumerate() {
        // Nine failures of ten calls: the stopped success is counted nowhere.
        assert_eq!(failures, Some(9), "stopped before its access {access}: {tally:?}");
    }
    assert!((0..).map_while(found).count() > 3);
}
