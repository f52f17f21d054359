use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, TimeWindow};

static BREAKER: Breaker<TimeWindow<16>, ManualClock> =
    Breaker::new(Config::time(0, Duration::from_secs(1)), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
