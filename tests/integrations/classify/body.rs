use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use microbreaker::http::{AtEnd, ClassifyHead, GuardedBody, HeadOutcome, HttpStatus};
use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, CallReport, Clock, Config, CountWindow, Effect, FailureKind, ManualClock, Observer, OpenReason, Outcome,
    Permit, ReportKind, Settle, State, Streak, TickRate, Ticks, Tripped, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

/// A body that follows a script, then ends.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    announces: Announces,
}

#[derive(Debug, Default)]
pub(crate) enum Announces {
    #[default]
    Nothing,
    /// The body knows when it has nothing more to give.
    End,
    /// The body knows how much data it has, but not what follows the data.
    Length,
}

#[derive(Debug)]
pub(crate) enum Step {
    Data,
    Trailers(HeaderMap),
    Wait,
    Break,
    Panic,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl Error for Broken {}

impl Script {
    pub(crate) fn announce(&mut self, what: Announces) {
        self.announces = what;
    }
}

impl Body for Script {
    type Data = &'static [u8];
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<&'static [u8]>, Broken>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Data) => Some(Ok(Frame::data(b"data"))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Wait) => return Poll::Pending,
            Some(Step::Break) => Some(Err(Broken)),
            Some(Step::Panic) => panic!("in the body"),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.announces, Announces::End) && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.announces {
            Announces::Length => {
                SizeHint::with_exact(4 * self.steps.iter().filter(|step| matches!(step, Step::Data)).count() as u64)
            }
            Announces::End => SizeHint::with_exact(17),
            Announces::Nothing => SizeHint::new(),
        }
    }
}

pub(crate) fn script(steps: impl Into<VecDeque<Step>>) -> Response<Script> {
    Response::new(Script { steps: steps.into(), announces: Announces::Nothing })
}

/// An observer that keeps the last report.
#[derive(Default)]
pub(crate) struct Last(Cell<Option<CallReport>>);

impl Observer for Last {
    fn on_report(&self, report: &CallReport) {
        assert!(self.0.replace(Some(*report)).is_none(), "reported twice");
    }
}

pub(crate) type Watched = Breaker<Streak, ManualClock, Last>;

pub(crate) fn watched(config: Config) -> Watched {
    Breaker::observed(config, ManualClock::new(), Last::default())
}

/// The last report since this was last called.
pub(crate) fn reported(breaker: &Watched) -> Option<ReportKind> {
    breaker.observer().0.take().map(|report| report.kind)
}

const SUCCESS: Option<ReportKind> = Some(ReportKind::Success);
const CANCELLED: Option<ReportKind> = Some(ReportKind::Cancelled);
const STALLED: Option<ReportKind> = Some(ReportKind::Failure(FailureKind::Timeout));
const RESET: Option<ReportKind> = Some(ReportKind::Failure(FailureKind::Reset));

type Polled<D, E> = Poll<Option<Result<Frame<D>, E>>>;

pub(crate) fn poll<B: Body>(body: Pin<&mut B>) -> Polled<B::Data, B::Error> {
    body.poll_frame(&mut Context::from_waker(Waker::noop()))
}

type Guarded<'a> = Pin<Box<GuardedBody<Script, Permit<&'a Watched>>>>;

fn begin<'a>(
    breaker: &'a Watched,
    settle: &AtEnd<impl ClassifyHead<Response<Script>>>,
    steps: Vec<Step>,
) -> Guarded<'a> {
    let response = settle.settle(breaker.acquire().unwrap(), script(steps));
    assert_eq!(reported(breaker), None, "at its head");
    Box::pin(response.into_body())
}

fn is_data<E>(polled: &Polled<&'static [u8], E>) -> bool {
    matches!(polled, Poll::Ready(Some(Ok(frame))) if frame.data_ref() == Some(&&b"data"[..]))
}

