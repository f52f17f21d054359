//! The classification of a response by its status and its `Retry-After`.

use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::terms::outcome::{Classify, FailureKind, Outcome};

/// Classifies a response by its status code (RFC 9110 §15) and its `Retry-After` (§10.2.3).
///
/// | status | outcome |
/// | --- | --- |
/// | 1xx, 2xx, 3xx | success |
/// | 429 Too Many Requests, 529 (the site is overloaded) | [hold](Outcome::Hold) for its `Retry-After`; without one a failure: [rate limited](FailureKind::RateLimited) |
/// | 503 Service Unavailable | [hold](Outcome::Hold) for its `Retry-After`; without one a failure: [server](FailureKind::Server) |
/// | 504 Gateway Timeout; 522, 524, 598, 599 of proxies | failure: [timeout](FailureKind::Timeout) |
/// | 511 Network Authentication Required (from a login portal of the network, in the peer's place); 521, 523 of proxies | failure: [refused](FailureKind::Refused) |
/// | 525, 526 of proxies (TLS with the peer) | failure: [protocol](FailureKind::Protocol) |
/// | 501 Not Implemented, 505 HTTP Version Not Supported, 510 Not Extended | [alive](Outcome::Alive): about the request, as a 4xx |
/// | 500, 502, 506, 507, 508, all other 5xx | failure: [server](FailureKind::Server) |
/// | all other 4xx, 401, 403, 408 and 425 among them | [alive](Outcome::Alive): one client's bad requests must not open the circuit for all |
/// | 600 and above, which are not statuses | failure: [protocol](FailureKind::Protocol) |
/// | an error in place of a response | failure: [other](FailureKind::Other), or as the function given to [`errors`](Self::errors) says |
///
/// `Retry-After` is a number of seconds, or a date in any of the three forms of §5.6.7. If there are several, the
/// longest counts. A date needs the wall clock, which is read for nothing else, and the hold is wrong by as much as the
/// two clocks differ; [`Config::hold_at_most`](crate::Config::hold_at_most) bounds it. Zero, a date that has passed,
/// and a value that is neither a number nor a date make no hold.
///
/// If the credentials of the *caller itself* are bad, every request fails in the same way until somebody changes them:
/// latch the circuit.
///
/// ```
/// use http::{Response, StatusCode};
/// use microbreaker::http::HttpStatus;
/// use microbreaker::{Breaker, Config, Outcome, State, StdClock, Streak};
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
    /// The outcome of a status and its headers.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Outcome {
        Self::of_at(status, headers, SystemTime::now)
    }

    /// [`of`](Self::of) by a wall clock of your own. It is read only if `Retry-After` is a date.
    pub fn of_at(status: StatusCode, headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Outcome {
        let may_hold = matches!(status.as_u16(), 429 | 503 | 529);
        let hold = if may_hold { retry_after(headers, now) } else { None };
        hold.map_or_else(|| Self::of_code(status), Outcome::Hold)
    }

    /// The outcome of a status alone.
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

    /// Classifies responses by their status, and errors in place of a response by `of`. If an error has an I/O error
    /// among its sources, [`IoError::within`](crate::io::IoError::within) finds it.
    ///
    /// ```
    /// use http::Response;
    /// use microbreaker::http::HttpStatus;
    /// use microbreaker::io::IoError;
    /// use microbreaker::{Classify, FailureKind, Outcome};
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

/// The longest time that any `Retry-After` of these headers asks for. `None` if there is none above zero.
fn retry_after(headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Option<Duration> {
    let time = |value: &HeaderValue| {
        let value = value.to_str().ok()?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that does not fit is longer than any hold may be.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        httpdate::parse_http_date(value).ok()?.duration_since(now()).ok()
    };
    headers.get_all(RETRY_AFTER).iter().filter_map(time).max().filter(|time| !time.is_zero())
}

/// A classification of responses, with another one for errors in place of them: see [`HttpStatus::errors`].
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
