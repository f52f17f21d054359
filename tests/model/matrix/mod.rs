//! Proves the matrix of `src/machine/word.rs`: how each state reacts to each thing that can happen. Every cell is walked on
//! a real breaker and compared with the table in `table.rs`. A cell names the returned value, the state after (if it is open,
//! with its reason and the time left), whether a generation began, and the attempt.
//!
//! A state that reacts in several ways, by its reason or by the settings, has a row for each. It is entered with attempt 1 if
//! that is possible, so that "kept", "grown" and "zeroed" look different. Outcomes are reported on a permit of the present
//! generation. Open, latched and forced open give out none, so in those states the permit is from the closed time before
//! ("stale").
//!
//! The table is walked on a streak, on a count window, and on constant settings with one probe and with many; by the methods
//! of a breaker and through [`Circuit`].

mod conditions;
mod replacing;
mod table;

use std::cell::Cell;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::time::Duration;

use microbreaker::{
    Breaker, Circuit, Config, CountWindow, Effect, Event, FailureKind, Fixed, ManualClock, Mode, Observer, OpenReason,
    Outcome, Permit, Policy, RejectReason, Rejected, State, Status, Streak, Ticket, Tripped, Window, count_words,
};

use table::{COLUMNS, TABLE};

const SECOND: Duration = Duration::from_secs(1);
const OPEN_FOR: Duration = SECOND;
const LEASE: Duration = Duration::from_secs(8);
const RAMP: Duration = Duration::from_secs(16);
const STABLE_AFTER: Duration = Duration::from_secs(32);
/// How long the holds and the layers' trips last by which a state is entered.
const GIVEN: Duration = Duration::from_secs(5);
/// Longer than any other time here, so a hold or trip of this length always lengthens the open time.
const LONGER: Duration = Duration::from_secs(60);

/// A row: a state, and what else decides how it reacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Closed,
    /// It remembers its attempt.
    ClosedAndRemembers,
    Open(OpenReason),
    /// Open because of a budget, and there is a ramp.
    BudgetBeforeRamp,
    /// Open because of a budget, and the attempt is remembered.
    BudgetBeforeMemory,
    Latched,
    HalfOpen,
    /// Half-open by hand, after this reason.
    HalfOpenAfter(OpenReason),
    Ramping,
    /// Ramping after a budget, where nothing speaks against the peer.
    RampingAfterBudget,
    ForcedOpen,
    Disabled,
}

/// The settings by which a row is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    Plain,
    Ramp,
    Memory,
}

impl Row {
    fn state(self) -> State {
        match self {
            Self::Closed | Self::ClosedAndRemembers => State::Closed,
            Self::Open(_) | Self::BudgetBeforeRamp | Self::BudgetBeforeMemory => State::Open,
            Self::Latched => State::Latched,
            Self::HalfOpen | Self::HalfOpenAfter(_) => State::HalfOpen,
            Self::Ramping | Self::RampingAfterBudget => State::Ramping,
            Self::ForcedOpen => State::ForcedOpen,
            Self::Disabled => State::Disabled,
        }
    }

    fn setup(self) -> Setup {
        match self {
            Self::ClosedAndRemembers | Self::BudgetBeforeMemory => Setup::Memory,
            Self::Ramping | Self::RampingAfterBudget | Self::BudgetBeforeRamp => Setup::Ramp,
            _ => Setup::Plain,
        }
    }

    /// Whether it gives out permits of its own generation.
    fn admits(self) -> bool {
        matches!(self.state(), State::Closed | State::HalfOpen | State::Ramping | State::Disabled)
    }

