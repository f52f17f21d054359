//! The breaker, its operations, and everything that can be observed afterwards.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use core::time::Duration;

// Only the atomic that is added to comes from portable-atomic. Every core has plain loads and stores of its own.
#[cfg(not(feature = "portable-atomic"))]
use core::sync::atomic::AtomicU32 as AddU32;
#[cfg(feature = "portable-atomic")]
use portable_atomic::AtomicU32 as AddU32;

use board::shot::Interrupt;
use critical_section::Mutex;
use microbreaker::metrics::{Counters, Counts};
use microbreaker::{
    Clock, Config, CountWindow, Effect, Event, Fixed, Mode, Observer, OpenReason, Outcome, Policy, RejectReason,
    Snapshot, State, Streak, TickRate, Ticks, TimeWindow, Tripped, Window, count_words,
};

use crate::freedom::Pair;
use crate::sweep::Meeting;

/// The time. It moves only by [`pass`].
static NOW: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) struct Hand;

impl Clock for Hand {
    const RATE: TickRate = TickRate::new(1024, 1);
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        Ticks::new(NOW.load(SeqCst))
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pass(time: Duration) {
    NOW.store(NOW.load(SeqCst) + Hand::RATE.ticks_in(time).expect("within the horizon"), SeqCst);
}

/// The events that the observer was notified of, in no order. If an interrupt notifies the observer during another
/// notification, either event may come first.
#[derive(Debug)]
pub(crate) struct Events {
    told: AddU32,
    log: [AtomicU32; Self::MOST],
}

impl Events {
    pub(crate) const MOST: usize = 8;

    const fn new() -> Self {
        Self { told: AddU32::new(0), log: [const { AtomicU32::new(0) }; Self::MOST] }
    }

    fn sorted(&self) -> [Told; Self::MOST] {
        let mut all = core::array::from_fn(|at| Told(self.log[at].load(SeqCst)));
        all.sort_unstable_by_key(|told| core::cmp::Reverse(told.0));
        all
    }
}

impl Observer for Events {
    fn on_event(&self, event: &Event) {
        let at = self.told.fetch_add(1, SeqCst) as usize;
        if let Some(place) = self.log.get(at) {
            place.store(Told::new(event).0, SeqCst);
        }
    }
}

/// An event: from (3 bits) · to (3) · reason + 1, or none (3) · attempt (5) · 1 · length (17). 0: no event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told(u32);

const LENGTH: u32 = (1 << 17) - 1;
const REASON_AT: u32 = 23;

impl Told {
    pub(crate) const NONE: Self = Self(0);
    /// From closed to closed.
    pub(crate) const RESET: Self = Self(LENGTH + 1);

    fn new(event: &Event) -> Self {
        let reason = event.reason.map_or(0, |reason| reason as u32 + 1);
        let lasts = event.lasts_ticks.unwrap_or(0) & LENGTH;
        let states = (event.from as u32) << 3 | event.to as u32;
        Self(states << 26 | reason << REASON_AT | u32::from(event.attempt) << 18 | LENGTH + 1 | lasts)
    }

    pub(crate) fn from(self) -> State {
        State::ALL[(self.0 >> 29) as usize]
    }

    pub(crate) fn to(self) -> State {
        State::ALL[(self.0 >> 26 & 7) as usize]
    }

    /// The length in ticks. 0: the event has none.
    pub(crate) fn lasts(self) -> u32 {
        self.0 & LENGTH
    }

    pub(crate) fn lasting(self, ticks: u32) -> Self {
        Self(self.0 & !LENGTH | ticks)
    }

