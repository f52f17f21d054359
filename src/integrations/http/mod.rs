//! HTTP: what a response says about the peer that sent it, and a body that carries its call's permit to the end.
//!
//! A response is settled in two steps. Its *head* may say all there is to say (a 503); else the call lasts as long as the
//! body does, for an upstream that dies in the middle of every answer has answered none of them.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::breaker::gate::Holder;
use crate::breaker::permit::Permit;
use crate::breaker::settle::Settle;
use crate::clock::Ticks;
use crate::terms::outcome::{Classify, FailureKind, Outcome};

/// Classifies a response by its status code (RFC 9110 §15) and its `Retry-After` (§10.2.3).
///
/// | status | outcome |
/// | --- | --- |
/// | 1xx, 2xx, 3xx | success |
/// | 429 Too Many Requests, 529 (the site is overloaded) | [hold](Outcome::Hold) for its `Retry-After`; without one a failure: [rate limited](FailureKind::RateLimited) |
/// | 503 Service Unavailable | [hold](Outcome::Hold) for its `Retry-After`; without one a failure: [server](FailureKind::Server) |
/// | 504 Gateway Timeout; 522, 524, 598, 599 of proxies | failure: [timeout](FailureKind::Timeout) |
/// | 511 Network Authentication Required (a gate of the network, in the peer's place); 521, 523 of proxies | failure: [refused](FailureKind::Refused) |
/// | 525, 526 of proxies (TLS with the peer) | failure: [protocol](FailureKind::Protocol) |
/// | 501 Not Implemented, 505 HTTP Version Not Supported, 510 Not Extended | [alive](Outcome::Alive): about the request, as a 4xx |
/// | 500, 502, 506, 507, 508, all other 5xx | failure: [server](FailureKind::Server) |
/// | all other 4xx, 401, 403, 408 and 425 among them | [alive](Outcome::Alive): one client's bad requests must not open the circuit for all |
/// | 600 and above, which are no statuses | failure: [protocol](FailureKind::Protocol) |
/// | an error in place of a response | failure: [other](FailureKind::Other), or what [`errors`](Self::errors) is given says |
///
/// `Retry-After` is seconds or a date in any of the three forms of §5.6.7; of several the longest counts. A date needs the
/// wall clock, which is read for nothing else, and is as wrong as the two clocks are apart;
/// [`Config::hold_at_most`](crate::Config::hold_at_most) is what bounds it. Zero, a date that has passed and what is
/// neither hold nothing.
///
/// Bad credentials of the *caller's own*, the same for every request, are another matter: latch them.
///
/// ```
/// use http::{Response, StatusCode};
/// use microbreaker::{Breaker, Config, HttpStatus, Outcome, State, StdClock, Streak};
///
/// static BILLING: Breaker<Streak, StdClock> = Breaker::new(Config::database(), StdClock::new());
///
/// fn classify<B>(result: &Result<Response<B>, std::io::Error>) -> Outcome {
///     use microbreaker::Classify;
///     match result {
///         Ok(response) if response.status() == StatusCode::UNAUTHORIZED => Outcome::Latch,
///         result => HttpStatus.classify(result),
///     }
/// }
///
/// let request = || Ok(Response::builder().status(401).body(()).unwrap());
/// assert_eq!(BILLING.call_with(&classify, request).unwrap().status(), 401);
/// assert_eq!(BILLING.state(), State::Latched);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpStatus;

impl HttpStatus {
    /// The outcome that a status and its headers stand for.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Outcome {
        Self::of_at(status, headers, SystemTime::now)
    }

    /// [`of`](Self::of) by a wall clock of your own, which is asked only where `Retry-After` is a date.
    pub fn of_at(status: StatusCode, headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Outcome {
        let may_hold = matches!(status.as_u16(), 429 | 503 | 529);
        let hold = if may_hold { retry_after(headers, now) } else { None };
        hold.map_or_else(|| Self::of_code(status), Outcome::Hold)
    }

    /// The outcome that a status alone stands for.
    pub fn of_code(status: StatusCode) -> Outcome {
        Outcome::Failure(match status.as_u16() {
            ..400 => return Outcome::Success,
            429 | 529 => FailureKind::RateLimited,
            400..500 | 501 | 505 | 510 => return Outcome::Alive,
            504 | 522 | 524 | 598 | 599 => FailureKind::Timeout,
            511 | 521 | 523 => FailureKind::Refused,
            525 | 526 | 600.. => FailureKind::Protocol,
            500..600 => FailureKind::Server,
        })
    }

    /// The same for responses, and for errors what `of` says. Of an error with an I/O error somewhere below it,
    /// [`IoError::within`](crate::IoError::within) knows the kind.
    ///
    /// ```
    /// use http::Response;
    /// use microbreaker::{Classify, FailureKind, HttpStatus, IoError, Outcome};
    ///
    /// let classify = HttpStatus.errors(IoError::of);
    /// let hung_up = Err::<Response<()>, _>(std::io::ErrorKind::ConnectionReset.into());
    /// assert_eq!(classify.classify(&hung_up), Outcome::Failure(FailureKind::Reset));
    /// ```
    pub const fn errors<F>(self, of: F) -> WithErrors<Self, F> {
        WithErrors { responses: self, errors: of }
    }
}

