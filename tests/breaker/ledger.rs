//! Proves at compile time which types may cross threads, which fit in a `static` and which own what they hold. Also
//! prints the sizes: a breaker is made of 32-bit words, so they are the same on 32-bit and 64-bit targets.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use microbreaker::metrics::{Counters, Counts};
use microbreaker::{
    AnyError, Bound, Breaker, CallReport, Circuit, Clock, CoarseClock, Config, ConfigError, CountWindow, Effect, Error,
    ErrorIf, Event, FailureKind, Field, Fixed, GuardExt, ManualClock, Observer, OpenReason, Outcome, Permit, Policy,
    ProbeRule, RejectReason, Rejected, ReportKind, State, Status, StdClock, Streak, Tally, TickRate, Ticket, Ticks,
    TimeWindow, Tripped, WindowKind, count_words,
};
use static_assertions::{assert_eq_align, assert_eq_size, assert_impl_all, assert_not_impl_any};

/// A clock of zero bytes, as firmware has it. Over it a breaker shows its own size.
#[derive(Clone, Copy, Debug)]
struct Still;

impl Clock for Still {
    const RATE: TickRate = TickRate::new(1024, 1);

    fn now(&self) -> Ticks {
        Ticks::new(0)
    }
}

type Count24 = CountWindow<{ count_words(24, false) }>;
type Count100 = CountWindow<{ count_words(100, false) }>;
type Count100Slow = CountWindow<{ count_words(100, true) }>;
type Time10 = TimeWindow<16>;

/// Settings as constants.
#[derive(Debug)]
struct Constant;

impl Policy for Constant {
    const CONFIG: Config = Config::modem();
}

#[derive(Debug)]
struct Constant24;

impl Policy for Constant24 {
    const CONFIG: Config = Config::count(24);
}

const SECOND: Duration = Duration::from_secs(1);