    pub(crate) fn without_length(self) -> Self {
        Self(self.0 & !LENGTH)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        let (reason, attempt, lasts) = (self.0 >> REASON_AT & 7, self.0 >> 18 & 31, self.lasts());
        write!(f, "{}>{}/{reason}/{attempt}/{lasts}", self.from().name(), self.to().name())
    }
}

type Breaker<W> = microbreaker::Breaker<W, Hand, (Counters, Events)>;
type Permit<'a, W> = microbreaker::Permit<&'a Breaker<W>>;

/// What takes two steps. An interrupt may come between them.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    /// One exchange counts an outcome, and another moves a closed circuit.
    pub(crate) window: bool,
    /// One exchange counts the result of a probe, and another moves a half-open circuit.
    pub(crate) probes: bool,
}

/// A window, and settings with which each state is a few calls away.
pub(crate) trait Kind: Sync {
    type Window: Window + Sync;
    const NAME: &'static str;
    const STEPS: Steps;
    /// After so many successful calls, another one changes nothing.
    const FULL: u32;
    /// After so many successful and so many failed calls, one failure more opens the circuit.
    const BRINK: (u32, u32);
    #[expect(clippy::declare_interior_mutable_const, reason = "copied anew for each meeting")]
    const FRESH: Breaker<Self::Window>;

    /// Takes other settings over, if settings can change.
    fn reconfigure(breaker: &Breaker<Self::Window>) -> Answer;

    /// Seeds the jitter, if that can be done at run time.
    fn seed(breaker: &Breaker<Self::Window>);
}

/// What live settings bring: the settings themselves, and others, which differ in one group of those that may change while
/// calls run. If several groups changed, an interrupted call might see some old and some new, as documented.
macro_rules! live {
    ($config:expr, $change:expr) => {
        const FRESH: Breaker<Self::Window> =
            Breaker::observed($config, Hand, (Counters::new("preempted"), Events::new()));

        fn reconfigure(breaker: &Breaker<Self::Window>) -> Answer {
            const OTHER: Config = $change($config);
            Answer::Moved(breaker.reconfigure(&OTHER).is_ok())
        }

        fn seed(breaker: &Breaker<Self::Window>) {
            breaker.seed(77);
        }
    };
}

/// The longest hold.
const LONGEST: Duration = seconds(100);

const fn recovering(config: Config) -> Config {
    config.open_for(seconds(2)).probes(3).at_once(2).successes(2).hold_at_most(LONGEST).lease(seconds(30))
}

pub(crate) struct InARow;

impl InARow {
    const CONFIG: Config = recovering(Config::streak(3)).stable_after(seconds(40));

    const fn with_fewer_probes(config: Config) -> Config {
        config.probes(2).successes(1)
    }
}

impl Kind for InARow {
    type Window = Streak;
    const NAME: &'static str = "streak";
    const STEPS: Steps = Steps { window: false, probes: true };
    const FULL: u32 = 1;
    const BRINK: (u32, u32) = (0, 2);
    live!(InARow::CONFIG, InARow::with_fewer_probes);
}

/// A streak whose settings are constants, with one probe: one word decides everything.
pub(crate) struct Constant;

impl Policy for Constant {
    const CONFIG: Config = Config::streak(3).open_for(seconds(2)).hold_at_most(LONGEST).lease(seconds(30));
}

impl Kind for Constant {
    type Window = Fixed<Streak, Self>;
    const NAME: &'static str = "fixed";
    const STEPS: Steps = Steps { window: false, probes: false };
    const FULL: u32 = 1;
    const BRINK: (u32, u32) = (0, 2);
    const FRESH: Breaker<Self::Window> = Breaker::fixed_observed(Hand, (Counters::new("preempted"), Events::new()));

    fn reconfigure(_: &Breaker<Self::Window>) -> Answer {
        Answer::Nothing
    }

    fn seed(_: &Breaker<Self::Window>) {}
}

pub(crate) struct OfTheLast;

impl OfTheLast {
    const CONFIG: Config = recovering(Config::count(24))
        .minimum(4)
        .slow_permille(500)
        .slow_after(seconds(1))
        .ramp(seconds(16))
        .levels(true);

    const fn with_less(config: Config) -> Config {
        config.minimum(2).failure_permille(250)
    }
}

