//! What a caller finds if it runs between two accesses of another caller.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, Event, Fixed, HORIZON, LiveWindow, ManualClock, Observer, OpenReason,
    Policy, RejectReason, State, Streak, TickRate, Ticks, TimeWindow, Tripped, count_words,
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

/// Opens the circuit for a time, and lets that pass: a probe is due.
fn come_due<O: Observer>(breaker: &Breaker<Streak, ManualClock, O>) {
    breaker.hold(ticks(100));
    breaker.clock().advance_ticks(100);
}

/// Until its owner says how long a hold is, it is as long as the bound in its word leaves. Either is longer by what the clock may
/// lag, and the bound leaves room for that and for the parity of the deadline.
#[test]
fn a_hold_of_unknown_length_is_at_most_twice_as_long_and_its_clocks_lag() {
    for (length, bound) in [(10, 16), (16, 32)] {
        let told = Rc::new(RefCell::new(BTreeSet::new()));
        let hold = |access| {
            let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(Config::streak(1), Lagging));
            // An older deadline, which could be mistaken for this hold's.
            breaker.hold(ticks(500));
            breaker.reset();
            let (other, told) = (Rc::clone(&breaker), Rc::clone(&told));
            let meanwhile = move || {
                // The first `acquire` decides the deadline, and the second finds it decided.
                for _ in 0..2 {
                    if let Err(rejected) = other.acquire() {
                        told.borrow_mut().insert(rejected.retry_in_ticks());
                    }
                }
            };
            interrupted(access, meanwhile, || breaker.hold(ticks(length)))
        };
        assert!((0..).map_while(hold).count() > 5);
        assert_eq!(told.take(), BTreeSet::from([Some(length + 3), Some(bound - 1)]));
    }
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
    // If it was stopped before it read the clock, it tells the first.
    assert!(told.len() > 3 && told.iter().all(|&ticks| matches!(ticks, Some(1000 | 2000))), "{told:?}");
    assert_eq!((told[0], told[1]), (Some(2000), Some(2000)));
}

/// The deadline is that of an older period at first. Whoever comes before the owner of a hold decides the bound of it, and
/// then that stays.
#[test]
fn a_caller_between_an_opening_and_its_period_is_told_the_whole_of_it() {
    for by_hold in [false, true] {
        let told = Rc::new(RefCell::new(BTreeSet::new()));
        let open = |access| {
            let config = Config::streak(1).open_for(ticks(100_000)).jitter(false);
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
            let left = breaker.retry_in_ticks();
            assert!(matches!((by_hold, left), (_, Some(100_000)) | (true, Some(131_071))), "{left:?}");
            Some(())
        };
        assert!((0..).map_while(open).count() > 5);
        let undecided = if by_hold { vec![Some((1 << 17) - 1)] } else { Vec::new() };
        assert_eq!(told.take(), undecided.into_iter().chain([Some(100_000)]).collect());
    }
}

/// A caller sees a half-open state with a free slot, and sleeps until another thread has a probe of a later one.
#[test]
fn a_caller_whose_half_open_state_ends_before_it_has_a_slot_is_no_probe() {
    let ask = |access| {
        let config = Config::streak(1).probes(2).at_once(1).open_for(ticks(100)).jitter(false);
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
        breaker.acquire().unwrap().failure();
        breaker.clock().advance_ticks(100);
        breaker.acquire().unwrap().ignore();
        let (other, is_late) = (Rc::clone(&breaker), Rc::new(Cell::new(false)));
        let late = Rc::clone(&is_late);
        let meanwhile = move || {
            late.set(other.status().probes_in_flight == 0);
            other.hold(ticks(2));
            other.clock().advance_ticks(2);
            std::mem::forget(other.acquire().unwrap());
        };
        let admitted = interrupted(access, meanwhile, || breaker.acquire().map(std::mem::forget).is_ok())?;
        Some(admitted && is_late.get())
    };
    let admitted: Vec<bool> = (0..).map_while(ask).collect();
    assert!(admitted.len() > 5 && !admitted.contains(&true), "{admitted:?}");
}

