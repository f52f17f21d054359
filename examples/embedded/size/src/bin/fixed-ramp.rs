//! A streak with settings that are constants, and a ramp.
#![no_std]
#![no_main]

use core::time::Duration;

use microbreaker::{Config, Streak};

size::guarded!(fixed Streak, Config::streak(3).ramp(Duration::from_secs(10)));
