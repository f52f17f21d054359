use microbreaker::{Breaker, Config, CountWindow, ManualClock};

static BREAKER: Breaker<CountWindow<5>, ManualClock> = Breaker::new(Config::count(100), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
