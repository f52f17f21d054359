//! A circuit breaker for cores that cannot spare anything: `no_std`, lock-free, without allocation, `unsafe` or floats. Its
//! whole mutable state is a handful of 32-bit atomic words, so the same type guards a modem in a firmware's `static` and an
//! upstream in a server's hot loop.
//!
//! # What a breaker is
//!
//! A breaker stands in front of a peer that can fail: a database, an upstream, a modem. It counts how calls end. When too many
//! end badly it stops sending them, so that callers get an error at once instead of waiting, and the peer can recover. After
//! a while it lets a few calls through to find out whether the peer is back.
//!
//! ```text
//!               too many bad outcomes
//!  +--------+ ------------------------> +------+ <-----------------+
//!  | closed |                           | open |                   | a probe fails:
//!  +--------+                           +------+                   | a longer open time
//!      ^                                    | its time is over     |
//!      | enough probes succeed              v                      |
//!      | (at once, or by a ramp)      +-----------+                |
//!      +----------------------------- | half-open | ---------------+
//!                                     +-----------+
//! ```
//!
//! - **Closed**: every call is admitted with a [`Permit`], on which its [`Outcome`] is reported. Outcomes go to a
//!   [window](Window).
//! - **Open**: calls are [`Rejected`] at once, with the time after which to ask again.
//! - **Half-open**: a few calls are admitted as *probes*. Their results close the circuit or open it again.
//! - **Ramping** (optional): after recovery, a growing share of the calls is admitted.
//! - **Latched**: open without a time, until somebody resets it (bad credentials, a dead SIM).
//! - **Forced open** and **disabled**: an operator's switch, see [`Breaker::switch`].
//!
//! # Quick start
//!
//! No feature is needed. A breaker asks a [`Clock`] for the time; with the feature `std` that is `StdClock`, and here
//! it is ten lines of your own.
//!
//! ```
//! use core::time::Duration;
//! use std::sync::OnceLock;
//! use std::time::Instant;
//!
//! use microbreaker::{Breaker, Clock, Config, Error, Streak, TickRate, Ticks};
//!
//! struct Millis;
//!
//! impl Clock for Millis {
//!     const RATE: TickRate = TickRate::new(1000, 1);
//!
//!     fn now(&self) -> Ticks {
//!         static START: OnceLock<Instant> = OnceLock::new();
//!         Ticks::new(START.get_or_init(Instant::now).elapsed().as_millis() as u32) // it may wrap
//!     }
//! }
//!
//! // Three failures in a row open the circuit for five seconds; then one good probe closes it.
//! static PEER: Breaker<Streak, Millis> =
//!     Breaker::new(Config::streak(3).open_for(Duration::from_secs(5)), Millis);
//!
//! fn ask(text: &str) -> Result<u8, std::num::ParseIntError> {
//!     text.parse() // your call
//! }
//!
//! for _ in 0..3 {
//!     assert!(matches!(PEER.call(|| ask("down")), Err(Error::Inner(_))));
//! }
//! match PEER.call(|| ask("7")) {
//!     Err(Error::Rejected(rejected)) => println!("not called; ask again in {:?}", rejected.retry_in()),
//!     _ => unreachable!("the circuit is open"),
//! }
//! ```
//!
//! [`Breaker::call`] takes a closure, [`Breaker::call_async`] an async one, [`guarded`](GuardExt::guarded) a future, and
//! [`Breaker::acquire`] gives the permit itself.
//!
//! # Choosing a window
//!
//! | window | opens on | a healthy call | bytes of the breaker |
//! | --- | --- | --- | --- |
//! | [`Streak`] | failures in a row | loads only | 56 |
//! | [`CountWindow`] | a share of exactly the last N calls | loads only, once full of successes | 60 for up to 24 calls (12 where slow calls count), 84 for 100 (104) |
//! | [`TimeWindow`] | a share of the calls in the last B buckets of time | one clock reading, one write | 252 for 10 buckets in 16 slots |
//! | `(A, B)` | either | both | the sum |
//! | [`Fixed<W, P>`](Fixed) | what `W` opens on | what it is for `W` | 44 less: 12 for a streak |
//!
//! Take a streak where calls are few (a modem, a database connection), a count window for a busy upstream, and a time window
//! where what happened long ago should not count. [`Config`] has presets: [`modem`](Config::modem) and
//! [`database`](Config::database) for a [`Streak`], [`upstream`](Config::upstream) for a
//! `CountWindow<{ count_words(100, false) }>`. A configuration that cannot work does not compile in a `static`, and is a
//! [`ConfigError`] at run time. With [`Fixed`], the settings are constants of a type, a [`Policy`]: they take no memory, and
//! what they do not use is not linked. The bytes are of a 32-bit target, settings included (`.ci/check/sizes`).
//!
//! # Choosing a clock
//!
//! | clock | feature | a reading | take it |
//! | --- | --- | --- | --- |
//! | `StdClock` | `std` | an `Instant::now` and a little | if nothing speaks for another |
//! | `CoarseClock` | `std` | one load | where each call reads the clock (a [`TimeWindow`], a slow-call limit) or many are rejected, and a thread that wakes up each millisecond is no matter |
//! | `quanta::QuantaClock` | `quanta` | a look at the cycle counter: half of an `Instant::now` (`.ci/check/quanta`) | there too, without such a thread, or in a process that forks |
//! | `embassy_time::EmbassyClock` | `embassy-time` | that of embassy's driver | in firmware on embassy |
//! | [`ManualClock`] | | one load | in tests: it moves when it is told to |
//! | your own [`Clock`] | | | elsewhere |
//!
//! The first three show the same time at 1024 Hz, so a [`Snapshot`] goes over from one to another. A snapshot by a clock of
//! another rate is a [`SnapshotError`].
//!
//! # A server
//!
//! Enable `std` and what joins the breaker to your stack, usually `tower` and `http`. Keep the breaker in a `static` or an
//! `Arc`, one for each peer: `tower::BreakerLayer` goes around a client, `http::HttpStatus` knows which statuses speak against
//! a peer, `registry::Registry` keeps one breaker for each host or tenant, and `metrics::Meter` counts for your metrics.
//!
//! # A firmware
//!
//! Take no features, or `embassy-time` for its clock, `defmt` for logs, and `portable-atomic` on cores without
//! compare-exchange. Ask before the radio is woken ([`Breaker::peek`]), sleep until [`Breaker::retry_in`], report the
//! network's own back-off timers by [`Permit::hold`], and keep the state: in a [`Retained`] over resets and deep sleep, in a
//! [`Snapshot`] over power cuts. If something says that the network is back, [`Breaker::half_open`] ends an open time early.
//!
//! # Layers above
//!
//! What stands above a breaker decides *whether* and *how long*; the breaker alone moves. A layer opens a circuit by
//! [`Breaker::trip`] for a reason of its own (a budget, a dependency, an outlier of a group, another instance), and ends that
//! early by [`Breaker::release`]. If all members of a group would reject a call, [`Breaker::acquire_anyway`] makes it all the
//! same. [`Circuit`] is the object-safe face of every breaker, for lists of breakers of different types.
//!
//! # Recipes
//!
//! Single-file programs stand in the package's `examples/` folder: `cargo run --example NAME` in a checkout, with the names
//! `first`, `async_upstream`, `axum_reqwest`, `retry_inside_breaker` and `testing_with_a_manual_clock`. Longer recipes (routes,
//! connectors, gRPC, a breaker for each host, metrics), a runbook and a tuning guide are in the repository under
//! `examples/host`.
//!
//! # Promises
//!
//! - At most N probes are admitted in a half-open state, and at most `at_once` are in flight together. A probe that is ignored
//!   or cancelled gives its slot to the next caller. A lost probe ends by its lease in an ordinary verdict: nothing wedges.
//! - Failures that reach the threshold open the circuit, whatever the interleaving: no trip is lost that every order of the
//!   reports gives, and none is made that no order gives. In a [`TimeWindow`] this has three bounds, which its page states: a
//!   bucket that ends during a report, a success that completes the minimum, and the slow threshold. One caller opens the
//!   circuit, and one [`Event`] tells.
//! - A report on a permit of an earlier generation changes nothing, save that a hold or a latch counts while the circuit is
//!   open.
//! - A hold is never lost to a shorter time of anybody's but an operator's. A layer never ends or shortens a time that is not
//!   its own.
//! - One `acquire` makes at most one move that an observer is told of, whatever the observer does meanwhile.
//! - Nothing happens early by a clock that keeps its contract (`CoarseClock` and `QuantaClock` say when they do not):
//!   durations become ticks rounded up, and a period is lengthened by its clock's [slack](Clock::SLACK).
//! - No call waits for another, in an interrupt either: the breaker has no lock and does not spin on unfinished work. Beside
//!   it, a `Registry` takes a lock to create or change a breaker, a `Meter` for a transition or a reading, `Monitors` to add,
//!   remove or list breakers, and `Lazy` to create.
//! - Only two things panic: a bad configuration given to [`Breaker::new`] or [`Breaker::observed`] (in a `static` at compile
//!   time), and a [`TickRate`] that is zero or faster than 2³⁰ Hz. Futures of this crate may panic if they are polled again
//!   after they were ready.
//!
//! Each promise has a check that was seen to fail when the line it guards is broken: `loom-tests/README.md` in the repository
//! names them. What wraps, and when that matters, is in [`bounds`].
//!
//! # Features
//!
#![doc = include_str!("features.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "std", microbreaker_loom, microbreaker_shuttle, microbreaker_counting, test))]
#[macro_use]
extern crate std;

