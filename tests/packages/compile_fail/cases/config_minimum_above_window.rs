use microbreaker::{Breaker, Config, CountWindow, ManualClock};

static BREAKER: Breaker<CountWindow<7>, ManualClock> =
    Breaker::new(Config::count(100).minimum(101), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
