use core::time::Duration;

use microbreaker::{Breaker, Config, ManualClock, TimeWindow};

static BREAKER: Breaker<TimeWindow<10>, ManualClock> =
    Breaker::new(Config::time(10, Duration::from_secs(1)), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