impl Classify<StatusCode> for HttpStatus {
    fn classify(&self, status: &StatusCode) -> Outcome {
        Self::of_code(*status)
    }
}

impl<B> Classify<Response<B>> for HttpStatus {
    fn classify(&self, response: &Response<B>) -> Outcome {
        Self::of(response.status(), response.headers())
    }
}

impl<B, E> Classify<Result<Response<B>, E>> for HttpStatus {
    fn classify(&self, result: &Result<Response<B>, E>) -> Outcome {
        result.as_ref().map_or(Outcome::Failure(FailureKind::Other), |response| self.classify(response))
    }
}

/// The longest time that a `Retry-After` asks for, if any asks for some.
fn retry_after(headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Option<Duration> {
    let time = |value: &HeaderValue| {
        let value = value.to_str().ok()?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // What does not fit is longer than any hold may be.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        httpdate::parse_http_date(value).ok()?.duration_since(now()).ok()
    };
    headers.get_all(RETRY_AFTER).iter().filter_map(time).max().filter(|time| !time.is_zero())
}

/// A classification of responses, and one of the errors in place of them: made by [`HttpStatus::errors`] and the like.
#[derive(Clone, Copy, Debug)]
pub struct WithErrors<K, F> {
    pub(crate) responses: K,
    pub(crate) errors: F,
}

impl<T, E, K: Classify<T>, F: Fn(&E) -> Outcome> Classify<Result<T, E>> for WithErrors<K, F> {
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        result.as_ref().map_or_else(&self.errors, |response| self.responses.classify(response))
    }
}

/// What the head of a response says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Head {
    /// All there is to say: the body does not matter.
    Settles(Outcome),
    /// That the body decides. One that comes to its end is what this function says, given its trailers; one that breaks is
    /// a failure of kind [`Reset`](FailureKind::Reset), and one that is dropped says nothing.
    Streams(fn(trailers: Option<&HeaderMap>) -> Outcome),
}

impl Head {
    /// For a peer whose bodies have no say but by their end: a success lasts as long as its body, all else is settled.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Streams(|_| Outcome::Success),
            outcome => Self::Settles(outcome),
        }
    }
}

/// Decides by the head of a response whether its body matters: what [`AtEnd`] asks. Implemented by [`HttpStatus`],
/// `GrpcStatus` (feature `grpc`) and, through [`Head::of`], every `Fn(&T) -> Outcome`, where `T` is the response or a
/// `Result` of one.
pub trait ClassifyHead<T> {
    /// What this head says. Called once per call.
    fn classify_head(&self, response: &T) -> Head;

    /// For how long a body may owe a frame before dropping it counts as a failure; `None` for ever.
    fn stall_after(&self) -> Option<Duration> {
        None
    }
}

impl<T, F: Fn(&T) -> Outcome> ClassifyHead<T> for F {
    fn classify_head(&self, response: &T) -> Head {
        Head::of(self(response))
    }
}

impl<T> ClassifyHead<T> for HttpStatus
where
    Self: Classify<T>,
{
    fn classify_head(&self, response: &T) -> Head {
        Head::of(self.classify(response))
    }
}

impl<T, E, K: ClassifyHead<T>, F: Fn(&E) -> Outcome> ClassifyHead<Result<T, E>> for WithErrors<K, F> {
    fn classify_head(&self, result: &Result<T, E>) -> Head {
        match result {
            Ok(response) => self.responses.classify_head(response),
            Err(error) => Head::Settles((self.errors)(error)),
        }
    }
}

