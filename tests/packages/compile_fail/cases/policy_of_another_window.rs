use microbreaker::{Breaker, Config, Fixed, ManualClock, Policy, Streak};

struct Upstream;

impl Policy for Upstream {
    const CONFIG: Config = Config::upstream();
}

static BREAKER: Breaker<Fixed<Streak, Upstream>, ManualClock> = Breaker::fixed(ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