    /// Leads a closed breaker into the row, by the shortest way that gives attempt 1, or else by the shortest way.
    fn enter<W: Window>(self, breaker: &Plant<'_, W>) {
        let to_open_again = || {
            assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
            breaker.clock().advance(OPEN_FOR);
            assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
        };
        let to_half_open = || {
            to_open_again();
            breaker.clock().advance(2 * OPEN_FOR);
            // An ignored probe makes the circuit half-open and leaves no result.
            assert_eq!(breaker.acquire().unwrap().ignore(), Effect::Neutral);
        };
        let trip = |reason| assert!(matches!(breaker.trip(reason, GIVEN), Tripped::Opened(_)));
        match self {
            Self::Closed => {}
            Self::ClosedAndRemembers => {
                to_half_open();
                assert_eq!(breaker.acquire().unwrap().success(), Effect::Closed);
            }
            Self::Open(OpenReason::Failures) => to_open_again(),
            // Over the circuit's own failures, only a hold and an operator open it.
            Self::Open(reason @ (OpenReason::Hold | OpenReason::Manual)) => {
                to_open_again();
                trip(reason);
            }
            // A budget leaves alone what has failed.
            Self::Open(OpenReason::Budget) => trip(OpenReason::Budget),
            Self::Open(reason) => {
                to_half_open();
                trip(reason);
            }
            Self::BudgetBeforeRamp => {
                Self::Ramping.enter(breaker);
                trip(OpenReason::Budget);
            }
            Self::BudgetBeforeMemory => {
                Self::ClosedAndRemembers.enter(breaker);
                trip(OpenReason::Budget);
            }
            Self::Latched => {
                to_open_again();
                assert_eq!(breaker.latch(), Effect::Latched);
            }
            Self::HalfOpen => to_half_open(),
            Self::HalfOpenAfter(reason) => {
                Self::Open(reason).enter(breaker);
                assert!(breaker.half_open());
            }
            Self::Ramping => {
                to_half_open();
                assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
            }
            Self::RampingAfterBudget => {
                Self::BudgetBeforeRamp.enter(breaker);
                assert!(breaker.release(breaker.status().generation));
            }
            Self::ForcedOpen => assert!(breaker.force_open()),
            Self::Disabled => assert!(breaker.disable()),
        }
        assert_eq!(breaker.state(), self.state());
    }
}

/// One failure opens, one successful probe closes. Of many probes, one may be in flight at a time.
const fn config(window: Config, setup: Setup, many: bool) -> Config {
    let config = window.jitter(false).open_for(OPEN_FOR).open_at_most(LONGER).lease(LEASE);
    let config = if many { config.probes(2).at_once(1).successes(1) } else { config };
    match setup {
        Setup::Plain => config,
        Setup::Ramp => config.ramp(RAMP),
        Setup::Memory => config.stable_after(STABLE_AFTER),
    }
}

/// A count window that the first failure and the first slow call fill to the threshold.
const FIRST_OF_FOUR: Config = Config::count(4).minimum(1).slow_permille(500).slow_after(Duration::from_secs(3600));
type OfFour = CountWindow<{ count_words(4, true) }>;

/// Constant settings.
struct Known<const MANY: bool, const SETUP: u8>;

impl<const MANY: bool, const SETUP: u8> Policy for Known<MANY, SETUP> {
    const CONFIG: Config = config(
        Config::streak(1),
        match SETUP {
            0 => Setup::Plain,
            1 => Setup::Ramp,
            _ => Setup::Memory,
        },
        MANY,
    );
}

/// The kinds of breakers on which the table is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Streak,
    Count,
    FixedWithOneProbe,
    FixedWithManyProbes,
}

/// Counts what an observer is told.
#[derive(Default)]
struct Told {
    events: Cell<u32>,
    anyway: Cell<u32>,
}

impl Observer for Told {
    fn on_event(&self, _: &Event) {
        self.events.set(self.events.get() + 1);
    }

    fn on_anyway(&self, _: RejectReason) {
        self.anyway.set(self.anyway.get() + 1);
    }
}

type Plant<'a, W> = Breaker<W, &'a ManualClock, Told>;

/// By which methods a breaker is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    Breaker,
    Circuit,
}

/// A permit, or a ticket with its circuit.
enum Held<'a, 'b, W: Window> {
    Permit(Permit<&'b Plant<'a, W>>),
    Ticket(&'b dyn Circuit, Ticket),
}

impl<'a, 'b, W: Window> Held<'a, 'b, W> {
    fn ask(breaker: &'b Plant<'a, W>, through: Through, anyway: bool) -> Result<Self, Rejected> {
        let circuit: &dyn Circuit = breaker;
        match (through, anyway) {
            (Through::Breaker, false) => breaker.acquire().map(Self::Permit),
            (Through::Breaker, true) => breaker.acquire_anyway().map(Self::Permit),
            (Through::Circuit, false) => circuit.admit().map(|ticket| Self::Ticket(circuit, ticket)),
            (Through::Circuit, true) => circuit.admit_anyway().map(|ticket| Self::Ticket(circuit, ticket)),
        }
    }

    fn record(self, outcome: Outcome) -> Effect {
        match self {
            Self::Permit(permit) => permit.record(outcome),
            Self::Ticket(circuit, ticket) => circuit.report(ticket, outcome),
        }
    }

