//! The rivals: how each is configured and called, and what it cannot do.

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

/// A crate that is compared with ours.
pub struct Rival {
    pub about: About,
    pub rows: Vec<Row>,
}

pub struct About {
    /// The name in the lock file, which gives the version.
    pub package: &'static str,
    /// How the rival is configured and called here.
    pub as_used: &'static str,
    /// What is broken or missing, if it affects the figures or the trust in them.
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

/// A row of a rival that reads the platform's clock.
fn row(name: &'static str, judge: Judge) -> Row {
    Row::new(name, Kind::Rival { judge, time: Time::Real })
}

const DAY: Duration = Duration::from_secs(86_400);

/// The open time for rivals that accept zero.
fn at_least_nothing(open_for: OpenFor) -> Duration {
    match open_for {
        OpenFor::Shortest => Duration::ZERO,
        OpenFor::ADay => DAY,
    }
}
