use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> = Breaker::new(Config::upstream(), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