    fn cancel(self) {
        match self {
            Self::Permit(permit) => drop(permit),
            Self::Ticket(circuit, ticket) => circuit.cancel(ticket),
        }
    }

    fn kind(&self) -> &'static str {
        let (probe, counted) = match self {
            Self::Permit(permit) => (permit.is_probe(), permit.is_counted()),
            Self::Ticket(_, ticket) => (ticket.is_probe(), ticket.is_counted()),
        };
        match (probe, counted) {
            (true, true) => "probe",
            (false, true) => "admitted",
            (false, false) => "uncounted",
            (true, false) => unreachable!("a probe counts"),
        }
    }
}

/// Asks for a permit. Returns the answer in words, and the permit if there is one.
fn ask<'a, 'b, W: Window>(
    breaker: &'b Plant<'a, W>,
    through: Through,
    anyway: bool,
) -> (String, Option<Held<'a, 'b, W>>) {
    let before = breaker.observer().anyway.get();
    match Held::ask(breaker, through, anyway) {
        Ok(held) => {
            let past = breaker.observer().anyway.get() > before;
            assert!(!past || held.kind() == "uncounted");
            ((if past { "let past" } else { held.kind() }).to_owned(), Some(held))
        }
        Err(rejected) => {
            let named = match rejected.reason() {
                RejectReason::Open(reason) => reason.name(),
                reason => reason.name(),
            };
            let when = rejected.retry_in().map_or_else(String::new, |time| format!(", in {time:?}"));
            (format!("rejected ({named}{when})"), None)
        }
    }
}

fn after(before: &Status, now: &Status) -> String {
    let mut after = now.state.name().to_owned();
    if let Some(reason) = now.reason {
        let left = now.retry_in.filter(|_| now.state == State::Open);
        let left = left.map_or_else(String::new, |left| format!(", {left:?}"));
        let _ = write!(after, " ({}{left})", reason.name());
    }
    // How far is none of a caller's business, and left to the reference model.
    let generation = if now.generation == before.generation { "same" } else { "new" };
    format!("{after}, {generation} generation, attempt {}", now.attempt)
}

fn walk(kind: Kind, through: Through, row: Row, column: &str) -> (String, String) {
    let clock = &ManualClock::new();
    let setup = row.setup();
    macro_rules! fixed {
        ($many:literal) => {
            match setup {
                Setup::Plain => {
                    walk_on(&Fixes::<$many, 0>::fixed_observed(clock, Told::default()), through, row, column)
                }
                Setup::Ramp => {
                    walk_on(&Fixes::<$many, 1>::fixed_observed(clock, Told::default()), through, row, column)
                }
                Setup::Memory => {
                    walk_on(&Fixes::<$many, 2>::fixed_observed(clock, Told::default()), through, row, column)
                }
            }
        };
    }
    match kind {
        Kind::Streak => {
            let config = config(Config::streak(1), setup, true);
            walk_on(&Plant::<Streak>::observed(config, clock, Told::default()), through, row, column)
        }
        Kind::Count => {
            let config = config(FIRST_OF_FOUR, setup, true);
            walk_on(&Plant::<OfFour>::observed(config, clock, Told::default()), through, row, column)
        }
        Kind::FixedWithOneProbe => fixed!(false),
        Kind::FixedWithManyProbes => fixed!(true),
    }
}

type Fixes<'a, const MANY: bool, const SETUP: u8> = Plant<'a, Fixed<Streak, Known<MANY, SETUP>>>;

/// Walks one cell. Returns its name, and what was seen, in the words of the table.
fn walk_on<W: Window>(breaker: &Plant<'_, W>, through: Through, row: Row, column: &str) -> (String, String) {
    let Ok(old) = Held::ask(breaker, through, false) else { unreachable!("it is closed") };
    row.enter(breaker);
    let before = breaker.status();
    breaker.observer().events.set(0);

    let mut name = format!("{row:?} x {column}");
    let returned = match outcome_named(column) {
        Some(outcome) if row.admits() => {
            let Ok(held) = Held::ask(breaker, through, false) else { unreachable!("it admits") };
            format!("{:?}", held.record(outcome))
        }
        Some(outcome) => {
            name.push_str(" (stale permit)");
            format!("{:?}", old.record(outcome))
        }
        None => by_hand(breaker, through, row, column),
    };
    let now = breaker.status();
    // The next probe, after a cancelled one, may begin a generation of its own. That is no transition.
    let moved = now.state != before.state || now.generation != before.generation && now.state != State::HalfOpen;
    assert_eq!(breaker.observer().events.get(), u32::from(moved), "an event for a transition: {name}");
    (name, format!("{returned}; {}", after(&before, &now)))
}