#[test]
fn a_body_that_ends_is_a_success_then_and_once() {
    let breaker = watched(Config::streak(1));
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Wait, Step::Data]);
    assert!(is_data(&poll(body.as_mut())));
    assert!(poll(body.as_mut()).is_pending());
    assert!(is_data(&poll(body.as_mut())));
    assert_eq!(reported(&breaker), None);
    assert!(matches!(poll(body.as_mut()), Poll::Ready(None)));
    assert_eq!(reported(&breaker), SUCCESS);
    assert!(matches!(poll(body.as_mut()), Poll::Ready(None)));
    drop(body);
    assert_eq!(reported(&breaker), None);
}

#[test]
fn a_body_ends_with_its_trailers_or_with_all_that_was_announced() {
    let breaker = watched(Config::streak(1));
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Trailers(HeaderMap::new())]);
    assert!(is_data(&poll(body.as_mut())));
    assert_eq!(reported(&breaker), None);
    assert!(matches!(poll(body.as_mut()), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
    assert_eq!(reported(&breaker), SUCCESS);
    drop(body);

    let mut response = script([Step::Data]);
    response.body_mut().announce(Announces::End);
    let mut body = pin!(AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response).into_body());
    assert_eq!((reported(&breaker), body.is_end_stream(), body.size_hint().exact()), (None, false, Some(17)));
    assert!(is_data(&poll(body.as_mut())));
    assert_eq!((reported(&breaker), body.is_end_stream()), (SUCCESS, true), "no further poll is needed");
}

/// An HTTP/2 peer may end a body with a separate frame. A proxy that knows the length does not wait for that frame.
#[test]
fn a_body_that_gave_its_length_is_a_success_though_its_end_is_still_to_come() {
    let breaker = watched(Config::streak(1));
    let announced = |steps: Vec<Step>| {
        let mut response = script(steps);
        response.body_mut().announce(Announces::Length);
        AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response).into_body()
    };
    for (polls, expected) in [(0, CANCELLED), (1, CANCELLED), (2, CANCELLED), (3, SUCCESS), (4, SUCCESS), (5, RESET)] {
        let mut body = Box::pin(announced(vec![Step::Data, Step::Wait, Step::Data, Step::Wait, Step::Break]));
        for _ in 0..polls {
            let _ = poll(body.as_mut());
        }
        // While the body lives, nothing is reported, because the peer has not ended it. The fifth poll sees it reset.
        assert_eq!(reported(&breaker), expected.filter(|_| polls == 5));
        drop(body);
        assert_eq!(reported(&breaker), expected.filter(|_| polls < 5), "after {polls}");
        breaker.reset();
    }
    // A body of length zero has given everything before its first poll.
    drop(announced(vec![Step::Wait]));
    assert_eq!(reported(&breaker), SUCCESS);
    // Here the length is only a limit. Once it is reached, the exact size reads 0, but the body has not given its
    // length.
    let settle = AtEnd(HttpStatus);
    let limited = script([Step::Data, Step::Data, Step::Break]).map(|body| Limited::new(body, 8));
    let mut body = Box::pin(settle.settle(breaker.acquire().unwrap(), limited).into_body());
    for _ in 0..2 {
        assert!(poll(body.as_mut()).is_ready());
    }
    assert_eq!(body.size_hint().exact(), Some(0));
    drop(body);
    assert_eq!(reported(&breaker), CANCELLED);
}

/// If trailers come, they are judged, even if the length alone would have sufficed.
#[test]
fn a_body_of_known_length_is_judged_by_the_trailers_that_come() {
    struct Trailed;
    impl ClassifyHead<Response<Script>> for Trailed {
        fn classify_head(&self, _: &Response<Script>) -> HeadOutcome {
            HeadOutcome::Streams(|trailers| match trailers {
                Some(_) => Outcome::Failure(FailureKind::Server),
                None => Outcome::Success,
            })
        }
    }
    let breaker = watched(Config::streak(9));
    let mut response = script([Step::Data, Step::Trailers(HeaderMap::new())]);
    response.body_mut().announce(Announces::Length);
    let mut body = pin!(AtEnd(Trailed).settle(breaker.acquire().unwrap(), response).into_body());
    while let Poll::Ready(Some(Ok(_))) = poll(body.as_mut()) {}
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Server)));
}

