//! TODO
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "std", microbreaker_loom, microbreaker_counting, test))]
#[macro_use]
extern crate std;

mod backoff;
mod breaker;
mod call;
mod clock;
mod config;
mod error;
mod lanes;
mod observe;
mod outcome;
mod probes;
mod state;
mod sync;
mod tally;
mod timer;
mod window;

pub use breaker::{Breaker, Holder, Permit};
pub use call::Guard;
pub use clock::{Clock, HORIZON, ManualClock, TickRate, Ticks};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, StdClock};
pub use config::{Bound, Config, ConfigError, Field, Verdict};
pub use error::{Error, RejectReason, Rejected};
pub use lanes::{LaneCount, Lanes};
pub use observe::{Counters, Counts, Effect, Event, Observer, Report, ReportKind};
pub use outcome::{AnyError, Classify, ErrorIf, FailureKind, Outcome};
pub use state::{OpenReason, State};
#[cfg(microbreaker_counting)]
pub use sync::counted;
pub use tally::{Status, Tally, WindowKind};
pub use window::{CountWindow, Streak, TimeWindow, Window, count_words};
