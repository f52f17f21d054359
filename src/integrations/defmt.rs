//! `defmt`: `Format` for all values that a breaker reports (states, events, rejections, errors, snapshots), and an
//! observer that logs transitions, [`DefmtLog`].
//!
//! Names are interned: on the wire they are numbers. Times are shown in ticks of the breaker's clock, so that the
//! target does not divide. With a recommended clock, a tick is about a millisecond.

use defmt::{Format, Formatter, write};

use crate::breaker::holder::Holder;
use crate::breaker::permit::Permit;
use crate::breaker::snapshot::{Snapshot, SnapshotError};
use crate::clock::{TickRate, Ticks};
use crate::compose::fallback::Tier;
use crate::config::ProbeRule;
use crate::config::error::{Bound, ConfigError, Field};
use crate::config::table::settings;
use crate::metrics::counters::Counts;
use crate::terms::event::{CallReport, Effect, Event, ReportKind, Tripped};
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};
use crate::terms::rejected::{Error, RejectReason, Rejected};
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::{Status, Tally, WindowKind};

/// Implements `Format` by an interned text for each case, with the values that the case holds.
macro_rules! format {
    ($($type:ty { $($case:pat => $text:literal $(, $value:expr)*;)+ })+) => {$(
        impl Format for $type {
            fn format(&self, f: Formatter<'_>) {
                match *self {
                    $($case => write!(f, $text $(, $value)*),)+
                }
            }
        }
    )+};
}

format! {
    State {
        Self::Closed => "closed";
        Self::Open => "open";
        Self::Latched => "latched";
        Self::HalfOpen => "half-open";
        Self::Ramping => "ramping";
        Self::ForcedOpen => "forced open";
        Self::Disabled => "disabled";
    }
    OpenReason {
        Self::Failures => "failures";
        Self::Slow => "slow";
        Self::Hold => "hold";
        Self::Budget => "budget";
        Self::Dependency => "dependency";
        Self::Manual => "manual";
        Self::Outlier => "outlier";
        Self::Fleet => "fleet";
    }
    RejectReason {
        Self::Open(reason) => "open ({})", reason;
        Self::Latched => "latched";
        Self::HalfOpen => "half-open";
        Self::Ramping => "ramping";
        Self::ForcedOpen => "forced open";
        Self::Unready => "unready";
    }
    FailureKind {
        Self::Other => "other";
        Self::Timeout => "timeout";
        Self::Refused => "refused";
        Self::Reset => "reset";
        Self::Dns => "dns";
        Self::Server => "server";
        Self::RateLimited => "rate limited";
        Self::Quota => "quota";
        Self::Auth => "auth";
        Self::Client => "client";
        Self::Protocol => "protocol";
        Self::Resource => "resource";
        Self::Panic => "panic";
        Self::Custom(kind) => "custom {}", kind.number();
    }
    Outcome {
        Self::Success => "success";
        Self::Failure(kind) => "failure ({})", kind;
        Self::Slow => "slow";
        Self::Alive => "alive";
        Self::Ignored => "ignored";
        Self::Hold(time) => "hold for {=u64} s", time.as_secs();
        Self::Latch => "latch";
    }
    ReportKind {
        Self::Success => "success";
        Self::Failure(kind) => "failure ({})", kind;
        Self::Alive => "alive";
        Self::Ignored => "ignored";
        Self::Cancelled => "cancelled";
        Self::Hold => "hold";
        Self::Latch => "latch";
    }
    Effect {
        Self::Counted => "counted";
        Self::Neutral => "neutral";
        Self::Opened(reason) => "opened ({})", reason;
        Self::Closed => "closed";
        Self::Ramping => "ramping";
        Self::Latched => "latched";
        Self::Unchanged => "unchanged";
        Self::Stale => "stale";
        Self::Uncounted => "uncounted";
    }
    Tripped {
        Self::Opened(generation) => "opened, generation {}", generation;
        Self::Covered(Some(time)) => "covered for {=u64} s", time.as_secs();
        Self::Covered(None) => "covered without a time";
        Self::Idle => "idle";
    }
    WindowKind {
        Self::None => "none";
        Self::Streak => "streak";
        Self::Count => "count";
        Self::Time => "time";
        Self::Probes => "probes";
    }
    ProbeRule {
        Self::FirstFailure => "first failure";
        Self::Rates => "rates";
    }
    Mode {
        Self::On => "on";
        Self::Off => "off";
        Self::Open => "open";
        Self::Shadow => "shadow";
    }
    Tier {
        Self::Primary => "primary";
        Self::Secondary(number) => "secondary {=u8}", number;
        Self::Cached => "cached";
        Self::Degraded => "degraded";
    }
    Bound {
        Self::AtLeast(least) => "at least {}", least;
        Self::AtMost(most) => "at most {}", most;
        Self::PowerOfTwo => "a power of two";
        Self::NotInType => "not in the window's type";
        Self::NeedsSlowAfter => "needs slow_after";
        Self::NeedsShares => "needs shares";
        Self::Fixed => "fixed";
    }
    SnapshotError {
        Self::Foreign => "not a snapshot";
        Self::Version(version) => "a snapshot of version {}", version;
        Self::Corrupt => "a snapshot that was cut off or changed";
        Self::Rate => "a snapshot by a clock of another rate";
    }
    Ticks { ticks => "{} ticks", ticks.count(); }
    TickRate { rate => "{=u32} ticks in {=u32} s", rate.ratio().0, rate.ratio().1; }
    Rejected { rejected => "rejected: {}, retry in {} ticks", rejected.reason(), rejected.retry_in_ticks(); }
    Tally { Self { window, total, failed, slow } => "{}: {} of {} failed, {} slow", window, failed, total, slow; }
    CallReport { Self { kind, slow, effect, at } => "{}, slow {}, {}, at {}", kind, slow, effect, at; }
    Event {
        // The time of the event is left out, since a log has its own timestamps.
        Self { from, to, reason, generation, attempt, tally, lasts_ticks, at: _, rate: _ } =>
            "{} -> {}, reason {}, generation {}, attempt {}, {}, for {} ticks",
            from, to, reason, generation, attempt, tally, lasts_ticks;
    }
    Status {
        Self { state, reason, level, attempt, generation, retry_in: _, probes_in_flight, shadow, tally } =>
            "{}, reason {}, level {}, attempt {}, generation {}, {} probes in flight, shadow {}, {}",
            state, reason, level, attempt, generation, probes_in_flight, shadow, tally;
    }
    Counts {
        Self { permitted, probes, success, failure, slow, alive, ignored, cancelled, rejected, would_reject, anyway, stale,
            holds, latches, transitions, last_failure } =>
            "{} permitted, {} probes, {} success, {} failure, {} slow, {} alive, {} ignored, {} cancelled, {} rejected, \
            {} would reject, {} anyway, {} stale, {} holds, {} latches, transitions {}, last failure {}",
            permitted, probes, success, failure, slow, alive, ignored, cancelled, rejected, would_reject, anyway, stale, holds,
            latches, transitions, last_failure;
    }
    Snapshot {
        snapshot => "{}, reason {}, attempt {}, {} ticks left",
            snapshot.state(), snapshot.reason(), snapshot.attempt(), snapshot.remaining_ticks();
    }
}

