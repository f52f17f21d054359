//! The load: two fleets of clients, one that calls through a breaker and one that does not. Also the breaker's
//! observer.

use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::select;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use microbreaker::{Breaker, Effect, Event, FailureKind, Observer, OpenReason, Outcome, Permit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::record::{Call, End, Move, News, What};
use crate::tuning::{Guarded, Tuning};
use crate::upstream::PROBE_HEADER;

/// Sends each transition to the screen as it happens.
#[derive(Debug)]
pub(crate) struct Watch {
    begin: Instant,
    tell: mpsc::Sender<News>,
}

impl Watch {
    pub(crate) const fn new(begin: Instant, tell: mpsc::Sender<News>) -> Self {
        Self { begin, tell }
    }
}

impl Observer for Watch {
    fn on_event(&self, event: &Event) {
        let at = self.begin.elapsed();
        // If nobody receives it, the run is over.
        let _ = self.tell.send(News { at, what: What::Moved(Move::new(at, event)) });
    }
}

/// A fleet's numbers as they grow. They are for the screen. The table is made of the calls themselves, and at the end
/// of the run both show the same.
#[derive(Debug, Default)]
pub(crate) struct SideBoard {
    answered: AtomicU32,
    wasted: AtomicU32,
    /// Nanoseconds.
    waited: AtomicU64,
    rejected: AtomicU32,
}

/// What a [`SideBoard`] shows at a moment, in the words of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) wasted: u32,
    pub(crate) waited: Duration,
    pub(crate) answered: u32,
    pub(crate) rejected: u32,
}

