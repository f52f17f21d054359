//! Breakers by key for servers: one for each key, never more than the capacity, and none is evicted that is needed.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use microbreaker::metrics::{Counters, DuplicateName, Meter, Monitors, Reading, States};
use microbreaker::registry::{Member, Registry, RegistryBuilder};
use microbreaker::{
    Bound, Breaker, Config, CountWindow, Field, HORIZON, LiveWindow, ManualClock, State, Streak, TickRate, Ticks,
    TimeWindow, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

type Clock = &'static ManualClock;
type Hosts = Registry<String, Streak, Clock>;

fn clock() -> Clock {
    clock_at(0)
}

fn clock_at(ticks: u32) -> Clock {
    Box::leak(Box::new(ManualClock::at(Ticks::new(ticks))))
}

/// An idle time of 80 s is 81920 ticks; a stamp is 8192 ticks.
fn hosts(capacity: usize, clock: Clock) -> Hosts {
    RegistryBuilder::new("hosts", Config::streak(3)).capacity(capacity).idle_after(80 * SECOND).build(clock).unwrap()
}

/// Lets the idle time pass for every key that no caller asks for meanwhile.
fn idle(clock: &ManualClock) {
    clock.advance(100 * SECOND);
}

fn same<W: LiveWindow, C, O>(one: &Member<W, C, O>, other: &Member<W, C, O>) -> bool {
    core::ptr::eq::<Breaker<W, C, O>>(&raw const **one, &raw const **other)
}

#[test]
fn a_key_has_one_breaker_and_keys_are_on_their_own() {
    let hosts = hosts(4, clock());
    assert!(hosts.is_empty() && hosts.get("a").is_none());
    let a = hosts.get_or_create("a");
    assert!(same(&a, &hosts.get_or_create("a")) && same(&a, &hosts.get("a").unwrap()));
    assert!(!same(&a, &hosts.get_or_create("b")));
    for _ in 0..3 {
        hosts.get_or_create("a").acquire().unwrap().failure();
    }
    assert!(hosts.get_or_create("a").acquire().is_err() && hosts.get_or_create("b").acquire().is_ok());
    assert_eq!((hosts.len(), hosts.capacity()), (2, 4));
    // The permit owns the member.
    let permit = Breaker::acquire_in(hosts.get_or_create("b")).unwrap();
    std::thread::spawn(move || permit.success()).join().unwrap();
}

#[test]
fn full_of_what_is_needed_keys_share_the_breaker_for_overflow() {
    let clock = clock();
    let hosts = hosts(2, clock);
    let (a, _b) = (hosts.get_or_create("a"), hosts.get_or_create("b"));
    let (c, d) = (hosts.get_or_create("c"), hosts.get_or_create("d"));
    assert!(c.is_overflow() && same(&c, &d) && same(&c, hosts.overflow()) && !a.is_overflow());
    assert_eq!((c.label(), a.label(), hosts.len()), ("overflow", "hosts", 2));
    assert!(hosts.get("c").is_none(), "it has none of its own");
    // Both are idle and clean, but held.
    idle(clock);
    assert!(hosts.get_or_create("c").is_overflow());
    assert!(same(&a, &hosts.get_or_create("a")));
}

/// Whether `a` is evicted for `b`, after `make` has used `a` and 100 s have passed.
fn goes(make: impl Fn(&Hosts, &Breaker<Streak, Clock>)) -> bool {
    let clock = clock();
    let hosts = hosts(1, clock);
    make(&hosts, &hosts.get_or_create("a"));
    idle(clock);
    !hosts.get_or_create("b").is_overflow()
}

#[test]
fn only_what_has_nothing_to_remember_goes() {
    assert!(goes(|_, _| ()));
    assert!(goes(|_, a| _ = a.acquire().unwrap().success()));
    assert!(!goes(|_, a| _ = a.acquire().unwrap().failure()), "a failure is counted");
    assert!(!goes(|_, a| _ = a.hold(SECOND)), "open, even if its time is over");
    assert!(!goes(|_, a| _ = a.latch()));
    assert!(!goes(|_, a| _ = a.force_open()));
    assert!(!goes(|_, a| _ = a.disable()));
    assert!(goes(|_, a| {
        a.acquire().unwrap().failure();
        a.acquire().unwrap().success();
    }));
    // A visit of all members uses none of them.
    assert!(goes(|hosts, _| hosts.visit(|_, _, _| ())));
    // A permit in flight holds its member.
    let clock = clock();
    let hosts = hosts(1, clock);
    let permit = Breaker::acquire_in(hosts.get_or_create("a")).unwrap();
    idle(clock);
    assert!(hosts.get_or_create("b").is_overflow());
    permit.success();
    idle(clock);
    assert!(!hosts.get_or_create("b").is_overflow());
}

/// Breakers that open for 10 s after three failures, and are forgotten after 400 s.
fn forgetful(capacity: usize, clock: Clock) -> Hosts {
    let config = Config::streak(3).open_for(10 * SECOND).jitter(false);
    let builder = RegistryBuilder::new("hosts", config).capacity(capacity).idle_after(80 * SECOND);
    builder.forget_after(Some(400 * SECOND)).build(clock).unwrap()
}

/// Whether `a` is forgotten for `b`, after `make` has used `a` and `seconds` have passed.
fn forgotten_after(seconds: u32, make: impl Fn(&Breaker<Streak, Clock>)) -> bool {
    let clock = clock();
    let hosts = forgetful(1, clock);
    make(&hosts.get_or_create("a"));
    clock.advance(seconds * SECOND);
    !hosts.get_or_create("b").is_overflow()
}

fn fail_thrice(breaker: &Breaker<Streak, Clock>) {
    (0..3).for_each(|_| _ = breaker.acquire().unwrap().failure());
}

#[test]
fn what_failed_and_nobody_asks_for_is_forgotten_at_last() {
    let fails = |a: &Breaker<Streak, Clock>| _ = a.acquire().unwrap().failure();
    assert!(!forgotten_after(399, fails) && forgotten_after(420, fails));
    assert!(!forgotten_after(399, fail_thrice) && forgotten_after(420, fail_thrice));
    // A probe gave its slot back, and no caller asked again.
    let probes = |a: &Breaker<Streak, Clock>| {
        fail_thrice(a);
        a.clock().advance(11 * SECOND);
        a.acquire().unwrap().ignore();
        assert_eq!(a.state(), State::HalfOpen);
    };
    assert!(!forgotten_after(380, probes) && forgotten_after(420, probes));
    // A hold that still runs is not forgotten, nor is a state that only an operator ends.
    let holds = |a: &Breaker<Streak, Clock>| {
        a.reconfigure(&Config::streak(3).hold_at_most(2000 * SECOND)).unwrap();
        a.hold(1000 * SECOND);
    };
    assert!(!forgotten_after(999, holds) && forgotten_after(1001, holds));
    assert!(!forgotten_after(100_000, |a| _ = a.latch()));
    assert!(!forgotten_after(100_000, |a| _ = a.force_open()));
    assert!(!forgotten_after(100_000, |a| _ = a.disable()));
    // A member that is held is not forgotten.
    let clock = clock();
    let hosts = forgetful(1, clock);
    let a = hosts.get_or_create("a");
    fail_thrice(&a);
    clock.advance(10_000 * SECOND);
    assert!(hosts.get_or_create("b").is_overflow());
    // Once it is let go and forgotten, the key begins anew.
    drop(a);
    clock.advance(100 * SECOND);
    assert!(!hosts.get_or_create("b").is_overflow());
    clock.advance(100 * SECOND);
    assert_eq!(hosts.get_or_create("a").state(), State::Closed);
}

#[test]
fn keys_that_fail_once_do_not_shut_honest_ones_out() {
    let clock = clock();
    let hosts: Hosts = RegistryBuilder::new("hosts", Config::streak(3)).capacity(64).build(clock).unwrap();
    for key in 0..64 {
        hosts.get_or_create(&format!("no-such-host-{key}")).acquire().unwrap().failure();
    }
    fail_thrice(hosts.overflow());
    clock.advance(59 * 60 * SECOND);
    assert!(hosts.get_or_create("honest").is_overflow(), "not within six idle times");
    clock.advance(20 * 60 * SECOND);
    assert!(hosts.get_or_create("honest").acquire().is_ok());
}

#[test]
fn who_may_never_forget_does_not() {
    let clock = clock();
    let builder = RegistryBuilder::new("hosts", Config::streak(3)).capacity(1).idle_after(80 * SECOND);
    let hosts: Hosts = builder.forget_after(None).build(clock).unwrap();
    hosts.get_or_create("a").acquire().unwrap().failure();
    for _ in 0..40 {
        clock.advance(24 * 3600 * SECOND);
        assert!(hosts.get_or_create("b").is_overflow());
    }
}

#[test]
fn a_clean_one_goes_before_one_that_failed_long_ago() {
    let clock = clock();
    let hosts = forgetful(2, clock);
    fail_thrice(&hosts.get_or_create("failed"));
    clock.advance(400 * SECOND);
    drop(hosts.get_or_create("clean"));
    clock.advance(100 * SECOND);
    assert!(!hosts.get_or_create("new").is_overflow());
    assert!(hosts.get("clean").is_none() && hosts.get("failed").is_some());
}

#[test]
fn what_is_forgotten_is_told_as_closed() {
    static COUNTERS: Counters = Counters::new("hosts");
    let clock = clock();
    let hosts: Registry<u8, Streak, Clock, &Counters> = RegistryBuilder::new("hosts", Config::streak(1))
        .capacity(1)
        .idle_after(80 * SECOND)
        .build_observed(clock, |_| &COUNTERS)
        .unwrap();
    hosts.get_or_create(&1).acquire().unwrap().failure();
    assert_eq!([State::Open, State::Closed].map(|state| COUNTERS.counts().transitions_to(state)), [1, 0]);
    clock.advance(1000 * SECOND);
    assert!(!hosts.get_or_create(&2).is_overflow());
    assert_eq!([State::Open, State::Closed].map(|state| COUNTERS.counts().transitions_to(state)), [1, 1]);
}

#[test]
fn of_a_pair_of_windows_both_must_be_clean() {
    type Pair = (Streak, CountWindow<{ count_words(10, false) }>);
    let clock = clock();
    let pairs: Registry<u8, Pair, Clock> = RegistryBuilder::new("pairs", Config::streak(3).and_count(10))
        .capacity(1)
        .idle_after(80 * SECOND)
        .build(clock)
        .unwrap();
    let a = pairs.get_or_create(&1);
    a.acquire().unwrap().failure();
    a.acquire().unwrap().success();
    assert_eq!(a.tally().failed, 0, "the streak has ended; the last ten calls still hold a failure");
    assert!(!a.is_clean());
    drop(a);
    idle(clock);
    assert!(pairs.get_or_create(&2).is_overflow());
}

#[test]
fn nothing_goes_before_the_idle_time_is_over_and_all_may_soon_after() {
    // The clock starts at different places within a stamp, and before the wrap of the ticks.
    for start in [0, 1, 4095, 8191, 8192, u32::MAX - 81_920, u32::MAX - 4096, u32::MAX] {
        let clock = clock_at(start);
        let hosts = hosts(1, clock);
        drop(hosts.get_or_create("a"));
        clock.advance_ticks(81_920 - 1);
        assert!(hosts.get_or_create("b").is_overflow(), "from {start}");
        clock.advance_ticks(2 * 8192 + 1);
        assert!(!hosts.get_or_create("b").is_overflow(), "from {start}: not evicted within two eighths");
    }
    // A key that was idle for half a wrap is still evicted.
    let clock = clock();
    let hosts = hosts(1, clock);
    drop(hosts.get_or_create("a"));
    clock.advance_ticks(3 << 30);
    assert!(!hosts.get_or_create("b").is_overflow());
}

#[test]
fn whoever_is_idle_longest_goes_and_use_keeps() {
    let clock = clock();
    let hosts = hosts(3, clock);
    for key in ["a", "b", "c"] {
        drop(hosts.get_or_create(key));
        clock.advance(20 * SECOND);
    }
    clock.advance(80 * SECOND);
    drop(hosts.get("a"));
    assert!(!hosts.get_or_create("d").is_overflow());
    assert!(hosts.get("b").is_none() && hosts.get("a").is_some(), "b is evicted, because a was used");
    assert_eq!(hosts.len(), 3);
}

#[test]
fn a_fruitless_look_is_not_repeated_at_once() {
    let clock = clock();
    let hosts = hosts(1, clock);
    let a = hosts.get_or_create("a");
    idle(clock);
    assert!(hosts.get_or_create("b").is_overflow(), "a is held");
    drop(a);
    assert!(hosts.get_or_create("b").is_overflow(), "it was looked at a moment ago");
    clock.advance_ticks(8192);
    assert!(!hosts.get_or_create("b").is_overflow());
    // A removal by hand makes room at once.
    assert!(hosts.get_or_create("c").is_overflow());
    assert!(hosts.remove("b").is_some() && hosts.remove("b").is_none());
    assert!(!hosts.get_or_create("c").is_overflow());
}

#[test]
fn removed_it_goes_on_for_its_holders_and_the_key_begins_anew() {
    let hosts = hosts(1, clock());
    let old = hosts.get_or_create("a");
    old.latch();
    let removed = hosts.remove("a").unwrap();
    assert!(same(&old, &removed));
    let new = hosts.get_or_create("a");
    assert!(!same(&old, &new));
    assert_eq!((old.state(), new.state(), hosts.len()), (State::Latched, State::Closed, 1));
}

#[test]
fn a_key_may_have_settings_of_its_own() {
    let clock = clock();
    let hosts = hosts(4, clock);
    let fails_once = |key: &str| {
        hosts.get_or_create(key).acquire().unwrap().failure();
        hosts.get(key).unwrap().state()
    };
    hosts.configure("vip".into(), Config::streak(1)).unwrap();
    assert_eq!((fails_once("vip"), fails_once("other")), (State::Open, State::Closed));
    // If the key has a breaker, its settings change live, within its shape.
    let open_for = |seconds| Config::streak(3).open_for(seconds * SECOND).open_at_most(600 * SECOND).jitter(false);
    hosts.configure("other".into(), open_for(7)).unwrap();
    fails_once("other");
    assert_eq!(fails_once("other"), State::Open);
    assert_eq!(hosts.get("other").unwrap().retry_in(), Some(7 * SECOND));
    // An invalid configuration changes nothing, whether the key has a breaker or not.
    let error = hosts.configure("other".into(), Config::streak(9)).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Shape, Bound::Fixed));
    let error = hosts.configure("nobody".into(), Config::streak(0)).unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Streak, Bound::AtLeast(1)));
    assert_eq!(fails_once("nobody"), State::Closed, "made by the template");
    // The breaker's shape differs from the template's.
    assert_eq!(hosts.unconfigure("vip").unwrap_err().field, Field::Shape);
    hosts.remove("vip");
    hosts.unconfigure("vip").unwrap();
    assert_eq!(fails_once("vip"), State::Closed);
}

