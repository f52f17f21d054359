use microbreaker::{Breaker, Config, CountWindow, ManualClock};

static BREAKER: Breaker<CountWindow<12>, ManualClock> =
    Breaker::new(Config::count(100).slow_permille(500), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
