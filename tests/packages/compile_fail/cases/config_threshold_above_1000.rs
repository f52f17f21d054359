use microbreaker::{Breaker, Config, CountWindow, ManualClock};

static BREAKER: Breaker<CountWindow<7>, ManualClock> =
    Breaker::new(Config::count(100).failure_permille(1001), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
