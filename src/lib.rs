//! A circuit breaker for cores that cannot spare anything: `no_std`, lock-free, without allocation, `unsafe` or floats.
//! Its whole mutable state is a handful of 32-bit atomic words, so the same type guards a modem in a `static` of a
//! firmware and an upstream in a server's hot loop.
//!
//! A breaker stands in front of something that can fail. While that works, the circuit is *closed* and every call gets
//! a [`Permit`]; its outcomes go to a [window](Window). When too many are bad the circuit *opens* and calls are
//! [`Rejected`] at once, with the time after which to ask again. Then it is *half-open*: a few *probes* find out
//! whether the peer is back.
//!
//! ```
//! use core::time::Duration;
//! use microbreaker::{Breaker, Config, CountWindow, StdClock, count_words};
//!
//! // 50 % of the last 100 calls open it for 5 s at first; then three good probes of five close it.
//! static UPSTREAM: Breaker<CountWindow<{ count_words(100, false) }>, StdClock> = Breaker::new(
//!     Config::count(100).failure_permille(500).minimum(20).open_for(Duration::from_secs(5)).probes(5).successes(3),
//!     StdClock::new(),
//! );
//!
//! match UPSTREAM.acquire() {
//!     Ok(permit) => match "42".parse::<u8>() {
//!         Ok(_) => permit.success(),
//!         Err(_) => permit.failure(),
//!     },
//!     Err(rejected) => panic!("ask again in {:?}", rejected.retry_in()),
//! };
//! ```
//!
//! # Choosing
//!
//! | window | trips on | healthy call | bytes, all included |
//! | --- | --- | --- | --- |
//! | [`Streak`] | failures in a row | loads only | 64 |
//! | [`CountWindow`] | a share of exactly the last N | loads only once full of successes | 88 for 100, 108 with slow calls |
//! | [`TimeWindow`] | a share of the last B buckets of time | one clock reading, one write | 256 for 10 buckets in 16 slots |
//! | `(A, B)` | either | both | the sum of both |
//!
//! The [`Clock`] is a type as well: [`StdClock`] or [`CoarseClock`] on a host (feature `std`), [`EmbassyClock`] in
//! firmware (feature `embassy-time`), [`ManualClock`] in tests, your own one anywhere else. [`Config`] says the rest, and is checked at compile time in a `const`.
//!
//! # Promises
//!
//! - At most N probes are admitted per half-open state and `at_once` of them are out together; the place of one that was
//!   ignored or cancelled is the next one's. A lost probe ends, by its lease, in an ordinary verdict: nothing wedges.
//! - Failures that reach the threshold open the circuit, whatever the interleaving. One caller opens it, and one
//!   [`Event`] tells.
//! - A report on a permit of an earlier generation changes nothing, save that a hold or a latch counts while the
//!   circuit is open.
//! - Nothing happens early: durations become ticks rounded up, and a period is lengthened by its clock's
//!   [slack](Clock::SLACK).
//! - No call waits for another: no lock, no spinning on unfinished work, from interrupts included.
//! - Nothing panics but a bad configuration given to [`Breaker::new`], and a [`TickRate`] of zero (in a `static`: at
//!   compile time); and, as futures may, that of a layer's call if it is polled on after it was ready.
//!
//! `loom-tests/README.md` says of each what checks it (of what threads could break, a loom model) and which broken line
//! that was seen to notice.
//!
//! # Bounds
//!
//! Tags and ticks wrap. What that means, exactly:
//!
//! | what wraps | after | what it takes to matter |
//! | --- | --- | --- |
//! | ticks, for an open time, a ramp, a lease, a slow limit | 2³² ticks (48 days at 1024 Hz) | its time is over, and nobody asks until 2³² ticks or more after it began: it may last once more. A permit held so long looks young |
//! | ticks, for a time window | 2³² ticks less two buckets | no call reported for that long: what was counted before may count once more |
//! | generation of a permit (20 bits) | 2²⁰ transitions | a permit held over an exact multiple of them counts again |
//! | tags of a beginning (16 bits), a length (8), probes (8), a streak (20) | 2¹⁶, 2⁸, 2⁸, 2²⁰ transitions | a thread stopped between its second look and its exchange for an exact multiple of them, and the word the same bit for bit: an open time begins or lasts at random, a probe is admitted or reported to a later half-open state, a stale failure counts. A word that is merely not needed for long is retagged in time |
//! | write-offs of lost probes (4 bits) | – | cannot: at most 15 in a half-open state |
//! | admissions of probes (4 bits) | 16 in one half-open state | a caller stopped while it looks at a lease, while exactly a multiple of 16 probes come and go |
//! | head of a time window (as many bits as a bucket's length has, at least 6) | 2⁶ transitions | a thread stopped between its second look at the control word and its exchange for an exact multiple of them, and the head the same bit for bit: what was counted an exact multiple of 128 transitions before may count once more |
//! | index of a count window (15 bits) | 16 640 chunks or more, each of 21 outcomes (10 where slow calls count) or a transition | a thread stopped as it moves the head, and the head the same bit for bit: the window is short of up to a chunk of outcomes for as long as it would hold that chunk |
//! | lap in a chunk (8 bits) | 256 laps of the ring, of as many chunks as it has words | a thread stopped before it places its outcome, and the chunk the same bit for bit: the outcome counts as if it came now, even a stale one |
//! | tag of a bucket (8 bits) | 256 steps, of which a lap of the ring is one and a transition two | a thread stopped for exactly so many between its look at the head and that at the bucket: its outcome counts as if it came now, even a stale one. A bucket that is merely old is cleared first |
//! | tag and turn of a bucket (9 bits) | 512 such steps | a thread stopped as it clears, and the word the same bit for bit: what was counted in between is lost |
//! | counters of a [`Counters`] | 2³² | they are meant to wrap |
//!
//! Each is shown from both sides by `tests/packages/counting/tests/alias.rs` (those of the clock: `tests/model/reference/`).
//!
//! A bucket stops counting at 2²³ − 1 calls; a streak at 2¹² − 1. Open times and holds of 2¹⁹
//! ticks (8 minutes) or more are rounded up by less than a 2¹⁸th, a lease and a ramp by less than a 1024th.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | *(none)* | everything but the below; depends on nothing |
//! | `std` | [`StdClock`], [`CoarseClock`]; a panic while a permit is held counts as a failure; [`IoError`]; [`Meter`], which counts what metrics show |
//! | `tower` | [`BreakerLayer`], which puts a breaker in front of a service |
//! | `http` | [`HttpStatus`], which classifies responses, and [`AtEnd`], whose bodies carry the permit to their end |
//! | `grpc` | [`GrpcStatus`], the same by the status in head or trailers (implies `http`) |
//! | `prometheus` | [metrics](Monitors#metrics): [`Monitors`] is a collector of `prometheus-client` |
//! | `metrics` | the same through the `metrics` facade: [`Monitors::publish`] |
//! | `opentelemetry` | the same as observable instruments: [`Monitors::observe`] |
//! | `tracing` | [`TracingLog`], which logs transitions |
//! | `registry` | [`Registry`]: breakers by key for servers, bounded, created as keys come; implies `std` |
//! | `lazy` | [`Lazy`]: a client that is created at the first admitted call; implies `std` |
//! | `serde` | [`Settings`] from files and environment variables; [`Health`] and [`HealthBody`] for a status endpoint; implies `std` |
//! | `heapless` | [`Keyed`]: breakers by key without a heap |
//! | `embassy-time` | [`EmbassyClock`], and `ready().await` on a breaker by it |
//! | `defmt` | `Format` for all that a breaker tells, and [`DefmtLog`], which logs transitions |
//! | `portable-atomic` | cores without compare-exchange (thumbv6m, riscv32imc); the final binary picks its backend |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "std", microbreaker_loom, microbreaker_shuttle, microbreaker_counting, test))]
#[macro_use]
extern crate std;

