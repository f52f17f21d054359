use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> =
    Breaker::new(Config::streak(5).open_for(Duration::ZERO), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