impl Kind for OfTheLast {
    type Window = CountWindow<{ count_words(24, true) }>;
    const NAME: &'static str = "count";
    const STEPS: Steps = Steps { window: true, probes: true };
    const FULL: u32 = 24;
    // With the failure that opens the circuit, the outcomes reach the window's second word.
    const BRINK: (u32, u32) = (6, 5);
    live!(OfTheLast::CONFIG, OfTheLast::with_less);
}

pub(crate) struct InTime;

impl InTime {
    const CONFIG: Config = recovering(Config::time(4, Duration::from_millis(250))).minimum(4).ramp(seconds(16));
}

impl Kind for InTime {
    type Window = TimeWindow<4>;
    const NAME: &'static str = "time";
    const STEPS: Steps = Steps { window: true, probes: true };
    const FULL: u32 = 4;
    const BRINK: (u32, u32) = (3, 2);
    live!(InTime::CONFIG, OfTheLast::with_less);
}

pub(crate) struct Both;

impl Both {
    const CONFIG: Config = recovering(Config::streak(3).and_count(24)).minimum(6);

    const fn with_less(config: Config) -> Config {
        config.minimum(4).failure_permille(250)
    }
}

impl Kind for Both {
    type Window = (Streak, CountWindow<{ count_words(24, false) }>);
    const NAME: &'static str = "pair";
    const STEPS: Steps = Steps { window: true, probes: true };
    const FULL: u32 = 24;
    const BRINK: (u32, u32) = (3, 2);
    live!(Both::CONFIG, Both::with_less);
}

/// How long an operation opens the circuit.
pub(crate) const GIVEN: Duration = seconds(10);
/// The bound of that time which stands in the word: the longest that is less than the next power of two ticks.
pub(crate) const BOUND: u32 = (1 << 14) - 1;
/// How long after the meeting there is another call.
pub(crate) const LATER: Duration = seconds(3);

/// How a permit may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Success,
    Failure,
    Slow,
    Alive,
    Ignore,
    Drop,
    Hold,
    Latch,
}

impl Report {
    fn make<W: Window>(self, permit: Permit<'_, W>) -> Answer {
        Answer::Effect(match self {
            Self::Success => permit.success(),
            Self::Failure => permit.failure(),
            Self::Slow => permit.record(Outcome::Slow),
            Self::Alive => permit.alive(),
            Self::Ignore => permit.ignore(),
            Self::Hold => permit.hold(GIVEN),
            Self::Latch => permit.latch(),
            Self::Drop => {
                drop(permit);
                return Answer::Nothing;
            }
        })
    }
}

/// What the thread does: every operation of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Acquire,
    Anyway,
    Report(Report),
    Hold,
    Trip,
    Release,
    HalfOpen,
    Latch,
    Reset,
    ForceOpen,
    Disable,
    SwitchOn,
    SwitchToShadow,
    Seed,
    Reconfigure,
    Status,
    RetryIn,
    Tally,
    Snapshot,
    Restore,
}

/// The snapshot for `Restore`: a circuit that somebody opened for a while.
fn kept() -> Snapshot {
    let breaker = microbreaker::Breaker::<Streak, _>::new(Config::streak(1), Hand);
    breaker.trip(OpenReason::Manual, GIVEN);
    breaker.snapshot()
}

