use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5).probes(2).at_once(3), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
