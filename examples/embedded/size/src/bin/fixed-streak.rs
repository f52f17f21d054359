//! A streak with settings that are constants: doubling open times, jitter, a lease.
#![no_std]
#![no_main]

use microbreaker::{Config, Streak};

size::guarded!(fixed Streak, Config::streak(3));
