use microbreaker::tower::BreakerLayer;
use microbreaker::{Breaker, Config, ManualClock, Streak};

fn main() {
    let breaker: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5), ManualClock::new());
    let _ = BreakerLayer::new(breaker);
}
