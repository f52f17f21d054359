//! The body of a status endpoint: the states of breakers in JSON, or in any other format of serde. Nothing is
//! allocated.
//!
//! [`Health`] reads one breaker, [`HealthBody`] puts several together, and [`Condition`] sums them up for the
//! endpoint's status code.

use core::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::platform::named::named;
use crate::terms::observer::Observer;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::{Status, Tally};

named! {
    #[names = "in small letters, as it is written"]
    /// Whether calls are made, to one peer or to several.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Condition {
        /// Calls are made as if there were no breaker: it is closed at level 0, disabled, or in shadow in any state. Of
        /// several: all are ok.
        Ok => "ok",
        /// Some calls are made: the breaker is half-open, ramping, closed at a degradation level above 0, or open with
        /// its time over. Of several: they are neither all ok nor all down.
        Degraded => "degraded",
        /// No call is made: the breaker is open for some time yet, latched or forced open. Of several: all are down.
        Down => "down",
    }
}

impl Condition {
    /// The condition of several breakers: [`Ok`](Self::Ok) if all are ok or there is none, [`Down`](Self::Down) if all
    /// are down, and otherwise [`Degraded`](Self::Degraded).
    pub fn of_all(conditions: impl IntoIterator<Item = Self>) -> Self {
        conditions.into_iter().reduce(|all, one| if all == one { all } else { Self::Degraded }).unwrap_or(Self::Ok)
    }
}

/// One breaker's reading, as the body of a status endpoint or a part of [`HealthBody`].
///
/// It is written with these fields: `name`, `state` and `reason` (by their names; the reason of an open or half-open circuit, else null), `retry_in_ms` (rounded up;
/// 0 means now, and null means not before somebody resets the breaker), `level`, `attempt`, `generation`, `window`
/// (`total`, `failed`, `slow`), `probes_in_flight` and `shadow`. [`Status`] says which of them belong together and
/// which may be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health<'a> {
    /// The name to show.
    pub name: &'a str,
    /// The reading.
    pub status: Status,
}

impl<'a> Health<'a> {
    /// Reads `breaker` now.
    pub fn of<W: Window, C: Clock, O: Observer>(name: &'a str, breaker: &Breaker<W, C, O>) -> Self {
        Self { name, status: breaker.status() }
    }

    /// The condition of this breaker.
    pub const fn condition(&self) -> Condition {
        if self.status.shadow {
            return Condition::Ok;
        }
        match self.status.state {
            State::Disabled => Condition::Ok,
            State::Closed if self.status.level == 0 => Condition::Ok,
            State::Closed | State::HalfOpen | State::Ramping => Condition::Degraded,
            // The open time is over, so the next call is a probe. If this were `Down`, a readiness check would keep
            // that call away.
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
            // A wait is at most 2^32 ticks. If the clock is so slow that its milliseconds exceed 64 bits, the wait is
            // cut short.
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

/// Several breakers. It is written as `status`, the [condition of all](Condition::of_all), and `breakers`, a list of
/// [`Health`].
///
/// Writing it goes over the readings twice, so keep them in an array or a `Vec`: both passes then see the same. For the
/// breakers of a registry, use their labels as names; its `visit` gives labels and breakers.
///
/// Use it for a dashboard, or with care for a readiness check. Do not use it for a liveness check: a restart does not
/// repair a peer.
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
    /// The condition of all breakers together, by which an endpoint may choose its status code.
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
