use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<(Streak, Streak), ManualClock> = Breaker::new(Config::streak(5), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
