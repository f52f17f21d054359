use microbreaker::{Breaker, Config, CountWindow, ManualClock};

static BREAKER: Breaker<CountWindow<7>, ManualClock> =
    Breaker::new(Config::count(100).ignore_failure_share(), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
