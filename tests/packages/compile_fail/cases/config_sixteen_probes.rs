use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5).probes(16), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
