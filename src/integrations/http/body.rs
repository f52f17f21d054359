//! A body that carries its call's permit to its end.

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

/// Reports a call when its response has come to an end: the body carries the permit, see [`GuardedBody`].
///
/// Some calls are reported at once: errors, heads that decide alone (of [`HttpStatus`]: all but successes) and empty
/// bodies. A body is empty if the status is 204, 205 or 304, or if the body [says so](Body::is_end_stream). A client's
/// responses to HEAD say so by HTTP/2, if the peer ends them with their head; otherwise they are read to their end, or
/// cancelled.
///
/// The slow limit applies to the time to the head, as by [`Permit::answered`](crate::Permit::answered). A body that
/// stalls after its head counts as a failure only if [`stall_after`](Self::stall_after) sets a limit.
///
/// A half-open probe stays in flight until its body ends. If a frame comes when half of the
/// [lease](crate::Config::lease) is over, the probe counts as a success already: a peer whose responses take minutes,
/// or never end, shows by this that it is up. A break or trailers that come later no longer count, not even a hold in
/// them. So a peer that dies late in each of its responses is found up each time, and its open times do not grow; set
/// the lease to twice the time that responses take. If a response is silent for a whole lease, or is not read for that
/// long, its probe is lost like any other, and the circuit opens again. Judge such streams (a watch, rare events) by
/// their head alone, by [`AtOnce`](crate::AtOnce).
///
/// If successful bodies are dropped unread, use [`AtOnce`](crate::AtOnce), since no call would ever come to an end. On
/// a server this is the case for responses to HEAD.
///
/// The result is a response with a [`GuardedBody`]. A response that is made without a call, such as a layer's answer to
/// a rejection, gets the same type by [`GuardedBody::unguarded`].
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
    /// Counts a body as a failure of kind [`Timeout`](FailureKind::Timeout) if it is dropped when it has owed a frame
    /// for longer than `time`. A reader's own timeout around a stalled peer looks like this. Without this limit, every
    /// drop is neutral.
    ///
    /// A body owes a frame from the first poll that gave none until the next frame. While nobody polls a body, it does
    /// not begin to owe, so a slow reader does not count against the peer. A body that was woken, and dropped without
    /// another poll, still owes. The breaker's clock measures the time, and is read once whenever a body begins to owe.
    /// If `time` is past the [horizon](crate::HORIZON), no drop is a failure.
    pub fn stall_after(self, time: Duration) -> AtEnd<StallAfter<K>> {
        AtEnd(StallAfter { head: self.0, time })
    }
}

/// A classification of heads, and the time after which a body counts as stalled. [`AtEnd::stall_after`] makes it.
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
    /// A body that carries its call's permit and reports it when the body comes to its end. [`AtEnd`] makes it. Frames,
    /// errors and sizes pass through as they are.
    ///
    /// | what happens | outcome |
    /// | --- | --- |
    /// | the last frame, or the end, or trailers | the outcome of the head's [`HeadOutcome::Streams`]; with [`HttpStatus`] a success |
    /// | a frame of a half-open probe's body when half of the [lease](crate::Config::lease) is over | success |
    /// | an error | failure: [reset](FailureKind::Reset) |
    /// | dropped when it has given the length that it announced | the same as its end, if that is a success |
    /// | dropped when it has owed a frame for longer than [`AtEnd::stall_after`] | failure: [timeout](FailureKind::Timeout) |
    /// | dropped otherwise (the client went away) | cancelled: neutral, a probe's slot is given back |
    /// | a panic in it, or a panic that drops it | failure: [panic](FailureKind::Panic) |
    ///
    /// The call is reported once, by the first of these that happens. The body allocates nothing. If only the end of
    /// the connection ends a body (HTTP/1.0 without a length), a broken connection looks like the end.
    #[derive(Debug)]
    pub struct GuardedBody<B, P: Report> {
        #[pin]
        body: B,
        // `None`: the call has been reported.
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
    /// A body without a permit, for responses that belong to no call, such as answers to rejected calls.
    pub const fn unguarded(body: B) -> Self {
        Self { body, call: None }
    }
}

#[derive(Debug)]
struct Call<P: Report> {
    permit: P,
    end: fn(Option<&HeaderMap>) -> Outcome,
    stall_after: Option<Duration>,
    /// The tick since which the body owes a frame, if it does and `stall_after` is set.
    owed_since: Option<Ticks>,
    /// The body had an exact length when its head came, so the length is the peer's and not a limit that was reached
    /// later.
    announced: bool,
    /// The body has given all of that length. Its end may still be to come, since HTTP/2 ends a stream by a frame of
    /// its own; a caller that passes the body on need not poll for it.
    given: bool,
}

impl<P: Report> Call<P> {
    fn owes(&mut self) {
        if self.stall_after.is_some() && self.owed_since.is_none() {
            self.owed_since = Some(self.permit.now());
        }
    }

    /// The body was dropped before its call was reported.
    fn dropped(self) {
        // If the end without trailers is not a success, the trailers decide, and they have not been seen.
        let outcome = if self.given && (self.end)(None) == Outcome::Success {
            Outcome::Success
        } else if self.is_stalled() {
            Outcome::Failure(FailureKind::Timeout)
        } else {
            // The permit is dropped here, which reports the call as cancelled, or as a panic.
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
        // The permit is held here during the poll. So a panic in the body drops it in unwinding, even if it is caught
        // later.
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
                // A caller that has all frames need not poll for the end.
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
