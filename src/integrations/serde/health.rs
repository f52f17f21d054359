//! What a status endpoint answers: breakers in JSON, or whatever else serde writes. Nothing is allocated here.

use core::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::breaker::holder::Holder;
use crate::platform::named::named;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::{Status, Tally};

named! {
    #[names = "in small letters, as it is written"]
    /// How well things are: of a breaker, or of all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Condition {
        /// Calls are made as if there were no breaker: closed at level 0, switched off, or in shadow whatever the state.
        Ok => "ok",
        /// Some calls are made: half-open, ramping, closed at a degradation level above 0, or open with its time over. Of many: at least one is not ok.
        Degraded => "degraded",
        /// No call is made: open for a time yet, latched or forced open. Of many: no call is made to any.
        Down => "down",
    }
}

impl Condition {
    /// That of several things: [`Ok`](Self::Ok) if all are (or there is none), [`Down`](Self::Down) if all are, else
    /// [`Degraded`](Self::Degraded).
    pub fn of_all(conditions: impl IntoIterator<Item = Self>) -> Self {
        conditions.into_iter().reduce(|all, one| if all == one { all } else { Self::Degraded }).unwrap_or(Self::Ok)
    }
}

/// One breaker's reading, as the body of a status endpoint or a part of [`HealthBody`].
///
/// It is written as `name`, `state` and `reason` (their names, or null), `retry_in_ms` (rounded up; 0 for now, null for "not
/// before somebody resets it"), `level`, `attempt`, `generation`, `window` (`total`, `failed`, `slow`), `probes_in_flight` and
/// `shadow`. What belongs together in it is that of [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health<'a> {
    /// The configured name.
    pub name: &'a str,
    /// The reading.
    pub status: Status,
}

impl<'a> Health<'a> {
    /// Reads `breaker` now.
    #[expect(clippy::needless_pass_by_value, reason = "a holder is a reference itself")]
    pub fn of(name: &'a str, breaker: impl Holder) -> Self {
        Self { name, status: breaker.breaker().status() }
    }

    /// How well it is.
    pub const fn condition(&self) -> Condition {
        if self.status.shadow {
            return Condition::Ok;
        }
        match self.status.state {
            State::Disabled => Condition::Ok,
            State::Closed if self.status.level == 0 => Condition::Ok,
            State::Closed | State::HalfOpen | State::Ramping => Condition::Degraded,
            // Its time is over: the next call is a probe. Were it down, a readiness check would keep that call away.
            State::Open if matches!(self.status.retry_in, Some(Duration::ZERO)) => Condition::Degraded,
            State::Open | State::Latched | State::ForcedOpen => Condition::Down,
        }
    }
}

impl Serialize for Health<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = &self.status;
        let mut body = serializer.serialize_struct("Health", 10)?;
        body.serialize_field("name", self.name)?;
        body.serialize_field("state", status.state.name())?;
        body.serialize_field("reason", &status.reason.map(OpenReason::name))?;
        let millis = |time: Duration| {
            // A wait is at most 2^32 ticks; one of so slow a clock that its milliseconds pass 64 bits may be cut short.
            u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
        };
        body.serialize_field("retry_in_ms", &status.retry_in.map(millis))?;
        body.serialize_field("level", &status.level)?;
        body.serialize_field("attempt", &status.attempt)?;
        body.serialize_field("generation", &status.generation)?;
        body.serialize_field("window", &Sums(status.tally))?;
        body.serialize_field("probes_in_flight", &status.probes_in_flight)?;
        body.serialize_field("shadow", &status.shadow)?;
        body.end()
    }
}

struct Sums(Tally);

impl Serialize for Sums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sums = serializer.serialize_struct("Window", 3)?;
        sums.serialize_field("total", &self.0.total)?;
        sums.serialize_field("failed", &self.0.failed)?;
        sums.serialize_field("slow", &self.0.slow)?;
        sums.end()
    }
}

/// Many breakers: `status`, that of [all](Condition::of_all), and `breakers`, one after the other.
///
/// It goes over the readings twice: keep them in an array or a `Vec`, so that both see the same. Those of a registry go by
/// their labels: its `visit` gives both.
///
/// For a dashboard or a readiness check with an eye on it. Not for a liveness check: a restart does not mend a peer.
///
/// ```
/// use microbreaker::health::{Condition, Health, HealthBody};
/// use microbreaker::{Breaker, Config, ManualClock, Streak};
///
/// let (db, mail) = (ManualClock::new(), ManualClock::new());
/// let db: Breaker<Streak, _> = Breaker::new(Config::database(), db);
/// let mail: Breaker<Streak, _> = Breaker::new(Config::database(), mail);
/// mail.latch();
/// let body = HealthBody([Health::of("db", &db), Health::of("mail", &mail)]);
/// assert_eq!(body.condition(), Condition::Degraded);
/// let json = serde_json::to_value(&body).unwrap();
/// assert_eq!(json["status"], "degraded");
/// assert_eq!(json["breakers"][1]["state"], "latched");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HealthBody<I>(pub I);

impl<'a, I: IntoIterator<Item = Health<'a>> + Clone> HealthBody<I> {
    /// How well all are together: what an endpoint's status code may go by.
    pub fn condition(&self) -> Condition {
        Condition::of_all(self.0.clone().into_iter().map(|health| health.condition()))
    }
}

impl<'a, I: IntoIterator<Item = Health<'a>> + Clone> Serialize for HealthBody<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("HealthBody", 2)?;
        body.serialize_field("status", self.condition().name())?;
        body.serialize_field("breakers", &Each(&self.0))?;
        body.end()
    }
}

struct Each<'b, I>(&'b I);

impl<'a, I: IntoIterator<Item = Health<'a>> + Clone> Serialize for Each<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}
