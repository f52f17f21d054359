use microbreaker::{Breaker, Config, ManualClock, Streak};

static BREAKER: Breaker<Streak, ManualClock> =
    Breaker::new(Config::streak(5).backoff_1024ths(1023), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
