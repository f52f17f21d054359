//! What others do to a caller that is stopped before each of its accesses in turn. No open time that was given is lost,
//! or comes back after a reset. A half-open verdict goes by the settings before a reload or by those after it.

use core::time::Duration;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, ManualClock, OpenReason, Outcome, Permit, ProbeRule, Snapshot, State,
    Streak,
};

const SECOND: u32 = 1024;
const HOUR: u32 = 3600 * SECOND;
/// A little more than a power of two, so that the next power of two is almost twice as long.
const LONG: u32 = 65 * SECOND;
/// An open time may last some ticks more.
const FEW: u32 = 8;

type Shared = Rc<Breaker<Streak, ManualClock>>;

fn shared(config: Config) -> Shared {
    Rc::new(Breaker::new(config.jitter(false), ManualClock::new()))
}

fn ticks(ticks: u32) -> Duration {
    ManualClock::RATE.duration_of(ticks)
}

fn now(breaker: &Shared) -> u32 {
    breaker.clock().now().count()
}

/// Asks to make a call, which succeeds. Whether it was admitted.
fn ask(breaker: &Shared) -> bool {
    breaker.acquire().map(Permit::success).is_ok()
}

fn ask_after_a_second(breaker: &Shared) -> bool {
    breaker.clock().advance_ticks(SECOND);
    ask(breaker)
}

/// Asks every now and then until `time` is over since `since`, one tick before that, then, and when twice the time and
/// a few ticks have passed from now. After how many ticks since `since` somebody is admitted first; `None` if never.
fn admitted_after(breaker: &Shared, since: u32, time: u32) -> Option<u32> {
    let elapsed = || now(breaker) - since;
    let latest = elapsed() + 2 * time + FEW;
    let points = (0..60).map(|part| time / 60 * part).chain([time - 1, time, latest]);
    points.filter(|&point| point >= elapsed()).find(|point| {
        breaker.clock().advance_ticks(point - elapsed());
        ask(breaker)
    })
}

/// An operation that opens the circuit for a time, and returns whether it says so.
type Operation = Box<dyn FnOnce() -> bool>;

fn operation(breaker: &Shared, operate: impl FnOnce(&Shared) -> bool + 'static) -> Operation {
    let breaker = Rc::clone(breaker);
    Box::new(move || operate(&breaker))
}

fn hold(breaker: &Shared, hold: impl FnOnce(&Shared) -> Effect + 'static) -> Operation {
    operation(breaker, |breaker| matches!(hold(breaker), Effect::Opened(_)))
}

fn restore(breaker: &Shared, snapshot: Snapshot) -> Operation {
    operation(breaker, move |breaker| breaker.restore(&snapshot, None).is_ok())
}

/// The caller that opens the circuit.
struct Owner {
    name: &'static str,
    breaker: fn() -> Shared,
    prepare: fn(&Shared) -> Operation,
    time: u32,
}

/// One failure opens the circuit for ten seconds.
fn short_openings() -> Shared {
    shared(Config::streak(1).open_for(ticks(10 * SECOND)))
}

/// One failure opens the circuit for an hour, but a hold lasts ten seconds at most.
fn short_holds() -> Shared {
    shared(Config::streak(1).open_for(ticks(HOUR)).hold_at_most(ticks(10 * SECOND)))
}

/// A trip by a caller that is not stale: it always opens the circuit.
fn trip(breaker: &Shared, reason: OpenReason) -> Operation {
    operation(breaker, move |breaker| {
        breaker.trip(reason, ticks(LONG));
        true
    })
}

const HOLDS: [Owner; 2] = [
    Owner {
        name: "a hold",
        breaker: short_openings,
        prepare: |breaker| hold(breaker, |breaker| breaker.hold(ticks(LONG))),
        time: LONG,
    },
    Owner {
        name: "a trip for slow calls",
        breaker: short_openings,
        prepare: |breaker| trip(breaker, OpenReason::Slow),
        time: LONG,
    },
];

const LAYERS: [Owner; 2] = [
    Owner {
        name: "a budget's trip",
        breaker: short_openings,
        prepare: |breaker| trip(breaker, OpenReason::Budget),
        time: LONG,
    },
    Owner {
        name: "a dependency's trip",
        breaker: short_openings,
        prepare: |breaker| trip(breaker, OpenReason::Dependency),
        time: LONG,
    },
];

