//! A breaker whose settings are constants does what one with live settings does, in less memory.
//!
//! `tests/packages/compile_fail` shows that settings which cannot work do not compile.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use microbreaker::{
    Breaker, Circuit, Clock, Config, CountWindow, Effect, Event, FailureKind, Fixed, LiveWindow, ManualClock, Mode,
    Observer, OpenReason, Outcome, Policy, ProbeRule, State, Status, Streak, Ticket, TimeWindow, Tripped, count_words,
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const SEED: u32 = 4711;

type Last24 = CountWindow<{ count_words(24, false) }>;
type Last10Slow = CountWindow<{ count_words(10, true) }>;

/// A policy of this configuration and the common seed, for each name.
macro_rules! policies {
    ($($name:ident $config:expr;)+) => {$(
        struct $name;

        impl Policy for $name {
            const CONFIG: Config = $config;

            fn seed() -> u32 {
                SEED
            }
        }
    )+};
}

const QUICK: Config =
    Config::streak(2).open_for(SECOND).lease(Duration::from_secs(4)).hold_at_most(SECOND.saturating_mul(8));

policies! {
    OneProbe QUICK;
    Modem Config::modem();
    Database Config::database();
    Steady QUICK.jitter(false).backoff_1024ths(1024);
    Slowly QUICK.jitter(false).backoff_1024ths(1100).open_at_most(SECOND.saturating_mul(900));
    Quickly QUICK.jitter(false).backoff_1024ths(5000).open_at_most(SECOND.saturating_mul(900));
    Ramped QUICK.ramp(SECOND).levels(true);
    Remembering QUICK.ramp(SECOND).stable_after(Duration::from_secs(3)).slow_after(SECOND);
    Many QUICK.probes(5).at_once(2).successes(3).ramp(SECOND);
    Shadow QUICK.shadow(true);
    Long Config::streak(300).open_for(SECOND).jitter(false);
    Upstream Config::count(24).minimum(5).open_for(SECOND).ramp(SECOND).probes(5).successes(3).levels(true);
    Rates Config::count(10)
        .minimum(3)
        .slow_permille(500)
        .slow_after(SECOND)
        .open_for(SECOND)
        .probe_rule(ProbeRule::Rates)
        .probes(4)
        .at_once(2)
        .lease(Duration::from_secs(4));
    OneByRates Config::count(24).minimum(2).open_for(SECOND).probe_rule(ProbeRule::Rates);
    Timed Config::time(4, SECOND).minimum(3).open_for(SECOND).stable_after(SECOND);
    Both Config::time(4, SECOND).minimum(3).and_streak(2).open_for(SECOND).ramp(SECOND);
}

#[derive(Default)]
struct Log(RefCell<Vec<Event>>);

impl Observer for Log {
    fn on_event(&self, event: &Event) {
        self.0.borrow_mut().push(*event);
    }
}

