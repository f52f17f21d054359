//! What a call came to, and who decides.

use core::time::Duration;

/// What a guarded call came to, as told to [`Permit::record`](crate::Permit::record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It worked. Slow as well, where it took longer than a configured slow limit.
    Success,
    /// It failed in a way that speaks against the peer.
    Failure(FailureKind),
    /// It worked but took too long, by the caller's own judgement. Bad wherever outcomes are only good or bad: in a
    /// streak and in the default half-open verdict.
    Slow,
    /// The peer answered, but the answer says nothing about its health (a 4xx): good for a half-open probe, neutral
    /// for the window.
    Alive,
    /// Says nothing about the peer (a cancelled call, a local error): neutral; a probe's slot is returned.
    Ignored,
    /// The peer said when to come back (`Retry-After`, a network back-off timer): opens the circuit for that time,
    /// capped by [`Config::hold_at_most`](crate::Config::hold_at_most).
    Hold(Duration),
    /// Do not ask again until a person has looked (bad credentials, no money, a dead SIM): opens without a time.
    Latch,
}

/// What kind of failure: kept for observers, the same to every decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum FailureKind {
    /// None of the others, or not told.
    #[default]
    Other = 0,
    /// No answer in time. Also what a call counts as that was dropped after it had outlived the slow limit.
    Timeout,
    /// Nobody listens.
    Refused,
    /// The connection broke.
    Reset,
    /// The name did not resolve.
    Dns,
    /// The peer reported an error of its own (5xx).
    Server,
    /// The peer sheds load.
    RateLimited,
    /// A quota is used up.
    Quota,
    /// The peer does not accept who we are.
    Auth,
    /// The peer does not accept what we sent.
    Client,
    /// The answer made no sense.
    Protocol,
    /// Something local ran out (memory, sockets, a pool).
    Resource,
    /// The caller panicked while it held the permit.
    Panic,
}

impl FailureKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Other,
        Self::Timeout,
        Self::Refused,
        Self::Reset,
        Self::Dns,
        Self::Server,
        Self::RateLimited,
        Self::Quota,
        Self::Auth,
        Self::Client,
        Self::Protocol,
        Self::Resource,
        Self::Panic,
    ];

    /// The name in small letters with underscores, as metrics want it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::Server => "server",
            Self::RateLimited => "rate_limited",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Client => "client",
            Self::Protocol => "protocol",
            Self::Resource => "resource",
            Self::Panic => "panic",
        }
    }
}

/// Decides what a call's result means. Implemented by every `Fn(&T) -> Outcome`.
///
/// ```
/// use microbreaker::{Classify, FailureKind, Outcome};
///
/// let status = |code: &u16| match code {
///     500.. => Outcome::Failure(FailureKind::Server),
///     400.. => Outcome::Alive,
///     _ => Outcome::Success,
/// };
/// assert_eq!(status.classify(&404), Outcome::Alive);
/// ```
pub trait Classify<T: ?Sized> {
    /// The outcome that `result` stands for. Called once per call, outside any lock or loop of the breaker.
    fn classify(&self, result: &T) -> Outcome;
}

impl<T: ?Sized, F: Fn(&T) -> Outcome> Classify<T> for F {
    #[inline]
    fn classify(&self, result: &T) -> Outcome {
        self(result)
    }
}

/// The default: `Ok` is a success, every `Err` a failure of kind [`Other`](FailureKind::Other).
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyError;

impl<T, E> Classify<Result<T, E>> for AnyError {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure(FailureKind::Other),
        }
    }
}

/// `Ok` is a success; an `Err` is what the function says, and [`Alive`](Outcome::Alive) where it says `None`.
///
/// ```
/// use microbreaker::{Classify, ErrorIf, FailureKind, Outcome};
///
/// let timeouts = ErrorIf(|error: &&str| (*error == "timeout").then_some(FailureKind::Timeout));
/// assert_eq!(timeouts.classify(&Err::<(), _>("timeout")), Outcome::Failure(FailureKind::Timeout));
/// assert_eq!(timeouts.classify(&Err::<(), _>("not found")), Outcome::Alive);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ErrorIf<F>(pub F);

impl<T, E, F: Fn(&E) -> Option<FailureKind>> Classify<Result<T, E>> for ErrorIf<F> {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => self.0(error).map_or(Outcome::Alive, Outcome::Failure),
        }
    }
}
