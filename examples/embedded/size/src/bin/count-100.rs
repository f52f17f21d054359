//! The last 100 calls.
#![no_std]
#![no_main]

use microbreaker::{Config, CountWindow, count_words};

size::guarded!(CountWindow<{ count_words(100, false) }>, Config::count(100));