// A breaker may be shared between threads if its clock and its observer may.
assert_impl_all!(Breaker<Streak, Still>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Breaker<Count100, StdClock>: Send, Sync);
assert_impl_all!(Breaker<Time10, CoarseClock, Counters>: Send, Sync);
assert_impl_all!(Breaker<TimeWindow<16, 64>, ManualClock, Counters<64>>: Send, Sync);
assert_impl_all!(Breaker<(Streak, Time10), &'static ManualClock, (Counters, Counters<4>)>: Send, Sync);
assert_impl_all!(Breaker<(Count100, Time10), StdClock, &'static Counters>: Send, Sync);
assert_impl_all!(Breaker<Fixed<Streak, Constant>, Still>: Send, Sync, std::fmt::Debug);
// A policy is only a type: nothing of it is in the breaker, so it need not cross threads itself.
assert_impl_all!(Breaker<Fixed<Streak, NotShared>, StdClock>: Send, Sync);
// If its observer may not, neither may the breaker.
assert_not_impl_any!(Breaker<Streak, Still, Alone>: Sync);

/// An observer for one thread.
struct Alone(#[expect(dead_code, reason = "only its type matters")] std::cell::Cell<u32>);

impl Observer for Alone {}

struct NotShared(#[expect(dead_code, reason = "only its type matters")] *const u8);

impl Policy for NotShared {
    const CONFIG: Config = Config::modem();
}

// A list of breakers of any kind. Its members may cross threads if it says so.
assert_impl_all!(dyn Circuit + Send + Sync: Circuit, Send, Sync);
assert_not_impl_any!(dyn Circuit: Send, Sync);
assert_impl_all!(Breaker<Fixed<Streak, Constant>, Still>: Circuit);
assert_impl_all!(Breaker<(Streak, Time10), StdClock, Alone>: Circuit);
assert_impl_all!(Ticket: Send, Sync, std::fmt::Debug);
// A ticket is reported once, so it cannot be copied.
assert_not_impl_any!(Ticket: Clone, Copy);

// A permit may go wherever the holder of its breaker may.
assert_impl_all!(Permit<&'static Breaker<Streak, Still>>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Permit<Arc<Breaker<Streak, Still>>>: Send, Sync);
assert_not_impl_any!(Permit<&'static Breaker<Streak, Still, Alone>>: Send);
assert_not_impl_any!(Permit<std::rc::Rc<Breaker<Streak, Still>>>: Send);
// A permit is reported once, so it cannot be copied.
assert_not_impl_any!(Permit<&'static Breaker<Streak, Still>>: Clone, Copy);

// Plain values.
assert_impl_all!(Config: Send, Sync, Copy, Eq, std::fmt::Debug);
assert_impl_all!(ConfigError: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(Rejected: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(Error<std::io::Error>: Send, Sync, std::error::Error);
assert_impl_all!(Error<&'static str>: Send, Sync, Copy, Eq, From<Rejected>, std::fmt::Display);
assert_impl_all!(Status: Send, Sync, Copy, Eq);
assert_impl_all!(Tally: Send, Sync, Copy, Eq, Default);
assert_impl_all!(Event: Send, Sync, Copy, Eq);
assert_impl_all!(CallReport: Send, Sync, Copy, Eq);
assert_impl_all!(Counts: Send, Sync, Copy, Eq, Default);
assert_impl_all!(State: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(OpenReason: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(RejectReason: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(FailureKind: Send, Sync, Copy, Eq, std::hash::Hash, Default);
assert_impl_all!(ReportKind: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(Tripped: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(Effect: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(WindowKind: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(Outcome: Send, Sync, Copy, Eq);
assert_impl_all!(ProbeRule: Send, Sync, Copy, Eq);
assert_impl_all!(Field: Send, Sync, Copy, Eq);
assert_impl_all!(Bound: Send, Sync, Copy, Eq);
assert_impl_all!(Ticks: Send, Sync, Copy, Eq, std::hash::Hash);
assert_impl_all!(AnyError: Send, Sync, Copy);
assert_impl_all!(ErrorIf<fn(&u8) -> Option<FailureKind>>: Send, Sync, Copy);

// Observers and clocks.
assert_impl_all!(Counters: Send, Sync, Observer);
assert_impl_all!(Counters<64>: Send, Sync, Observer);
assert_impl_all!((Counters, &'static Counters<2>): Send, Sync, Observer);
assert_impl_all!((): Observer);
assert_impl_all!(ManualClock: Send, Sync, Clock, Default);
assert_impl_all!(StdClock: Send, Sync, Clock, Copy, Default);
assert_impl_all!(CoarseClock: Send, Sync, Clock, Copy, Default);
assert_impl_all!(&'static ManualClock: Send, Sync, Clock);

// Breakers with every window, with lanes, pairs, counters and presets fit in a `static`, by value.
const COUNT: Config = Config::count(100);
const SLOW: Config = COUNT.slow_permille(500).slow_after(SECOND);
const TIME: Config = Config::time(10, SECOND);
static CLOCK: ManualClock = ManualClock::new();
static STREAK: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5), ManualClock::new());
static MODEM: Breaker<Streak, &ManualClock> = Breaker::new(Config::modem(), &CLOCK);
static DATABASE: Breaker<Streak, StdClock> = Breaker::new(Config::database(), StdClock::new());
static UPSTREAM: Breaker<Count100, CoarseClock> = Breaker::new(Config::upstream(), CoarseClock::new());
static COUNTED_SLOW: Breaker<Count100Slow, Still> = Breaker::new(SLOW, Still);
static TIMED: Breaker<Time10, Still> = Breaker::new(TIME, Still);
static LANES: Breaker<TimeWindow<16, 8>, Still> = Breaker::new(TIME, Still);
static PAIR: Breaker<(Streak, Time10), Still> = Breaker::new(TIME.and_streak(5), Still);
static LARGE_PAIR: Breaker<(Count100, TimeWindow<64, 2>), Still> = Breaker::new(TIME.and_count(100), Still);
static FIXED: Breaker<Fixed<Streak, Constant>, StdClock> = Breaker::fixed(StdClock::new());
static FIXED_COUNT: Breaker<Fixed<Count24, Constant24>, Still, Counters> =
    Breaker::fixed_observed(Still, Counters::new("fixed"));
static COUNTERS: Counters<8> = Counters::new("shared");
static WATCHED: Breaker<Streak, Still, (Counters, &Counters<8>)> =
    Breaker::observed(Config::streak(5), Still, (Counters::new("own"), &COUNTERS));
const REJECTION_HAS_A_NAME: &str = RejectReason::Open(OpenReason::Budget).name();

#[test]
fn statics_work() {
    fn works<W: microbreaker::Window, C: Clock, O: Observer>(breaker: &'static Breaker<W, C, O>) {
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        assert_eq!(breaker.state(), State::Closed);
    }
    works(&STREAK);
    works(&MODEM);
    works(&DATABASE);
    works(&UPSTREAM);
    works(&COUNTED_SLOW);
    works(&TIMED);
    works(&LANES);
    works(&PAIR);
    works(&LARGE_PAIR);
    works(&FIXED);
    works(&FIXED_COUNT);
    works(&WATCHED);
    assert_eq!((COUNTERS.counts().success, WATCHED.observer().name()), (1, "own"));
    assert_eq!(REJECTION_HAS_A_NAME, "budget");
}

#[test]
fn permits_and_guarded_futures_own_what_they_need() {
    /// An adapter can name the permit it keeps beside its future, without `unsafe` and without a box.
    struct Kept<F>(F, Permit<&'static Breaker<Streak, &'static ManualClock>>);

    fn is_static<T: 'static>(_: &T) {}
    fn is_send<T: Send + 'static>(_: &T) {}
    fn is_future(_: &impl Future) {}

    is_static(&MODEM.acquire().unwrap());
    is_send(&Breaker::acquire_in(&MODEM).unwrap());
    let shared = Arc::new(Breaker::<Streak, _>::new(Config::streak(5), Still));
    is_send(&Breaker::acquire_in(Arc::clone(&shared)).unwrap());

    let call = || async { Ok::<_, std::io::Error>(7) };
    is_send(&call().guarded(&MODEM));
    is_send(&call().guarded(Arc::clone(&shared)));
    is_send(&call().guarded_with(shared, AnyError));
    is_send(&MODEM.call_async(call));
    is_send(&MODEM.call_async_with(&AnyError, call));

    let kept = Kept(call(), MODEM.acquire().unwrap());
    is_send(&kept);
    let Kept(future, permit) = kept;
    is_future(&future);
    assert_eq!(permit.ignore(), Effect::Neutral);
}

#[test]
fn an_error_is_an_error_with_its_source() {
    use std::error::Error as _;
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bad port")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = MODEM.call(|| "seven".parse::<u8>().map_err(Outer)).unwrap_err();
    // The wrapper shows the call's own error as itself. Its source is therefore that error's source, and nothing is
    // named twice.
    assert_eq!(error.to_string(), "bad port");
    assert_eq!(error.source().unwrap().to_string(), "invalid digit found in string");
    assert!(error.rejected().is_none());
    assert_eq!(error.into_inner().unwrap().to_string(), "bad port");

    let shut: Breaker<Streak, _> = Breaker::new(Config::streak(1), Still);
    shut.latch();
    let error = shut.call(|| "7".parse::<u8>().map_err(Outer)).unwrap_err();
    assert_eq!(error.to_string(), "rejected by an open circuit breaker (latched), until it is reset");
    assert!(error.source().is_none());
    assert!(error.rejected().is_some());
    assert!(error.into_inner().is_none());

    let open: Breaker<Streak, _> = Breaker::new(Config::streak(1).jitter(false), ManualClock::new());
    open.acquire().unwrap().failure();
    let rejected = open.acquire().unwrap_err();
    assert_eq!(rejected.to_string(), "rejected by an open circuit breaker (failures), retry in 30.0s");
}

/// Each row: a name, the bytes of a breaker whose clock and observer take none, and the most it may take.
const SIZES: [(&str, usize, usize); 8] = [
    ("streak, fixed", size_of::<Breaker<Fixed<Streak, Constant>, Still>>(), 12),
    ("count 24, fixed", size_of::<Breaker<Fixed<Count24, Constant24>, Still>>(), 16),
    ("streak", size_of::<Breaker<Streak, Still>>(), 56),
    ("count 24", size_of::<Breaker<Count24, Still>>(), 60),
    ("count 100", size_of::<Breaker<Count100, Still>>(), 84),
    ("count 100, slow calls too", size_of::<Breaker<Count100Slow, Still>>(), 104),
    ("time 10 (16 slots)", size_of::<Breaker<Time10, Still>>(), 252),
    ("streak and time 10", size_of::<Breaker<(Streak, Time10), Still>>(), 252),
];

// A clock held by value adds its own bytes and no padding.
assert_eq_size!(Breaker<Streak, ManualClock>, [u32; size_of::<Breaker<Streak, Still>>() / 4 + 1]);
assert_eq_align!(Breaker<Streak, Still>, Breaker<Time10, ManualClock>, u32);

// With a rejection in it, the result of a call is no larger than two registers of a host.
assert_eq_size!(Rejected, [u8; size_of::<usize>() + 8]);
assert_eq_size!(Poll<Result<u32, Error<u32>>>, Rejected);

#[test]
fn the_sizes() {
    // Straight to the handle: libtest captures `println!` of a test that passes, and the sizes must be seen.
    let mut out = std::io::stdout().lock();
    for (name, bytes, bound) in SIZES {
        writeln!(out, "{name}: {bytes} bytes, at most {bound}").unwrap();
    }
    drop(out);
    for (name, bytes, bound) in SIZES {
        assert!(bytes <= bound, "{name}: {bytes} bytes, {bound} were promised");
        assert_eq!(bytes % size_of::<u32>(), 0, "{name} is not made of whole words");
    }
}