/// Settles a call when its response has come to an end: the body carries the permit, see [`GuardedBody`].
///
/// Settled at once are errors, heads that say all (every status but a success) and bodies that are empty: those of 204,
/// 205 and 304, and those that [say so](Body::is_end_stream), as the answers that a client gets to its HEADs do (by HTTP/2
/// from a peer that ends them with their head; else they are read to their end, or cancelled).
///
/// The slow limit is held against the time to the head, as by [`Permit::answered`]. A body that stalls after it is a failure
/// once [`stall_after`](Self::stall_after) says for how long it may.
///
/// A half-open probe is out until its body ends, or until half of the [lease](crate::Config::lease) is over and it
/// still comes: by that a peer whose answers take minutes, or never end, shows that it is up. It counts as a success
/// then, whatever comes later: a break, trailers, a hold in them. So a peer that dies late in each of its answers is
/// found up each time, and its open times do not grow; let the lease be twice as long as its answers take. One whose answers
/// are silent for a whole lease, or are not read for that long, is a lost probe like any other, and its circuit opens anew:
/// of such streams (a watch, rare events) the head must do, by [`AtOnce`](crate::AtOnce).
///
/// Where successful bodies are dropped unread, use [`AtOnce`](crate::AtOnce): no call would ever come to an end. On a server
/// those are the answers to HEAD.
///
/// What it gives is a response of a [`GuardedBody`]. One that is made up beside it, as a layer's answer to a rejection, has
/// that type too by [`GuardedBody::unguarded`].
///
/// ```
/// use std::time::Duration;
///
/// use http::Response;
/// use http_body_util::{BodyExt, Full};
/// use microbreaker::{AtEnd, Breaker, Config, Counters, HttpStatus, ManualClock, Settle, Streak};
///
/// let breaker: Breaker<Streak, _, _> =
///     Breaker::observed(Config::streak(5), ManualClock::new(), <Counters>::new("upstream"));
/// let settle = AtEnd(HttpStatus).stall_after(Duration::from_secs(30));
///
/// let permit = breaker.acquire().unwrap();
/// let response = settle.settle(permit, Response::new(Full::new(&b"hello"[..])));
/// assert_eq!(breaker.observer().counts().good, 0);
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let body = std::pin::pin!(response.into_body().collect());
/// # let std::task::Poll::Ready(body) = std::future::Future::poll(body, &mut context) else { unreachable!() };
/// # /*
/// let body = response.into_body().collect().await;
/// # */
/// assert_eq!(body.unwrap().to_bytes(), "hello");
/// assert_eq!(breaker.observer().counts().good, 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AtEnd<K = HttpStatus>(pub K);

impl<K> AtEnd<K> {
    /// Counts a body as failed (kind [`Timeout`](FailureKind::Timeout)) that is dropped while it owes a frame for longer
    /// than `time`: what a reader's own timeout around a stalled peer looks like. Without it, every drop is neutral.
    ///
    /// It owes one from a poll that had none on, not while nobody polls it: a slow reader is not held against the peer. A
    /// body that was woken, and dropped without another poll, still owes. By the breaker's clock, which is read once for
    /// each time a body begins to owe; never, if `time` is past its [horizon](crate::HORIZON).
    pub fn stall_after(self, time: Duration) -> AtEnd<StallAfter<K>> {
        AtEnd(StallAfter { head: self.0, time })
    }
}

/// A classification of heads, and the time after which a body stalls: made by [`AtEnd::stall_after`].
#[derive(Clone, Copy, Debug)]
pub struct StallAfter<K> {
    head: K,
    time: Duration,
}

impl<T, K: ClassifyHead<T>> ClassifyHead<T> for StallAfter<K> {
    fn classify_head(&self, response: &T) -> Head {
        self.head.classify_head(response)
    }

    fn stall_after(&self) -> Option<Duration> {
        Some(self.time)
    }
}

impl<H: Holder, B: Body, K: ClassifyHead<Response<B>>> Settle<H, Response<B>> for AtEnd<K> {
    type Output = Response<GuardedBody<B, H>>;

    fn settle(&self, permit: Permit<H>, response: Response<B>) -> Self::Output {
        let head = self.0.classify_head(&response);
        guard(permit, head, self.0.stall_after(), response)
    }
}

impl<H: Holder, B: Body, E, K: ClassifyHead<Result<Response<B>, E>>> Settle<H, Result<Response<B>, E>> for AtEnd<K> {
    type Output = Result<Response<GuardedBody<B, H>>, E>;

    fn settle(&self, permit: Permit<H>, result: Result<Response<B>, E>) -> Self::Output {
        let head = self.0.classify_head(&result);
        match result {
            Ok(response) => Ok(guard(permit, head, self.0.stall_after(), response)),
            Err(error) => {
                permit.record(head.at_once());
                Err(error)
            }
        }
    }
}

impl Head {
    /// Where there is no body to wait for.
    fn at_once(self) -> Outcome {
        match self {
            Self::Settles(outcome) => outcome,
            Self::Streams(end) => end(None),
        }
    }
}

