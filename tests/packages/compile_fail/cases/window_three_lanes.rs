use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, TimeWindow};

static BREAKER: Breaker<TimeWindow<16, 3>, ManualClock> =
    Breaker::new(Config::time(10, Duration::from_secs(1)), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