fn outcome_named(column: &str) -> Option<Outcome> {
    Some(match column {
        "good" => Outcome::Success,
        "bad" => Outcome::Failure(FailureKind::Server),
        "slow" => Outcome::Slow,
        "alive" => Outcome::Alive,
        "ignore" => Outcome::Ignored,
        "hold" => Outcome::Hold(LONGER),
        "latch" => Outcome::Latch,
        _ => return None,
    })
}

fn by_hand<W: Window>(breaker: &Plant<'_, W>, through: Through, row: Row, column: &str) -> String {
    fn said(returned: impl Debug) -> String {
        format!("{returned:?}")
    }
    let circuit: &dyn Circuit = breaker;
    let by_breaker = through == Through::Breaker;
    let generation = breaker.status().generation;
    match column {
        "acquire" | "anyway" => {
            let (first, held) = ask(breaker, through, column == "anyway");
            let (second, _) = ask(breaker, through, column == "anyway");
            if let Some(held) = held {
                held.cancel();
            }
            format!("{first}, then {second}")
        }
        "release" if by_breaker => said(breaker.release(generation)),
        "release" => said(circuit.release(generation)),
        "half-open" if by_breaker => said(breaker.half_open()),
        "half-open" => said(circuit.half_open()),
        "reset" => {
            if by_breaker {
                breaker.reset();
            } else {
                circuit.reset();
            }
            said(())
        }
        "force" if by_breaker => said(breaker.force_open()),
        "force" => said(circuit.switch(Mode::Open) && row != Row::ForcedOpen),
        "disable" if by_breaker => said(breaker.disable()),
        "disable" => said(circuit.switch(Mode::Off) && row != Row::Disabled),
        "time passed" => {
            let before = breaker.status();
            if row.state() == State::HalfOpen {
                // The only slot is taken by a probe that never reports.
                std::mem::forget(breaker.acquire().unwrap());
            }
            let taken = breaker.status().generation;
            breaker.clock().advance(LONGER);
            let unasked = breaker.status();
            assert_eq!((unasked.state, unasked.generation), (before.state, taken), "time alone moves nothing");
            ask(breaker, through, false).0
        }
        reason => {
            let reason = OpenReason::ALL.into_iter().find(|named| named.name() == reason).expect("a column");
            let tripped = if by_breaker { breaker.trip(reason, LONGER) } else { circuit.trip(reason, LONGER) };
            match tripped {
                Tripped::Opened(generation) => {
                    assert_eq!(generation, breaker.status().generation);
                    "opened".to_owned()
                }
                tripped => said(tripped),
            }
        }
    }
}

/// What the table says of a kind of breaker. Where only one probe can be configured, each probe after a cancelled one begins
/// a generation of its own.
fn expected(kind: Kind, row: Row, column: &str, cell: &str) -> String {
    let another_probe = row.state() == State::HalfOpen && ["acquire", "anyway", "ignore"].contains(&column);
    if kind == Kind::FixedWithOneProbe && another_probe { cell.replace("same", "new") } else { cell.to_owned() }
}

#[test]
fn every_cell_is_as_the_table_says() {
    let mut cells = 0;
    let mut wrong = Vec::new();
    // Writes to the handle itself: libtest hides the `println!` output of a test that passes, and the cells must be
    // seen.
    let mut out = std::io::stdout().lock();
    for kind in [Kind::Streak, Kind::Count, Kind::FixedWithOneProbe, Kind::FixedWithManyProbes] {
        for through in [Through::Breaker, Through::Circuit] {
            for (row, line) in TABLE {
                for (column, cell) in COLUMNS.into_iter().zip(line) {
                    let (name, seen) = walk(kind, through, row, column);
                    if (kind, through) == (Kind::Streak, Through::Breaker) {
                        writeln!(out, "{name}: {seen}").unwrap();
                    }
                    let expected = expected(kind, row, column, cell);
                    if seen != expected {
                        wrong.push(format!("{kind:?}, {name}:\n  expected {expected}\n  saw      {seen}"));
                    }
                    cells += 1;
                }
            }
        }
    }
    writeln!(out, "{cells} cells walked").unwrap();
    drop(out);
    assert_eq!(cells, 8 * 16 * 20);
    assert!(State::ALL.into_iter().all(|state| TABLE.iter().any(|(row, _)| row.state() == state)));
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}
