//! A client that the first admitted call creates: once, on one permit, and never while the circuit is open.

use core::cell::Cell;
use core::future::{poll_fn, ready};
use core::time::Duration;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use microbreaker::lazy::Lazy;
use microbreaker::metrics::{Counters, Meter};
use microbreaker::{Breaker, Config, Error, FailureKind, ManualClock, Mode, Outcome, State, Streak};

const SECOND: Duration = Duration::from_secs(1);

type Guarded = Breaker<Streak, ManualClock, Counters>;

fn breaker(config: Config) -> Guarded {
    Breaker::observed(config, ManualClock::new(), Counters::new("lazy"))
}

/// A future that is polled by hand.
struct Task<'a, T>(Pin<Box<dyn Future<Output = T> + 'a>>);

impl<'a, T> Task<'a, T> {
    fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self(Box::pin(future))
    }

    fn poll(&mut self) -> Poll<T> {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn now(mut self) -> T {
        match self.poll() {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }
}

/// A future passes once the gate is open.
#[derive(Default)]
struct Gate(Cell<bool>);

impl Gate {
    async fn pass(&self) {
        poll_fn(|_| if self.0.get() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

#[test]
fn one_creates_and_the_others_wait_each_on_a_permit_of_its_own() {
    let breaker = breaker(Config::streak(3));
    let (lazy, gate, created) = (Lazy::new(&breaker), Gate::default(), Cell::new(0));
    let call = || {
        Task::new(lazy.call(
            || async {
                created.set(created.get() + 1);
                gate.pass().await;
                Ok::<_, ()>(created.get())
            },
            async |client| Ok(*client),
        ))
    };
    let (mut one, mut two) = (call(), call());
    assert!(one.poll().is_pending() && two.poll().is_pending());
    assert_eq!(breaker.observer().counts().permitted, 1, "a caller that waits has not asked yet");
    gate.0.set(true);
    assert_eq!((one.poll(), two.poll()), (Poll::Ready(Ok(1)), Poll::Ready(Ok(1))));
    assert_eq!(call().now(), Ok(1));
    let counts = breaker.observer().counts();
    assert_eq!((created.get(), counts.permitted, counts.success), (1, 3, 3));
}

#[test]
fn after_creations_that_opened_the_circuit_nobody_tries_another() {
    let breaker = breaker(Config::streak(2));
    let (lazy, gate, created) = (Lazy::<(), _>::new(&breaker), Gate::default(), Cell::new(0));
    let mut tasks: Vec<_> = (0..4)
        .map(|_| {
            Task::new(lazy.call(
                || async {
                    created.set(created.get() + 1);
                    gate.pass().await;
                    Err("no route")
                },
                |_| -> core::future::Ready<Result<(), _>> { panic!("called without a client") },
            ))
        })
        .collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    gate.0.set(true);
    let results: Vec<_> = tasks.into_iter().map(Task::now).collect();
    assert_eq!(results[..2], [Err(Error::Inner("no route")), Err(Error::Inner("no route"))]);
    assert!(results[2..].iter().all(|result| matches!(result, Err(Error::Rejected(_)))));
    assert_eq!((created.get(), breaker.state(), lazy.current()), (2, State::Open, None));
    assert_eq!(breaker.observer().counts().failure, 2);
    // A caller that comes later is rejected too.
    let create = || -> core::future::Ready<Result<(), &str>> { panic!("created") };
    assert!(matches!(Task::new(lazy.get(create)).now(), Err(Error::Rejected(_))));
    // The next admitted caller creates the client.
    breaker.reset();
    assert!(Task::new(lazy.get(|| ready(Ok::<_, &str>(())))).now().is_ok());
}

#[test]
fn a_client_that_is_there_is_given_out_whatever_the_breaker_says_but_not_called() {
    let breaker = breaker(Config::streak(1));
    let lazy = Lazy::new(&breaker);
    let create = || ready(Ok::<_, ()>(7));
    assert_eq!(Task::new(lazy.get(create)).now().as_deref(), Ok(&7));
    breaker.latch();
    assert_eq!(Task::new(lazy.get(create)).now().as_deref(), Ok(&7));
    let call = |_| -> core::future::Ready<Result<(), ()>> { panic!("called") };
    assert!(matches!(Task::new(lazy.call(create, call)).now(), Err(Error::Rejected(_))));
}

#[test]
fn who_cannot_be_admitted_does_not_wait_for_a_creation_that_hangs() {
    let breaker = breaker(Config::streak(1).probes(1));
    let (lazy, gate) = (Lazy::new(&breaker), Gate::default());
    let get = || {
        Task::new(lazy.get(|| async {
            gate.pass().await;
            Ok::<_, ()>(())
        }))
    };
    let rejected = || breaker.observer().counts().rejected;
    breaker.hold(SECOND);
    breaker.clock().advance(2 * SECOND);
    let mut probe = get();
    assert!(probe.poll().is_pending());
    assert!(matches!(get().now(), Err(Error::Rejected(_))), "the only probe is in flight");
    breaker.force_open();
    assert!(matches!(get().now(), Err(Error::Rejected(_))));
    assert_eq!((rejected(), breaker.observer().counts().permitted), (2, 1), "told once each");
    // In shadow and while off, a caller would be admitted, so it waits. The observer is told when its turn comes.
    for mode in [Mode::Shadow, Mode::Off] {
        breaker.switch(Mode::On);
        breaker.latch();
        breaker.switch(mode);
        let mut waiting = get();
        assert!(waiting.poll().is_pending(), "{mode:?}");
    }
    assert_eq!((rejected(), breaker.observer().counts().would_reject), (2, 0));
    gate.0.set(true);
    assert!(probe.now().is_ok() && get().now().is_ok());
}

#[test]
fn dropped_while_it_creates_the_turn_and_the_permit_go_back() {
    let breaker = breaker(Config::streak(1).probes(2).successes(1));
    let (lazy, gate) = (Lazy::new(&breaker), Gate::default());
    breaker.hold(SECOND);
    breaker.clock().advance(2 * SECOND);
    let call = || {
        Task::new(lazy.call(
            || async {
                gate.pass().await;
                Ok::<_, ()>(())
            },
            async |_| Ok(()),
        ))
    };
    let (mut one, mut two) = (call(), call());
    assert!(one.poll().is_pending() && two.poll().is_pending());
    assert_eq!(breaker.status().probes_in_flight, 1);
    drop(one);
    assert_eq!((breaker.status().probes_in_flight, breaker.observer().counts().cancelled), (0, 1));
    gate.0.set(true);
    assert_eq!(two.now(), Ok(()));
    assert_eq!((breaker.state(), breaker.observer().counts().failure), (State::Closed, 0));
    // A caller that only waits holds nothing.
    gate.0.set(false);
    let client = lazy.current().unwrap();
    assert!(lazy.discard(&client));
    let (mut one, mut two) = (call(), call());
    assert!(one.poll().is_pending() && two.poll().is_pending());
    drop(two);
    assert_eq!(breaker.observer().counts().cancelled, 1);
    gate.0.set(true);
    assert_eq!(one.now(), Ok(()));
}

#[test]
fn a_creation_that_hangs_past_the_slow_limit_is_a_failure_when_it_is_dropped() {
    let breaker = breaker(Config::streak(1).slow_after(SECOND));
    let (lazy, gate) = (Lazy::<(), _>::new(&breaker), Gate::default());
    let mut task = Task::new(lazy.get(|| async {
        gate.pass().await;
        Ok::<_, ()>(())
    }));
    assert!(task.poll().is_pending());
    breaker.clock().advance(2 * SECOND);
    drop(task);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_panic_in_a_creation_is_a_failure_and_leaves_the_turn_to_the_next() {
    let breaker = breaker(Config::streak(2));
    let lazy = Lazy::new(&breaker);
    let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let create = || -> core::future::Ready<Result<u8, ()>> { panic!("on purpose") };
        Task::new(lazy.get(create)).now()
    }));
    assert!(panicked.is_err());
    assert_eq!(breaker.tally().failed, 1);
    assert_eq!(Task::new(lazy.get(|| ready(Ok::<u8, ()>(1)))).now().as_deref(), Ok(&1));
}

#[test]
fn a_half_open_circuit_is_judged_by_the_call_and_not_by_what_it_needs() {
    let breaker = breaker(Config::streak(1).open_for(SECOND).jitter(false));
    let lazy = Lazy::new(&breaker);
    let half_open = || {
        breaker.reset();
        breaker.hold(SECOND);
        breaker.clock().advance(2 * SECOND);
    };
    half_open();
    let state_during_call = Cell::new(None);
    let result = Task::new(lazy.call(
        || ready(Ok("client")),
        |_| {
            state_during_call.set(Some(breaker.state()));
            ready(Err::<(), _>("broken"))
        },
    ));
    assert_eq!(result.now(), Err(Error::Inner("broken")));
    assert_eq!((state_during_call.get(), breaker.state()), (Some(State::HalfOpen), State::Open));
    assert!(lazy.current().is_some(), "it was created all the same");
    // If no call follows, the creation itself is judged.
    assert!(lazy.discard(&lazy.current().unwrap()));
    half_open();
    assert!(Task::new(lazy.get(|| ready(Ok::<_, ()>("client")))).now().is_ok());
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn only_the_present_client_is_discarded_and_only_once() {
    let breaker = breaker(Config::streak(1));
    let (lazy, created) = (Lazy::new(&breaker), Cell::new(0));
    let get = || {
        let create = || {
            created.set(created.get() + 1);
            ready(Ok::<u32, ()>(created.get()))
        };
        Task::new(lazy.get(create)).now().unwrap()
    };
    let one = get();
    let (same, foreign) = (get(), Arc::new(1));
    assert!(!lazy.discard(&foreign));
    assert!(lazy.discard(&one) && !lazy.discard(&same), "of two callers that saw it fail, only the first discards it");
    assert_eq!((lazy.current(), *one), (None, 1));
    let two = get();
    assert!(!lazy.discard(&one), "a newer client is left alone");
    assert_eq!((*two, *get(), created.get()), (2, 2, 2));
}

#[test]
fn a_call_means_what_its_classifier_says() {
    let breaker = breaker(Config::streak(1));
    let lazy = Lazy::new(&breaker);
    let not_found = |result: &Result<(), u16>| match result {
        Err(404) => Outcome::Alive,
        Err(_) => Outcome::Failure(FailureKind::Server),
        Ok(()) => Outcome::Success,
    };
    let call = |code| Task::new(lazy.call_with(&not_found, || ready(Ok(())), move |_| ready(Err(code)))).now();
    assert_eq!((call(404), breaker.state()), (Err(Error::Inner(404)), State::Closed));
    assert_eq!((call(500), breaker.state()), (Err(Error::Inner(500)), State::Open));
}

#[test]
fn creations_and_calls_are_timed_once_a_permit() {
    let breaker: Breaker<Streak, _, Meter> =
        Breaker::observed(Config::streak(100), ManualClock::new(), Meter::new("timed").timed());
    let timed = || breaker.reading().latency.unwrap().count();
    let lazy = Lazy::new(&breaker);
    let failing = || async { Err::<u8, ()>(()) };
    let working = || async { Ok::<_, ()>(1) };
    assert!(Task::new(lazy.get(failing)).now().is_err());
    assert_eq!(timed(), 1, "a creation that fails");
    assert!(Task::new(lazy.call(working, |_| async { Err::<(), _>(()) })).now().is_err());
    assert_eq!(timed(), 2, "a call with its creation");
    assert!(Task::new(lazy.call(working, |_| async { Ok(()) })).now().is_ok());
    assert_eq!(timed(), 3, "a call");
    assert!(Task::new(lazy.get(working)).now().is_ok());
    assert_eq!(timed(), 3, "taking the client alone is no call");
    assert!(lazy.discard(&lazy.current().unwrap()));
    assert!(Task::new(lazy.get(working)).now().is_ok());
    assert_eq!(timed(), 4, "a creation");
    let reading = breaker.reading();
    assert_eq!(reading.success + reading.failure, 4);
}
