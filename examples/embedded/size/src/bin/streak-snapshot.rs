//! A streak whose state is kept over resets.
#![no_std]
#![no_main]

use microbreaker::{Breaker, Config, Retained, Streak};
use size::Uptime;

static RETAINED: Retained = Retained::new();

fn keep(breaker: &Breaker<Streak, Uptime>) {
    if let Ok(snapshot) = RETAINED.load() {
        // A restore fails only if the clock has another rate. Then this is a cold start.
        let _ = breaker.restore(&snapshot, None);
    }
    RETAINED.save(&breaker.snapshot());
}

size::guarded!(Streak, Config::streak(3), keep);