impl SideBoard {
    /// Counts a call that was sent and has ended.
    fn count(&self, call: &Call) {
        if call.is_wasted() {
            self.wasted.fetch_add(1, Ordering::Relaxed);
            let waited = u64::try_from(call.took().as_nanos()).unwrap_or(u64::MAX);
            self.waited.fetch_add(waited, Ordering::Relaxed);
        } else {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What it shows now.
    pub(crate) fn sums(&self) -> Sums {
        Sums {
            wasted: self.wasted.load(Ordering::Relaxed),
            waited: Duration::from_nanos(self.waited.load(Ordering::Relaxed)),
            answered: self.answered.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}

/// What a fleet needs to start.
pub(crate) struct Fleet {
    pub(crate) tuning: Tuning,
    pub(crate) begin: Instant,
    pub(crate) board: Arc<SideBoard>,
    /// `None`: the fleet calls without a breaker.
    pub(crate) breaker: Option<Arc<Guarded>>,
    pub(crate) target: Uri,
    /// Whether a probe tells the server that it is one.
    pub(crate) marks_probes: bool,
    pub(crate) seed: u32,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// A fleet that has started.
pub(crate) struct Running(JoinSet<Vec<Call>>);

impl Running {
    /// Every call of every client. The fleet must have been stopped.
    pub(crate) async fn join(self) -> Vec<Call> {
        self.0.join_all().await.concat()
    }
}

impl Fleet {
    pub(crate) fn start(self) -> Running {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        let mut clients = JoinSet::new();
        for number in 0..u32::from(self.tuning.clients) {
            let one = One {
                tuning: self.tuning,
                begin: self.begin,
                board: Arc::clone(&self.board),
                breaker: self.breaker.clone(),
                target: self.target.clone(),
                marks_probes: self.marks_probes,
                http: http.clone(),
                // Both fleets have the same dice, so they have the same load.
                dice: Dice::new(self.seed, number + 1),
            };
            clients.spawn(one.run(self.stopped.clone()));
        }
        Running(clients)
    }
}

type Http = Client<HttpConnector, Empty<Bytes>>;

/// One client. It has one call at a time.
struct One {
    tuning: Tuning,
    begin: Instant,
    board: Arc<SideBoard>,
    breaker: Option<Arc<Guarded>>,
    target: Uri,
    marks_probes: bool,
    http: Http,
    dice: Dice,
}

impl One {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Vec<Call> {
        let mut calls = Vec::new();
        let turns = async {
            loop {
                self.turn(&mut calls).await;
            }
        };
        // The stop also comes if its sender is gone. A call that is under way is then dropped, and nobody counts it.
        let _ = select(pin!(stopped.wait_for(|stopped| *stopped)), pin!(turns)).await;
        calls
    }

    /// Asks the breaker, makes the call, reports its outcome, and pauses.
    async fn turn(&mut self, calls: &mut Vec<Call>) {
        let asked = self.begin.elapsed();
        let permit = match self.breaker.as_ref().map(|breaker| Breaker::acquire_in(Arc::clone(breaker))).transpose() {
            Ok(permit) => permit,
            Err(rejected) => {
                self.board.rejected.fetch_add(1, Ordering::Relaxed);
                let rest = rejected.retry_in().unwrap_or(Duration::MAX);
                return sleep(rest.min(self.tuning.patience)).await;
            }
        };
        let sent = self.begin.elapsed();
        let probe = permit.as_ref().is_some_and(Permit::is_probe);
        let request = self.request(probe);
        let (http, begin) = (&self.http, self.begin);
        let work = async move {
            let result = fetch(http, request).await;
            let ended = begin.elapsed();
            let effect = permit.map(|permit| permit.record(result.outcome()));
            (result, effect, ended)
        };
        // The client's own timeout drops the call together with its permit. The call has by then taken longer than the
        // slow limit, so the breaker counts the dropped permit as a failure: a server that hangs opens the circuit.
        let (end, ended) = match timeout(self.tuning.timeout, work).await {
            Ok((result, effect, ended)) => {
                (result.end(effect, ended.saturating_sub(sent) > self.tuning.slow_after), ended)
            }
            // The drop has reported it already. We read the clock later, so the earliest possible end is taken.
            Err(_) => (End::Failed(FailureKind::Timeout), sent + self.tuning.timeout),
        };
        let call = Call { asked, sent, ended, told: self.begin.elapsed(), end, probe };
        self.board.count(&call);
        calls.push(call);
        sleep(self.dice.around(self.tuning.pause)).await;
    }

    fn request(&self, probe: bool) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.target.clone();
        if probe && self.marks_probes {
            request.headers_mut().insert(PROBE_HEADER, HeaderValue::from_static("1"));
        }
        request
    }
}

/// How an exchange went.
enum Answer {
    Good,
    Alive,
    RetryAfter(Duration),
    Failed(FailureKind),
}

impl Answer {
    fn outcome(&self) -> Outcome {
        match *self {
            Self::Good => Outcome::Success,
            Self::Alive => Outcome::Alive,
            Self::RetryAfter(time) => Outcome::Hold(time),
            Self::Failed(kind) => Outcome::Failure(kind),
        }
    }

    fn end(&self, effect: Option<Effect>, slow: bool) -> End {
        match *self {
            Self::Good if slow => End::Slow,
            Self::Good => End::Good,
            Self::Alive => End::Alive,
            // Unchanged: the circuit is open already, and for longer than this.
            Self::RetryAfter(retry_after) => End::Limited {
                retry_after,
                held: matches!(effect, Some(Effect::Opened(OpenReason::Hold) | Effect::Unchanged)),
            },
            Self::Failed(kind) => End::Failed(kind),
        }
    }
}

/// Makes a call and reads its whole answer.
async fn fetch(http: &Http, request: Request<Empty<Bytes>>) -> Answer {
    let response = match http.request(request).await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Answer::Failed(why_no_connection(&error)),
        Err(_) => return Answer::Failed(FailureKind::Reset),
    };
    let answer = judge(&response);
    match response.into_body().collect().await {
        Ok(_) => answer,
        Err(_) => Answer::Failed(FailureKind::Reset),
    }
}

fn why_no_connection(error: &hyper_util::client::legacy::Error) -> FailureKind {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => FailureKind::Refused,
                io::ErrorKind::TimedOut => FailureKind::Timeout,
                io::ErrorKind::ConnectionReset => FailureKind::Reset,
                _ => FailureKind::Other,
            };
        }
        source = error.source();
    }
    FailureKind::Dns
}

