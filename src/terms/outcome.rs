//! What a call came to, and who decides.

use core::fmt;
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

/// What kind of failure: kept for observers and retries, the same to every decision.
///
/// | kind | lasts | retry | |
/// | --- | --- | --- | --- |
/// | [`Other`](Self::Other), [`Custom`](Self::Custom) | transient | yes | nothing is known: taken to pass |
/// | [`Timeout`](Self::Timeout) | transient | yes | |
/// | [`Refused`](Self::Refused) | prolonged | yes | a restart, a route that comes back |
/// | [`Reset`](Self::Reset) | transient | yes | |
/// | [`Dns`](Self::Dns) | prolonged | yes | answers are cached |
/// | [`Server`](Self::Server) | prolonged | yes | |
/// | [`RateLimited`](Self::RateLimited) | prolonged | yes | not before the time it said |
/// | [`Quota`](Self::Quota) | prolonged | no | until it is renewed |
/// | [`Auth`](Self::Auth) | permanent | no | |
/// | [`Client`](Self::Client) | permanent | no | |
/// | [`Protocol`](Self::Protocol) | permanent | no | the two do not speak the same |
/// | [`Resource`](Self::Resource) | transient | no | a retry needs more of what ran out |
/// | [`Panic`](Self::Panic) | permanent | no | a bug |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// None of the others, or not told.
    #[default]
    Other,
    /// No answer in time. Also what a call counts as that was dropped after it had outlived the slow limit.
    Timeout,
    /// Nobody listens, or no way leads there.
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
    /// One of the caller's own.
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

    /// Its place in [`ALL`](Self::ALL): below 29, for tables and metrics.
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

    /// The name in small letters with underscores, as metrics want it; `custom_0` to `custom_15` for the caller's own.
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

    /// How long what failed is likely to go on failing, by the table above.
    pub const fn persistence(self) -> Persistence {
        match self {
            Self::Other | Self::Timeout | Self::Reset | Self::Resource | Self::Custom(_) => Persistence::Transient,
            Self::Refused | Self::Dns | Self::Server | Self::RateLimited | Self::Quota => Persistence::Prolonged,
            Self::Auth | Self::Client | Self::Protocol | Self::Panic => Persistence::Permanent,
        }
    }

    /// Whether the same call may well succeed when it is made again, by the table above. Made through the breaker, and
    /// only if the call may be made twice at all: that this one failed does not say that it did nothing.
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
    /// One call's bad luck: the next may succeed.
    Transient,
    /// It passes by itself, but not within a retry's pause.
    Prolonged,
    /// It stays until somebody changes something.
    Permanent,
}

/// One of sixteen kinds of failure that the caller gives a meaning.
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
    /// Kind `number`, 0 to 15; `None` above. In a `const`, `unwrap` makes that an error at compile time.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 { Some(Self(Sixteen::ALL[number as usize])) } else { None }
    }

    /// The number it was made with.
    pub const fn number(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Debug for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomKind").field(&self.number()).finish()
    }
}

/// A number below 16 whose other values the compiler knows to be free: with it a [`FailureKind`] stays a byte, and
/// travels in a register with all that it is part of.
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
