use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, TimeWindow};

static BREAKER: Breaker<TimeWindow<16>, ManualClock> =
    Breaker::new(Config::time(10, Duration::from_secs(3)), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
