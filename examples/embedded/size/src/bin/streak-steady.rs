//! A streak without jitter. Jitter is a live setting, so the code is the same.
#![no_std]
#![no_main]

use microbreaker::{Config, Streak};

size::guarded!(Streak, Config::streak(3).jitter(false));
