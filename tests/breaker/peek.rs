//! In every state `peek` answers as `acquire` would, and changes nothing.

use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{Breaker, Config, Effect, ManualClock, Mode, OpenReason, RejectReason, State, Streak};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(1).jitter(false).open_for(SECOND).lease(Duration::from_secs(4)).ramp(SECOND);

type Counted = Breaker<Streak, ManualClock, Counters>;

/// The answer of `peek`, which must be the same as the answer of `acquire` that follows it.
fn peek(breaker: &Counted) -> Option<(RejectReason, Option<Duration>)> {
    let before = (breaker.status(), breaker.observer().counts());
    let peeked = breaker.peek();
    assert_eq!(peeked, breaker.peek());
    assert_eq!((breaker.status(), breaker.observer().counts()), before, "it left a trace");
    assert_eq!(breaker.acquire().map(drop), peeked);
    peeked.err().map(|rejected| (rejected.reason(), rejected.retry_in()))
}

#[test]
fn it_says_in_every_state_what_acquire_would_and_leaves_no_trace() {
    let breaker: Counted = Breaker::observed(CONFIG, ManualClock::new(), Counters::new("peek"));
    assert_eq!(peek(&breaker), None);

    breaker.acquire().unwrap().failure();
    assert_eq!(peek(&breaker), Some((RejectReason::Open(OpenReason::Failures), Some(SECOND))));
    breaker.clock().advance_ticks(1023);
    let tick = Duration::from_nanos(976_563);
    assert_eq!(peek(&breaker), Some((RejectReason::Open(OpenReason::Failures), Some(tick))));

    // The open time is over, but the circuit becomes half-open only when a caller asks for a permit.
    breaker.clock().advance_ticks(1);
    assert!(breaker.peek().is_ok());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(peek(&breaker), None);
    assert_eq!(breaker.state(), State::HalfOpen);

    // The probe is in flight until it is given back or its lease is over.
    let probe = breaker.acquire().unwrap();
    assert_eq!(peek(&breaker), Some((RejectReason::HalfOpen, Some(4 * SECOND))));
    drop(probe);
    assert_eq!(peek(&breaker), None);
    std::mem::forget(breaker.acquire());
    breaker.clock().advance(4 * SECOND);
    assert!(breaker.peek().is_ok(), "it pays to ask: the lost probe is written off");
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.acquire().unwrap_err().reason(), RejectReason::Open(OpenReason::Failures));

    breaker.clock().advance(2 * SECOND);
    assert_eq!(breaker.acquire().unwrap().success(), Effect::Ramping);
    assert!(breaker.peek().is_ok());

    breaker.latch();
    assert_eq!(peek(&breaker), Some((RejectReason::Latched, None)));
    breaker.force_open();
    assert_eq!(peek(&breaker), Some((RejectReason::ForcedOpen, None)));
    breaker.switch(Mode::Shadow);
    assert_eq!(peek(&breaker), None);
    breaker.switch(Mode::On);
    breaker.disable();
    assert_eq!(peek(&breaker), None);
    breaker.reset();
    assert_eq!(peek(&breaker), None);
    assert_eq!(breaker.hold(3 * SECOND), Effect::Opened(OpenReason::Hold));
    assert_eq!(peek(&breaker), Some((RejectReason::Open(OpenReason::Hold), Some(3 * SECOND))));
}
