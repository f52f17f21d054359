//! A streak with settings that are constants, and five probes, two at once.
#![no_std]
#![no_main]

use microbreaker::{Config, Streak};

size::guarded!(fixed Streak, Config::streak(3).probes(5).at_once(2).successes(3));