fn guard<B: Body, H: Holder>(
    mut permit: Permit<H>,
    head: Head,
    stall_after: Option<Duration>,
    response: Response<B>,
) -> Response<GuardedBody<B, H>> {
    let empty = matches!(response.status().as_u16(), 204 | 205 | 304) || response.body().is_end_stream();
    let call = match head {
        Head::Streams(end) if !empty => {
            permit.answered();
            let length = response.body().size_hint().exact();
            let (announced, given) = (length.is_some(), length == Some(0));
            Some(Call { permit, end, stall_after, owed_since: None, announced, given })
        }
        head => {
            permit.record(head.at_once());
            None
        }
    };
    response.map(|body| GuardedBody { body, call })
}

pin_project! {
    /// A body that carries its call's permit and reports it when it comes to its end: made by [`AtEnd`]. Frames, errors and
    /// sizes pass through as they are.
    ///
    /// | what happens | outcome |
    /// | --- | --- |
    /// | the last frame, or the end, or trailers | what the head's [`Head::Streams`] says: of [`HttpStatus`] a success |
    /// | a frame of a half-open probe's body when half of the [lease](crate::Config::lease) is over | success |
    /// | an error | failure: [reset](FailureKind::Reset) |
    /// | dropped when it has given the length that it announced | the same as its end, if that is a success |
    /// | dropped while it owes a frame for longer than [`AtEnd::stall_after`] | failure: [timeout](FailureKind::Timeout) |
    /// | dropped otherwise (the client went away) | cancelled: neutral, a probe's slot is given back |
    /// | a panic that drops it, or in it | failure: [panic](FailureKind::Panic) |
    ///
    /// Reported once, by whichever comes first. It allocates nothing. Of a body that only the end of its connection ends
    /// (HTTP/1.0, no length), nobody can tell its death from its end.
    #[derive(Debug)]
    pub struct GuardedBody<B, H: Holder> {
        #[pin]
        body: B,
        // `None`: reported.
        call: Option<Call<H>>,
    }

    impl<B, H: Holder> PinnedDrop for GuardedBody<B, H> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(call) = this.project().call.take() {
                call.dropped();
            }
        }
    }
}

impl<B, H: Holder> GuardedBody<B, H> {
    /// A body of no call: for answers that are made up where others carry a permit, as those to rejected calls.
    pub const fn unguarded(body: B) -> Self {
        Self { body, call: None }
    }
}

#[derive(Debug)]
struct Call<H: Holder> {
    permit: Permit<H>,
    end: fn(Option<&HeaderMap>) -> Outcome,
    stall_after: Option<Duration>,
    /// Since when the body owes a frame, if it does and somebody wants to know.
    owed_since: Option<Ticks>,
    /// It had a length as its head came, from somebody who knows it: not a limit that was reached.
    announced: bool,
    /// All of that length, though not yet its end, which is a frame of its own by HTTP/2: who passes it on need not ask for
    /// that.
    given: bool,
}

impl<H: Holder> Call<H> {
    fn owes(&mut self) {
        if self.stall_after.is_some() && self.owed_since.is_none() {
            self.owed_since = Some(self.permit.now());
        }
    }

    /// Nobody waits for the end.
    fn dropped(self) {
        // What is no success without trailers is judged by those, and nobody has seen any.
        let outcome = if self.given && (self.end)(None) == Outcome::Success {
            Outcome::Success
        } else if self.is_stalled() {
            Outcome::Failure(FailureKind::Timeout)
        } else {
            // Its permit, dropped, says what is left to say.
            return;
        };
        self.permit.record(outcome);
    }

    fn is_stalled(&self) -> bool {
        let (Some(time), Some(since)) = (self.stall_after, self.owed_since) else { return false };
        self.permit.has_outlasted(since, time)
    }
}

impl<B: Body, H: Holder> Body for GuardedBody<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        // Held here meanwhile, so that a panic in the body drops the permit in unwinding, whoever catches that.
        let call = this.call.take();
        let polled = this.body.as_mut().poll_frame(cx);
        let Some(mut call) = call else { return polled };
        let outcome = match &polled {
            Poll::Pending => {
                call.owes();
                None
            }
            Poll::Ready(None) => Some((call.end)(None)),
            Poll::Ready(Some(Err(_))) => Some(Outcome::Failure(FailureKind::Reset)),
            Poll::Ready(Some(Ok(frame))) => {
                call.owed_since = None;
                call.given = call.announced && this.body.size_hint().exact() == Some(0);
                let trailers = frame.trailers_ref();
                // Whoever was given all there is need not ask for more.
                if trailers.is_some() || this.body.is_end_stream() {
                    Some((call.end)(trailers))
                } else {
                    let lasts = call.permit.is_probe() && call.permit.has_outlasted_half_of_its_lease();
                    lasts.then_some(Outcome::Success)
                }
            }
        };
        match outcome {
            Some(outcome) => {
                call.permit.record(outcome);
            }
            None => *this.call = Some(call),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
