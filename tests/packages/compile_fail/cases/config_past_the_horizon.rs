use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> =
    Breaker::new(Config::streak(5).open_for(Duration::from_secs(1 << 21)), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