impl Operation {
    /// Each operation with its name.
    pub(crate) const ALL: [(&'static str, Self); 27] = [
        ("acquire", Self::Acquire),
        ("acquire anyway", Self::Anyway),
        ("success", Self::Report(Report::Success)),
        ("failure", Self::Report(Report::Failure)),
        ("slow", Self::Report(Report::Slow)),
        ("alive", Self::Report(Report::Alive)),
        ("ignore", Self::Report(Report::Ignore)),
        ("drop", Self::Report(Report::Drop)),
        ("permit hold", Self::Report(Report::Hold)),
        ("permit latch", Self::Report(Report::Latch)),
        ("hold", Self::Hold),
        ("trip", Self::Trip),
        ("release", Self::Release),
        ("half_open", Self::HalfOpen),
        ("latch", Self::Latch),
        ("reset", Self::Reset),
        ("force_open", Self::ForceOpen),
        ("disable", Self::Disable),
        ("switch on", Self::SwitchOn),
        ("switch to shadow", Self::SwitchToShadow),
        ("seed", Self::Seed),
        ("reconfigure", Self::Reconfigure),
        ("status", Self::Status),
        ("retry_in", Self::RetryIn),
        ("tally", Self::Tally),
        ("snapshot", Self::Snapshot),
        ("restore", Self::Restore),
    ];

    /// Whether the operation reads or writes the window, or empties it.
    pub(crate) fn concerns_the_window(self) -> bool {
        use Report::{Failure, Ignore, Slow, Success};
        match self {
            Self::Report(report) => matches!(report, Success | Failure | Slow | Ignore),
            Self::Hold | Self::Reset | Self::Reconfigure | Self::Status | Self::Tally => true,
            _ => false,
        }
    }

    /// Performs the operation on `breaker`, or on the permit `own`. The answer is written in place: if it were
    /// returned, the sweep would have to cross the instructions that copy it.
    fn perform<'a, K: Kind>(
        self,
        breaker: &'a Breaker<K::Window>,
        own: Option<Permit<'a, K::Window>>,
        done: &mut Done<'a, K>,
    ) {
        done.answer = match self {
            Self::Acquire | Self::Anyway => {
                match if self == Self::Acquire { breaker.acquire() } else { breaker.acquire_anyway() } {
                    Ok(permit) => {
                        let answer = Answer::admitted(&permit);
                        done.given = Some(permit);
                        answer
                    }
                    Err(rejected) => Answer::Rejected(rejected.reason(), rejected.retry_in_ticks()),
                }
            }
            Self::Report(report) => own.map_or(Answer::Nothing, |own| report.make(own)),
            Self::Hold => Answer::Effect(breaker.hold(GIVEN)),
            Self::Trip => Answer::tripped(breaker.trip(OpenReason::Budget, GIVEN)),
            // The generation to end is passed in the place of the answer.
            Self::Release => match done.answer {
                Answer::Generation(generation) => Answer::Moved(breaker.release(generation)),
                _ => Answer::Nothing,
            },
            Self::HalfOpen => Answer::Moved(breaker.half_open()),
            Self::Latch => Answer::Effect(breaker.latch()),
            Self::Reset => {
                breaker.reset();
                return;
            }
            Self::ForceOpen => Answer::Moved(breaker.force_open()),
            Self::Disable => Answer::Moved(breaker.disable()),
            Self::SwitchOn => {
                breaker.switch(Mode::On);
                return;
            }
            Self::SwitchToShadow => {
                breaker.switch(Mode::Shadow);
                return;
            }
            Self::Seed => {
                K::seed(breaker);
                return;
            }
            Self::Reconfigure => K::reconfigure(breaker),
            Self::Status => Answer::Status(Look::at::<K>(breaker)),
            Self::RetryIn => Answer::RetryIn(breaker.retry_in()),
            Self::Tally => Answer::Tally(Sums::of(breaker.tally())),
            Self::Snapshot => Answer::Kept(breaker.snapshot()),
            // The snapshot to restore is passed in the place of the answer.
            Self::Restore => match done.answer {
                Answer::Kept(kept) => Answer::Moved(breaker.restore(&kept, None).is_ok()),
                _ => Answer::Nothing,
            },
        };
    }

    /// Performs an operation that needs no permit.
    fn alone<K: Kind>(self, breaker: &Breaker<K::Window>) -> Done<'_, K> {
        let mut done = Done::default();
        self.perform(breaker, None, &mut done);
        done
    }
}

/// What an operation returned: an answer, and perhaps a permit.
struct Done<'a, K: Kind> {
    answer: Answer,
    given: Option<Permit<'a, K::Window>>,
}