/// Without this, a peer whose answers take longer than a lease would never be found healthy.
#[test]
fn a_probe_that_still_streams_when_half_of_its_lease_is_over_has_shown_that_the_peer_is_up() {
    let due = |config: Config| {
        let breaker = watched(config.lease(20 * SECOND).jitter(false));
        breaker.trip(OpenReason::Manual, SECOND);
        breaker.clock().advance(2 * SECOND);
        breaker
    };
    for (past, expected) in [(Duration::ZERO, None), (TICK, SUCCESS)] {
        let breaker = due(Config::streak(1));
        let permit = breaker.acquire().unwrap();
        // The lease begins with the call, not with its body.
        breaker.clock().advance(4 * SECOND);
        let response = script([Step::Data, Step::Wait, Step::Data, Step::Break]);
        let mut body = Box::pin(AtEnd(HttpStatus).settle(permit, response).into_body());
        assert!(is_data(&poll(body.as_mut())));
        breaker.clock().advance(6 * SECOND + past);
        // No frame came, so nothing is reported.
        assert!(poll(body.as_mut()).is_pending());
        assert_eq!((reported(&breaker), breaker.state()), (None, State::HalfOpen));
        assert!(is_data(&poll(body.as_mut())));
        assert_eq!(reported(&breaker), expected, "{past:?} past it");
        assert_eq!(breaker.state() == State::Closed, expected.is_some());
        let _ = poll(body.as_mut());
        assert_eq!(breaker.state() == State::Open, expected.is_none(), "a later end is no longer the probe's");
        breaker.observer().0.take();
    }
    // If the head was slow, the report is slow.
    let breaker = due(Config::streak(1).slow_after(SECOND));
    let permit = breaker.acquire().unwrap();
    breaker.clock().advance(11 * SECOND);
    let mut body = Box::pin(AtEnd(HttpStatus).settle(permit, script([Step::Data, Step::Data])).into_body());
    assert!(is_data(&poll(body.as_mut())));
    assert_eq!(breaker.status().reason, Some(OpenReason::Slow));
    // This rule does not apply to calls that are no probes.
    let breaker = watched(Config::streak(1));
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Data, Step::Break]);
    breaker.clock().advance(1_000 * SECOND);
    assert!(is_data(&poll(body.as_mut())));
    assert_eq!(reported(&breaker), None);
}

#[test]
fn fault_22_a_stream_is_counted_a_success_at_its_headers_and_its_death_never() {
    let breaker = watched(Config::streak(2).jitter(false));
    for _ in 0..2 {
        assert_eq!(breaker.state(), State::Closed);
        let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Break]);
        assert!(is_data(&poll(body.as_mut())));
        assert!(matches!(poll(body.as_mut()), Poll::Ready(Some(Err(Broken)))), "passed on");
        assert_eq!(reported(&breaker), RESET);
    }
    assert_eq!(breaker.state(), State::Open, "each had a 200 in its head");
    // A probe does not close the circuit at its head either.
    breaker.clock().advance(30 * SECOND);
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Break]);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(is_data(&poll(body.as_mut())));
    assert!(poll(body.as_mut()).is_ready());
    assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
}

#[test]
fn fault_22_a_window_sees_streams_that_die() {
    let breaker: Breaker<CountWindow<{ count_words(4, false) }>, _> =
        Breaker::new(Config::count(4), ManualClock::new());
    for steps in [vec![Step::Data], vec![Step::Data, Step::Break], vec![], vec![Step::Data, Step::Data, Step::Break]] {
        assert_eq!(breaker.state(), State::Closed);
        let response: Response<_> = AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), script(steps));
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(Ok(_))) = poll(body.as_mut()) {}
    }
    assert_eq!(breaker.status().reason, Some(OpenReason::Failures), "two of four");
}

