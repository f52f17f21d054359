use microbreaker::{Breaker, Config, ManualClock, Streak};

fn main() {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(5), ManualClock::new());
    let permit = breaker.acquire().unwrap();
    permit.success();
    permit.failure();
}