const HOLDS_ON_PERMITS: [Owner; 3] = [
    Owner {
        name: "a hold on a permit",
        breaker: short_openings,
        prepare: |breaker| {
            let permit = Breaker::acquire_in(Rc::clone(breaker)).unwrap();
            hold(breaker, |_| permit.hold(ticks(LONG)))
        },
        time: LONG,
    },
    Owner {
        name: "a hold on a probe",
        breaker: short_openings,
        prepare: |breaker| {
            breaker.acquire().unwrap().failure();
            breaker.clock().advance_ticks(10 * SECOND + FEW);
            let probe = Breaker::acquire_in(Rc::clone(breaker)).unwrap();
            assert!(probe.is_probe());
            hold(breaker, |_| probe.hold(ticks(LONG)))
        },
        time: LONG,
    },
    Owner {
        name: "a hold on a stale permit while the circuit is open",
        breaker: short_openings,
        prepare: |breaker| {
            let permit = Breaker::acquire_in(Rc::clone(breaker)).unwrap();
            breaker.acquire().unwrap().failure();
            hold(breaker, |_| permit.hold(ticks(LONG)))
        },
        time: LONG,
    },
];

/// Each restores more time than a hold may last.
const RESTORES: [Owner; 2] = [
    Owner {
        name: "a restore of an open circuit",
        breaker: short_holds,
        prepare: |breaker| {
            let before = shared(Config::streak(1).hold_at_most(ticks(3 * HOUR)));
            before.hold(ticks(3 * HOUR));
            restore(breaker, before.snapshot())
        },
        time: 3 * HOUR,
    },
    Owner {
        name: "a restore of a half-open circuit",
        breaker: short_holds,
        prepare: |breaker| {
            let before = short_holds();
            before.acquire().unwrap().failure();
            before.clock().advance_ticks(HOUR + FEW);
            mem::forget(before.acquire().unwrap());
            let snapshot = before.snapshot();
            assert_eq!(snapshot.state(), State::HalfOpen);
            restore(breaker, snapshot)
        },
        // As after a failed probe.
        time: 2 * HOUR,
    },
];

/// What a peer or a snapshot tells. A layer above the breaker knows less of the peer, so a hold may shorten its trip.
fn told() -> impl Iterator<Item = &'static Owner> {
    HOLDS.iter().chain(&HOLDS_ON_PERMITS).chain(&RESTORES)
}

fn all_owners() -> impl Iterator<Item = &'static Owner> {
    told().chain(&LAYERS)
}

/// What became of an owner that was stopped.
struct Stop<R> {
    breaker: Shared,
    /// Whether the owner had moved the circuit when it was stopped.
    moved: bool,
    /// The time of its move, if it made one.
    since: u32,
    has_opened: bool,
    /// What the others found.
    found: R,
}

impl Owner {
    /// Whether the owner moves the circuit before its `access`. This is found out on a breaker of its own, because a
    /// look at the circuit may help the owner.
    fn moves_before(&self, access: u32) -> Option<bool> {
        let breaker = (self.breaker)();
        let own = (self.prepare)(&breaker);
        let (before, other, moved) = (breaker.status().generation, Rc::clone(&breaker), Rc::new(Cell::new(false)));
        let found = Rc::clone(&moved);
        interrupted(access, move || found.set(other.status().generation != before), own)?;
        Some(moved.get())
    }

    /// Stops the owner before `access`. What happens `meanwhile` may depend on whether the owner has moved.
    fn stop<R: 'static>(&self, access: u32, meanwhile: impl FnOnce(&Shared, bool) -> R + 'static) -> Option<Stop<R>> {
        let moved = self.moves_before(access)?;
        let breaker = (self.breaker)();
        let own = (self.prepare)(&breaker);
        let (began, other, found) = (now(&breaker), Rc::clone(&breaker), Rc::new(Cell::new(None)));
        let finds = Rc::clone(&found);
        let has_opened = interrupted(access, move || finds.set(Some(meanwhile(&other, moved))), own)?;
        let since = if moved { began } else { now(&breaker) };
        Some(Stop { breaker, moved, since, has_opened, found: found.take()? })
    }
}

/// Stops each of the `owners` before each access, and lists the owners with a `fault`: the number of stops that show
/// one, and the first.
fn faults<'a, R: 'static>(
    owners: impl IntoIterator<Item = &'a Owner>,
    meanwhile: impl Fn(&Shared, bool) -> R + Clone + 'static,
    fault: impl Fn(&Owner, Stop<R>) -> Option<String>,
) -> Vec<String> {
    let mut faulty = Vec::new();
    for owner in owners {
        let stops: Vec<_> = (0..).map_while(|access| owner.stop(access, meanwhile.clone())).collect();
        let count = stops.len();
        assert!(stops.iter().any(|stop| stop.moved) && !stops[0].moved, "{} moves on its way", owner.name);
        let shown = stops.into_iter().enumerate().filter_map(|(access, stop)| Some((access, fault(owner, stop)?)));
        let shown: Vec<_> = shown.collect();
        if let Some((access, fault)) = shown.first() {
            faulty.push(format!(
                "{}: {} of {count} stops, first before access {access}: {fault}",
                owner.name,
                shown.len()
            ));
        }
    }
    faulty
}

