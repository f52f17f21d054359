//! Whether the head of a response decides the outcome alone, or its body does.

use core::time::Duration;

use http::header::HeaderMap;

use crate::integrations::http::status::{HttpStatus, WithErrors};
use crate::terms::outcome::{Classify, Outcome};

/// The outcome that the head of a response decides, or leaves to the body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HeadOutcome {
    /// The head decides: this is the outcome, and the body does not matter.
    Settles(Outcome),
    /// The body decides. If it comes to its end, this function gives the outcome, from the body's trailers. A body that
    /// breaks is a failure of kind [`Reset`](crate::FailureKind::Reset), and a body that is dropped says nothing about
    /// the peer.
    Streams(fn(trailers: Option<&HeaderMap>) -> Outcome),
}

impl HeadOutcome {
    /// The head outcome for a peer whose bodies can only end or break: a success waits for the end of its body, and
    /// every other outcome settles the call.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Streams(|_| Outcome::Success),
            outcome => Self::Settles(outcome),
        }
    }
}

/// Decides by the head of a response whether its body matters, for [`AtEnd`](crate::http::AtEnd). [`HttpStatus`] and
/// `GrpcStatus` (feature `grpc`) implement it. Through [`HeadOutcome::of`], every `Fn(&T) -> Outcome` implements it
/// too, where `T` is the response or a `Result` of a response.
pub trait ClassifyHead<T> {
    /// Classifies a head. It is called once per call.
    fn classify_head(&self, response: &T) -> HeadOutcome;

    /// The time for which a body may owe a frame before dropping it counts as a failure; `None`: any time.
    fn stall_after(&self) -> Option<Duration> {
        None
    }
}

impl<T, F: Fn(&T) -> Outcome> ClassifyHead<T> for F {
    fn classify_head(&self, response: &T) -> HeadOutcome {
        HeadOutcome::of(self(response))
    }
}

impl<T> ClassifyHead<T> for HttpStatus
where
    Self: Classify<T>,
{
    fn classify_head(&self, response: &T) -> HeadOutcome {
        HeadOutcome::of(self.classify(response))
    }
}

impl<T, E, K: ClassifyHead<T>, F: Fn(&E) -> Outcome> ClassifyHead<Result<T, E>> for WithErrors<K, F> {
    fn classify_head(&self, result: &Result<T, E>) -> HeadOutcome {
        match result {
            Ok(response) => self.responses.classify_head(response),
            Err(error) => HeadOutcome::Settles((self.errors)(error)),
        }
    }
}

impl HeadOutcome {
    /// The outcome of a call that has no body to wait for.
    pub(super) fn at_once(self) -> Outcome {
        match self {
            Self::Settles(outcome) => outcome,
            Self::Streams(end) => end(None),
        }
    }
}
