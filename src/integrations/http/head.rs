//! Whether the head of a response says all there is to say.

use core::time::Duration;

use http::header::HeaderMap;

use crate::integrations::http::status::{HttpStatus, WithErrors};
use crate::terms::outcome::{Classify, Outcome};

/// What the head of a response says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HeadOutcome {
    /// All there is to say: the body does not matter.
    Settles(Outcome),
    /// That the body decides. One that comes to its end is what this function says, given its trailers; one that breaks is
    /// a failure of kind [`Reset`](crate::FailureKind::Reset), and one that is dropped says nothing.
    Streams(fn(trailers: Option<&HeaderMap>) -> Outcome),
}

impl HeadOutcome {
    /// For a peer whose bodies have no say but by their end: a success lasts as long as its body, all else is settled.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Streams(|_| Outcome::Success),
            outcome => Self::Settles(outcome),
        }
    }
}

/// Decides by the head of a response whether its body matters: what [`AtEnd`](crate::http::AtEnd) asks. Implemented by [`HttpStatus`],
/// `GrpcStatus` (feature `grpc`) and, through [`HeadOutcome::of`], every `Fn(&T) -> Outcome`, where `T` is the response or a
/// `Result` of one.
pub trait ClassifyHead<T> {
    /// What this head says. Called once per call.
    fn classify_head(&self, response: &T) -> HeadOutcome;

    /// For how long a body may owe a frame before dropping it counts as a failure; `None` for ever.
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
    /// Where there is no body to wait for.
    pub(super) fn at_once(self) -> Outcome {
        match self {
            Self::Settles(outcome) => outcome,
            Self::Streams(end) => end(None),
        }
    }
}
