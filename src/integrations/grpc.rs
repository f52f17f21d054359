//! gRPC: classifies a call by its gRPC status, which is in the head of the response or, as a rule, in its trailers.
//!
//! ```
//! use http::HeaderMap;
//! use microbreaker::grpc::GrpcStatus;
//! use microbreaker::{FailureKind, Outcome};
//!
//! let unavailable = 14;
//! assert_eq!(GrpcStatus::of(unavailable, &HeaderMap::new()), Outcome::Failure(FailureKind::Server));
//! ```

// Sources: gRPC over HTTP2, "Responses" and "Errors"; status codes and their use in gRPC; HTTP to gRPC status code
// mapping; proposal A6, client retries, for the pushback.

use core::time::Duration;

use http::{HeaderMap, Response, StatusCode};

use crate::integrations::http::head::{ClassifyHead, HeadOutcome};
use crate::integrations::http::status::{HttpStatus, WithErrors};
use crate::terms::outcome::{FailureKind, Outcome};

/// Classifies a gRPC call by its status. Use it as `AtEnd(GrpcStatus)`, since the status comes in the trailers.
///
/// | code | outcome |
/// | --- | --- |
/// | 0 OK | success |
/// | 1 CANCELLED | [ignored](Outcome::Ignored) |
/// | 4 DEADLINE_EXCEEDED | failure: [timeout](FailureKind::Timeout), or [hold](Outcome::Hold) for a pushback |
/// | 8 RESOURCE_EXHAUSTED | failure: [rate limited](FailureKind::RateLimited), or hold for a pushback |
/// | 2 UNKNOWN, 13 INTERNAL, 14 UNAVAILABLE, 15 DATA_LOSS, every other number | failure: [server](FailureKind::Server), or hold for a pushback |
/// | 3 INVALID_ARGUMENT, 5 NOT_FOUND, 6 ALREADY_EXISTS, 7 PERMISSION_DENIED, 9 FAILED_PRECONDITION, 10 ABORTED, 11 OUT_OF_RANGE, 12 UNIMPLEMENTED, 16 UNAUTHENTICATED | [alive](Outcome::Alive): about the request, as a 4xx |
/// | a body that ends without a status, or with a status that is not a number | failure: [protocol](FailureKind::Protocol) |
/// | an error in place of a response | failure: [other](FailureKind::Other), or as the function given to [`errors`](Self::errors) says |
///
/// A pushback is the header `grpc-retry-pushback-ms` beside the status of a failure, in milliseconds. If it is negative
/// or not a number, it forbids to retry this call but gives no time. Such a pushback, and zero, make no hold: the code
/// counts.
///
/// A status in the head (trailers-only) settles the call at once. If there is none and the HTTP status is not 200, the
/// response comes from an intermediary, and its HTTP status stands for a code: 400 for INTERNAL, 401 for
/// UNAUTHENTICATED, 403 for PERMISSION_DENIED, 404 for UNIMPLEMENTED, 429, 502, 503 and 504 for UNAVAILABLE, every
/// other for UNKNOWN. If [`HttpStatus`] makes a hold of such a response's `Retry-After`, so does this.
///
/// Around a generated client of tonic, classify the result by hand (compiled and run in
/// `tests/packages/server/tests/grpc.rs`):
///
/// ```ignore
/// let classify = |result: &Result<tonic::Response<Reply>, tonic::Status>| match result {
///     Ok(_) => Outcome::Success,
///     Err(status) => GrpcStatus::of(status.code() as i32, status.metadata().as_ref()),
/// };
/// client.say_hello(request).guarded_with(&GREETER, classify).await
/// ```
///
/// But tonic gives the caller's own timeout (`Endpoint::timeout`) the code CANCELLED, so a classification by hand
/// ignores a peer that hangs. A breaker layer around the channel sees the error itself, which is a failure. If you
/// classify by hand, look for `tonic::TimeoutExpired` among the sources of the status, or set
/// [`Config::slow_after`](crate::Config::slow_after) below the timeout and drop the call.
///
/// If that layer rejects a call, tonic's client does not know the error and reports the code UNKNOWN. Outside of the
/// layer, map the error to a boxed `tonic::Status::unavailable`: the client passes it on as it is, and callers know
/// that they may retry.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl GrpcStatus {
    /// The outcome of a code, with the metadata that came with it.
    pub fn of(code: i32, metadata: &HeaderMap) -> Outcome {
        let kind = match code {
            0 => return Outcome::Success,
            1 => return Outcome::Ignored,
            3 | 5 | 6 | 7 | 9..=12 | 16 => return Outcome::Alive,
            4 => FailureKind::Timeout,
            8 => FailureKind::RateLimited,
            _ => FailureKind::Server,
        };
        pushback(metadata).map_or(Outcome::Failure(kind), Outcome::Hold)
    }

    /// Classifies responses by their status, and errors in place of a response by `of`; see [`HttpStatus::errors`].
    pub const fn errors<F>(self, of: F) -> WithErrors<Self, F> {
        WithErrors { responses: self, errors: of }
    }

    /// The outcome of the status in these headers or trailers, if there is one.
    fn told(headers: &HeaderMap) -> Option<Outcome> {
        let status = headers.get("grpc-status")?;
        let code = status.to_str().ok().and_then(|code| code.parse().ok());
        Some(code.map_or(Outcome::Failure(FailureKind::Protocol), |code| Self::of(code, headers)))
    }

    /// The outcome of a body that has come to its end.
    fn of_end(trailers: Option<&HeaderMap>) -> Outcome {
        trailers.and_then(Self::told).unwrap_or(Outcome::Failure(FailureKind::Protocol))
    }

    fn of_proxy(status: StatusCode, headers: &HeaderMap) -> Outcome {
        if let hold @ Outcome::Hold(_) = HttpStatus::of(status, headers) {
            return hold;
        }
        let code = match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        };
        Self::of(code, headers)
    }
}

fn pushback(metadata: &HeaderMap) -> Option<Duration> {
    let millis = metadata.get("grpc-retry-pushback-ms")?.to_str().ok()?.parse().ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

impl<B> ClassifyHead<Response<B>> for GrpcStatus {
    fn classify_head(&self, response: &Response<B>) -> HeadOutcome {
        match Self::told(response.headers()) {
            Some(outcome) => HeadOutcome::Settles(outcome),
            None if response.status() == StatusCode::OK => HeadOutcome::Streams(Self::of_end),
            None => HeadOutcome::Settles(Self::of_proxy(response.status(), response.headers())),
        }
    }
}

impl<B, E> ClassifyHead<Result<Response<B>, E>> for GrpcStatus {
    fn classify_head(&self, result: &Result<Response<B>, E>) -> HeadOutcome {
        match result {
            Ok(response) => self.classify_head(response),
            Err(_) => HeadOutcome::Settles(Outcome::Failure(FailureKind::Other)),
        }
    }
}
