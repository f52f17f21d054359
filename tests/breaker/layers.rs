//! The verbs of what stands above a breaker: trips by a layer, their release, half-open by hand, and calls that are admitted
//! anyway. The matrix, and a model of all moves, are in `tests/model`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use microbreaker::{
    Breaker, CallReport, Circuit, Config, Effect, Event, Fixed, HORIZON, ManualClock, Mode, Observer, OpenReason,
    Permit, Policy, RejectReason, ReportKind, State, Streak, Tripped,
};

const SECOND: Duration = Duration::from_secs(1);
const LAYERS: [OpenReason; 4] = [OpenReason::Budget, OpenReason::Dependency, OpenReason::Outlier, OpenReason::Fleet];
const DOUBTS: [OpenReason; 4] = [OpenReason::Failures, OpenReason::Slow, OpenReason::Outlier, OpenReason::Fleet];

/// One failure opens for five seconds; one good probe closes.
const CONFIG: Config = Config::streak(1)
    .jitter(false)
    .open_for(Duration::from_secs(5))
    .lease(Duration::from_secs(8))
    .hold_at_most(Duration::from_secs(3600));
const RAMP: Config = CONFIG.ramp(Duration::from_secs(16));

/// What an observer was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Event(State, State, Option<OpenReason>),
    Permit { probe: bool },
    Rejected(RejectReason),
    WouldReject(RejectReason),
    Anyway(RejectReason),
    Report(ReportKind, Effect),
}

#[derive(Default)]
struct Log(RefCell<Vec<Told>>, RefCell<Vec<Event>>);

impl Log {
    /// What was told since the last time.
    fn take(&self) -> Vec<Told> {
        self.0.take()
    }

    fn push(&self, told: Told) {
        self.0.borrow_mut().push(told);
    }
}

impl Observer for Log {
    fn on_event(&self, event: &Event) {
        self.push(Told::Event(event.from, event.to, event.reason));
        self.1.borrow_mut().push(*event);
    }

    fn on_permit(&self, probe: bool) {
        self.push(Told::Permit { probe });
    }

    fn on_reject(&self, reason: RejectReason) {
        self.push(Told::Rejected(reason));
    }

    fn on_would_reject(&self, reason: RejectReason) {
        self.push(Told::WouldReject(reason));
    }

    fn on_anyway(&self, reason: RejectReason) {
        self.push(Told::Anyway(reason));
    }

    fn on_report(&self, report: &CallReport) {
        self.push(Told::Report(report.kind, report.effect));
    }
}

type Watched = Breaker<Streak, ManualClock, Log>;

fn breaker(config: Config) -> Watched {
    Breaker::observed(config, ManualClock::new(), Log::default())
}

fn opened(tripped: Tripped) -> u32 {
    match tripped {
        Tripped::Opened(generation) => generation,
        other => panic!("{other:?}"),
    }
}

/// A breaker that opened for this reason and this time.
fn open_for(reason: OpenReason, time: Duration) -> Watched {
    let breaker = breaker(CONFIG);
    opened(breaker.trip(reason, time));
    breaker.observer().take();
    breaker
}

/// A breaker that recovers from an opening for this reason, in the middle of its ramp.
fn ramping_after(reason: OpenReason) -> Watched {
    let breaker = breaker(RAMP);
    opened(breaker.trip(reason, SECOND));
    breaker.clock().advance(SECOND);
    // A budget sends no probe.
    let effect = breaker.acquire().unwrap().success();
    assert_eq!(effect, if reason == OpenReason::Budget { Effect::Counted } else { Effect::Ramping });
    assert_eq!(breaker.state(), State::Ramping);
    breaker.observer().take();
    breaker
}

mod trip {
    use super::*;

    /// Whether a trip for `new` moves a circuit that is open for `old`, if its time is so much longer or shorter.
    fn replaces(new: OpenReason, old: OpenReason, longer: bool) -> bool {
        use OpenReason::{Failures, Hold, Manual, Slow};
        match (new, old) {
            (Manual, _) => true,
            (_, Manual) => false,
            (Failures | Slow | Hold, _) if LAYERS.contains(&old) => true,
            // Even a shorter one makes itself the reason, and keeps the longer time.
            (Failures | Slow | Hold, Failures | Slow) if new != old => true,
            (Failures | Slow | Hold, Failures | Slow | Hold) => longer,
            // A layer lengthens only what is its own.
            _ => new == old && longer,
        }
    }

