use microbreaker::{Breaker, Config, ManualClock, ProbeRule, Streak};

static BREAKER: Breaker<Streak, ManualClock> =
    Breaker::new(Config::streak(5).probe_rule(ProbeRule::Rates), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
