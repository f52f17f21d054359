use microbreaker::{Breaker, Config, Fixed, ManualClock, Policy, Streak};

struct Zero;

impl Policy for Zero {
    const CONFIG: Config = Config::streak(0);
}

static BREAKER: Breaker<Fixed<Streak, Zero>, ManualClock> = Breaker::fixed(ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
