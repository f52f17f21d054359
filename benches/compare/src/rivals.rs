//! The rivals: how each is configured, reached, and what it cannot do.

mod breaker;
mod circuitbreaker_rs;
mod failsafe;
mod recloser;
mod reliakit;
mod seatbelt;
mod tower_resilience;

use std::time::Duration;

use crate::caller::OpenFor;
use crate::private_work::PrivateWork;
use crate::row::{Judge, Kind, Row, Time};

/// One crate.
pub struct Rival {
    pub about: About,
    pub rows: Vec<Row>,
}

pub struct About {
    /// As in the lock file, which knows its version.
    pub package: &'static str,
    /// How it is configured and reached here.
    pub as_used: &'static str,
    /// What is broken or missing, as far as it bears on the figures or on trusting them.
    pub wrong: &'static str,
}

pub fn all(private: PrivateWork) -> Vec<Rival> {
    vec![
        recloser::rival(private),
        failsafe::rival(private),
        breaker::rival(private),
        circuitbreaker_rs::rival(private),
        tower_resilience::rival(private),
        seatbelt::rival(private),
        reliakit::rival(private),
    ]
}

/// A rival that asks for the platform's time.
fn row(name: &'static str, judge: Judge) -> Row {
    Row::new(name, Kind::Rival { judge, time: Time::Real })
}

const DAY: Duration = Duration::from_secs(86_400);

/// For those that take zero.
fn at_least_nothing(open_for: OpenFor) -> Duration {
    match open_for {
        OpenFor::Shortest => Duration::ZERO,
        OpenFor::ADay => DAY,
    }
}
