//! A body that carries its call's permit to the end.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use http::Response;
use http::header::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::breaker::gate::Report;
use crate::breaker::settle::Settle;
use crate::clock::Ticks;
use crate::integrations::http::head::{ClassifyHead, HeadOutcome};
use crate::integrations::http::status::HttpStatus;
use crate::terms::outcome::{FailureKind, Outcome};

/// Settles a call when its response has come to an end: the body carries the permit, see [`GuardedBody`].
///
/// Settled at once are errors, heads that say all (every status but a success) and bodies that are empty: those of 204,
/// 205 and 304, and those that [say so](Body::is_end_stream), as the answers that a client gets to its HEADs do (by HTTP/2
/// from a peer that ends them with their head; else they are read to their end, or cancelled).
///
/// The slow limit is held against the time to the head, as by [`Permit::answered`](crate::Permit::answered). A body that stalls after it is a failure
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
/// use microbreaker::http::{AtEnd, HttpStatus};
/// use microbreaker::metrics::Counters;
/// use microbreaker::{Breaker, Config, ManualClock, Settle, Streak};
///
/// let breaker: Breaker<Streak, _, _> =
///     Breaker::observed(Config::streak(5), ManualClock::new(), <Counters>::new("upstream"));
/// let settle = AtEnd(HttpStatus).stall_after(Duration::from_secs(30));
///
/// let permit = breaker.acquire().unwrap();
/// let response = settle.settle(permit, Response::new(Full::new(&b"hello"[..])));
/// assert_eq!(breaker.observer().counts().success, 0);
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let body = std::pin::pin!(response.into_body().collect());
/// # let std::task::Poll::Ready(body) = std::future::Future::poll(body, &mut context) else { unreachable!() };
/// # /*
/// let body = response.into_body().collect().await;
/// # */
/// assert_eq!(body.unwrap().to_bytes(), "hello");
/// assert_eq!(breaker.observer().counts().success, 1);
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
    fn classify_head(&self, response: &T) -> HeadOutcome {
        self.head.classify_head(response)
    }

    fn stall_after(&self) -> Option<Duration> {
        Some(self.time)
    }
}

impl<P: Report, B: Body, K: ClassifyHead<Response<B>>> Settle<P, Response<B>> for AtEnd<K> {
    type Output = Response<GuardedBody<B, P>>;

    fn settle(&self, permit: P, response: Response<B>) -> Self::Output {
        let head = self.0.classify_head(&response);
        guard(permit, head, self.0.stall_after(), response)
    }
}

impl<P: Report, B: Body, E, K: ClassifyHead<Result<Response<B>, E>>> Settle<P, Result<Response<B>, E>> for AtEnd<K> {
    type Output = Result<Response<GuardedBody<B, P>>, E>;

    fn settle(&self, permit: P, result: Result<Response<B>, E>) -> Self::Output {
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

fn guard<B: Body, P: Report>(
    mut permit: P,
    head: HeadOutcome,
    stall_after: Option<Duration>,
    response: Response<B>,
) -> Response<GuardedBody<B, P>> {
    let empty = matches!(response.status().as_u16(), 204 | 205 | 304) || response.body().is_end_stream();
    let call = match head {
        HeadOutcome::Streams(end) if !empty => {
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
    /// | the last frame, or the end, or trailers | what the head's [`HeadOutcome::Streams`] says: of [`HttpStatus`] a success |
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
    pub struct GuardedBody<B, P: Report> {
        #[pin]
        body: B,
        // `None`: reported.
        call: Option<Call<P>>,
    }

    impl<B, P: Report> PinnedDrop for GuardedBody<B, P> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(call) = this.project().call.take() {
                call.dropped();
            }
        }
    }
}

impl<B, P: Report> GuardedBody<B, P> {
    /// A body of no call: for answers that are made up where others carry a permit, as those to rejected calls.
    pub const fn unguarded(body: B) -> Self {
        Self { body, call: None }
    }
}

#[derive(Debug)]
struct Call<P: Report> {
    permit: P,
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

impl<P: Report> Call<P> {
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

impl<B: Body, P: Report> Body for GuardedBody<B, P> {
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
