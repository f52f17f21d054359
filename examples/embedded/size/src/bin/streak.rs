//! A streak, jittered back-off.
#![no_std]
#![no_main]

use microbreaker::{Config, Streak};

size::guarded!(Streak, Config::streak(3));