    #[test]
    fn an_open_time_is_replaced_by_whom_it_may_be_and_by_nobody_else() {
        for old in OpenReason::ALL {
            for new in OpenReason::ALL {
                for ticks in [1, 4095, 4096, 4097, 9000] {
                    let breaker = open_for(old, 5 * SECOND);
                    breaker.clock().advance_ticks(1024);
                    let before = breaker.status();
                    let time = Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / 1024);
                    let tripped = breaker.trip(new, time);
                    let (after, longer) = (breaker.status(), ticks > 4096);
                    if replaces(new, old, longer) {
                        assert_eq!(tripped, Tripped::Opened(after.generation), "{new:?} over {old:?}, {ticks}");
                        assert_eq!(after.reason, Some(new));
                        let speaks_of_the_peer = matches!(old, OpenReason::Failures | OpenReason::Slow);
                        let kept = new != OpenReason::Manual && (speaks_of_the_peer || new == old);
                        let left = if kept { ticks.max(4096) } else { ticks };
                        assert_eq!(breaker.retry_in_ticks(), Some(left), "{new:?} over {old:?}, {ticks}");
                        let event = Told::Event(State::Open, State::Open, Some(new));
                        assert_eq!(breaker.observer().take(), [event], "{new:?} over {old:?}");
                    } else {
                        assert_eq!(tripped, Tripped::Covered(Some(4 * SECOND)), "{new:?} over {old:?}, {ticks}");
                        assert_eq!((after, breaker.observer().take()), (before, vec![]), "nothing moves");
                    }
                }
            }
        }
    }

    #[test]
    fn a_layer_acts_on_an_open_time_that_is_over_and_a_budget_only_on_its_own() {
        for old in OpenReason::ALL {
            for new in OpenReason::ALL {
                let breaker = open_for(old, SECOND);
                breaker.clock().advance(2 * SECOND);
                let tripped = breaker.trip(new, SECOND);
                if new == OpenReason::Budget && old != OpenReason::Budget {
                    assert_eq!(tripped, Tripped::Covered(Some(Duration::ZERO)), "over {old:?}");
                } else {
                    assert_eq!(
                        (breaker.status().reason, breaker.retry_in()),
                        (Some(new), Some(SECOND)),
                        "over {old:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_layer_opens_what_is_closed_ramping_or_half_open_and_keeps_the_attempt() {
        for reason in LAYERS {
            let breaker = breaker(RAMP);
            breaker.acquire().unwrap().failure();
            breaker.clock().advance(5 * SECOND);
            breaker.acquire().unwrap().failure();
            breaker.clock().advance(10 * SECOND);
            let probe = breaker.acquire().unwrap();
            assert_eq!((breaker.state(), breaker.status().attempt), (State::HalfOpen, 1));
            if reason == OpenReason::Budget {
                let before = breaker.status();
                assert_eq!(breaker.trip(reason, SECOND), Tripped::Covered(Some(Duration::ZERO)), "money heals nobody");
                assert_eq!(breaker.status(), before);
                assert_eq!(probe.success(), Effect::Ramping);
            } else {
                opened(breaker.trip(reason, SECOND));
                assert_eq!((probe.success(), breaker.status().attempt), (Effect::Stale, 1));
                breaker.clock().advance(SECOND);
                assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
            }
            opened(breaker.trip(reason, SECOND));
            assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1), "from ramping");
            breaker.reset();
            opened(breaker.trip(reason, SECOND));
            assert_eq!((breaker.status().reason, breaker.status().attempt), (Some(reason), 0), "from closed");
        }
    }

    #[test]
    fn what_is_latched_forced_open_or_disabled_is_left_alone() {
        for reason in OpenReason::ALL {
            let breaker = breaker(CONFIG);
            breaker.latch();
            assert_eq!(breaker.trip(reason, SECOND), Tripped::Covered(None));
            breaker.force_open();
            assert_eq!(breaker.trip(reason, SECOND), Tripped::Covered(None));
            breaker.disable();
            assert_eq!((breaker.trip(reason, SECOND), breaker.state()), (Tripped::Idle, State::Disabled));
        }
    }

    #[test]
    fn a_trip_lasts_at_least_a_tick_and_at_most_what_it_may() {
        for reason in OpenReason::ALL {
            let most = if LAYERS.contains(&reason) { HORIZON } else { 3600 * 1024 };
            for (time, left) in [(Duration::ZERO, 1), (Duration::MAX, most)] {
                assert_eq!(open_for(reason, time).retry_in_ticks(), Some(left), "{reason:?}");
            }
        }
    }

    #[test]
    fn the_event_of_a_trip_tells_its_reason_and_its_time() {
        for reason in OpenReason::ALL {
            let breaker = open_for(reason, 2 * SECOND);
            let event = *breaker.observer().1.borrow().last().unwrap();
            assert_eq!((event.from, event.to, event.reason), (State::Closed, State::Open, Some(reason)));
            assert_eq!((event.lasts(), event.generation), (Some(2 * SECOND), breaker.status().generation));
        }
    }

    /// A hold over failures is a move even if it is shorter: the peer said when, so the reason is its word.
    #[test]
    fn a_hold_over_failures_keeps_the_longer_time_and_becomes_the_reason() {
        for (seconds, left) in [(1, 5), (9, 9)] {
            let breaker = breaker(CONFIG);
            let straggler = breaker.acquire().unwrap();
            breaker.acquire().unwrap().failure();
            assert_eq!(straggler.hold(seconds * SECOND), Effect::Opened(OpenReason::Hold), "a stale one counts too");
            assert_eq!((breaker.retry_in(), breaker.status().reason), (Some(left * SECOND), Some(OpenReason::Hold)));
            assert_eq!(breaker.hold(SECOND), Effect::Unchanged);
            breaker.trip(OpenReason::Manual, SECOND);
            assert_eq!(breaker.hold(100 * SECOND), Effect::Unchanged, "an operator's time stays");
            assert_eq!(breaker.retry_in(), Some(SECOND));
        }
    }
}

mod release {
    use super::*;

    #[test]
    fn a_layer_ends_its_own_time_early_and_probes_decide() {
        for reason in [OpenReason::Dependency, OpenReason::Outlier, OpenReason::Fleet] {
            let breaker = open_for(reason, 60 * SECOND);
            let generation = breaker.status().generation;
            assert!(breaker.release(generation));
            assert_eq!(
                breaker.observer().take(),
                [Told::Event(State::Open, State::HalfOpen, Some(reason))],
                "half-open keeps the reason"
            );
            let status = breaker.status();
            assert_eq!((status.state, status.reason, status.probes_in_flight), (State::HalfOpen, Some(reason), 0));
            assert_ne!(status.generation, generation);
            assert!(!breaker.release(generation) && !breaker.release(status.generation), "two releases are one move");
            let probe = breaker.acquire().unwrap();
            assert!(probe.is_probe() && breaker.acquire().is_err(), "one probe, as ever");
            assert_eq!(probe.success(), Effect::Closed);
        }
    }

    #[test]
    fn a_failed_probe_after_a_release_backs_off() {
        let breaker = open_for(OpenReason::Outlier, 60 * SECOND);
        assert!(breaker.release(breaker.status().generation));
        breaker.acquire().unwrap().failure();
        let status = breaker.status();
        assert_eq!((status.reason, status.attempt), (Some(OpenReason::Failures), 1));
        assert_eq!(status.retry_in, Some(10 * SECOND));
    }

    #[test]
    fn a_budget_that_is_released_or_whose_time_is_over_sends_no_probe() {
        for config in [CONFIG, RAMP] {
            for early in [true, false] {
                let breaker = breaker(config);
                let generation = opened(breaker.trip(OpenReason::Budget, 60 * SECOND));
                breaker.observer().take();
                if early {
                    assert!(breaker.release(generation));
                } else {
                    breaker.clock().advance(60 * SECOND);
                    assert_eq!(breaker.state(), State::Open, "until somebody asks");
                    assert!(!breaker.acquire().unwrap().is_probe());
                }
                let to = if config == RAMP { State::Ramping } else { State::Closed };
                assert_eq!(breaker.state(), to);
                assert_eq!(breaker.observer().take()[0], Told::Event(State::Open, to, None));
                assert_ne!(breaker.status().generation, generation);
            }
        }
    }

    #[test]
    fn nobody_releases_what_is_no_layers_nor_another_period() {
        for reason in OpenReason::ALL {
            let breaker = open_for(reason, 60 * SECOND);
            let before = breaker.status();
            for away in [1, 2, u32::MAX, 1 << 16] {
                assert!(!breaker.release(before.generation.wrapping_add(away)), "{reason:?}");
            }
            assert_eq!(breaker.status(), before);
            assert_eq!(breaker.release(before.generation), LAYERS.contains(&reason), "{reason:?}");
        }
        // The period of the same reason that came after it is another one.
        let breaker = open_for(OpenReason::Fleet, SECOND);
        let first = breaker.status().generation;
        let second = opened(breaker.trip(OpenReason::Fleet, 60 * SECOND));
        assert!(!breaker.release(first) && breaker.release(second));
        // A hold that took its place is not the layer's to end.
        let third = opened(breaker.trip(OpenReason::Fleet, 60 * SECOND));
        breaker.hold(SECOND);
        assert!(!breaker.release(third) && !breaker.release(breaker.status().generation));
        assert_eq!(breaker.retry_in(), Some(SECOND), "though it is shorter");
    }

    #[test]
    fn a_release_survives_a_restart_by_reason_and_generation() {
        let before = open_for(OpenReason::Dependency, 60 * SECOND);
        let after = breaker(CONFIG);
        after.restore(&before.snapshot(), None).unwrap();
        let status = after.status();
        assert_eq!((status.reason, status.retry_in), (Some(OpenReason::Dependency), Some(60 * SECOND)));
        assert!(after.release(status.generation));
    }
}

mod half_open {
    use super::*;

    #[test]
    fn any_open_time_ends_early_by_hand_with_its_reason_and_attempt() {
        for reason in OpenReason::ALL {
            let breaker = breaker(CONFIG);
            breaker.acquire().unwrap().failure();
            breaker.clock().advance(5 * SECOND);
            breaker.acquire().unwrap().failure();
            breaker.trip(OpenReason::Manual, SECOND);
            breaker.clock().advance(SECOND);
            drop(breaker.acquire());
            if reason != OpenReason::Budget {
                opened(breaker.trip(reason, 60 * SECOND));
                breaker.observer().take();
                assert!(breaker.half_open());
                assert_eq!(breaker.observer().take(), [Told::Event(State::Open, State::HalfOpen, Some(reason))]);
                assert!(!breaker.half_open(), "it is half-open");
            }
            assert_eq!((breaker.state(), breaker.status().attempt), (State::HalfOpen, 1));
            breaker.acquire().unwrap().failure();
            assert_eq!((breaker.status().attempt, breaker.retry_in()), (2, Some(20 * SECOND)));
        }
        let budget = open_for(OpenReason::Budget, 60 * SECOND);
        assert!(budget.half_open());
        assert_eq!((budget.state(), budget.status().reason), (State::HalfOpen, Some(OpenReason::Budget)));
    }

    #[test]
    fn nothing_else_becomes_half_open_by_hand() {
        let breaker = breaker(RAMP);
        assert!(!breaker.half_open());
        breaker.latch();
        assert!(!breaker.half_open());
        breaker.force_open();
        assert!(!breaker.half_open());
        breaker.disable();
        assert!(!breaker.half_open());
        assert_eq!(breaker.state(), State::Disabled);
        let ramping = ramping_after(OpenReason::Failures);
        assert!(!ramping.half_open());
        assert_eq!(ramping.observer().take(), []);
    }
}

mod anyway {
    use super::*;

    /// Asks anyway. What would the call have been rejected for, if it would have?
    fn ask(breaker: &Watched) -> Option<RejectReason> {
        breaker.observer().take();
        let permit = breaker.acquire_anyway().unwrap();
        match breaker.observer().take()[..] {
            [Told::Anyway(reason), Told::Permit { probe: false }] => {
                assert!(!permit.is_counted() && !permit.is_probe());
                let before = breaker.status();
                assert_eq!(permit.failure(), Effect::Uncounted);
                assert_eq!(breaker.status(), before, "the report changes nothing");
                Some(reason)
            }
            [Told::Permit { .. }] => {
                assert!(permit.is_counted());
                drop(permit);
                None
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn refuses(breaker: &Watched, reason: RejectReason) {
        breaker.observer().take();
        let before = breaker.status();
        assert_eq!(breaker.acquire_anyway().unwrap_err().reason(), reason);
        assert_eq!((breaker.observer().take(), breaker.status()), (vec![Told::Rejected(reason)], before));
    }

    #[test]
    fn an_open_circuit_lets_a_call_past_a_doubt_and_past_nothing_else() {
        for reason in OpenReason::ALL {
            let breaker = open_for(reason, 60 * SECOND);
            if DOUBTS.contains(&reason) {
                assert_eq!(ask(&breaker), Some(RejectReason::Open(reason)));
            } else {
                refuses(&breaker, RejectReason::Open(reason));
            }
        }
    }

    #[test]
    fn a_half_open_circuit_without_a_slot_does_as_the_open_one_did() {
        for reason in OpenReason::ALL {
            let breaker = open_for(reason, 60 * SECOND);
            assert!(breaker.half_open());
            let probe = breaker.acquire_anyway().unwrap();
            assert!(probe.is_probe() && probe.is_counted(), "where `acquire` would admit, it is `acquire`");
            if DOUBTS.contains(&reason) {
                assert_eq!(ask(&breaker), Some(RejectReason::HalfOpen));
            } else {
                refuses(&breaker, RejectReason::HalfOpen);
            }
            assert_eq!((breaker.status().probes_in_flight, probe.success()), (1, Effect::Closed), "the slot is kept");
        }
    }

    #[test]
    fn a_ramp_remembers_what_it_recovers_from() {
        for reason in OpenReason::ALL {
            let breaker = ramping_after(reason);
            let asked: Vec<_> = (0..16).map(|_| breaker.acquire_anyway().map(|permit| permit.is_counted())).collect();
            let admitted = asked.iter().filter(|asked| **asked == Ok(true)).count();
            assert_eq!(admitted, 1, "{reason:?}: the share that `acquire` admits");
            let anyway = asked.iter().filter(|asked| **asked == Ok(false)).count();
            assert_eq!(anyway, if DOUBTS.contains(&reason) { 15 } else { 0 }, "{reason:?}");
        }
    }

    #[test]
    fn nobody_goes_past_a_latch_or_an_operator() {
        let breaker = breaker(CONFIG);
        assert_eq!(ask(&breaker), None, "closed: an ordinary call");
        breaker.latch();
        refuses(&breaker, RejectReason::Latched);
        breaker.force_open();
        refuses(&breaker, RejectReason::ForcedOpen);
        breaker.disable();
        assert!(!breaker.acquire_anyway().unwrap().is_counted(), "as everybody is");
    }

    #[test]
    fn an_open_time_that_is_over_makes_it_a_probe() {
        let breaker = open_for(OpenReason::Failures, SECOND);
        breaker.clock().advance(SECOND);
        assert!(breaker.acquire_anyway().unwrap().is_probe());
    }

    /// The caller that finds a lost probe opens the circuit again, and is then admitted past it.
    #[test]
    fn a_lost_probe_is_written_off_by_a_call_that_goes_on_anyway() {
        let breaker = open_for(OpenReason::Failures, SECOND);
        breaker.clock().advance(SECOND);
        std::mem::forget(breaker.acquire().unwrap());
        breaker.clock().advance(8 * SECOND);
        let permit = breaker.acquire_anyway().unwrap();
        assert_eq!((permit.is_counted(), breaker.state(), breaker.status().attempt), (false, State::Open, 1));
    }

    #[test]
    fn in_shadow_nobody_is_told_that_a_call_went_on_anyway() {
        let breaker = open_for(OpenReason::Failures, SECOND);
        breaker.switch(Mode::Shadow);
        breaker.observer().take();
        let permit = breaker.acquire_anyway().unwrap();
        let reason = RejectReason::Open(OpenReason::Failures);
        assert_eq!(breaker.observer().take(), [Told::WouldReject(reason), Told::Permit { probe: false }]);
        assert_eq!(permit.success(), Effect::Uncounted);
    }

    #[test]
    fn a_permit_that_went_on_anyway_is_reported_once_and_counts_nowhere() {
        let breaker = open_for(OpenReason::Outlier, SECOND);
        for report in [Permit::success, Permit::failure, Permit::alive, Permit::ignore, Permit::latch] {
            assert_eq!(report(breaker.acquire_anyway().unwrap()), Effect::Uncounted);
        }
        assert_eq!(
            breaker.acquire_anyway().unwrap().hold(60 * SECOND),
            Effect::Uncounted,
            "nor does what the peer says"
        );
        drop(breaker.acquire_anyway().unwrap());
        let told = breaker.observer().take();
        assert_eq!(told.last(), Some(&Told::Report(ReportKind::Cancelled, Effect::Uncounted)));
        assert_eq!((breaker.state(), breaker.retry_in()), (State::Open, Some(SECOND)));
    }

    #[test]
    fn a_permit_that_went_on_anyway_owns_its_holder() {
        let breaker = Rc::new(open_for(OpenReason::Fleet, SECOND));
        let permit = Breaker::acquire_anyway_in(Rc::clone(&breaker)).unwrap();
        assert_eq!(Rc::strong_count(&breaker), 2);
        permit.success();
        assert_eq!(Rc::strong_count(&breaker), 1);
    }
}

/// An observer that acts on its circuit within an event once kept one `acquire` going without end: each move by `acquire` led
/// to a move by the observer, which let `acquire` move again.
mod observer {
    use super::*;

    thread_local! {
        /// The circuit of the test of this thread, with its clock.
        static MINE: Cell<Option<(&'static dyn Circuit, &'static ManualClock)>> = const { Cell::new(None) };
    }

    /// Opens the circuit for a tick at each event that does not open it, and lets that tick pass.
    #[derive(Default)]
    struct Meddler(AtomicU32);

    impl Observer for Meddler {
        fn on_event(&self, event: &Event) {
            let times = self.0.fetch_add(1, Ordering::Relaxed);
            assert!(times < 1000, "without end");
            if let Some((circuit, clock)) = MINE.get()
                && event.to != State::Open
            {
                circuit.trip(OpenReason::Manual, Duration::ZERO);
                clock.advance_ticks(1);
            }
        }
    }

    struct OneProbe;

    impl Policy for OneProbe {
        const CONFIG: Config = RAMP;
    }

    /// Leads a breaker of each kind to where the next call moves it, and asks once.
    fn events_of_one_call(config: Config, lead: impl Fn(&dyn Circuit, &ManualClock)) -> Vec<u32> {
        let clock: &'static ManualClock = Box::leak(Box::default());
        let live: &'static Breaker<Streak, _, Meddler> =
            Box::leak(Box::new(Breaker::observed(config, clock, Meddler::default())));
        let fixed: &'static Breaker<Fixed<Streak, OneProbe>, _, Meddler> =
            Box::leak(Box::new(Breaker::fixed_observed(clock, Meddler::default())));
        [(live as &'static dyn Circuit, live.observer()), (fixed, fixed.observer())]
            .map(|(circuit, meddler)| {
                lead(circuit, clock);
                let before = meddler.0.load(Ordering::Relaxed);
                MINE.set(Some((circuit, clock)));
                let _ = circuit.admit();
                let _ = circuit.admit_anyway();
                MINE.set(None);
                meddler.0.load(Ordering::Relaxed) - before
            })
            .to_vec()
    }

    #[test]
    fn an_observer_that_acts_within_events_cannot_keep_a_call_going() {
        // Two calls: each makes one move, and its observer one more.
        let probe = events_of_one_call(RAMP, |circuit, clock| {
            circuit.trip(OpenReason::Failures, SECOND);
            clock.advance(SECOND);
        });
        assert_eq!(probe, [4, 4]);
        let budget = events_of_one_call(RAMP, |circuit, clock| {
            circuit.trip(OpenReason::Budget, SECOND);
            clock.advance(SECOND);
        });
        assert_eq!(budget, [4, 4]);
        let ramped = events_of_one_call(RAMP, |circuit, clock| {
            circuit.trip(OpenReason::Budget, SECOND);
            clock.advance(SECOND);
            circuit.cancel(circuit.admit().unwrap());
            clock.advance(60 * SECOND);
        });
        assert_eq!(ramped, [4, 4]);
        // A lost probe opens the circuit, and on that this observer does nothing. The second call is rejected.
        let lost = events_of_one_call(RAMP, |circuit, clock| {
            circuit.trip(OpenReason::Failures, SECOND);
            clock.advance(SECOND);
            drop(circuit.admit().unwrap());
            clock.advance(60 * SECOND);
        });
        assert_eq!(lost, [1, 1]);
    }
}
