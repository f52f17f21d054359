use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(0), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