#[test]
fn a_new_template_is_live_for_all_that_follow_it() {
    let hosts = hosts(2, clock());
    let open_for = |seconds| Config::streak(3).open_for(seconds * SECOND).open_at_most(600 * SECOND).jitter(false);
    let opened = |member: &Member<Streak, Clock>| {
        for _ in 0..3 {
            member.acquire().unwrap().failure();
        }
        let time = member.retry_in();
        member.reset();
        time.unwrap().as_secs()
    };
    let (plain, own) = (hosts.get_or_create("plain"), hosts.get_or_create("own"));
    hosts.configure("own".into(), open_for(5)).unwrap();
    hosts.reconfigure(&open_for(50)).unwrap();
    assert_eq!([&plain, &own, hosts.overflow()].map(opened), [50, 5, 50]);
    drop(own);
    hosts.remove("own");
    let own = hosts.get_or_create("own");
    assert_eq!([&plain, &own, hosts.overflow()].map(opened), [50, 5, 50]);
    // After an invalid template the old one stays in force, for breakers that are created later as well.
    assert_eq!(hosts.reconfigure(&open_for(0)).unwrap_err().field, Field::OpenFor);
    assert_eq!(hosts.reconfigure(&Config::streak(4)).unwrap_err().field, Field::Shape);
    drop((plain, own));
    hosts.remove("plain");
    assert_eq!([&hosts.get_or_create("plain"), hosts.overflow()].map(opened), [50, 50]);
    hosts.unconfigure("own").unwrap();
    assert_eq!(opened(&hosts.get("own").unwrap()), 50);
}