fn judge<B>(response: &Response<B>) -> Answer {
    let status = response.status();
    // Retry-After can also be a date. This example does not read dates: such an answer is a failure like any other.
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    match (status, retry_after) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(time)) => Answer::RetryAfter(time),
        (StatusCode::TOO_MANY_REQUESTS, None) => Answer::Failed(FailureKind::RateLimited),
        _ if status.is_server_error() => Answer::Failed(FailureKind::Server),
        _ if status.is_client_error() => Answer::Alive,
        _ => Answer::Good,
    }
}

/// Measures how late the timers of this machine are at worst, until the load is stopped.
pub(crate) async fn metronome(stopped: watch::Receiver<bool>) -> Duration {
    const BEAT: Duration = Duration::from_millis(5);
    let mut worst = Duration::ZERO;
    while !*stopped.borrow() {
        let begin = Instant::now();
        sleep(BEAT).await;
        worst = worst.max(begin.elapsed().saturating_sub(BEAT));
    }
    worst
}

/// Small, seeded, repeatable random numbers (SplitMix64). They are for pauses, not for secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u32, stream: u32) -> Self {
        Self(((seed as u64) << 32) | stream as u64)
    }

    /// New dice that roll independently of these.
    pub(crate) const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// 0 to `below` − 1.
    pub(crate) fn roll(&mut self, below: u32) -> u32 {
        ((((self.next() >> 32) * u64::from(below)) >> 32) & 0xFFFF_FFFF) as u32
    }

    /// A random time from 0.5 to 1.5 times `time`.
    fn around(&mut self, time: Duration) -> Duration {
        time / 2 + time * self.roll(1024) / 1024
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut response = Response::builder().status(status);
        if let Some(text) = retry_after {
            response = response.header(RETRY_AFTER, text);
        }
        judge(&response.body(()).unwrap()).outcome()
    }

    #[test]
    fn an_answer_means_what_it_says() {
        assert_eq!(outcome(200, None), Outcome::Success);
        assert_eq!(outcome(302, None), Outcome::Success);
        assert_eq!(outcome(404, None), Outcome::Alive);
        assert_eq!(outcome(500, None), Outcome::Failure(FailureKind::Server));
        assert_eq!(outcome(429, Some("1")), Outcome::Hold(Duration::from_secs(1)));
        assert_eq!(outcome(503, Some(" 7 ")), Outcome::Hold(Duration::from_secs(7)));
        assert_eq!(outcome(429, None), Outcome::Failure(FailureKind::RateLimited));
        assert_eq!(outcome(503, Some("Wed, 21 Oct 2015 07:28:00 GMT")), Outcome::Failure(FailureKind::Server));
        assert_eq!(outcome(500, Some("3")), Outcome::Failure(FailureKind::Server), "only 429 and 503 announce a time");
    }

    #[test]
    fn the_board_shows_what_the_calls_say() {
        let board = SideBoard::default();
        let call = |millis, end| {
            let told = Duration::from_millis(millis);
            Call { asked: Duration::ZERO, sent: Duration::ZERO, ended: told, told, end, probe: false }
        };
        for (millis, end) in
            [(3, End::Good), (4, End::Alive), (100, End::Slow), (250, End::Failed(FailureKind::Timeout))]
        {
            board.count(&call(millis, end));
        }
        let waited = Duration::from_millis(350);
        assert_eq!(board.sums(), Sums { wasted: 2, waited, answered: 2, rejected: 0 });
    }

    #[test]
    fn dice_repeat_and_stay_in_range() {
        let (mut one, mut two, mut other) = (Dice::new(7, 1), Dice::new(7, 1), Dice::new(7, 2));
        let pause = Duration::from_millis(16);
        let mut same = 0;
        for _ in 0..1000 {
            let rolled = one.around(pause);
            assert_eq!(rolled, two.around(pause));
            assert!(rolled >= pause / 2 && rolled < pause * 3 / 2);
            same += u32::from(rolled == other.around(pause));
        }
        assert!(same < 50);
    }
}
