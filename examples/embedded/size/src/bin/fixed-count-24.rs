//! The last 24 calls, with settings that are constants.
#![no_std]
#![no_main]

use microbreaker::{Config, CountWindow, count_words};

size::guarded!(fixed CountWindow<{ count_words(24, false) }>, Config::count(24));
