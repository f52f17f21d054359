//! The outcomes of calls, and the classifiers that decide them.

use core::fmt;
use core::time::Duration;

/// The outcome of a guarded call, for [`Permit::record`](crate::Permit::record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The call succeeded. It counts as slow as well if it took longer than the configured slow limit.
    Success,
    /// The call failed in a way that speaks against the peer.
    Failure(FailureKind),
    /// The call succeeded but took too long, by the caller's own judgement. A streak and the default rule for half-open
    /// probes know only success and failure, and count it as a failure.
    Slow,
    /// The peer answered, but the answer says nothing about its health (a 4xx). For a half-open probe this is a
    /// success; the window does not count it.
    Alive,
    /// The call says nothing about the peer (a cancelled call, a local error). Nothing is counted, and a probe's slot
    /// is given back.
    Ignored,
    /// The peer said when to come back (`Retry-After`, a network back-off timer). The circuit opens for that time,
    /// capped by [`Config::hold_at_most`](crate::Config::hold_at_most).
    Hold(Duration),
    /// Nobody should ask again until a person has looked (bad credentials, no money, a dead SIM). The circuit stays
    /// open until it is reset.
    Latch,
}

/// The kind of a failure. It is for observers and retries; the breaker treats all kinds alike.
///
/// | kind | lasts | retry | |
/// | --- | --- | --- | --- |
/// | [`Other`](Self::Other), [`Custom`](Self::Custom) | transient | yes | nothing is known, so it is assumed to pass |
/// | [`Timeout`](Self::Timeout) | transient | yes | |
/// | [`Refused`](Self::Refused) | prolonged | yes | a restart, a route that comes back |
/// | [`Reset`](Self::Reset) | transient | yes | |
/// | [`Dns`](Self::Dns) | prolonged | yes | answers are cached |
/// | [`Server`](Self::Server) | prolonged | yes | |
/// | [`RateLimited`](Self::RateLimited) | prolonged | yes | not before the time that the peer named |
/// | [`Quota`](Self::Quota) | prolonged | no | until the quota is renewed |
/// | [`Auth`](Self::Auth) | permanent | no | |
/// | [`Client`](Self::Client) | permanent | no | |
/// | [`Protocol`](Self::Protocol) | permanent | no | caller and peer do not speak the same protocol |
/// | [`Resource`](Self::Resource) | transient | no | a retry needs more of what ran out |
/// | [`Panic`](Self::Panic) | permanent | no | a bug |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// None of the other kinds, or the kind is not known.
    #[default]
    Other,
    /// No answer came in time. A call that is dropped after the slow limit has passed counts as this kind.
    Timeout,
    /// Nobody listens at the peer's address, or no route leads to it.
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
    /// A local resource ran out (memory, sockets, a pool).
    Resource,
    /// The caller panicked while it held the permit.
    Panic,
    /// A kind that the caller defines.
    Custom(CustomKind),
}

impl FailureKind {
    /// Every kind, in the order of its [number](Self::number).
    pub const ALL: [Self; 29] = {
        let mut all = [Self::Other; 29];
        let named = [
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
        let mut number = 0;
        while number < all.len() {
            all[number] = if number < named.len() {
                named[number]
            } else {
                Self::Custom(CustomKind(Sixteen::ALL[number - named.len()]))
            };
            number += 1;
        }
        all
    };

    /// The place of the kind in [`ALL`](Self::ALL), for tables and metrics. It is below 29.
    pub const fn number(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Timeout => 1,
            Self::Refused => 2,
            Self::Reset => 3,
            Self::Dns => 4,
            Self::Server => 5,
            Self::RateLimited => 6,
            Self::Quota => 7,
            Self::Auth => 8,
            Self::Client => 9,
            Self::Protocol => 10,
            Self::Resource => 11,
            Self::Panic => 12,
            Self::Custom(kind) => 13 + kind.number(),
        }
    }