impl Log {
    fn told(&self) -> String {
        let events = self.0.borrow();
        let told = events.iter().map(|event| {
            let Event { from, to, reason, attempt, tally, lasts_ticks, at, .. } = event;
            format!("{from} -> {to}: {reason:?} {attempt} {tally:?} {lasts_ticks:?} {at:?}\n")
        });
        told.collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    AskAnyway,
    Report(usize, Outcome),
    Cancel(usize),
    Pass(u32),
    Hold(Duration),
    Trip(OpenReason, Duration),
    Release,
    HalfOpen,
    Latch,
    Reset,
    Switch(Mode),
}

/// All that is shown, but the generation: where only one probe is possible, each probe after one that was cancelled begins a
/// generation of its own.
fn shown(circuit: &dyn Circuit) -> String {
    let Status { state, reason, level, attempt, retry_in, probes_in_flight, shadow, tally, .. } = circuit.status();
    format!(
        "{state} {reason:?} {level} {attempt} {retry_in:?} {probes_in_flight} {shadow} {tally:?} {:?}",
        circuit.peek()
    )
}

fn take(circuit: &dyn Circuit, tickets: &mut Vec<Ticket>, step: Step) -> String {
    let mut keep = |answer: Result<Ticket, microbreaker::Rejected>| match answer {
        Ok(ticket) => {
            let text = format!("{} {} {}", ticket.is_probe(), ticket.is_counted(), ticket.level());
            tickets.push(ticket);
            text
        }
        Err(rejected) => rejected.to_string(),
    };
    match step {
        Step::Ask => keep(circuit.admit()),
        Step::AskAnyway => keep(circuit.admit_anyway()),
        Step::Report(which, outcome) if !tickets.is_empty() => {
            let ticket = tickets.swap_remove(which % tickets.len());
            format!("{:?}", circuit.report(ticket, outcome))
        }
        Step::Cancel(which) if !tickets.is_empty() => {
            circuit.cancel(tickets.swap_remove(which % tickets.len()));
            String::new()
        }
        Step::Hold(time) => format!("{:?}", circuit.hold(time)),
        Step::Trip(reason, time) => match circuit.trip(reason, time) {
            Tripped::Opened(_) => "opened".into(),
            other => format!("{other:?}"),
        },
        Step::Release => circuit.release(circuit.status().generation).to_string(),
        Step::HalfOpen => circuit.half_open().to_string(),
        Step::Latch => format!("{:?}", circuit.latch()),
        Step::Reset => {
            circuit.reset();
            String::new()
        }
        Step::Switch(mode) => circuit.switch(mode).to_string(),
        Step::Report(..) | Step::Cancel(_) | Step::Pass(_) => String::new(),
    }
}

/// Takes the same steps with a live breaker and a fixed one.
fn agree<W: LiveWindow, P: Policy>(steps: &[Step]) {
    let clock = ManualClock::new();
    let live: Breaker<W, _, Log> = Breaker::observed(P::CONFIG, &clock, Log::default());
    live.seed(P::seed());
    let fixed: Breaker<Fixed<W, P>, _, Log> = Breaker::fixed_observed(&clock, Log::default());
    let (mut of_live, mut of_fixed) = (Vec::new(), Vec::new());
    for (at, &step) in steps.iter().enumerate() {
        if let Step::Pass(ticks) = step {
            clock.advance_ticks(ticks);
        }
        let answers = (take(&live, &mut of_live, step), take(&fixed, &mut of_fixed, step));
        assert_eq!(answers.0, answers.1, "step {at}: {step:?}");
        assert_eq!(shown(&live), shown(&fixed), "step {at}: {step:?}");
        assert_eq!(live.snapshot(), fixed.snapshot(), "step {at}: {step:?}");
        assert_eq!((live.is_clean(), live.mode()), (fixed.is_clean(), fixed.mode()), "step {at}: {step:?}");
    }
    assert_eq!(live.observer().told(), fixed.observer().told());
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        6 => Just(Outcome::Failure(FailureKind::Other)),
        1 => Just(Outcome::Slow),
        1 => Just(Outcome::Alive),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Hold(SECOND)),
    ];
    let time = prop_oneof![Just(Duration::ZERO), Just(SECOND), Just(10 * SECOND), Just(Duration::MAX)];
    let reason = (0..OpenReason::ALL.len()).prop_map(|number| OpenReason::ALL[number]);
    // Every mode but shadow, which fixed settings have or have not.
    let mode = prop_oneof![2 => Just(Mode::On), 1 => Just(Mode::Open), 1 => Just(Mode::Off)];
    let ticks = prop_oneof![1..64_u32, 1..2048_u32, Just(1024), Just(4096), 1..100_000_u32, Just(1 << 21)];
    let step = prop_oneof![
        10 => Just(Step::Ask),
        2 => Just(Step::AskAnyway),
        10 => (0..8_usize, outcome).prop_map(|(which, outcome)| Step::Report(which, outcome)),
        2 => (0..8_usize).prop_map(Step::Cancel),
        6 => ticks.prop_map(Step::Pass),
        1 => time.clone().prop_map(Step::Hold),
        2 => (reason, time).prop_map(|(reason, time)| Step::Trip(reason, time)),
        1 => Just(Step::Release),
        1 => Just(Step::HalfOpen),
        1 => Just(Step::Reset),
        1 => prop_oneof![mode.prop_map(Step::Switch), Just(Step::Latch)],
    ];
    prop::collection::vec(step, 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_fixed_streak_does_what_a_live_one_does(steps in steps(120)) {
        agree::<Streak, OneProbe>(&steps);
        agree::<Streak, Modem>(&steps);
        agree::<Streak, Database>(&steps);
        agree::<Streak, Steady>(&steps);
        agree::<Streak, Slowly>(&steps);
        agree::<Streak, Quickly>(&steps);
        agree::<Streak, Ramped>(&steps);
        agree::<Streak, Remembering>(&steps);
        agree::<Streak, Many>(&steps);
    }

    #[test]
    fn a_fixed_window_of_any_other_kind_does_what_a_live_one_does(steps in steps(120)) {
        agree::<Last24, Upstream>(&steps);
        agree::<Last10Slow, Rates>(&steps);
        agree::<Last24, OneByRates>(&steps);
        agree::<TimeWindow<4>, Timed>(&steps);
        agree::<(Streak, TimeWindow<4>), Both>(&steps);
    }
}