macro_rules! fields {
    ($(
        [$name:ident $text:literal $about:literal]
        $(file $file:tt)?
        $(field $field:ident $unit:ident $bounds:tt)?
    )+) => {
        format! { Field { $($(Self::$field => $text;)?)+ } }
    };
}

settings!(fields);

/// A time is shown in ticks, with their rate. Showing `480 s` as a host does would add about 650 bytes of code.
impl Format for ConfigError {
    fn format(&self, f: Formatter<'_>) {
        let Self { field, value, bound, .. } = *self;
        if let Some(rate) = self.rate() {
            write!(f, "{} is {} ticks, must be {}; there are {}", field, value, bound, rate);
        } else {
            write!(f, "{} is {}, must be {}", field, value, bound);
        }
    }
}

impl<E: Format> Format for Error<E> {
    fn format(&self, f: Formatter<'_>) {
        match self {
            Self::Rejected(rejected) => rejected.format(f),
            Self::Inner(error) => error.format(f),
        }
    }
}

impl<H: Holder> Format for Permit<H> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "permit of generation {}, level {}, probe {}", self.generation(), self.level(), self.is_probe());
    }
}

/// An observer that logs each transition of a breaker with the breaker's name. Transitions to open and latched are
/// warnings, all others are information. Calls, reports and rejections are not logged.
///
/// ```
/// use microbreaker::defmt::DefmtLog;
/// use microbreaker::{Breaker, Config, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Streak, &ManualClock, DefmtLog> =
///     Breaker::observed(Config::modem(), &CLOCK, DefmtLog::new("modem"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DefmtLog {
    name: &'static str,
}

impl DefmtLog {
    /// An observer for a breaker of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }
}

impl Observer for DefmtLog {
    fn name(&self) -> &str {
        self.name
    }

    fn on_event(&self, event: &Event) {
        match event.to {
            State::Open | State::Latched => defmt::warn!("{=str}: {}", self.name, event),
            _ => defmt::info!("{=str}: {}", self.name, event),
        }
    }
}
