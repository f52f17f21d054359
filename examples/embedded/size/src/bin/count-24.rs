//! The last 24 calls.
#![no_std]
#![no_main]

use microbreaker::{Config, CountWindow, count_words};

size::guarded!(CountWindow<{ count_words(24, false) }>, Config::count(24));