#[test]
fn labels_are_what_the_program_knows_and_observers_are_made_by_them() {
    static INTERNAL: Counters = Counters::new("internal");
    static OTHERS: Counters = Counters::new("others");
    let hosts: Registry<String, Streak, Clock, &Counters> = RegistryBuilder::new("hosts", Config::streak(3))
        .capacity(3)
        .label(|host: &String| if host.ends_with(".internal") { "internal" } else { "others" })
        .overflow_label("crowd")
        .build_observed(clock(), |label| if label == "internal" { &INTERNAL } else { &OTHERS })
        .unwrap();
    for host in ["a.internal", "b.internal", "example.org", "example.com"] {
        hosts.get_or_create(host).acquire().unwrap().success();
    }
    assert_eq!((INTERNAL.counts().success, OTHERS.counts().success), (2, 2));
    let mut seen = Vec::new();
    hosts.visit(|key, label, breaker| seen.push((key.cloned(), label, breaker.status().state)));
    let last = seen.pop().unwrap();
    assert_eq!(last, (None, "crowd", State::Closed));
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let some = |key: &str, label| (Some(key.to_string()), label, State::Closed);
    let expected = [some("a.internal", "internal"), some("b.internal", "internal"), some("example.org", "others")];
    assert_eq!(seen, expected);
}

