//! What the models share: a runner, clocks, an observer.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use microbreaker::{
    Breaker, Clock, Config, Event, Fixed, LiveWindow, ManualClock, Observer, OpenReason, Policy, State, TickRate,
    Ticks, Window,
};

/// Explores `model` exhaustively, up to `LOOM_MAX_PREEMPTIONS` preemptions (2 unless set).
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// A clock that stands still, for models in which no time passes.
#[derive(Debug)]
pub(crate) struct Still;

impl Clock for Still {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        Ticks::new(1000)
    }
}

/// A clock that stands still unless it is moved by hand. Like real time it is outside the memory model, and the same for
/// all threads.
#[derive(Debug, Default)]
pub(crate) struct Hand(AtomicU32);

impl Hand {
    pub(crate) fn advance(&self, ticks: u32) {
        self.0.fetch_add(ticks, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        Ticks::new(self.0.load(Ordering::Relaxed))
    }
}

/// A clock that moves on by two ticks with each reading, and remembers what each thread read last. Like real time it is outside
/// the memory model, and the same for all threads. By two ticks, because a deadline is rounded up to its parity: by one, two
/// deadlines could be the same by chance.
#[derive(Debug, Default)]
pub(crate) struct Stepping(Mutex<(u32, Vec<(String, u32)>)>);

impl Stepping {
    /// The latest reading of the calling thread.
    pub(crate) fn last(&self) -> u32 {
        let me = format!("{:?}", thread::current().id());
        let readings = self.0.lock().unwrap();
        readings.1.iter().rev().find(|(thread, _)| *thread == me).map_or(0, |&(_, now)| now)
    }

    pub(crate) fn advance(&self, ticks: u32) {
        self.0.lock().unwrap().0 += ticks;
    }
}

impl Clock for Stepping {
    const RATE: TickRate = ManualClock::RATE;

    fn now(&self) -> Ticks {
        let me = format!("{:?}", thread::current().id());
        let mut readings = self.0.lock().unwrap();
        readings.0 += 2;
        let now = readings.0;
        readings.1.push((me, now));
        Ticks::new(now)
    }
}

/// Keeps all events, without loom's knowledge.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<Event>>);

impl Events {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }
}

impl Observer for Events {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(*event);
    }
}

/// Runs each of the closures in a thread of its own, and waits for all of them.
pub(crate) fn race<const N: usize>(threads: [Box<dyn FnOnce() + Send>; N]) {
    let running = threads.map(|body| thread::spawn(body));
    for thread in running {
        thread.join().unwrap();
    }
}

/// `race!(|breaker| …, |breaker| …)`: each closure gets its own handle of the breaker.
#[macro_export]
macro_rules! race {
    ($shared:expr; $(|$breaker:ident| $body:expr),+ $(,)?) => {
        $crate::common::race([$({
            let $breaker = loom::sync::Arc::clone(&$shared);
            Box::new(move || { $body; }) as Box<dyn FnOnce() + Send>
        }),+])
    };
}

/// Makes a statement of a value that the model ignores: an effect, a rejection or a permit.
pub(crate) fn done<T>(_: T) {}

pub(crate) const fn ticks(count: u32) -> Duration {
    ManualClock::RATE.duration_of(count)
}

/// The inverse of [`ticks`].
pub(crate) fn whole_ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos() * 1024 / 1_000_000_000).unwrap()
}

/// How long an open time of `ticks` lasts if another thread comes before its owner has said how long: all that the bound in the
/// word leaves, by a clock without slack.
pub(crate) const fn unsaid(ticks: u32) -> u32 {
    (ticks + 1).next_power_of_two() - 1
}

/// The longest open time of most models.
pub(crate) const OPEN: u32 = 16;

/// `config` without jitter or backoff, so that each time in a model is one number.
pub(crate) const fn plain(config: Config) -> Config {
    config.jitter(false).backoff_1024ths(1024).open_for(ticks(OPEN))
}

/// A shared breaker, with live settings.
pub(crate) fn shared<W: LiveWindow, C: Clock, O: Observer>(
    config: Config,
    clock: C,
    observer: O,
) -> Arc<Breaker<W, C, O>> {
    Arc::new(Breaker::observed(config, clock, observer))
}

/// A shared breaker, with the settings of a policy.
pub(crate) fn fixed<W: LiveWindow, P: Policy, C: Clock, O: Observer>(
    clock: C,
    observer: O,
) -> Arc<Breaker<Fixed<W, P>, C, O>> {
    Arc::new(Breaker::fixed_observed(clock, observer))
}

/// Declares policies, each by its settings.
#[macro_export]
macro_rules! policies {
    ($($name:ident = $config:expr;)+) => {$(
        #[derive(Debug)]
        struct $name;

        impl microbreaker::Policy for $name {
            const CONFIG: microbreaker::Config = $config;
        }
    )+};
}

/// Explores a model of a breaker twice: with the settings of a policy as live settings, where there may be many probes, and
/// as constants, where the paths for what is not configured are folded away.
#[macro_export]
macro_rules! explore_both {
    ($window:ty, $policy:ty, $clock:expr, $observer:expr; |$breaker:ident| $body:block) => {
        $crate::common::explore(move || {
            let config = <$policy as microbreaker::Policy>::CONFIG;
            let $breaker = $crate::common::shared::<$window, _, _>(config, $clock, $observer);
            $body
        });
        $crate::common::explore(move || {
            let $breaker = $crate::common::fixed::<$window, $policy, _, _>($clock, $observer);
            $body
        });
    };
}

/// Lets the circuit be open for a time that is over: the next `acquire` makes it half-open.
pub(crate) fn come_due<W: Window, O: Observer>(breaker: &Breaker<W, ManualClock, O>) {
    breaker.trip(OpenReason::Manual, ticks(OPEN));
    breaker.clock().advance_ticks(OPEN);
}

/// The events told must be one path through the states, in generations that grow.
pub(crate) fn assert_one_path<W: Window, C: Clock>(breaker: &Breaker<W, C, Events>) {
    let mut events = breaker.observer().all();
    // The end of a ramp keeps the generation.
    events.sort_by_key(|event| (event.generation, event.from == State::Ramping && event.to == State::Closed));
    let (mut state, mut generation) = (State::Closed, 0);
    for event in &events {
        let ends_a_ramp = (event.from, event.to) == (State::Ramping, State::Closed);
        assert!(event.generation > generation || ends_a_ramp, "each generation is told once: {events:?}");
        assert_eq!(event.from, state, "{events:?}");
        (state, generation) = (event.to, event.generation);
    }
    assert_eq!(breaker.state(), state, "{events:?}");
}
