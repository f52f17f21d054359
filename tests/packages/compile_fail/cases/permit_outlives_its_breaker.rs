use microbreaker::{Breaker, Config, ManualClock, Streak};

fn main() {
    let permit = {
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(5), ManualClock::new());
        breaker.acquire().unwrap()
    };
    permit.success();
}