impl<K: Kind> Default for Done<'_, K> {
    fn default() -> Self {
        Self { answer: Answer::Nothing, given: None }
    }
}

/// What the interrupt does: whole calls, and what an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intruder {
    Success,
    Failure,
    Cancel,
    Anyway,
    ShortHold,
    LongHold,
    Trip,
    Release,
    HalfOpen,
    Latch,
    Reset,
    ForceOpen,
    Disable,
    SwitchOn,
    Reconfigure,
    Status,
}

const SHORT: Duration = seconds(5);
const TRIP: Duration = seconds(7);
const LONG: Duration = seconds(20);

impl Intruder {
    /// All interrupts except the one whose call fails.
    pub(crate) const OTHERS: [Self; 15] = [
        Self::Success,
        Self::Cancel,
        Self::Anyway,
        Self::ShortHold,
        Self::LongHold,
        Self::Trip,
        Self::Release,
        Self::HalfOpen,
        Self::Latch,
        Self::Reset,
        Self::ForceOpen,
        Self::Disable,
        Self::SwitchOn,
        Self::Reconfigure,
        Self::Status,
    ];

    /// Performs the interrupt. Returns the answers of its first operation and of the report after it.
    fn perform<K: Kind>(self, breaker: &Breaker<K::Window>) -> (Answer, Answer) {
        let call = |acquire: Operation, report: Report| {
            let Done { answer, given } = acquire.alone::<K>(breaker);
            (answer, given.map_or(Answer::Nothing, |permit| report.make(permit)))
        };
        let alone = |operation: Operation| (operation.alone::<K>(breaker).answer, Answer::Nothing);
        match self {
            Self::Success => call(Operation::Acquire, Report::Success),
            Self::Failure => call(Operation::Acquire, Report::Failure),
            Self::Cancel => call(Operation::Acquire, Report::Drop),
            Self::Anyway => call(Operation::Anyway, Report::Failure),
            Self::ShortHold => (Answer::Effect(breaker.hold(SHORT)), Answer::Nothing),
            Self::LongHold => (Answer::Effect(breaker.hold(LONG)), Answer::Nothing),
            Self::Trip => (Answer::tripped(breaker.trip(OpenReason::Dependency, TRIP)), Answer::Nothing),
            Self::Release => (Answer::Moved(breaker.release(breaker.status().generation)), Answer::Nothing),
            Self::HalfOpen => alone(Operation::HalfOpen),
            Self::Latch => alone(Operation::Latch),
            Self::Reset => alone(Operation::Reset),
            Self::ForceOpen => alone(Operation::ForceOpen),
            Self::Disable => alone(Operation::Disable),
            Self::SwitchOn => alone(Operation::SwitchOn),
            Self::Reconfigure => alone(Operation::Reconfigure),
            Self::Status => alone(Operation::Status),
        }
    }
}

/// What an operation returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Admitted { probe: bool, level: u8, counted: bool },
    Rejected(RejectReason, Option<u32>),
    Effect(Effect),
    Covered(Option<Duration>),
    Moved(bool),
    Generation(u32),
    Status(Look),
    RetryIn(Option<Duration>),
    Tally(Sums),
    Kept(Snapshot),
}

impl Answer {
    fn admitted<W: Window>(permit: &Permit<'_, W>) -> Self {
        Self::Admitted { probe: permit.is_probe(), level: permit.level(), counted: permit.is_counted() }
    }

    /// Without the number of the generation.
    fn tripped(tripped: Tripped) -> Self {
        match tripped {
            Tripped::Opened(_) => Self::Moved(true),
            Tripped::Covered(rest) => Self::Covered(rest),
            Tripped::Idle => Self::Moved(false),
        }
    }
}

/// The sums of a tally: calls, failures, slow calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sums(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Sums {
    fn of(tally: microbreaker::Tally) -> Self {
        Self(tally.total, tally.failed, tally.slow)
    }
}

