//! A streak with settings that are constants, and the peer's holds.
#![no_std]
#![no_main]

use core::time::Duration;

use microbreaker::{Breaker, Config, Streak, Window};
use size::Uptime;

fn obey(breaker: &Breaker<impl Window, Uptime>) {
    breaker.hold(Duration::from_secs(if size::send() { 7 } else { 99 }));
}

size::guarded!(fixed Streak, Config::streak(3), obey);