/// Steps that lead into every corner without luck.
#[test]
fn a_fixed_breaker_recovers_as_a_live_one_does() {
    let failure = Step::Report(0, Outcome::Failure(FailureKind::Other));
    let success = Step::Report(0, Outcome::Success);
    let mut outage = [Step::Ask, failure].repeat(3);
    // Lost, cancelled, failed and successful probes, and calls of a ramp.
    for round in [&[Step::Ask, Step::Pass(8192), Step::Ask][..], &[Step::Ask, Step::Cancel(0), Step::Ask, failure]] {
        outage.push(Step::Pass(1 << 20));
        outage.extend(round);
    }
    outage.push(Step::Pass(1 << 20));
    outage.extend([Step::Ask, success].repeat(3));
    outage.extend([Step::Ask, success, Step::Pass(100)].repeat(30));
    outage.extend([Step::Ask, failure].repeat(3));
    agree::<Streak, OneProbe>(&outage);
    agree::<Streak, Modem>(&outage);
    agree::<Streak, Remembering>(&outage);
    agree::<Streak, Many>(&outage);
    agree::<Streak, Long>(&[Step::Ask, failure].repeat(310));
    agree::<Last24, Upstream>(&outage);
    agree::<TimeWindow<4>, Timed>(&outage);
}

/// The open time of each attempt, which constants take from a shift or a table.
#[test]
fn open_times_grow_alike_up_to_the_last_attempt() {
    fn grow<W: LiveWindow, P: Policy>() {
        let failure = Step::Report(0, Outcome::Failure(FailureKind::Other));
        let mut steps = [Step::Ask, failure].repeat(3);
        steps.extend([Step::Pass(1 << 24), Step::Ask, failure].repeat(35));
        agree::<W, P>(&steps);
    }
    grow::<Streak, OneProbe>();
    grow::<Streak, Modem>();
    grow::<Streak, Steady>();
    grow::<Streak, Slowly>();
    grow::<Streak, Quickly>();
    grow::<TimeWindow<4>, Timed>();
}

#[test]
fn in_shadow_a_fixed_breaker_rejects_nothing_and_stays_there() {
    let shadow: Breaker<Fixed<Streak, Shadow>, _> = Breaker::fixed(ManualClock::new());
    shadow.trip(OpenReason::Manual, SECOND);
    let permit = shadow.acquire().unwrap();
    assert_eq!((permit.is_counted(), permit.failure()), (false, Effect::Uncounted));
    assert_eq!((shadow.switch(Mode::On), shadow.mode()), (false, Mode::Shadow));
    assert!(shadow.switch(Mode::Shadow), "it is there already");
    assert!(!shadow.switch(Mode::Off) && !shadow.switch(Mode::Open));
    assert_eq!(shadow.state(), State::Open, "a switch that cannot be made changes nothing");

    let on: Breaker<Fixed<Streak, OneProbe>, _> = Breaker::fixed(ManualClock::new());
    assert_eq!((on.switch(Mode::Shadow), on.mode()), (false, Mode::On));
    for mode in [Mode::Off, Mode::Open, Mode::On] {
        assert_eq!((on.switch(mode), on.mode()), (true, mode));
    }
}