/// Whether the owner's time is lost. The others found whether the last of them was admitted.
fn is_lost(owner: &Owner, stop: Stop<bool>) -> Option<String> {
    let Stop { breaker, moved, since, has_opened, found } = stop;
    if !moved && !has_opened {
        return None;
    }
    let first = if moved && found { Some(now(&breaker) - since) } else { admitted_after(&breaker, since, owner.time) };
    let right = first.is_some_and(|first| first >= owner.time);
    (!right).then(|| format!("of {} ticks, somebody is admitted after {first:?}", owner.time))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{faults:#?}");
}

/// None of these is an operator's: an operator may shorten any open time.
const SHORTER_TRIPS: [fn(&Shared); 2] = [
    |breaker| _ = breaker.trip(OpenReason::Budget, ticks(SECOND)),
    |breaker| _ = breaker.trip(OpenReason::Dependency, ticks(SECOND)),
];

fn shorter_hold(breaker: &Shared) {
    breaker.hold(ticks(SECOND));
}

/// The owners whose time is lost to a `shorter` one.
fn lost_to(shorter: fn(&Shared), owners: &[Owner]) -> Vec<String> {
    let meanwhile = move |breaker: &Shared, _| {
        shorter(breaker);
        ask_after_a_second(breaker)
    };
    faults(owners, meanwhile, is_lost)
}

fn assert_that_none_is_lost_to_a_shorter_trip(owners: &[Owner]) {
    for trip in SHORTER_TRIPS {
        assert_none(&lost_to(trip, owners));
    }
}

#[test]
fn no_hold_is_lost_to_a_shorter_one_that_runs_out_first() {
    assert_none(&lost_to(shorter_hold, &HOLDS));
}

#[test]
fn no_hold_on_a_permit_is_lost_to_a_shorter_hold_that_runs_out_first() {
    assert_none(&lost_to(shorter_hold, &HOLDS_ON_PERMITS));
}

#[test]
fn no_restored_time_is_lost_to_a_shorter_hold_that_runs_out_first() {
    assert_none(&lost_to(shorter_hold, &RESTORES));
}

#[test]
fn no_hold_is_lost_to_a_shorter_trip_that_runs_out_first() {
    assert_that_none_is_lost_to_a_shorter_trip(&HOLDS);
}

#[test]
fn no_hold_on_a_permit_is_lost_to_a_shorter_trip_that_runs_out_first() {
    assert_that_none_is_lost_to_a_shorter_trip(&HOLDS_ON_PERMITS);
}

#[test]
fn no_restored_time_is_lost_to_a_shorter_trip_that_runs_out_first() {
    assert_that_none_is_lost_to_a_shorter_trip(&RESTORES);
}

#[test]
fn no_layers_trip_is_lost_to_a_shorter_trip_that_runs_out_first() {
    assert_that_none_is_lost_to_a_shorter_trip(&LAYERS);
}

/// The owner of a shorter hold is stopped too, and a third caller asks.
#[test]
fn no_open_time_is_lost_while_the_owner_of_a_shorter_hold_is_stopped_too() {
    for access in 0.. {
        let is_stopped = Rc::new(Cell::new(false));
        let stopped = Rc::clone(&is_stopped);
        let meanwhile = move |breaker: &Shared, _| {
            let (third, admitted) = (Rc::clone(breaker), Rc::new(Cell::new(false)));
            let found = Rc::clone(&admitted);
            let asks = move || found.set(ask_after_a_second(&third));
            if interrupted(access, asks, || breaker.hold(ticks(SECOND))).is_some() {
                stopped.set(true);
            }
            admitted.get()
        };
        let lost = faults(told(), meanwhile, is_lost);
        assert!(lost.is_empty(), "the shorter one before access {access}: {lost:#?}");
        if !is_stopped.get() {
            assert!(access > 3, "a hold makes some accesses");
            break;
        }
    }
}

/// The longest hold is ten seconds. That says nothing about a restored time.
#[test]
fn no_restored_time_is_cut_to_the_longest_hold() {
    let meanwhile = |breaker: &Shared, _| {
        let at_once = ask(breaker);
        breaker.clock().advance_ticks(10 * SECOND + FEW);
        ask(breaker) || at_once
    };
    assert_none(&faults(&RESTORES, meanwhile, is_lost));
}

/// A reload before the move may cap the hold.
#[test]
fn no_open_time_is_cut_by_a_reload_after_the_move() {
    let meanwhile = |breaker: &Shared, moved| {
        let at_once = ask(breaker);
        if moved {
            breaker.reconfigure(&Config::streak(1).hold_at_most(ticks(SECOND))).unwrap();
        }
        ask_after_a_second(breaker) || at_once
    };
    assert_none(&faults(all_owners(), meanwhile, is_lost));
}

/// It ends even if its owner never continues, and it does not come back if the owner does. Its beginning is known,
/// because the first caller asks at once.
#[test]
fn an_open_time_whose_owner_sleeps_ends_within_twice_its_length() {
    for owner in all_owners() {
        let time = owner.time;
        let meanwhile = move |breaker: &Shared, moved: bool| moved.then(|| admitted_after(breaker, now(breaker), time));
        let wrong = faults([owner], meanwhile, |_, stop| match stop.found? {
            Some(first) if first >= time => {
                (stop.breaker.state() != State::Closed).then(|| "it comes back".to_string())
            }
            first => Some(format!("of {time} ticks, somebody is admitted after {first:?}")),
        });
        assert_none(&wrong);
    }
}

/// If the device is reset while it restores, it must not forget what it was about to restore.
#[test]
fn a_snapshot_during_a_restore_shows_all_that_is_left() {
    let meanwhile = |breaker: &Shared, moved: bool| moved.then(|| breaker.snapshot().remaining_ticks());
    let short = faults(&RESTORES, meanwhile, |owner, stop| {
        let left = stop.found.filter(|&left| left < owner.time)?;
        Some(format!("{left} ticks of {} are left", owner.time))
    });
    assert_none(&short);
}

/// A reset ends what has moved before it. A permit from before the reset is stale after it.
#[test]
fn what_was_reset_meanwhile_stays_closed() {
    let resets: [fn(&Shared); 4] = [
        |breaker| breaker.reset(),
        |breaker| {
            breaker.reset();
            assert!(ask(breaker));
        },
        |breaker| {
            breaker.trip(OpenReason::Budget, ticks(SECOND));
            breaker.reset();
        },
        |breaker| {
            breaker.trip(OpenReason::Budget, ticks(SECOND));
            ask_after_a_second(breaker);
            breaker.reset();
        },
    ];
    for reset in resets {
        let is_wrong = |permit: bool| {
            move |_: &Owner, stop: Stop<()>| {
                let state = stop.breaker.state();
                let right = if stop.moved || permit { State::Closed } else { State::Open };
                (state != right).then(|| format!("{state:?}"))
            }
        };
        assert_none(&faults(
            HOLDS.iter().chain(&LAYERS).chain(&RESTORES),
            move |breaker, _| reset(breaker),
            is_wrong(false),
        ));
        assert_none(&faults(&HOLDS_ON_PERMITS, move |breaker, _| reset(breaker), is_wrong(true)));
    }
}

/// After the reset, a trip opens the circuit for its own time only.
#[test]
fn what_was_reset_meanwhile_does_not_come_back_with_a_later_trip() {
    let meanwhile = |breaker: &Shared, _| {
        breaker.reset();
        breaker.trip(OpenReason::Budget, ticks(SECOND));
    };
    let back = faults(all_owners(), meanwhile, |_, stop| {
        stop.breaker.clock().advance_ticks(2 * SECOND + FEW);
        (stop.moved && !ask(&stop.breaker)).then(|| format!("{:?} left", stop.breaker.retry_in()))
    });
    assert_none(&back);
}

type Shares = Rc<Breaker<CountWindow<3>, ManualClock>>;

fn rates(probes: u8, minimum: u16, permille: u16) -> Config {
    let config = Config::count(10).minimum(minimum).failure_permille(permille);
    config.probe_rule(ProbeRule::Rates).probes(probes)
}

fn first_failure(probes: u8, minimum: u16) -> Config {
    Config::count(10).minimum(minimum).probes(probes)
}

/// A half-open circuit with some results: whether each probe succeeded.
fn half_open(config: &Config, results: &[bool]) -> Shares {
    let breaker = Rc::new(Breaker::new(*config, ManualClock::new()));
    breaker.hold(ticks(1));
    breaker.clock().advance_ticks(2 + FEW);
    for &success in results {
        let probe = breaker.acquire().unwrap();
        assert!(probe.is_probe());
        assert_eq!(if success { probe.success() } else { probe.failure() }, Effect::Counted);
    }
    breaker
}

/// The effect of a caller's report or, if it asked, whether it got a probe; and the state after that.
type Verdict = (Result<Effect, bool>, State);

type Call = Box<dyn FnOnce() -> Verdict>;

/// The report of one more success.
fn success(breaker: &Shares) -> Call {
    let (probe, breaker) = (Breaker::acquire_in(Rc::clone(breaker)).unwrap(), Rc::clone(breaker));
    assert!(probe.is_probe());
    Box::new(move || (Ok(probe.success()), breaker.state()))
}

/// A question for one more probe, which is given back.
fn question(breaker: &Shares) -> Call {
    let breaker = Rc::clone(breaker);
    Box::new(move || (Err(breaker.acquire().is_ok_and(|permit| permit.is_probe())), breaker.state()))
}

/// The verdicts of `call` that neither `old` nor `new` would give, if it meets a reload from the one to the other.
fn mixed_verdicts(old: &Config, new: &Config, results: &'static [bool], call: fn(&Shares) -> Call) -> Vec<String> {
    let allowed = [old, new].map(|config| call(&half_open(config, results))());
    let call_stopped = |access| {
        let (breaker, new) = (half_open(old, results), *new);
        let (call, other) = (call(&breaker), Rc::clone(&breaker));
        interrupted(access, move || other.reconfigure(&new).unwrap(), call)
    };
    let reload_stopped = |access| {
        let breaker = half_open(old, results);
        let (call, verdict) = (call(&breaker), Rc::new(Cell::new(None)));
        let found = Rc::clone(&verdict);
        interrupted(access, move || found.set(Some(call())), || breaker.reconfigure(new).unwrap())?;
        verdict.get()
    };
    let calls: Vec<_> = (0..).map_while(call_stopped).collect();
    let reloads: Vec<_> = (0..).map_while(reload_stopped).collect();
    assert!(calls.len() > 3 && reloads.len() > 3, "each makes some accesses");
    let mixed = |(access, verdict): (usize, Verdict), stopped: &str| {
        let is_mixed = !allowed.contains(&verdict);
        is_mixed.then(|| format!("{stopped} before access {access}: {verdict:?}, not one of {allowed:?}"))
    };
    let calls = calls.into_iter().enumerate().filter_map(|stop| mixed(stop, "the call"));
    calls.chain(reloads.into_iter().enumerate().filter_map(|stop| mixed(stop, "the reload"))).collect()
}

/// Neither of the two settings gives the verdict that the rules of the one and the limits of the other would give.
fn assert_that_no_verdict_is_mixed(configs: &[Config; 2], results: &'static [bool], call: fn(&Shares) -> Call) {
    let [one, other] = configs;
    assert_none(&mixed_verdicts(one, other, results, call));
    assert_none(&mixed_verdicts(other, one, results, call));
}

/// By rates, four successes are needed. By first failure, four successes are needed too, whatever the minimum.
#[test]
fn a_reload_does_not_close_a_circuit_by_a_minimum_of_one() {
    let configs = [rates(4, 4, 500), first_failure(4, 1)];
    assert_that_no_verdict_is_mixed(&configs, &[], success);
}

/// As above, by a caller that looks at the results of others.
#[test]
fn a_caller_during_a_reload_does_not_close_a_circuit_by_a_minimum_of_one() {
    let configs = [rates(4, 4, 500), first_failure(4, 1)];
    assert_that_no_verdict_is_mixed(&configs, &[true], question);
}

/// By the one, a failure of two closes the circuit. The other waits for the results of four.
#[test]
fn a_reload_does_not_reopen_a_circuit_by_a_share_that_is_for_more_probes() {
    let configs = [rates(2, 2, 1000), rates(4, 4, 400)];
    assert_that_no_verdict_is_mixed(&configs, &[false], success);
}

/// By rates, two results are too few. By first failure, the slow one of them is bad.
#[test]
fn a_reload_does_not_turn_a_slow_probe_into_a_good_one() {
    let second = ticks(SECOND);
    let by_rates = rates(4, 4, 1000).slow_after(second).slow_permille(1000).successes(2);
    let breaker: Breaker<CountWindow<3>, _> = Breaker::new(by_rates, ManualClock::new());
    breaker.hold(second);
    breaker.clock().advance_ticks(2 * SECOND + FEW);
    assert_eq!(breaker.acquire().unwrap().record(Outcome::Slow), Effect::Counted);
    breaker.reconfigure(&by_rates.probe_rule(ProbeRule::FirstFailure)).unwrap();
    if let Ok(probe) = breaker.acquire() {
        probe.success();
    }
    assert_ne!(breaker.state(), State::Closed);
}
