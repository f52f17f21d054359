//! What the breaker tells its observer.

use core::time::Duration;
use std::cell::{Cell, RefCell};

use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, CallReport, Config, CountWindow, Effect, Event, FailureKind, ManualClock, Mode, Observer, OpenReason,
    Outcome, RejectReason, State, Streak, Tally, Ticks, Tripped, WindowKind, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Log(RefCell<Vec<Event>>);

impl Observer for Log {
    fn on_event(&self, event: &Event) {
        self.0.borrow_mut().push(*event);
    }
}

/// Counts how often each hook is called.
#[derive(Default)]
struct Hooks(&'static str, Cell<[u32; 6]>);

impl Hooks {
    fn bump(&self, hook: usize) {
        let mut calls = self.1.get();
        calls[hook] += 1;
        self.1.set(calls);
    }
}

impl Observer for Hooks {
    fn name(&self) -> &str {
        self.0
    }

    fn on_event(&self, _: &Event) {
        self.bump(0);
    }

    fn on_permit(&self, _: bool) {
        self.bump(1);
    }

    fn on_reject(&self, _: RejectReason) {
        self.bump(2);
    }

    fn on_would_reject(&self, _: RejectReason) {
        self.bump(3);
    }

    fn on_anyway(&self, _: RejectReason) {
        self.bump(4);
    }

    fn on_report(&self, _: &CallReport) {
        self.bump(5);
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
fn an_event_tells_when_and_for_how_long() {
    let breaker: Watched = Breaker::observed(
        Config::count(10).open_for(SECOND).jitter(false),
        ManualClock::at(Ticks::new(u32::MAX - 1023)),
        Log::default(),
    );
    breaker.clock().advance(SECOND);
    breaker.hold(2 * SECOND);
    let opened = last_event(&breaker);
    assert_eq!((opened.at, opened.lasts_ticks, opened.lasts()), (Ticks::new(0), Some(2048), Some(2 * SECOND)));
    breaker.clock().advance(3 * SECOND);
    let _ = breaker.acquire().unwrap().success();
    let closed = last_event(&breaker);
    assert_eq!((closed.to, closed.at, closed.lasts()), (State::Closed, Ticks::new(3 * 1024), None));
}

#[test]
fn elapsed_times_reach_who_asks_for_them() {
    struct Times(bool, Cell<Duration>);
    impl Observer for Times {
        fn times_calls(&self) -> bool {
            self.0
        }

        fn on_elapsed(&self, elapsed: Duration) {
            self.1.set(elapsed);
        }
    }
    let (asks, does_not) = (Times(true, Cell::default()), Times(false, Cell::default()));
    assert!((&asks, &does_not).times_calls() && (&does_not, &asks).times_calls());
    assert!(!(&does_not, ()).times_calls());
    (&asks, &does_not).on_elapsed(SECOND);
    assert_eq!((asks.1.get(), does_not.1.get()), (SECOND, SECOND), "a pair tells both");
}

type ByHand<'a> = (State, &'a dyn Fn(&Watched));

#[test]
fn an_event_of_a_move_by_hand_shows_the_window_before_it() {
    let moves: [ByHand<'_>; 6] = [
        (State::Closed, &|breaker| breaker.reset()),
        (State::ForcedOpen, &|breaker| assert!(breaker.force_open())),
        (State::Disabled, &|breaker| assert!(breaker.disable())),
        (State::Open, &|breaker| {
            assert!(matches!(breaker.trip(OpenReason::Manual, SECOND), Tripped::Opened(_)));
        }),
        (State::Open, &|breaker| assert_eq!(breaker.hold(SECOND), Effect::Opened(OpenReason::Hold))),
        (State::Latched, &|breaker| assert_eq!(breaker.latch(), Effect::Latched)),
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

#[test]
fn a_pair_and_a_reference_hear_all_that_one_hears() {
    let (first, second) = (Hooks::default(), Hooks("second", Cell::default()));
    let breaker: Breaker<Streak, _, _> = Breaker::observed(Config::streak(2), ManualClock::new(), (first, &second));
    assert_eq!(breaker.observer().name(), "second", "the first that has a name");
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().failure();
    breaker.acquire().unwrap().failure();
    assert!(breaker.acquire().is_err());
    for _ in 0..2 {
        breaker.acquire_anyway().unwrap().success();
    }
    breaker.switch(Mode::Shadow);
    breaker.acquire().unwrap().success();
    let heard = [1, 6, 1, 1, 2, 6];
    assert_eq!(
        breaker.observer().0.1.get(),
        heard,
        "events, permits, rejections, would-be ones, calls anyway, reports"
    );
    assert_eq!(second.1.get(), heard);
}

#[test]
fn a_pair_watches_if_one_of_it_does() {
    let hooks = [Hooks::default(), Hooks::default()];
    let first: Breaker<Streak, _, _> = Breaker::observed(Config::streak(2), ManualClock::new(), (&hooks[0], ()));
    let second: Breaker<Streak, _, _> = Breaker::observed(Config::streak(2), ManualClock::new(), ((), &hooks[1]));
    first.reset();
    second.reset();
    assert_eq!(hooks.map(|hooks| hooks.1.get()[0]), [1, 1]);
}

#[test]
fn an_observer_has_no_name_unless_it_has_one() {
    fn name_of(observer: impl Observer) -> String {
        observer.name().to_owned()
    }
    let [one, two] = ["one", "two"].map(|name| Hooks(name, Cell::default()));
    assert_eq!(name_of(()), "");
    assert_eq!(name_of(&one), "one");
    assert_eq!(name_of(((), &two)), "two");
    assert_eq!(name_of((one, two)), "one");
}

/// Ends calls in every way, each a different number of times.
#[test]
fn counters_count_each_kind_by_itself() {
    let counters: Counters<4> = Counters::new("all");
    let slow_after = Config::count(100).slow_after(SECOND).slow_permille(1000).failure_permille(1000).jitter(false);
    let breaker: Breaker<CountWindow<{ count_words(100, true) }>, _, _> =
        Breaker::observed(slow_after.open_for(SECOND), ManualClock::new(), &counters);
    breaker.clock().advance(SECOND);
    let report = |times: u32, outcome: Outcome| {
        for _ in 0..times {
            breaker.acquire().unwrap().record(outcome);
        }
    };
    report(1, Outcome::Success);
    report(2, Outcome::Slow);
    report(3, Outcome::Failure(FailureKind::Dns));
    report(4, Outcome::Alive);
    report(5, Outcome::Ignored);
    (0..6).for_each(|_| drop(breaker.acquire().unwrap()));
    let late = breaker.acquire().unwrap();
    report(1, Outcome::Hold(SECOND));
    assert_eq!(late.failure(), Effect::Stale);
    (0..7).for_each(|_| assert!(breaker.acquire().is_err()));
    breaker.switch(Mode::Shadow);
    report(8, Outcome::Success);
    breaker.switch(Mode::On);
    breaker.reset();
    breaker.trip(OpenReason::Fleet, SECOND);
    (0..9).for_each(|_| assert_eq!(breaker.acquire_anyway().unwrap().alive(), Effect::Uncounted));
    breaker.clock().advance(SECOND);
    let probe = breaker.acquire().unwrap();
    assert!(probe.is_probe());
    assert_eq!(probe.latch(), Effect::Latched);

    let counts = counters.counts();
    let seen = [
        (counts.permitted, 1 + 2 + 3 + 4 + 5 + 6 + 1 + 1 + 8 + 9 + 1),
        (counts.probes, 1),
        (counts.success, 1 + 2 + 8),
        (counts.slow, 2),
        (counts.failure, 3 + 1),
        (counts.alive, 4 + 9),
        (counts.ignored, 5),
        (counts.cancelled, 6),
        (counts.holds, 1),
        (counts.stale, 1),
        (counts.rejected, 7),
        (counts.would_reject, 8),
        (counts.anyway, 9),
        (counts.latches, 1),
        (counts.transitions_to(State::Open), 2),
        (counts.transitions_to(State::HalfOpen), 1),
        (counts.transitions_to(State::Latched), 1),
        (counts.transitions_to(State::Closed), 1),
    ];
    for (index, (count, expected)) in seen.into_iter().enumerate() {
        assert_eq!(count, expected, "number {index}");
    }
    assert_eq!(counts.last_failure, Some((FailureKind::Other, Ticks::new(1024))), "to 32 ticks");
    assert_eq!(breaker.observer().name(), "all");
}

/// Names are distinct and in snake case, as metrics want them.
#[test]
fn names_are_those_of_the_variants() {
    fn snake(debug: &str) -> String {
        let humps = debug.char_indices().map(|(at, letter)| match letter {
            'A'..='Z' if at > 0 => format!("_{}", letter.to_ascii_lowercase()),
            _ => letter.to_ascii_lowercase().to_string(),
        });
        humps.collect()
    }
    let kinds = FailureKind::ALL.map(|kind| (kind.name(), format!("{kind:?}")));
    let reasons = OpenReason::ALL.map(|reason| (reason.name(), format!("{reason:?}")));
    let states = State::ALL.map(|state| (state.name(), format!("{state:?}")));
    let custom = |debug: String| debug.replace("Custom(CustomKind(", "Custom_").replace(')', "");
    for (name, debug) in kinds.into_iter().chain(reasons).chain(states) {
        assert_eq!(name, snake(&custom(debug)));
    }
}