#[test]
fn a_client_that_goes_away_says_nothing() {
    let breaker = watched(Config::streak(1));
    for polls in 0..3 {
        let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data, Step::Wait, Step::Data]);
        for _ in 0..polls {
            let _ = poll(body.as_mut());
        }
        breaker.clock().advance(1_000 * SECOND);
        drop(body);
        assert_eq!(reported(&breaker), CANCELLED, "after {polls}");
    }
    // If the call is a probe, its slot is given back.
    assert!(matches!(breaker.trip(OpenReason::Manual, SECOND), Tripped::Opened(_)));
    breaker.clock().advance(2 * SECOND);
    drop(begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data]));
    assert_eq!((reported(&breaker), breaker.state()), (CANCELLED, State::HalfOpen));
    assert!(breaker.acquire().unwrap().is_probe());
}

/// One tick at 1024 Hz, rounded up.
const TICK: Duration = Duration::from_nanos(976_563);

#[test]
fn a_body_that_stalls_and_is_dropped_is_a_failure_from_the_exact_edge_on() {
    let settle = AtEnd(HttpStatus).stall_after(30 * SECOND);
    for (past, expected) in [(Duration::ZERO, CANCELLED), (TICK, STALLED)] {
        let breaker = watched(Config::streak(9));
        let mut body = begin(&breaker, &settle, vec![Step::Data, Step::Wait, Step::Wait]);
        breaker.clock().advance(100 * SECOND);
        let _ = poll(body.as_mut());
        breaker.clock().advance(100 * SECOND);
        // The body owes a frame from this poll on; later polls do not restart that time.
        assert!(poll(body.as_mut()).is_pending());
        breaker.clock().advance(30 * SECOND);
        assert!(poll(body.as_mut()).is_pending());
        breaker.clock().advance(past);
        drop(body);
        assert_eq!(reported(&breaker), expected, "{past:?} past it");
    }
}

#[test]
fn a_slow_reader_is_not_held_against_the_peer() {
    let breaker = watched(Config::streak(1));
    let settle = AtEnd(HttpStatus).stall_after(SECOND);
    // The body is never polled, or polled until it gave a frame, or gives a frame late.
    for polls in [0, 1, 3] {
        let mut body = begin(&breaker, &settle, vec![Step::Data, Step::Wait, Step::Data, Step::Data]);
        for _ in 0..polls {
            let _ = poll(body.as_mut());
            breaker.clock().advance(60 * SECOND);
        }
        breaker.clock().advance(60 * SECOND);
        drop(body);
        assert_eq!(reported(&breaker), CANCELLED, "after {polls}");
    }
}

#[test]
fn a_stall_that_ends_in_order_or_in_an_error_is_no_timeout() {
    let breaker = watched(Config::streak(9));
    for (last, expected) in [(None, SUCCESS), (Some(Step::Break), RESET)] {
        let steps = [Step::Wait].into_iter().chain(last).collect();
        let mut body = begin(&breaker, &AtEnd(HttpStatus).stall_after(SECOND), steps);
        assert!(poll(body.as_mut()).is_pending());
        breaker.clock().advance(60 * SECOND);
        assert!(poll(body.as_mut()).is_ready());
        drop(body);
        assert_eq!(reported(&breaker), expected);
    }
}

#[test]
fn a_stall_past_the_horizon_never_comes() {
    let breaker = watched(Config::streak(1));
    let mut body = begin(&breaker, &AtEnd(HttpStatus).stall_after(Duration::MAX), vec![Step::Wait]);
    assert!(poll(body.as_mut()).is_pending());
    breaker.clock().advance(1_000_000 * SECOND);
    drop(body);
    assert_eq!(reported(&breaker), CANCELLED);
}