    /// The name in small letters with underscores, as metrics want it. The caller's own kinds are `custom_0` to
    /// `custom_15`.
    pub const fn name(self) -> &'static str {
        const CUSTOM: [&str; 16] = [
            "custom_0",
            "custom_1",
            "custom_2",
            "custom_3",
            "custom_4",
            "custom_5",
            "custom_6",
            "custom_7",
            "custom_8",
            "custom_9",
            "custom_10",
            "custom_11",
            "custom_12",
            "custom_13",
            "custom_14",
            "custom_15",
        ];
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
            Self::Custom(kind) => CUSTOM[kind.0 as usize],
        }
    }

    /// How long the failure is likely to last, by the table above.
    pub const fn persistence(self) -> Persistence {
        match self {
            Self::Other | Self::Timeout | Self::Reset | Self::Resource | Self::Custom(_) => Persistence::Transient,
            Self::Refused | Self::Dns | Self::Server | Self::RateLimited | Self::Quota => Persistence::Prolonged,
            Self::Auth | Self::Client | Self::Protocol | Self::Panic => Persistence::Permanent,
        }
    }

    /// Whether the same call may well succeed if it is made again, by the table above. Retry through the breaker, and
    /// only if the call may be made twice at all: a failed call may have had its effect.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Other
            | Self::Timeout
            | Self::Refused
            | Self::Reset
            | Self::Dns
            | Self::Server
            | Self::RateLimited
            | Self::Custom(_) => true,
            Self::Quota | Self::Auth | Self::Client | Self::Protocol | Self::Resource | Self::Panic => false,
        }
    }
}

/// How long a failure is likely to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Persistence {
    /// The failure hit one call: the next call may succeed.
    Transient,
    /// The failure passes by itself, but not within the pause before a retry.
    Prolonged,
    /// The failure stays until somebody changes something.
    Permanent,
}

/// One of sixteen kinds of failure whose meaning the caller defines.
///
/// ```
/// use microbreaker::{CustomKind, FailureKind, Outcome};
///
/// const REPLICA_LAG: FailureKind = FailureKind::Custom(CustomKind::new(0).unwrap());
/// assert_eq!(REPLICA_LAG.name(), "custom_0");
/// assert_eq!(CustomKind::new(16), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CustomKind(Sixteen);

impl CustomKind {
    /// The kind of this number, 0 to 15; `None` for a greater number. In a `const`, `unwrap` makes a greater number an
    /// error at compile time.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 { Some(Self(Sixteen::ALL[number as usize])) } else { None }
    }

    /// The number of the kind, 0 to 15.
    pub const fn number(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Debug for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomKind").field(&self.number()).finish()
    }
}

/// A number below 16. The compiler knows that all other values are unused. So a [`FailureKind`] takes one byte, and the
/// types that contain it travel in a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[rustfmt::skip]
enum Sixteen { N0, N1, N2, N3, N4, N5, N6, N7, N8, N9, N10, N11, N12, N13, N14, N15 }

impl Sixteen {
    #[rustfmt::skip]
    const ALL: [Self; 16] = [
        Self::N0, Self::N1, Self::N2, Self::N3, Self::N4, Self::N5, Self::N6, Self::N7, Self::N8, Self::N9, Self::N10,
        Self::N11, Self::N12, Self::N13, Self::N14, Self::N15,
    ];
}

/// A classifier, which decides the outcome that a call's result stands for. Every `Fn(&T) -> Outcome` implements it.
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
    /// The outcome that `result` stands for. It is called once for each call, outside any lock or loop of the breaker.
    fn classify(&self, result: &T) -> Outcome;
}

impl<T: ?Sized, F: Fn(&T) -> Outcome> Classify<T> for F {
    #[inline]
    fn classify(&self, result: &T) -> Outcome {
        self(result)
    }
}

/// The default classifier: `Ok` is a success, and every `Err` is a failure of the kind [`Other`](FailureKind::Other).
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

/// A classifier that lets a function judge errors. `Ok` is a success. An `Err` is a failure of the kind that the
/// function returns, or [`Alive`](Outcome::Alive) if it returns `None`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_byte_and_knows_its_place() {
        assert_eq!(size_of::<FailureKind>(), 1);
        for (number, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), number);
        }
        for number in 0..=u8::MAX {
            let kind = CustomKind::new(number);
            assert_eq!(kind.map(CustomKind::number), (number < 16).then_some(number));
        }
    }
}