/// A breaker's status, without the number of its generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) level: u8,
    pub(crate) attempt: u8,
    pub(crate) retry_in: Option<Duration>,
    pub(crate) probes_in_flight: u8,
    pub(crate) shadow: bool,
    pub(crate) sums: Sums,
}

impl Look {
    fn at<K: Kind>(breaker: &Breaker<K::Window>) -> Self {
        let status = breaker.status();
        Self {
            state: status.state,
            reason: status.reason,
            level: status.level,
            attempt: status.attempt,
            retry_in: status.retry_in,
            probes_in_flight: status.probes_in_flight,
            shadow: status.shadow,
            sums: Sums::of(status.tally),
        }
    }
}

/// The state that the operation and the interrupt find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    Fresh,
    Healthy,
    Brink,
    Open,
    Due,
    HalfOpen,
    HalfTaken,
    HalfLost,
    HalfBrink,
    Ramping,
    Remembering,
    Forgetting,
    Held,
    Layered,
    Latched,
    ForcedOpen,
    Disabled,
    Shadow,
}

impl Prepared {
    pub(crate) const ALL: [Self; 18] = [
        Self::Fresh,
        Self::Healthy,
        Self::Brink,
        Self::Open,
        Self::Due,
        Self::HalfOpen,
        Self::HalfTaken,
        Self::HalfLost,
        Self::HalfBrink,
        Self::Ramping,
        Self::Remembering,
        Self::Forgetting,
        Self::Held,
        Self::Layered,
        Self::Latched,
        Self::ForcedOpen,
        Self::Disabled,
        Self::Shadow,
    ];

    pub(crate) fn is_half_open(self) -> bool {
        matches!(self, Self::HalfOpen | Self::HalfTaken | Self::HalfLost | Self::HalfBrink)
    }

    /// Brings a fresh breaker into this state. Returns the operation's own permit, and one more that is in flight.
    fn bring<K: Kind>(self, breaker: &Breaker<K::Window>) -> [Option<Permit<'_, K::Window>>; 2] {
        let call = |good: bool| {
            let permit = breaker.acquire().ok()?;
            Some(if good { permit.success() } else { permit.failure() })
        };
        let old = breaker.acquire().ok();
        let open = || _ = breaker.trip(OpenReason::Manual, seconds(2));
        let half = || {
            open();
            pass(seconds(3));
            breaker.acquire().ok()
        };
        match self {
            Self::Fresh => [breaker.acquire().ok(), old],
            Self::Healthy => {
                for _ in 0..K::FULL {
                    call(true);
                }
                [breaker.acquire().ok(), old]
            }
            Self::Brink => {
                for _ in 0..K::BRINK.0 {
                    call(true);
                }
                for _ in 0..K::BRINK.1 {
                    call(false);
                }
                [breaker.acquire().ok(), old]
            }
            Self::Open => {
                while breaker.state() == State::Closed {
                    call(false);
                }
                pass(seconds(1));
                [old, None]
            }
            Self::Due => {
                open();
                pass(seconds(3));
                [old, None]
            }
            Self::HalfOpen => [half(), old],
            Self::HalfTaken => [half(), breaker.acquire().ok()],
            Self::HalfLost => {
                let both = [half(), breaker.acquire().ok()];
                pass(seconds(31));
                both
            }
            Self::HalfBrink => {
                let own = half();
                call(true);
                [own, old]
            }
            Self::Ramping => {
                half();
                let _ = (call(true), call(true));
                pass(seconds(9));
                // By now the ramp admits one of two calls.
                [breaker.acquire().or_else(|_| breaker.acquire()).ok(), old]
            }
            Self::Remembering | Self::Forgetting => {
                // The first probe fails, so there is an attempt to remember.
                half().map(Permit::failure);
                pass(seconds(6));
                let _ = (call(true), call(true));
                for _ in 0..K::BRINK.1 {
                    call(false);
                }
                let own = breaker.acquire().ok();
                if self == Self::Forgetting {
                    pass(seconds(50));
                }
                [own, old]
            }
            Self::Held => {
                breaker.hold(seconds(8));
                pass(seconds(1));
                [old, None]
            }
            Self::Layered => {
                breaker.trip(OpenReason::Dependency, seconds(8));
                pass(seconds(2));
                [old, None]
            }
            Self::Latched => {
                breaker.latch();
                [old, None]
            }
            Self::ForcedOpen => {
                breaker.force_open();
                [old, None]
            }
            Self::Disabled => {
                breaker.disable();
                [breaker.acquire().ok(), old]
            }
            Self::Shadow => {
                breaker.switch(Mode::Shadow);
                open();
                [breaker.acquire().ok(), old]
            }
        }
    }
}