#[test]
fn the_slow_limit_is_held_against_the_head() {
    for (head, slow) in [(SECOND, false), (SECOND + TICK, true)] {
        let breaker = watched(Config::streak(9).slow_after(SECOND));
        let permit = breaker.acquire().unwrap();
        breaker.clock().advance(head);
        let mut body = pin!(AtEnd(HttpStatus).settle(permit, script([Step::Data])).into_body());
        breaker.clock().advance(1_000 * SECOND);
        while poll(body.as_mut()).map(|frame| frame.is_some()) == Poll::Ready(true) {}
        let report = breaker.observer().0.take().unwrap();
        assert_eq!((report.kind, report.slow), (ReportKind::Success, slow), "{head:?}");
        assert_eq!(breaker.tally().failed, u32::from(slow), "a slow success counts as failed in a streak");
        // Once a head has come, a client that leaves a long stream has cancelled the call, however late.
        let permit = breaker.acquire().unwrap();
        breaker.clock().advance(head);
        let response = AtEnd(HttpStatus).settle(permit, script([Step::Data]));
        breaker.clock().advance(1_000 * SECOND);
        drop(response);
        assert_eq!(reported(&breaker), CANCELLED);
        // If no head came within the limit, the drop is a failure.
        let permit = breaker.acquire().unwrap();
        breaker.clock().advance(2 * SECOND);
        drop(permit);
        assert_eq!(reported(&breaker), STALLED);
    }
}

#[test]
fn answered_takes_the_first_time_and_keeps_the_permit_what_it_is() {
    let breaker = watched(Config::streak(9).slow_after(SECOND).jitter(false));
    let take = |permit: &mut Permit<&Watched>| {
        breaker.clock().advance(SECOND);
        permit.answered();
        breaker.clock().advance(SECOND);
        permit.answered();
    };
    let mut permit = breaker.acquire().unwrap();
    let before = (permit.generation(), permit.level(), permit.is_probe(), permit.is_counted());
    take(&mut permit);
    assert_eq!((permit.generation(), permit.level(), permit.is_probe(), permit.is_counted()), before);
    assert_eq!(permit.success(), Effect::Counted);
    assert!(!breaker.observer().0.take().unwrap().slow);
    // The caller's own measure still takes precedence.
    let mut permit = breaker.acquire().unwrap();
    take(&mut permit);
    permit.record_elapsed(Outcome::Success, 2 * SECOND);
    assert!(breaker.observer().0.take().unwrap().slow);
    // A probe stays a probe.
    breaker.hold(SECOND);
    breaker.clock().advance(2 * SECOND);
    let mut probe = breaker.acquire().unwrap();
    take(&mut probe);
    assert!(probe.is_probe() && probe.is_counted());
    assert_eq!(probe.success(), Effect::Closed);
    breaker.observer().0.take();
    // A permit that counts nowhere still counts nowhere.
    breaker.disable();
    let mut uncounted = breaker.acquire().unwrap();
    take(&mut uncounted);
    assert!(!uncounted.is_counted());
    assert_eq!(uncounted.failure(), Effect::Uncounted);
}

#[test]
fn heads_that_say_all_settle_at_once_and_their_bodies_pass_through() {
    let cases = [
        (500, Some(ReportKind::Failure(FailureKind::Server))),
        (404, Some(ReportKind::Alive)),
        (204, SUCCESS),
        (205, SUCCESS),
        (304, SUCCESS),
    ];
    for (code, expected) in cases {
        let breaker = watched(Config::streak(9));
        let mut response = script([Step::Data, Step::Break]);
        *response.status_mut() = code.try_into().unwrap();
        let mut body = pin!(AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response).into_body());
        assert_eq!(reported(&breaker), expected, "{code}");
        assert!(is_data(&poll(body.as_mut())));
        assert!(matches!(poll(body.as_mut()), Poll::Ready(Some(Err(Broken)))));
        assert_eq!(reported(&breaker), None, "{code}: once");
    }
    // The answer to a HEAD request, or a body of length zero, is settled at its head.
    let breaker = watched(Config::streak(9));
    let mut response = script([]);
    response.body_mut().announce(Announces::End);
    let response = AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response);
    assert_eq!(reported(&breaker), SUCCESS);
    drop(response);
    // A head that asks for a hold is settled at once.
    let mut response = script([Step::Data]);
    *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert("retry-after", "7".parse().unwrap());
    let _response = AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response);
    assert_eq!((reported(&breaker), breaker.status().reason), (Some(ReportKind::Hold), Some(OpenReason::Hold)));
    assert!(breaker.retry_in().unwrap() >= 7 * SECOND);
}