/// The winner of a reset is stopped before it empties the counts. Meanwhile another reset begins a generation that counts.
#[test]
fn a_reset_that_comes_late_empties_no_later_generation() {
    let counted = |access| {
        let config = Config::count(30).and_streak(5);
        let breaker: Rc<Breaker<(Streak, CountWindow<{ count_words(30, false) }>), _>> =
            Rc::new(Breaker::new(config, ManualClock::new()));
        let (other, generation) = (Rc::clone(&breaker), Rc::new(Cell::new(0)));
        let last = Rc::clone(&generation);
        let meanwhile = move || {
            other.reset();
            let permit = other.acquire().unwrap();
            last.set(permit.generation());
            permit.failure();
        };
        interrupted(access, meanwhile, || breaker.reset())?;
        let status = breaker.status();
        Some((status.generation == generation.get(), status.tally.total))
    };
    let counted: Vec<(bool, u32)> = (0..).map_while(counted).collect();
    assert!(counted.iter().all(|&(is_last, total)| total == u32::from(is_last)), "{counted:?}");
    assert!(counted.contains(&(true, 1)) && counted.contains(&(false, 0)));
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

struct OneProbe;

impl Policy for OneProbe {
    const CONFIG: Config = Config::streak(1).lease(ManualClock::RATE.duration_of(1100));
}

/// Two periods later the deadline has the same parity again. An open circuit refuses on the fast path, and a half-open one on the
/// way out of line. The times have the same bound.
#[test]
fn a_refusal_tells_the_reason_and_the_time_of_one_period() {
    for half_open in [false, true] {
        let ask = |access| {
            let breaker: Rc<Breaker<Fixed<Streak, OneProbe>, _>> = Rc::new(Breaker::fixed(ManualClock::new()));
            breaker.trip(OpenReason::Fleet, ticks(1100));
            if half_open {
                breaker.clock().advance_ticks(1100);
                std::mem::forget(breaker.acquire().unwrap());
            }
            let other = Rc::clone(&breaker);
            let meanwhile = move || {
                assert!(matches!(other.trip(OpenReason::Fleet, ticks(1500)), Tripped::Opened(_)));
                assert_eq!(other.hold(ticks(1900)), Effect::Opened(OpenReason::Hold));
            };
            let ask = || {
                let rejected = breaker.acquire().map(|_| ()).unwrap_err();
                (rejected.reason(), rejected.retry_in_ticks())
            };
            interrupted(access, meanwhile, ask)
        };
        let told: Vec<_> = (0..).map_while(ask).collect();
        assert!(told.len() > 2);
        let first = if half_open { RejectReason::HalfOpen } else { RejectReason::Open(OpenReason::Fleet) };
        let last = RejectReason::Open(OpenReason::Hold);
        assert!(told.iter().all(|told| [(first, Some(1100)), (last, Some(1900))].contains(told)), "{told:?}");
    }
}

/// A call of a ramp is counted once, however often its caller starts over.
#[test]
fn a_call_of_a_ramp_is_counted_once() {
    let ask = |access| {
        let config = Config::streak(3).open_for(ticks(100)).jitter(false).ramp(ticks(1600));
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
        come_due(&breaker);
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Ramping);
        // Of sixteen calls in a row, the first is admitted. Its failure changes the word.
        let failing = Breaker::acquire_in(Rc::clone(&breaker)).unwrap();
        let meanwhile = move || assert_eq!(failing.failure(), Effect::Counted);
        interrupted(access, meanwhile, || breaker.acquire().is_ok())?;
        Some((0..16).take_while(|_| breaker.acquire().is_err()).count())
    };
    let refused: Vec<usize> = (0..).map_while(ask).collect();
    assert!(refused.iter().all(|refused| *refused == 14), "{refused:?}");
}

/// Admissions of probes stand in the word, and reports in the counts.
#[test]
fn probes_in_flight_are_never_more_than_may_be() {
    let look = |access| {
        let config = Config::streak(1).probes(3).at_once(1).open_for(ticks(100)).jitter(false);
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
        come_due(&breaker);
        let (probe, other) = (Breaker::acquire_in(Rc::clone(&breaker)).unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            drop(probe);
            drop(other.acquire().unwrap());
        };
        interrupted(access, meanwhile, || breaker.status().probes_in_flight)
    };
    let told: Vec<u8> = (0..).map_while(look).collect();
    assert!(told.contains(&0) && told.iter().all(|probes| *probes <= 1), "{told:?}");
}