#[test]
fn hooks_may_use_the_registry() {
    let slot: Arc<std::sync::OnceLock<Hosts>> = Arc::default();
    let inside = Arc::clone(&slot);
    let hosts = RegistryBuilder::new("hosts", Config::streak(3))
        .label(move |_: &String| if inside.get().is_some_and(Registry::is_empty) { "first" } else { "later" })
        .build(clock())
        .unwrap();
    let hosts = slot.get_or_init(|| hosts);
    assert_eq!([hosts.get_or_create("a").label(), hosts.get_or_create("b").label()], ["first", "later"]);
    hosts.visit(|key, _, _| {
        if key.is_some_and(|key| key == "a") {
            assert!(hosts.remove("b").is_some());
        }
    });
    assert_eq!(hosts.len(), 1);
}

#[test]
fn what_cannot_work_is_a_typed_error() {
    let build = |make: fn(RegistryBuilder<String>) -> RegistryBuilder<String>| {
        let built: Result<Hosts, _> = make(RegistryBuilder::new("hosts", Config::streak(3))).build(clock());
        built.map(drop).map_err(|error| (error.field, error.bound))
    };
    assert_eq!(build(|builder| builder), Ok(()));
    assert_eq!(build(|builder| builder.capacity(0)), Err((Field::Capacity, Bound::AtLeast(1))));
    // 16 ticks are 15.6 ms.
    assert_eq!(build(|builder| builder.idle_after(Duration::from_millis(15))), Ok(()));
    assert_eq!(
        build(|builder| builder.idle_after(Duration::from_millis(14))),
        Err((Field::IdleAfter, Bound::AtLeast(16)))
    );
    assert_eq!(build(|builder| builder.idle_after(Duration::MAX)), Err((Field::IdleAfter, Bound::AtMost(HORIZON))));
    // The idle time is 600 s.
    assert_eq!(build(|builder| builder.forget_after(Some(600 * SECOND))), Ok(()));
    let error = (Field::ForgetAfter, Bound::AtLeast(614_400));
    assert_eq!(build(|builder| builder.forget_after(Some(599 * SECOND))), Err(error));
    let error = (Field::ForgetAfter, Bound::AtMost(HORIZON));
    assert_eq!(build(|builder| builder.forget_after(Some(Duration::MAX))), Err(error));
    assert_eq!(build(|builder| builder.idle_after(HORIZON / 1024 * SECOND)), Ok(()), "six times it is over the cap");
    let short: Result<Hosts, _> =
        RegistryBuilder::new("hosts", Config::streak(3)).idle_after(Duration::ZERO).build(clock());
    let text = "idle_after must be at least 16 ticks (it is 0ns, the least is 15.625ms)";
    assert_eq!(short.map(drop).unwrap_err().to_string(), text);
    let bad: Result<Hosts, _> = RegistryBuilder::new("hosts", Config::count(9)).build(clock());
    let error = bad.unwrap_err();
    assert_eq!((error.field, error.bound), (Field::Count, Bound::NotInType));
}