#[test]
fn the_policys_seed_moves_the_jitter_whenever_the_circuit_opens() {
    static DEVICE: AtomicU32 = AtomicU32::new(1);

    struct Seeded;

    impl Policy for Seeded {
        const CONFIG: Config = Config::streak(1).open_for(Duration::from_secs(3600));

        fn seed() -> u32 {
            DEVICE.load(Ordering::Relaxed)
        }
    }

    let open_time = |device| {
        DEVICE.store(device, Ordering::Relaxed);
        let fixed: Breaker<Fixed<Streak, Seeded>, _> = Breaker::fixed(ManualClock::new());
        fixed.acquire().unwrap().failure();
        fixed.retry_in()
    };
    assert_ne!(open_time(1), open_time(2));
    assert_eq!(open_time(2), open_time(2));
    let live: Breaker<Streak, _> = Breaker::new(Seeded::CONFIG, ManualClock::new());
    live.seed(2);
    live.acquire().unwrap().failure();
    assert_eq!(live.retry_in(), open_time(2));
}

#[test]
fn a_policy_without_a_seed_is_a_breaker_that_nobody_seeded() {
    struct Unseeded;

    impl Policy for Unseeded {
        const CONFIG: Config = Config::streak(1);
    }

    let clock = ManualClock::at(microbreaker::Ticks::new(77));
    let fixed: Breaker<Fixed<Streak, Unseeded>, _> = Breaker::fixed(&clock);
    let live: Breaker<Streak, _> = Breaker::new(Config::streak(1), &clock);
    fixed.acquire().unwrap().failure();
    live.acquire().unwrap().failure();
    assert_eq!(fixed.retry_in_ticks(), live.retry_in_ticks());
    assert_eq!(Unseeded::seed(), 0);
}

/// Where only one probe is possible, the word has room for its slot, and a probe after one that was cancelled begins a
/// generation. No event tells of it, and the permit that was cancelled is stale then.
#[test]
fn a_probe_after_a_cancelled_one_is_of_a_generation_of_its_own() {
    let fixed: Breaker<Fixed<Streak, Steady>, _, Log> = Breaker::fixed_observed(ManualClock::new(), Log::default());
    fixed.trip(OpenReason::Manual, SECOND);
    fixed.clock().advance(SECOND);
    for _ in 0..20 {
        let before = fixed.status().generation;
        let probe = fixed.acquire().unwrap();
        assert!(probe.is_probe() && fixed.acquire().is_err());
        assert_eq!((probe.generation(), fixed.status().generation), (before + 1, before + 1));
        drop(probe);
    }
    assert_eq!(fixed.observer().0.borrow().len(), 2, "it opened, and became half-open");
    assert_eq!(fixed.acquire().unwrap().success(), Effect::Closed);
}

#[test]
fn a_fixed_breaker_takes_a_snapshot_of_a_live_one() {
    let live: Breaker<Streak, _> = Breaker::new(Database::CONFIG, ManualClock::new());
    live.trip(OpenReason::Dependency, SECOND);
    let fixed: Breaker<Fixed<Streak, Database>, _> = Breaker::fixed(ManualClock::new());
    fixed.restore(&live.snapshot(), None).unwrap();
    assert_eq!((fixed.snapshot(), fixed.retry_in()), (live.snapshot(), Some(SECOND)));
}

/// A clock of zero bytes, as firmware has it.
struct Still;

impl Clock for Still {
    const RATE: microbreaker::TickRate = ManualClock::RATE;

    fn now(&self) -> microbreaker::Ticks {
        microbreaker::Ticks::new(0)
    }
}

/// It has no settings: three words that decide, and those of the window.
#[test]
fn a_fixed_breaker_has_no_settings_in_memory() {
    assert_eq!(size_of::<Breaker<Fixed<Streak, Modem>, Still>>(), 12);
    assert_eq!(size_of::<Breaker<Fixed<Streak, Modem>, ManualClock>>(), 12 + size_of::<ManualClock>());
    assert_eq!(size_of::<Breaker<Fixed<Last24, Upstream>, Still>>(), 12 + size_of::<Last24>());
    let settings = size_of::<Breaker<Streak, Still>>() - 12;
    assert_eq!(size_of::<Breaker<Last24, Still>>(), 12 + settings + size_of::<Last24>());
    assert_eq!(size_of::<Breaker<Fixed<TimeWindow<4>, Timed>, Still>>(), 12 + size_of::<TimeWindow<4>>());
}

static STATIC: Breaker<Fixed<Streak, Modem>, ManualClock> = Breaker::fixed(ManualClock::new());

#[test]
fn a_static_holds_a_fixed_breaker() {
    assert_eq!(STATIC.call(|| Ok::<_, ()>(7)), Ok(7));
    assert_eq!(STATIC.acquire().unwrap().failure(), Effect::Counted);
}
