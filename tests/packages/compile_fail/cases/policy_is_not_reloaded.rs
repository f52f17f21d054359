use microbreaker::{Breaker, Config, Fixed, ManualClock, Policy, Streak};

struct Modem;

impl Policy for Modem {
    const CONFIG: Config = Config::modem();
}

fn main() {
    let breaker: Breaker<Fixed<Streak, Modem>, ManualClock> = Breaker::fixed(ManualClock::new());
    let _ = breaker.reconfigure(&Config::database());
}