#[test]
fn two_who_create_at_once_get_the_same() {
    for _ in 0..200 {
        let hosts = hosts(8, clock());
        let barrier = Barrier::new(4);
        let members: Vec<Vec<_>> = std::thread::scope(|scope| {
            let create = || {
                barrier.wait();
                ["a", "b", "c"].map(|key| hosts.get_or_create(key)).to_vec()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for other in &members[1..] {
            assert!(members[0].iter().zip(other).all(|(one, other)| same(one, other)));
        }
        assert_eq!(hosts.len(), 3);
    }
}

/// After how many readings to act, and the act.
type Script = Option<(u32, Box<dyn FnOnce()>)>;

thread_local! {
    /// The act of this thread at a later reading of a [`Scripted`] clock. It acts after it has read.
    static SCRIPT: RefCell<Script> = const { RefCell::new(None) };
}

fn at_reading(readings: u32, act: impl FnOnce() + 'static) {
    SCRIPT.set(Some((readings, Box::new(act))));
}

/// A clock that lets a test act between two steps of a lookup or an eviction.
#[derive(Clone, Copy)]
struct Scripted(Clock);

impl microbreaker::Clock for Scripted {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = ManualClock::SLACK;

    fn now(&self) -> Ticks {
        let act = match SCRIPT.take() {
            Some((1, act)) => Some(act),
            Some((left, act)) => {
                SCRIPT.set(Some((left - 1, act)));
                None
            }
            None => None,
        };
        let now = self.0.now();
        if let Some(act) = act {
            act();
        }
        now
    }
}

/// Once a time window has counted, it reads the clock to say whether it is clean. An eviction asks that after it has
/// counted the holders.
type Steps = Registry<u8, TimeWindow<4>, Scripted>;

/// A caller that makes room reads the clock three times: to learn whether a search was fruitless just now, which
/// breaker is idle, and whether that breaker is clean. This is the third reading.
const CLEAN: u32 = 3;

fn one_idle() -> &'static Steps {
    one_idle_by(clock())
}

fn one_idle_by(clock: Clock) -> &'static Steps {
    let steps: Steps = RegistryBuilder::new("steps", Config::time(4, SECOND))
        .capacity(1)
        .idle_after(80 * SECOND)
        .build(Scripted(clock))
        .unwrap();
    steps.get_or_create(&1).acquire().unwrap().success();
    idle(clock);
    Box::leak(Box::new(steps))
}

#[test]
fn who_gets_it_while_it_is_judged_keeps_it() {
    let steps = one_idle();
    let got = Rc::new(RefCell::new(None));
    let inside = Rc::clone(&got);
    at_reading(CLEAN, move || *inside.borrow_mut() = steps.get(&1));
    assert!(steps.get_or_create(&2).is_overflow());
    let got = got.take().expect("the script ran");
    assert!(same(&got, &steps.get(&1).unwrap()));
    // It was used, so it stays even though it was given back already.
    drop(got);
    assert!(steps.get_or_create(&2).is_overflow());
}

#[test]
fn who_read_the_time_long_ago_does_not_set_it_back() {
    let clock = clock();
    let steps = one_idle_by(clock);
    at_reading(1, move || {
        clock.advance(70 * SECOND);
        drop(steps.get(&1));
    });
    drop(steps.get(&1));
    clock.advance(40 * SECOND);
    assert!(steps.get_or_create(&2).is_overflow(), "it was used 40 s ago");
    clock.advance(60 * SECOND);
    assert!(!steps.get_or_create(&2).is_overflow());
}

#[test]
fn who_looks_it_up_and_is_late_finds_it_gone() {
    let steps = one_idle();
    let (looking, looked) = channel();
    let (go_on, wait) = channel();
    let reader = Rc::new(Cell::new(None));
    let inside = Rc::clone(&reader);
    at_reading(CLEAN, move || {
        inside.set(Some(std::thread::spawn(move || {
            // The reader has found the slot and counted itself as a holder. It stops where it reads the clock for its
            // stamp.
            at_reading(1, move || {
                looking.send(()).unwrap();
                wait.recv().unwrap();
            });
            let member = steps.get_or_create(&1);
            (member.is_overflow(), member.acquire().is_ok())
        })));
        looked.recv().unwrap();
    });
    let two = steps.get_or_create(&2);
    assert!(!two.is_overflow(), "no thread held 1 when it was judged");
    go_on.send(()).unwrap();
    let thread = reader.take().expect("the script ran");
    assert_eq!(thread.join().unwrap(), (true, true), "it got the overflow breaker, not the evicted one");
    assert!(same(&two, &steps.get(&2).unwrap()) && steps.get(&1).is_none() && steps.len() == 1);
}

/// The documentation says of one meter for a label: the open times of its breakers add up, and a breaker that is
/// forgotten or removed adds nothing more.
#[test]
fn a_labels_meter_adds_the_open_times_of_its_breakers_up() {
    static HOSTS: Meter = Meter::new("hosts");
    let clock = clock();
    let config = Config::streak(1).open_for(10 * SECOND).jitter(false);
    let hosts: Registry<u8, Streak, Clock, &Meter> = RegistryBuilder::new("hosts", config)
        .capacity(2)
        .idle_after(80 * SECOND)
        .build_observed(clock, |_| &HOSTS)
        .unwrap();
    let open = || hosts.overflow().reading().open;
    for key in [1, 2] {
        hosts.get_or_create(&key).acquire().unwrap().failure();
    }
    clock.advance(5 * SECOND);
    assert_eq!(open(), 10 * SECOND);
    hosts.remove(&2).unwrap().reset();
    clock.advance(495 * SECOND);
    assert_eq!(open(), 505 * SECOND);
    drop(hosts.get_or_create(&3));
    assert!(!hosts.get_or_create(&4).is_overflow(), "1 is forgotten");
    clock.advance(500 * SECOND);
    let reading = hosts.overflow().reading();
    assert_eq!((reading.open, reading.states, reading.failure), (505 * SECOND, States::One(State::Closed), 2));
}

/// A label's series cover all its breakers. A breaker of another label, or one that was removed, is counted in none of
/// its states.
#[test]
fn a_reading_of_members_says_how_many_are_in_each_state() {
    static NEAR: Meter = Meter::new("near");
    static FAR: Meter = Meter::new("far");
    let (config, clock) = (Config::streak(1).open_for(10 * SECOND).jitter(false), clock());
    let hosts: Arc<Registry<u8, Streak, Clock, &Meter>> = RegistryBuilder::new("hosts", config)
        .label(|key| if *key < 10 { "near" } else { "far" })
        .capacity(4)
        .build_observed(clock, |label| if label == "near" { &NEAR } else { &FAR })
        .unwrap()
        .into();
    let monitors = Monitors::new();
    monitors.add_members(Arc::clone(&hosts), &NEAR).unwrap();
    monitors.add_members(Arc::clone(&hosts), &FAR).unwrap();
    assert_eq!(monitors.add_members(Arc::clone(&hosts), &FAR), Err(DuplicateName("far")));
    let states = |reading: &Reading| {
        let counts = State::ALL.map(|state| reading.states.count(state));
        assert_eq!(reading.states, States::Members(counts));
        let [closed, half_open, open] =
            [State::Closed, State::HalfOpen, State::Open].map(|state| counts[state as usize]);
        assert_eq!(counts.iter().sum::<u32>(), closed + half_open + open);
        (reading.name, closed, half_open, open, reading.probes_in_flight)
    };
    let all = || monitors.readings().iter().map(states).collect::<Vec<_>>();
    assert_eq!(all(), [("near", 0, 0, 0, 0), ("far", 0, 0, 0, 0)], "the overflow breaker has a label of its own");
    for key in [1, 2, 11] {
        hosts.get_or_create(&key).acquire().unwrap().failure();
    }
    hosts.get_or_create(&3).acquire().unwrap().success();
    assert_eq!(all(), [("near", 1, 0, 2, 0), ("far", 0, 0, 1, 0)]);
    assert_eq!(monitors.readings()[0].states.one(), None);
    clock.advance(11 * SECOND);
    let probe = hosts.get(&2).unwrap();
    let probe = probe.acquire().unwrap();
    assert_eq!(all(), [("near", 1, 1, 1, 1), ("far", 0, 0, 1, 0)]);
    drop(probe);
    hosts.remove(&2).unwrap().reset();
    let [near, far] = monitors.readings()[..] else { unreachable!() };
    assert_eq!(states(&near), ("near", 1, 0, 1, 0));
    // The counts of the removed breaker stay.
    assert_eq!((near.failure, near.success, near.cancelled, far.failure), (2, 1, 1, 1));
    let visited = hosts.reading(&&FAR);
    assert_eq!((visited.name, visited.states), ("far", far.states));
}

/// Threads ask for more keys than fit, while time passes so fast that all keys are idle at once. A thread that holds a
/// member holds the only member of its key, failures are kept, and there are never more members than the capacity.
#[test]
fn nothing_that_is_held_or_has_failed_goes_under_load() {
    const CAPACITY: usize = 8;
    let clock = clock();
    let builder = RegistryBuilder::new("hosts", Config::streak(3)).capacity(CAPACITY).idle_after(80 * SECOND);
    let hosts: Hosts = builder.forget_after(None).build(clock).unwrap();
    // This member has counted a failure, and then no thread holds it.
    let marked = "marked".to_string();
    hosts.get_or_create(&marked).acquire().unwrap().failure();
    let (running, created) = (AtomicBool::new(true), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3_u32)
            .map(|thread| {
                let (hosts, created) = (&hosts, &created);
                scope.spawn(move || {
                    let mut held: HashMap<String, Member<Streak, Clock>> = HashMap::new();
                    let mut random = thread * 7919 + 1;
                    for _ in 0..20_000 {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let key = format!("{}", random >> 16 & 15);
                        let member = hosts.get_or_create(&key);
                        if member.is_overflow() {
                            held.clear();
                            continue;
                        }
                        created.fetch_add(1, Ordering::Relaxed);
                        if let Some(before) = held.get(&key) {
                            assert!(same(before, &member), "{key} has two in use");
                        }
                        member.acquire().unwrap().success();
                        held.insert(key, member);
                        if held.len() > 2 {
                            held.clear();
                        }
                        assert!(hosts.len() <= CAPACITY);
                    }
                })
            })
            .collect();
        let flight = scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                idle(clock);
                std::thread::yield_now();
            }
        });
        let ended: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        running.store(false, Ordering::Relaxed);
        flight.join().unwrap();
        for worker in ended {
            worker.unwrap();
        }
    });
    assert!(created.load(Ordering::Relaxed) > 0);
    assert_eq!(hosts.get(&marked).unwrap().tally().failed, 1, "forgotten");
}