/// Two more probes come and go between its look at the word and its look at the counts, so the parity is the same again.
#[test]
fn nobody_is_told_to_wait_while_a_slot_is_free() {
    let look = |access| {
        let config = Config::streak(1).probes(3).at_once(2).open_for(ticks(100)).jitter(false);
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
        come_due(&breaker);
        std::mem::forget(breaker.acquire().unwrap());
        let other = Rc::clone(&breaker);
        let meanwhile = move || {
            drop(other.acquire().unwrap());
            drop(other.acquire().unwrap());
        };
        interrupted(access, meanwhile, || breaker.retry_in_ticks())
    };
    let told: Vec<_> = (0..).map_while(look).collect();
    assert!(told.len() > 3 && told.iter().all(|ticks| *ticks == Some(0)), "{told:?}");
}

/// Whoever comes before its owner says at least that time, and not more than can be told from a time that is over.
#[test]
fn a_trip_of_the_longest_time_is_no_shorter_if_another_says_how_long() {
    let trip = |access| {
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(Config::streak(1), ManualClock::new()));
        let other = Rc::clone(&breaker);
        let meanwhile = move || _ = other.acquire().map(|_| ());
        interrupted(access, meanwhile, || breaker.trip(OpenReason::Fleet, Duration::MAX))?;
        breaker.retry_in_ticks()
    };
    let left: Vec<u32> = (0..).map_while(trip).collect();
    assert!(left.len() > 5 && left.iter().all(|&ticks| ticks >= HORIZON), "{left:?}");
}

/// The results with which the circuit closed.
#[derive(Default)]
struct Results(Cell<u32>);

impl Observer for Results {
    fn on_event(&self, event: &Event) {
        if event.to == State::Closed {
            self.0.set(event.tally.total);
        }
    }
}

/// A report completes the results, and a reload asks for more before the report has carried out the verdict.
#[test]
fn a_probe_counts_once_though_a_reload_asks_for_more() {
    let report = |access| {
        let config = Config::streak(1).probes(2).open_for(ticks(100)).jitter(false);
        let breaker: Breaker<Streak, _, _> =
            Breaker::observed(config.successes(1), ManualClock::new(), Results::default());
        let breaker = Rc::new(breaker);
        come_due(&breaker);
        let probe = breaker.acquire().unwrap();
        let other = Rc::clone(&breaker);
        let meanwhile = move || other.reconfigure(&config.successes(2)).unwrap();
        let effect = interrupted(access, meanwhile, || probe.success())?;
        Some((effect, breaker.state(), breaker.observer().0.get()))
    };
    let seen: Vec<_> = (0..).map_while(report).collect();
    let either = [(Effect::Counted, State::HalfOpen, 0), (Effect::Closed, State::Closed, 1)];
    assert!(either.iter().all(|one| seen.contains(one)) && seen.iter().all(|one| either.contains(one)), "{seen:?}");
}

#[test]
fn what_ends_while_it_is_looked_at_was_not_clean() {
    fn look<W: LiveWindow + 'static>(config: Config, failures: u32) -> Vec<bool> {
        let look = |access| {
            let breaker: Rc<Breaker<W, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
            (0..failures).for_each(|_| _ = breaker.acquire().unwrap().failure());
            let other = Rc::clone(&breaker);
            let meanwhile = move || assert!(matches!(other.acquire().unwrap().failure(), Effect::Opened(_)));
            interrupted(access, meanwhile, || breaker.is_clean())
        };
        (0..).map_while(look).collect()
    }
    let count = Config::count(5).minimum(3).failure_permille(500);
    let time = Config::time(4, ticks(64)).minimum(3).failure_permille(500);
    for told in
        [look::<CountWindow<1>>(count, 2), look::<TimeWindow<4>>(time, 2), look::<Streak>(Config::streak(300), 299)]
    {
        assert!(told.len() > 2 && !told.contains(&true), "{told:?}");
    }
}

/// A success that completes the minimum warms the circuit, and a failure raises the level meanwhile.
#[test]
fn who_warms_a_circuit_leaves_its_level() {
    let report = |access| {
        let config = Config::count(10).minimum(2).failure_permille(600).levels(true);
        let breaker: Rc<Breaker<CountWindow<1>, _>> = Rc::new(Breaker::new(config, ManualClock::new()));
        breaker.acquire().unwrap().success();
        let (warming, failing) = (breaker.acquire().unwrap(), Breaker::acquire_in(Rc::clone(&breaker)).unwrap());
        interrupted(access, move || _ = failing.failure(), || warming.success())?;
        Some(breaker.status().level)
    };
    let levels: Vec<u8> = (0..).map_while(report).collect();
    assert!(levels.len() > 3 && levels.iter().all(|level| *level == levels[0]) && levels[0] > 0, "{levels:?}");
}