mod breaker;
mod clock;
mod compose;
mod config;
mod integrations;
mod machine;
mod metrics;
mod platform;
mod terms;

pub use breaker::Breaker;
pub use breaker::call::GuardExt;
pub use breaker::gate::{Gate, Report};
pub use breaker::holder::Holder;
pub use breaker::permit::Permit;
pub use breaker::settle::{AtOnce, Settle};
pub use breaker::snapshot::retained::Retained;
pub use breaker::snapshot::{Snapshot, SnapshotError};
pub use clock::{Clock, HORIZON, ManualClock, TickRate, Ticks};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, StdClock};
pub use compose::fallback::{Fallback, Served, Tier};
#[cfg(feature = "heapless")]
pub use compose::keyed::{InsertError, Keyed};
#[cfg(feature = "lazy")]
pub use compose::lazy::Lazy;
#[cfg(feature = "registry")]
pub use compose::registry::{Member, Registry, RegistryBuilder};
pub use config::error::{Bound, ConfigError, Field};
pub use config::{Config, ProbeRule};
#[cfg(feature = "defmt")]
pub use integrations::defmt::DefmtLog;
#[cfg(feature = "embassy-time")]
pub use integrations::embassy_time::EmbassyClock;
#[cfg(feature = "grpc")]
pub use integrations::grpc::GrpcStatus;
#[cfg(feature = "http")]
pub use integrations::http::{AtEnd, ClassifyHead, GuardedBody, HeadOutcome, HttpStatus, StallAfter, WithErrors};
#[cfg(feature = "std")]
pub use integrations::io::IoError;
#[cfg(feature = "serde")]
pub use integrations::serde::health::{Condition, Health, HealthBody};
#[cfg(feature = "serde")]
pub use integrations::serde::settings::{NotApplied, Settings};
#[cfg(feature = "tower")]
pub use integrations::tower::{BreakerFuture, BreakerLayer, BreakerService, Refuse};
#[cfg(feature = "tracing")]
pub use integrations::tracing::TracingLog;
pub use machine::window::{CountWindow, Streak, TimeWindow, Window, count_words};
pub use metrics::counters::{Counters, Counts};
#[cfg(feature = "std")]
pub use metrics::meter::{Meter, Metered};
#[cfg(feature = "std")]
pub use metrics::monitors::{DuplicateName, Monitors};
#[cfg(feature = "std")]
pub use metrics::reading::{Latency, Reading, States};
#[cfg(microbreaker_counting)]
pub use platform::atomics::counted;
pub use platform::lanes::{LaneCount, Lanes};
pub use terms::event::{CallReport, Effect, Event, ReportKind};
pub use terms::mode::Mode;
pub use terms::observer::Observer;
pub use terms::outcome::{AnyError, Classify, CustomKind, ErrorIf, FailureKind, Outcome, Persistence};
pub use terms::rejected::{Error, RejectReason, Rejected};
pub use terms::state::{OpenReason, State};
pub use terms::tally::{Status, Tally, WindowKind};

/// The README's examples, compiled and run.
#[cfg(all(doctest, feature = "tower", feature = "embassy-time"))]
#[doc = include_str!("../README.md")]
struct Readme;