/// Everything that can be observed after a meeting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) operation: Answer,
    pub(crate) intruder: (Answer, Answer),
    pub(crate) left: Look,
    pub(crate) counts: Counts,
    pub(crate) events: [Told; Events::MOST],
    pub(crate) next: [Answer; 9],
}

/// Which operation meets which interrupt, and where.
pub(crate) struct Encounter<K> {
    pub(crate) prepared: Prepared,
    pub(crate) operation: Operation,
    pub(crate) intruder: Intruder,
    pub(crate) kind: core::marker::PhantomData<K>,
}

impl<K: Kind> Meeting for Encounter<K> {
    type Seen = Seen;

    #[inline(never)]
    fn meet(&self, interleave: &mut dyn FnMut(Interrupt<'_>, &mut dyn FnMut())) -> Seen {
        NOW.store(1 << 20, SeqCst);
        let breaker = K::FRESH;
        let [mut own, other] = self.prepared.bring::<K>(&breaker);
        let intruder = Mutex::new(Cell::new((Answer::Nothing, Answer::Nothing)));
        let mut done = Done::<K>::default();
        match self.operation {
            Operation::Restore => done.answer = Answer::Kept(kept()),
            Operation::Release => done.answer = Answer::Generation(breaker.status().generation),
            _ => {}
        }
        let mut reported = if matches!(self.operation, Operation::Report(_)) { own.take() } else { None };
        interleave(
            &|| {
                let answer = self.intruder.perform::<K>(&breaker);
                critical_section::with(|cs| intruder.borrow(cs).set(answer));
            },
            &mut || self.operation.perform(&breaker, reported.take(), &mut done),
        );
        let intruder = critical_section::with(|cs| intruder.borrow(cs).get());
        let left = Look::at::<K>(&breaker);
        let (counts, events) = (breaker.observer().0.counts(), breaker.observer().1.sorted());

        // We go on, because the following does not show directly: whether permits are stale, whether a slot is free,
        // what is in the window, and when the circuit opens and closes.
        let tell = |permit: Option<Permit<'_, K::Window>>, report: Report| {
            permit.map_or(Answer::Nothing, |permit| report.make(permit))
        };
        let acquire = || Operation::Acquire.alone::<K>(&breaker);
        let given = tell(done.given, Report::Failure);
        let Done { answer: first, given: permit } = acquire();
        let (own, other) = (tell(own, Report::Success), tell(other, Report::Failure));
        let permit = tell(permit, Report::Failure);
        let sums = Answer::Tally(Sums::of(breaker.tally()));
        pass(LATER);
        let second = acquire().answer;
        pass(seconds(60));
        let Done { answer: third, given: last } = acquire();
        let next = [given, first, own, other, permit, sums, second, third, tell(last, Report::Failure)];
        Seen { operation: done.answer, intruder, left, counts, events, next }
    }

    #[inline(never)]
    fn permits(&self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let Self { prepared, operation, intruder, .. } = *self;
        Pair { prepared, operation, intruder, steps: K::STEPS }.permits(seen, before, after)
    }
}

impl<K: Kind> fmt::Debug for Encounter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {:?} met by {:?}", K::NAME, self.prepared, self.operation, self.intruder)
    }
}
