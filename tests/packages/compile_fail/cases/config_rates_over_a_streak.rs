use microbreaker::{Breaker, Config, ManualClock, Streak, Verdict};

static BREAKER: Breaker<Streak, ManualClock> =
    Breaker::new(Config::streak(5).verdict(Verdict::Rates), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