#[test]
fn a_result_is_settled_like_its_response_and_an_error_at_once() {
    let breaker = watched(Config::streak(9));
    let settle = AtEnd(HttpStatus.errors(|_: &&str| Outcome::Failure(FailureKind::Dns)));
    let gone: Result<Response<Script>, _> = Err("no such host");
    assert_eq!(settle.settle(breaker.acquire().unwrap(), gone).err(), Some("no such host"));
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Dns)));
    let response = settle.settle(breaker.acquire().unwrap(), Ok::<_, &str>(script([]))).unwrap();
    assert_eq!(reported(&breaker), None);
    assert!(matches!(poll(pin!(response.into_body())), Poll::Ready(None)));
    assert_eq!(reported(&breaker), SUCCESS);
    // If a closure classifies, it decides everything.
    let latch = AtEnd(|result: &Result<Response<Script>, Infallible>| match result {
        Ok(response) if response.status() == 403 => Outcome::Latch,
        Ok(_) => Outcome::Success,
        Err(never) => match *never {},
    });
    let mut response = script([]);
    *response.status_mut() = http::StatusCode::FORBIDDEN;
    let _response = latch.settle(breaker.acquire().unwrap(), Ok(response));
    assert_eq!(breaker.state(), State::Latched);
}

#[test]
fn a_panic_in_a_body_or_past_it_is_a_failure() {
    let breaker = watched(Config::streak(9));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _body = begin(&breaker, &AtEnd(HttpStatus), vec![]);
        panic!("past the body");
    }));
    assert!(panicked.is_err());
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Panic)));
    // It is also a failure if the panic is caught before the body is dropped, as a layer that catches panics does.
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(body.as_mut()).is_ready())).is_err());
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Panic)));
    drop(body);
    assert_eq!(reported(&breaker), None);
}

#[test]
fn a_body_of_no_call_reports_nothing() {
    let breaker = watched(Config::streak(9));
    let mut body = begin(&breaker, &AtEnd(HttpStatus), vec![Step::Data]);
    body.set(GuardedBody::unguarded(script([Step::Data]).into_body()));
    // `set` drops the guarded body that was in its place.
    assert_eq!(reported(&breaker), Some(ReportKind::Cancelled));
    while !matches!(poll(body.as_mut()), Poll::Ready(None)) {}
    assert_eq!(reported(&breaker), None);
}

/// A clock that counts its readings.
#[derive(Default)]
struct Counting(Cell<u32>);

impl Clock for Counting {
    const RATE: TickRate = TickRate::new(1024, 1);

    fn now(&self) -> Ticks {
        self.0.set(self.0.get() + 1);
        Ticks::new(0)
    }
}

#[test]
fn the_clock_is_read_only_where_a_body_can_stall() {
    let breaker: Breaker<Streak, Counting> = Breaker::new(Config::streak(9), Counting::default());
    let run = |response: Response<GuardedBody<Script, Permit<&_>>>| {
        let mut body = pin!(response.into_body());
        while !matches!(poll(body.as_mut()), Poll::Ready(None)) {}
        breaker.clock().0.get()
    };
    let response = || script([Step::Data, Step::Wait, Step::Wait, Step::Data, Step::Data, Step::Wait]);
    assert_eq!(run(AtEnd(HttpStatus).settle(breaker.acquire().unwrap(), response())), 0);
    let stalling = AtEnd(HttpStatus).stall_after(SECOND);
    assert_eq!(run(stalling.settle(breaker.acquire().unwrap(), response())), 2, "once per time that a frame is owed");
}

/// The future of a tower layer needs all of these traits.
#[test]
fn a_guarded_body_travels_as_its_body_does() {
    fn assert_travels<B: Body + Send + Sync + Unpin + std::fmt::Debug + 'static>(_: &B) {}
    static CLOCK: ManualClock = ManualClock::new();
    static BREAKER: Breaker<Streak, &ManualClock, Counters> =
        Breaker::observed(Config::streak(1), &CLOCK, Counters::new("shared"));
    assert_travels(AtEnd(HttpStatus).settle(BREAKER.acquire().unwrap(), script([])).body());
    assert_eq!(BREAKER.observer().counts().cancelled, 1);
}
