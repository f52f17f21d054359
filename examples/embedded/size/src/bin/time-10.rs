//! Ten buckets of time of about a second.
#![no_std]
#![no_main]

use core::time::Duration;

use microbreaker::{Config, TimeWindow};

size::guarded!(TimeWindow<16>, Config::time(10, Duration::from_micros(1_048_576)));
