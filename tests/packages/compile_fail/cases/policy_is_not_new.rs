use microbreaker::{Breaker, Config, Fixed, ManualClock, Policy, Streak};

struct Modem;

impl Policy for Modem {
    const CONFIG: Config = Config::modem();
}

static BREAKER: Breaker<Fixed<Streak, Modem>, ManualClock> = Breaker::new(Config::modem(), ManualClock::new());

fn main() {
    let _ = BREAKER.acquire();
}