pub mod bounds;
mod breaker;
mod clock;
mod compose;
mod config;
mod integrations;
mod machine;
pub mod metrics;
mod platform;
mod terms;

// The core.
pub use breaker::Breaker;
pub use breaker::call::GuardExt;
pub use breaker::circuit::{Circuit, Ticket};
pub use breaker::gate::{Gate, GateHolder, Report};
pub use breaker::holder::Holder;
pub use breaker::permit::Permit;
pub use breaker::settle::{AtOnce, Settle};
pub use breaker::snapshot::retained::Retained;
pub use breaker::snapshot::{Snapshot, SnapshotError};
pub use clock::{Clock, HORIZON, ManualClock, TickRate, Ticks};
#[cfg(feature = "std")]
pub use clock::{CoarseClock, StdClock};
pub use config::error::{Bound, ConfigError, Field};
pub use config::policy::Policy;
pub use config::{Config, ProbeRule};
pub use machine::window::{CountWindow, Fixed, LiveWindow, Streak, TimeWindow, Window, count_words};
#[cfg(microbreaker_counting)]
pub use platform::atomics::counted;
pub use platform::lanes::{LaneCount, Lanes};
pub use terms::event::{CallReport, Effect, Event, ReportKind, Tripped};
pub use terms::mode::Mode;
pub use terms::observer::Observer;
pub use terms::outcome::{AnyError, Classify, CustomKind, ErrorIf, FailureKind, Outcome, Persistence};
pub use terms::rejected::{Error, RejectReason, Rejected};
pub use terms::state::{OpenReason, State};
pub use terms::tally::{Status, Tally, WindowKind};

// The rooms, each behind the feature of its name unless said otherwise.
pub use compose::fallback;
#[cfg(feature = "heapless")]
pub use compose::keyed;
#[cfg(feature = "lazy")]
pub use compose::lazy;
#[cfg(feature = "registry")]
pub use compose::registry;
#[cfg(feature = "defmt")]
pub use integrations::defmt;
#[cfg(feature = "embassy-time")]
pub use integrations::embassy_time;
#[cfg(feature = "grpc")]
pub use integrations::grpc;
#[cfg(feature = "http")]
pub use integrations::http;
#[cfg(feature = "std")]
pub use integrations::io;
#[cfg(feature = "quanta")]
pub use integrations::quanta;
#[cfg(feature = "serde")]
pub use integrations::serde::{health, settings};
#[cfg(feature = "tower")]
pub use integrations::tower;
#[cfg(feature = "tracing")]
pub use integrations::tracing;

/// The README's examples, compiled and run.
#[cfg(all(doctest, feature = "tower", feature = "embassy-time"))]
#[doc = include_str!("../README.md")]
struct Readme;
