//! embassy's clock, and waiting on it, with embassy's mock driver: time moves only when a test moves it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_time::MockDriver;
use microbreaker::embassy_time::EmbassyClock;
use microbreaker::{
    Breaker, Clock, Config, Effect, Mode, OpenReason, RejectReason, Rejected, State, Streak, TickRate, Ticks,
};

/// All tests of this program share one driver, so they run one at a time.
static DRIVER: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = DRIVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    MockDriver::get().reset();
    alone
}

/// embassy ticks at 1 MHz here.
fn advance_micros(micros: u64) {
    MockDriver::get().advance(embassy_time::Duration::from_micros(micros));
}

const SECOND: u64 = 1_000_000;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future, and how often it was woken.
struct Task<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

type Modem = Breaker<Streak, EmbassyClock>;

fn modem() -> Modem {
    Breaker::new(Config::streak(1).jitter(false).open_for(Duration::from_secs(8)), EmbassyClock)
}

#[test]
fn a_tick_is_1024_microseconds_and_said_to_be() {
    let _alone = alone();
    assert_eq!(EmbassyClock::RATE, TickRate::new(15_625, 16));
    advance_micros(1023);
    assert_eq!(EmbassyClock.now(), Ticks::new(0));
    advance_micros(1);
    assert_eq!(EmbassyClock.now(), Ticks::new(1));
    // embassy's counter is 64 bits wide, the breaker's 32: it wraps.
    advance_micros((1 << 42) - 1024);
    assert_eq!(EmbassyClock.now(), Ticks::new(0));
    advance_micros(1024);
    assert_eq!(EmbassyClock.now(), Ticks::new(1));
}

#[test]
fn ready_is_at_once_while_calls_are_admitted() {
    let _alone = alone();
    let modem = modem();
    for state in [State::Closed, State::Disabled] {
        assert_eq!(modem.state(), state);
        assert_eq!(Task::new(modem.ready()).poll(), Poll::Ready(Ok(())));
        modem.disable();
    }
}

#[test]
fn ready_sleeps_for_exactly_the_open_time_and_wakes_once() {
    let _alone = alone();
    let modem = modem();
    modem.acquire().unwrap().failure();
    advance_micros(SECOND / 2);
    let mut task = Task::new(modem.ready());
    assert_eq!(task.poll(), Poll::Pending);
    let left = u64::from(modem.retry_in_ticks().unwrap()) * 1024;
    assert!(left >= 7 * SECOND + SECOND / 2);
    advance_micros(left - 1);
    assert_eq!(task.wakes(), 0);
    advance_micros(1);
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(Ok(()))));
    assert_eq!(modem.state(), State::Open, "it asked for nothing");
    assert!(modem.acquire().unwrap().is_probe());
}

#[test]
fn a_hold_that_comes_meanwhile_is_slept_through_as_well() {
    let _alone = alone();
    let modem = modem();
    modem.acquire().unwrap().failure();
    let mut task = Task::new(modem.ready());
    assert_eq!(task.poll(), Poll::Pending);
    assert_eq!(modem.hold(Duration::from_secs(30)), Effect::Opened(OpenReason::Hold));
    advance_micros(9 * SECOND);
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Pending));
    advance_micros(22 * SECOND);
    assert_eq!((task.wakes(), task.poll()), (2, Poll::Ready(Ok(()))));
}

#[test]
fn while_a_probe_is_out_it_looks_once_a_second() {
    let _alone = alone();
    let modem = modem();
    modem.acquire().unwrap().failure();
    advance_micros(9 * SECOND);
    let probe = modem.acquire().unwrap();
    let mut task = Task::new(modem.ready());
    for looks in 0..5 {
        assert_eq!((task.poll(), task.wakes()), (Poll::Pending, looks));
        advance_micros(SECOND + 1024);
    }
    assert_eq!(probe.success(), Effect::Closed);
    assert_eq!(task.poll(), Poll::Ready(Ok(())), "long before the lease is over");
}

#[test]
fn waiting_for_a_person_is_an_error() {
    let _alone = alone();
    let modem = modem();
    let error = |modem: &Modem| match Task::new(modem.ready()).poll() {
        Poll::Ready(Err(rejected)) => (rejected.reason(), rejected.retry_in()),
        other => panic!("{other:?}"),
    };
    modem.latch();
    assert_eq!(error(&modem), (RejectReason::Latched, None));
    modem.force_open();
    assert_eq!(error(&modem), (RejectReason::ForcedOpen, None));

    // It is an error too if the circuit is latched in the middle of the sleep.
    modem.reset();
    modem.acquire().unwrap().failure();
    let mut task = Task::new(modem.ready());
    assert_eq!(task.poll(), Poll::Pending);
    modem.latch();
    advance_micros(9 * SECOND);
    assert!(matches!(task.poll(), Poll::Ready(Err(rejected)) if rejected.reason() == RejectReason::Latched));
}

#[test]
fn in_shadow_it_does_not_wait() {
    let _alone = alone();
    let modem = modem();
    modem.switch(Mode::Shadow);
    modem.latch();
    assert_eq!(Task::new(modem.ready()).poll(), Poll::Ready(Ok(())));
}

#[test]
fn dropped_in_the_middle_of_its_sleep_it_has_changed_nothing() {
    let _alone = alone();
    let modem = modem();
    modem.acquire().unwrap().failure();
    advance_micros(1024);
    let before = modem.status();
    {
        let mut task = Task::new(modem.ready());
        assert_eq!(task.poll(), Poll::Pending);
    }
    assert_eq!(modem.status(), before);
    advance_micros(9 * SECOND);
    assert!(modem.acquire().unwrap().is_probe());
}

/// A timeout around it, as firmware waits for whichever comes first.
#[test]
fn a_timeout_around_it_ends_it() {
    let _alone = alone();
    let modem = modem();
    modem.acquire().unwrap().failure();
    let half = embassy_time::Duration::from_millis(500);
    let mut task = Task::new(embassy_time::with_timeout(half, modem.ready()));
    assert!(task.poll().is_pending());
    advance_micros(SECOND);
    let ended: Poll<Result<Result<(), Rejected>, _>> = task.poll();
    assert!(matches!(ended, Poll::Ready(Err(embassy_time::TimeoutError))));
}
